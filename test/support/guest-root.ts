/**
 * The root of a guest from packages, as debugfs(8) reads it out of a finished image.
 */
import { statSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { join } from 'node:path'
import { systemTools } from '../../src/base/tool.js'
import { type Bytes, SECTOR } from '../../src/base/units.js'
import type { BuildResult } from '../../src/pipeline/build.js'
import { guestBases } from '../../src/stick/manifest.js'
import { takeFromLibrary } from './library.js'

export interface GuestRoot {
  /** Its ext4. */
  file: string
  /** Of the disk, before and behind it. */
  around: Bytes
  /** `0644 0/0`: mode, owner and group of a path; undefined where there is none. */
  attributes(path: string): Promise<string | undefined>
  text(path: string): Promise<string>
}

const run = (tool: string, ...args: string[]) => systemTools.run({ tool, args })

/** Takes the root out of the image, into `folder`. */
export async function guestRoot(result: BuildResult, guest: string, folder: string): Promise<GuestRoot> {
  const listed = result.manifest.guests.find(({ name }) => name === guest)
  const base = listed && guestBases(listed)[0]
  const library = result.manifest.layout.partitions.find(({ name }) => name === 'library')
  if (!base || !library) throw new Error(`no guest ${guest}`)
  const [disk, raw, root] = ['qcow2', 'raw', 'ext4'].map((end) => join(folder, `${guest}.${end}`))
  await takeFromLibrary(result.image, library.first * SECTOR, `${base}.qcow2`, disk as string)
  await run('qemu-img', 'convert', '-f', 'qcow2', '-O', 'raw', disk as string, raw as string)
  const table = JSON.parse((await run('sfdisk', '--json', raw as string)).stdout).partitiontable
  const found = table.partitions.find(({ name }: { name: string }) => name === 'root')
  await cut(raw as string, root as string, found.start * SECTOR, found.size * SECTOR)
  const debugfs = async (command: string) => (await run('debugfs', '-R', command, root as string)).stdout
  return {
    file: root as string,
    around: statSync(raw as string).size - found.size * SECTOR,
    async attributes(path) {
      const text = await debugfs(`stat "${path}"`)
      const match = /Mode: +(\d+)[\s\S]*?User: +(\d+) +Group: +(\d+)/.exec(text)
      return match ? `${match[1]?.slice(-4)} ${match[2]}/${match[3]}` : undefined
    },
    text: (path) => debugfs(`cat "${path}"`),
  }
}

/** Bytes of a file as a sparse file. */
async function cut(path: string, target: string, at: Bytes, size: Bytes): Promise<void> {
  const flags = ['bs=1M', 'conv=sparse', 'iflag=skip_bytes,count_bytes']
  await run('dd', `if=${path}`, `of=${target}`, ...flags, `skip=${at}`, `count=${size}`)
  const file = await open(target, 'r+')
  await file.truncate(size)
  await file.close()
}
