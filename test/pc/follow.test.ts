import { appendFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { follow } from '../../src/pc/follow.js'

t.test('gives each finished line once, from a file that appears later, cut anywhere', async (t) => {
  const file = join(t.testdir(), 'log')
  const lines: string[] = []
  const stop = follow(file, (line) => lines.push(line))
  const bytes = Buffer.from('one\nzwölf\nthree')
  // In the middle of the ö.
  await appendFile(file, bytes.subarray(0, 7))
  await new Promise((resolve) => setTimeout(resolve, 300))
  t.strictSame(lines, ['one'])
  await appendFile(file, bytes.subarray(7))
  await stop()
  t.strictSame(lines, ['one', 'zwölf'], 'the last look comes with the stop')
})

t.test('a file that never appears is no error', async (t) => {
  const stop = follow(join(t.testdir(), 'none'), () => t.fail('there is nothing to read'))
  await stop()
  t.pass('stopped')
})
