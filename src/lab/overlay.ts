/**
 * The stick of a trial: a qcow2 overlay over an image, which is never written.
 *
 * A kept overlay belongs to one image: on another it would be read as garbage. Beside it, `FILE.image` has the disk
 * GUID of its image, which derives from all that is on that image.
 */
import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import { KeyvisorError } from '../base/errors.js'
import { ifThere } from '../base/file-errors.js'
import { makeFolder } from '../base/make-folder.js'
import type { ToolRunner } from '../base/tool.js'
import { alignUp, type Bytes, formatBytes, GiB } from '../base/units.js'
import { writeFile } from '../base/write-file.js'
import type { Inspection } from '../media/inspect.js'

/** A common stick, where nobody says. */
const USUAL_STICK: Bytes = 8 * GiB

/** Room that a stick of no stated size has for data, at least. */
const USUAL_ROOM: Bytes = 2 * GiB

/**
 * Makes the overlay, or takes up a kept one. Throws `stick-too-small`, `other-stick-size`, `other-image`.
 *
 * @param size of the stick; undefined for a usual one
 */
export async function openOverlay(
  image: Inspection,
  file: string,
  size: Bytes | undefined,
  tools: ToolRunner,
): Promise<void> {
  const smallest = image.layout.smallestStick
  if (size !== undefined && size < smallest) {
    const message = `a stick of ${formatBytes(size)} is too small: ${image.path} needs ${formatBytes(smallest)}`
    throw new KeyvisorError('stick-too-small', message, { hint: 'choose a larger --stick-size' })
  }
  if (existsSync(file)) return takeUp(image, file, size, tools)
  await makeFolder(dirname(file))
  await writeFile(imageNote(file), `${image.layout.diskGuid}\n`)
  const stick = size ?? Math.max(USUAL_STICK, alignUp(smallest + USUAL_ROOM, GiB))
  const args = ['create', '-q', '-f', 'qcow2', '-F', 'raw', '-b', resolve(image.path), file, `${stick}`]
  await tools.run({ tool: 'qemu-img', args, binds: overlayBinds(image, file) })
}

/** The image may have moved since; that it is the same one is known by its GUID. */
async function takeUp(
  image: Inspection,
  file: string,
  size: Bytes | undefined,
  tools: ToolRunner,
): Promise<void> {
  const guid = await ifThere(readFile(imageNote(file), 'utf8'))
  if (guid?.trim() !== image.layout.diskGuid) {
    const message = `${file} holds the changes to another image than ${image.path}`
    throw new KeyvisorError('other-image', message, {
      hint: 'name another file with --keep, or remove this one',
    })
  }
  const binds = overlayBinds(image, file)
  const info = ['info', '-f', 'qcow2', '--output=json', file]
  const { stdout } = await tools.run({ tool: 'qemu-img', args: info, binds, timeout: 30 }).catch((cause) => {
    throw inUse(file, cause) ?? cause
  })
  const kept = (JSON.parse(stdout) as { 'virtual-size': Bytes })['virtual-size']
  if (size !== undefined && size !== kept) {
    const message = `${file} is a stick of ${formatBytes(kept)}, not of ${formatBytes(size)}`
    throw new KeyvisorError('other-stick-size', message, { hint: 'leave out --stick-size' })
  }
  const rebase = ['rebase', '-q', '-u', '-f', 'qcow2', '-F', 'raw', '-b', resolve(image.path), file]
  await tools.run({ tool: 'qemu-img', args: rebase, binds, timeout: 30 })
}

/** Makes a kept overlay that is a disk of another file, such as a replay's: what differs from the image is copied. */
export async function keepDisk(
  image: Inspection,
  disk: string,
  size: Bytes,
  file: string,
  tools: ToolRunner,
): Promise<void> {
  await openOverlay(image, file, size, tools)
  const binds = [...overlayBinds(image, file), { path: resolve(disk) }]
  const rebase = (...args: string[]) =>
    tools.run({ tool: 'qemu-img', args: ['rebase', '-q', '-f', 'qcow2', '-F', 'raw', ...args, file], binds })
  await rebase('-u', '-b', resolve(disk))
  await rebase('-b', resolve(image.path))
}

/** QEMU locks what it has open (qemu-img's own words). */
function inUse(file: string, cause: KeyvisorError): KeyvisorError | undefined {
  if (cause.code !== 'tool-failed' || !/Failed to get .*lock/.test(cause.message)) return undefined
  return new KeyvisorError('overlay-in-use', `${file} is in use by another trial`, {
    hint: 'end that one, or name another file with --keep',
    cause,
  })
}

function imageNote(file: string): string {
  return `${file}.image`
}

function overlayBinds(image: Inspection, file: string) {
  return [{ path: resolve(image.path) }, { path: dirname(file), write: true }]
}
