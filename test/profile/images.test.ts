/**
 * What a build says of an image, `validate` says first: with the same code, and at once.
 */
import { copyFileSync, readdirSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { systemTools } from '../../src/base/tool.js'
import { GiB, MiB, TiB } from '../../src/base/units.js'
import { imageVirtualSize } from '../../src/disk/image-file.js'
import { validateProfile } from '../../src/profile/validate.js'

import { needTool } from '../support/tools.js'

const BROKEN = fileURLToPath(new URL('../../fixtures/profiles/broken/', import.meta.url))

async function problemsOf(folder: string, guests: string[], stick = 'minimumSize: 64TiB') {
  const file = join(folder, 'demo.yaml')
  const lines = guests.map((guest, index) => `  - {name: g${index}, autostart: false, ${guest}}\n`)
  const head = `version: 1\nname: demo\nstick: {${stick}}\nhost: {admin: {passwordHash: $6$a$b}}\n`
  writeFileSync(file, `${head}guests:\n${lines.join('')}`)
  return (await validateProfile(file, { files: true })).problems
}

const image = (name: string, format: string) => `source: {image: ${name}, format: ${format}}`

t.test('validate and the build refuse the same images, with the same words', async (t) => {
  // That one is in use, which the build says when it reads it for the lock.
  const images = readdirSync(BROKEN).filter((name) => /\.(qcow2|raw|vmdk|vhd|txt)$/.test(name))
  const files = images.filter((name) => name !== 'locked.vmdk')
  t.ok(files.length > 9)
  for (const name of files) {
    for (const format of ['qcow2', 'raw'] as const) {
      const refused = await imageVirtualSize(join(BROKEN, name), format).then(
        () => [],
        ({ code, message }) => [{ code, message }],
      )
      const problems = await problemsOf(t.testdir(), [image(join(BROKEN, name), format)])
      const said = problems.map(({ code, message }) => ({ code, message }))
      t.strictSame(said, refused, `${name} as ${format}`)
      for (const { position } of problems) t.strictSame(position, { line: 6, column: 50 })
    }
  }
})

t.test('huge images take no longer', async (t) => {
  if (!needTool(t, 'qemu-img')) return
  const folder = t.testdir({ 'disk.raw': '' })
  truncateSync(join(folder, 'disk.raw'), 8 * TiB)
  const qcow2 = join(folder, 'disk.qcow2')
  await systemTools.run({ tool: 'qemu-img', args: ['create', '-q', '-f', 'qcow2', qcow2, '8T'] })
  copyFileSync(qcow2, join(folder, 'large.qcow2'))
  truncateSync(join(folder, 'large.qcow2'), 8 * TiB)
  const started = Date.now()
  const guests = [image('disk.raw', 'raw'), image('disk.qcow2', 'qcow2'), image('large.qcow2', 'qcow2')]
  t.strictSame(await problemsOf(folder, guests), [])
  t.ok(Date.now() - started < 2000, `${Date.now() - started} ms`)
})

t.test('images that alone are more than the stick or its library', async (t) => {
  if (!needTool(t, 'qemu-img')) return
  const folder = t.testdir()
  for (const [name, size] of [
    ['a', 3 * GiB],
    ['same', 3 * GiB],
    ['b', GiB],
  ] as const) {
    const file = join(folder, `${name}.qcow2`)
    await systemTools.run({ tool: 'qemu-img', args: ['create', '-q', '-f', 'qcow2', file, '64M'] })
    truncateSync(file, size)
  }
  const codes = async (stick: string, ...names: string[]) => {
    const guests = names.map((name) => image(`${name}.qcow2`, 'qcow2'))
    return (await problemsOf(folder, guests, stick)).map(({ code, path }) => `${code} ${path}`)
  }
  // 3 GiB and a quarter; beside it 128, as much that stays free, 2 × 384, 64 and 512 MiB, with 3 for tables and boot loader.
  const least = 3840 + 128 + 128 + 768 + 64 + 512 + 3
  t.strictSame(await codes(`minimumSize: ${least}MiB`, 'a'), [])
  t.strictSame(await codes(`minimumSize: ${least - 1}MiB`, 'a'), ['stick-too-small stick.minimumSize'])
  t.strictSame(await codes(`minimumSize: ${least}MiB`, 'a', 'same'), [], 'files of one size may be the same')
  t.strictSame(await codes(`minimumSize: ${least}MiB`, 'a', 'b'), ['stick-too-small stick.minimumSize'])
  t.strictSame(await codes('minimumSize: 16GiB, library: 4GiB', 'a', 'b'), [])
  t.strictSame(await codes(`minimumSize: 16GiB, library: ${4 * GiB - MiB}B`, 'a', 'b'), [
    'library-too-large stick.library',
  ])
})
