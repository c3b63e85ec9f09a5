/**
 * The shell steps of docs/ci.md do what the page says, but for the boot: test/long/ci.test.ts.
 */
import t from 'tap'
import { runPage } from '../support/ci.js'

t.setTimeout(1_800_000)

t.test('the shell steps of docs/ci.md', (t) => runPage(t, ['step']))
