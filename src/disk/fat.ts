/**
 * FAT32 file systems, made by mtools(1): no mount, and the same bytes for the same files.
 *
 * Left out: everything that a boot partition does not need (other FAT widths, attributes, deletion).
 */
import { open } from 'node:fs/promises'
import { basename, dirname } from 'node:path'
import { KeyvisorError } from '../base/errors.js'
import type { ToolRunner } from '../base/tool.js'
import { type Bytes, formatBytes, SECTOR } from '../base/units.js'

export interface FatFile {
  /** Path in the file system, with slashes and no leading one. */
  path: string
  /** File whose bytes go there: in scratch, in the store, or in the tools' own tree. */
  source: string
}

export interface FatRequest {
  label: string
  /** Volume serial number, 8 hexadecimal digits. */
  serial: string
  size: Bytes
  epoch: number
  files: FatFile[]
}

/**
 * Writes a FAT32 image of exactly `size` bytes to `image`; the tools must see that, and the sources. Throws `fat-full` where the files do not fit. mtools takes times from SOURCE_DATE_EPOCH and the serial from `-N`, so that nothing depends on the moment.
 */
export async function writeFat(request: FatRequest, image: string, tools: ToolRunner): Promise<void> {
  const file = await open(image, 'w')
  await file.truncate(request.size)
  await file.close()
  const run = (tool: string, args: string[]) =>
    tools.run({
      tool,
      // As it is named in its folder: mtools takes what follows an `@@` for an offset.
      args: ['-i', basename(image), ...args],
      cwd: dirname(image),
      env: { SOURCE_DATE_EPOCH: String(request.epoch), MTOOLS_SKIP_CHECK: '1' },
    })
  const sectors = String(request.size / SECTOR)
  await run('mformat', [
    '-F',
    '-c',
    '1',
    '-T',
    sectors,
    '-h',
    '16',
    '-s',
    '63',
    '-N',
    request.serial,
    '-v',
    request.label,
    '::',
  ])
  const files = [...request.files].sort((a, b) => (a.path < b.path ? -1 : 1))
  const folders = foldersOf(files)
  if (folders.length > 0)
    await run(
      'mmd',
      folders.map((path) => `::${path}`),
    )
  for (const { path, source } of files) {
    await run('mcopy', [source, `::${path}`]).catch((cause: KeyvisorError) => {
      if (cause.code !== 'tool-failed' || !cause.message.includes('Disk full')) throw cause
      const message = `${path} does not fit a FAT file system of ${formatBytes(request.size)}`
      throw new KeyvisorError('fat-full', message, { cause })
    })
  }
}

/** Every folder that some file is in, parents first. */
function foldersOf(files: FatFile[]): string[] {
  const folders = new Set<string>()
  for (const { path } of files) {
    const parts = path.split('/').slice(0, -1)
    for (let depth = 1; depth <= parts.length; depth++) folders.add(parts.slice(0, depth).join('/'))
  }
  return [...folders].sort()
}
