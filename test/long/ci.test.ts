/**
 * All shell steps of docs/ci.md, the boot among them.
 */
import t from 'tap'
import { runPage } from '../support/ci.js'

t.setTimeout(1_800_000)

t.test('the shell steps of docs/ci.md, with the boot', (t) => runPage(t, ['step', 'boot']))
