import { mkdir, readFile, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import type { ToolRunner } from '../../src/base/tool.js'
import { GiB, MiB } from '../../src/base/units.js'
import { openOverlay } from '../../src/lab/overlay.js'
import type { Inspection } from '../../src/media/inspect.js'
import { labTools } from '../support/lab.js'

/** Of an inspection, what an overlay depends on. */
function image(path: string, diskGuid = 'one', smallestStick = 2 * MiB): Inspection {
  return { path, layout: { diskGuid, smallestStick } } as Inspection
}

/** What qemu-img says of an overlay. */
async function info(tools: ToolRunner, file: string, folder: string) {
  const args = ['info', '-f', 'qcow2', '--output=json', file]
  const { stdout } = await tools.run({ tool: 'qemu-img', args, binds: [{ path: folder }] })
  const answer = JSON.parse(stdout)
  return {
    size: answer['virtual-size'],
    backing: answer['backing-filename'],
    format: answer['backing-filename-format'],
  }
}

const tools = await labTools(t)

if (tools) {
  const folder = t.testdir({ 'stick.img': 'x'.repeat(MiB) })
  const raw = join(folder, 'stick.img')
  const overlay = join(folder, 'kept/stick.qcow2')

  await t.test('is made over the image, in a usual size, and names its format', async (t) => {
    await openOverlay(image(raw), overlay, undefined, tools)
    t.strictSame(await info(tools, overlay, folder), { size: 8 * GiB, backing: raw, format: 'raw' })
    t.equal(await readFile(raw, 'utf8'), 'x'.repeat(MiB), 'the image is as it was')
  })

  await t.test('an image that needs more gets a larger stick', async (t) => {
    const file = join(t.testdir(), 'large.qcow2')
    const binds = join(file, '..')
    await openOverlay(image(raw, 'one', 7 * GiB), file, undefined, tools)
    t.equal((await info(tools, file, binds)).size, 9 * GiB)
  })

  await t.test('a kept one is taken up, also when its image was moved', async (t) => {
    const moved = join(folder, 'moved.img')
    await rename(raw, moved)
    await openOverlay(image(moved), overlay, undefined, tools)
    t.strictSame(await info(tools, overlay, folder), { size: 8 * GiB, backing: moved, format: 'raw' })
    await rename(moved, raw)
  })

  await t.test('one of another image is refused, and so is one whose image nobody knows', async (t) => {
    await t.rejects(openOverlay(image(raw, 'two'), overlay, undefined, tools), { code: 'other-image' })
    const unknown = join(t.testdir(), 'unknown.qcow2')
    await writeFile(unknown, '')
    await t.rejects(openOverlay(image(raw), unknown, undefined, tools), { code: 'other-image' })
    await mkdir(`${unknown}.image`)
    // What cannot be read says nothing of another image.
    await t.rejects(openOverlay(image(raw), unknown, undefined, tools), { code: 'EISDIR' })
  })

  await t.test('a size that cannot be is refused', async (t) => {
    await t.rejects(openOverlay(image(raw), overlay, 9 * GiB, tools), { code: 'other-stick-size' })
    const fresh = join(t.testdir(), 'fresh.qcow2')
    await t.rejects(openOverlay(image(raw), fresh, MiB, tools), { code: 'stick-too-small' })
  })
}
