/** What the crash tests call damage of the settings partition, on file systems that other people's tools made. */
import { readFileSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { systemTools } from '../../src/base/tool.js'
import { MiB, SECTOR } from '../../src/base/units.js'
import { needTools } from '../support/tools.js'
import { settingsProblems } from './examine.js'

const README = 'This is a Keyvisor stick: demo\r\n'
const LAST = 'Keyvisor 0.1.0: the last start of demo\r\n\r\nGuests      web: ready\r\nShut down   not yet\r\n'
const AT = 2048

if (needTools(t, 'mkfs.vfat', 'mcopy')) {
  const folder = t.testdir()
  const run = (tool: string, ...args: string[]) => systemTools.run({ tool, args })
  /** Problems of a partition with these files, after `damage`. */
  const problemsOf = async (files: Record<string, string>, damage: (disk: Buffer) => void = () => {}) => {
    const volume = join(folder, 'fat')
    writeFileSync(volume, '')
    truncateSync(volume, 64 * MiB)
    await run('mkfs.vfat', '-F', '32', volume)
    for (const [name, text] of Object.entries(files)) {
      writeFileSync(join(folder, 'text'), text)
      await run('mcopy', '-o', '-i', volume, join(folder, 'text'), `::${name}`)
    }
    const disk = Buffer.concat([Buffer.alloc(AT * SECTOR), readFileSync(volume)])
    damage(disk)
    return settingsProblems({ first: AT }, async (offset, length) => disk.subarray(offset, offset + length))
  }

  await t.test('as it was built, and as the stick writes it', async (t) => {
    t.strictSame(await problemsOf({ 'README.txt': README }), [])
    t.strictSame(await problemsOf({ 'README.txt': README, 'last-boot.txt': LAST }), [])
    const unfinished = { 'README.txt': README, 'last-boot.txt.new': LAST.slice(0, 20) }
    t.strictSame(await problemsOf(unfinished), [], 'what has no name yet is no matter')
  })

  await t.test('what is lost, or half there', async (t) => {
    t.match(await problemsOf({}), [/README/])
    for (const text of [LAST.slice(0, -10), `${LAST.slice(0, 40)}${'\0'.repeat(40)}`, ''])
      t.match(await problemsOf({ 'README.txt': README, 'last-boot.txt': text }), [
        /last-boot\.txt is not whole/,
      ])
    // Of more than one cluster: the first needs no table to be found.
    const long = LAST.replace('Guests', `${'Problems    x\r\n'.repeat(60)}Guests`)
    const chain = await problemsOf({ 'README.txt': README, 'last-boot.txt': long }, (disk) => {
      const reserved = disk.readUInt16LE(AT * SECTOR + 14)
      // From cluster 3 on the table says that all are free.
      disk.fill(0, (AT + reserved) * SECTOR + 12, (AT + reserved) * SECTOR + 40)
    })
    t.match(chain, [/^settings: the FAT file system is damaged/])
  })
}
