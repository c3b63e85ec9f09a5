import t from 'tap'
import { domainPaths } from '../../src/guest/paths.js'
import { bench, counter } from '../support/guests.js'

t.test('files of a guest have their own names', async (t) => {
  const paths = domainPaths(counter)
  t.strictSame(paths.drives, ['/data/guests/counter/disk.qcow2', '/data/guests/counter/disk-1.qcow2'])
  t.strictSame(domainPaths(bench).shares, ['/data/shares/exchange', '/data/shares/bench-only'])
})
