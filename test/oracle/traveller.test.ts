/**
 * The traveller's guest, which is committed as bytes: GNU's assembler makes the same from its source.
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { packageFile } from '../../src/base/package.js'
import { systemTools } from '../../src/base/tool.js'
import { needTools } from '../support/tools.js'

const FOLDER = packageFile('fixtures/sticks/traveller')
/** Where a BIOS loads a boot sector to. */
const LOADED_AT = '0x7c00'

t.test('the boot sector of the traveller, and nothing behind it', async (t) => {
  if (!needTools(t, 'as', 'ld')) return
  const folder = t.testdir()
  const [object, sector] = [join(folder, 'counter.o'), join(folder, 'counter.bin')]
  await systemTools.run({ tool: 'as', args: ['--32', '-o', object, join(FOLDER, 'counter.S')] })
  const flat = ['-m', 'elf_i386', '-Ttext', LOADED_AT, '--oformat', 'binary']
  await systemTools.run({ tool: 'ld', args: [...flat, '-o', sector, object] })
  const disk = readFileSync(join(FOLDER, 'counter.raw'))
  t.equal(disk.length, 1 << 20)
  t.ok(disk.subarray(0, 512).equals(readFileSync(sector)))
  t.ok(disk.subarray(512).every((byte) => byte === 0))
})
