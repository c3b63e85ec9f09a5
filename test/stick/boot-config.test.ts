import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { systemTools } from '../../src/base/tool.js'
import { type BootEntry, grubConfig } from '../../src/stick/boot-config.js'
import { needTools } from '../support/tools.js'

const entry: BootEntry = {
  title: 'Keyvisor demo',
  announcement: 'keyvisor: loading demo',
  slot: 'a',
  root: { rootHash: 'ab'.repeat(32), offset: 150_000_640 },
  library: { rootHash: 'cd'.repeat(32), offset: 4096 },
  kernelArguments: ['console=ttyS0,115200', 'console=tty0'],
}

async function checked(t: { testdir(): string }, config: string): Promise<void> {
  const path = join(t.testdir(), 'grub.cfg')
  writeFileSync(path, config)
  await systemTools.run({ tool: 'grub-script-check', args: [path] })
}

t.test('GRUB takes its configuration', async (t) => {
  if (!needTools(t, 'grub-script-check')) return
  await checked(t, grubConfig(entry))
  await checked(t, grubConfig({ ...entry, slot: 'b', kernelArguments: [] }))
  await t.rejects(checked(t, `${grubConfig(entry)}}`), { code: 'tool-failed' }, 'and can refuse one')
})

t.test('a name with odd letters does not steer GRUB', async (t) => {
  if (!needTools(t, 'grub-script-check')) return
  for (const title of ["it's", '"$root"', "a' { reboot } '", 'ä }\n}', '`x`']) {
    const config = grubConfig({ ...entry, title, announcement: title })
    await checked(t, config)
    t.equal(config.match(/^menuentry '[\w .()-]*' \{$/gm)?.length, 2, title)
  }
})

t.test('the kernel is told its slot, both hash trees and the partition that it came from', async (t) => {
  const lines = grubConfig(entry).match(/^ {2}linux .*$/gm) as string[]
  t.equal(lines.length, 2)
  for (const line of lines) {
    const [command, kernel, ...words] = line.trim().split(' ')
    t.strictSame([command, kernel], ['linux', '/a/vmlinuz'])
    for (const word of [
      'boot=keyvisor',
      'keyvisor.slot=a',
      'keyvisor.esp=$esp',
      `keyvisor.root=${'ab'.repeat(32)},150000640`,
      `keyvisor.library=${'cd'.repeat(32)},4096`,
      'console=ttyS0,115200',
    ])
      t.ok(words.includes(word), word)
  }
  t.match(grubConfig({ ...entry, slot: 'b' }), /initrd \/b\/initrd.img/)
})

t.test('another copy of the stick in the PC is never found by a search', async (t) => {
  const config = grubConfig(entry)
  t.notMatch(config, /\bsearch\b/)
  t.ok(config.indexOf('probe --set=esp --part-uuid $root') < config.indexOf('menuentry'))
})
