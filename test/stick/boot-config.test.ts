import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { systemTools } from '../../src/base/tool.js'
import { GRUB_CONFIG, type SlotConfig, slotConfig, slotFiles } from '../../src/stick/boot-config.js'
import { needTools } from '../support/tools.js'

const config: SlotConfig = {
  title: 'Keyvisor demo',
  announcement: 'keyvisor: loading demo',
  root: { rootHash: 'ab'.repeat(32), offset: 150_000_640 },
  library: { rootHash: 'cd'.repeat(32), offset: 4096 },
  kernelArguments: ['console=ttyS0,115200', 'console=tty0'],
}

async function checked(t: { testdir(): string }, text: string): Promise<void> {
  const path = join(t.testdir(), 'grub.cfg')
  writeFileSync(path, text)
  await systemTools.run({ tool: 'grub-script-check', args: [path] })
}

t.test('GRUB takes its configuration', async (t) => {
  if (!needTools(t, 'grub-script-check')) return
  await checked(t, GRUB_CONFIG)
  await checked(t, slotConfig(config))
  await checked(t, slotConfig({ ...config, kernelArguments: [] }))
  await t.rejects(checked(t, `${GRUB_CONFIG}}`), { code: 'tool-failed' }, 'and can refuse one')
})

t.test('a name with odd letters does not steer GRUB', async (t) => {
  for (const title of ["it's", '"$root"', "a' { reboot } '", 'ä }\n}', '`x`']) {
    const text = slotConfig({ ...config, title, announcement: title })
    t.match(text, /^set title='[\w .-]*'\nset announcement='[\w .:-]*'\nset arguments='[^'\n]*'\n$/, title)
  }
})

t.test('the kernel is told both hash trees and what the profile asks for', async (t) => {
  const words = /^set arguments='(.*)'$/m.exec(slotConfig(config))?.[1]?.split(' ')
  t.strictSame(words, [
    `keyvisor.root=${'ab'.repeat(32)},150000640`,
    `keyvisor.library=${'cd'.repeat(32)},4096`,
    'console=ttyS0,115200',
    'console=tty0',
  ])
})

t.test('the kernel is told its slot and the partition that it came from', async (t) => {
  const lines = GRUB_CONFIG.match(/^ {2}linux .*$/gm) as string[]
  t.equal(lines.length, 2)
  for (const line of lines) {
    const [command, kernel, ...words] = line.trim().split(' ')
    t.strictSame([command, kernel], ['linux', `/${slotFiles('a').kernel.replace(/^a/, '$slot')}`])
    for (const word of ['boot=keyvisor', 'keyvisor.slot=$slot', 'keyvisor.esp=$esp', '$arguments'])
      t.ok(words.includes(word), word)
  }
  t.match(GRUB_CONFIG, /^source \/\$slot\/boot\.cfg$/m)
})

t.test('another copy of the stick in the PC is never found by a search', async (t) => {
  t.notMatch(GRUB_CONFIG, /\bsearch\b/)
  t.ok(GRUB_CONFIG.indexOf('probe --set=esp --part-uuid $root') < GRUB_CONFIG.indexOf('menuentry'))
})
