/**
 * Small images of real payloads, made by the tools that a build uses.
 */
import { mkdirSync, readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { systemTools } from '../../src/base/tool.js'
import { alignUp, KiB, MiB } from '../../src/base/units.js'
import { encodeErofs } from '../../src/disk/erofs.js'
import { BACKUP_SECTORS, encodeGpt } from '../../src/disk/gpt.js'
import { patchBootImage, patchCoreImage } from '../../src/disk/grub.js'
import { encodeProtectiveMbr } from '../../src/disk/mbr.js'
import { encodeVerity, upperTree, VERITY_BLOCK, verityLeaves } from '../../src/disk/verity.js'
import { MANIFEST_ON_ESP } from '../../src/media/inspect.js'
import { biosBootFirst, type Layout, layoutStick, type Payloads } from '../../src/stick/layout.js'
import type { PayloadName } from '../../src/stick/partitions.js'
import { smallStick } from './stick.js'
import { seeded } from './tools.js'

const STICK = smallStick({ esp: 34 * MiB, secondEsp: 2 * MiB, rootSlot: 2 * MiB, settings: 34 * MiB })
export const UUID = '0a1b2c3d-4e5f-8071-8293-a4b5c6d7e8f9'
export const TOOLS = ['mkfs.vfat', 'mcopy', 'mmd', 'mtype', 'mksquashfs', 'mke2fs', 'veritysetup']

export const run = (tool: string, ...args: string[]) => systemTools.run({ tool, args })

/** What is in an image's file systems, beside a file of noise. */
export interface Contents {
  root?: Record<string, string>
  library?: Record<string, string>
  manifest?: Record<string, unknown>
}

export async function makePayloads(
  folder: string,
  contents: Contents = {},
): Promise<Record<PayloadName, string>> {
  const path = (name: string) => join(folder, name)
  writeFileSync(path('biosBoot'), patchCoreImage(fakeCore(), biosBootFirst(STICK)))

  mkdirSync(path('tree'))
  // Noise does not pack: the root has more than one block, and so a hash tree.
  const random = seeded(1)
  writeFileSync(join(path('tree'), 'file'), Buffer.from(Array.from({ length: 20_000 }, () => random(256))))
  writeFiles(path('tree'), contents.root ?? {})
  await run('mksquashfs', path('tree'), path('root'), '-quiet', '-no-progress', '-noappend')
  await addTree(path('root'))

  const library = Object.entries(contents.library ?? {}).map(([name, text]) => ({
    name,
    bytes: Buffer.from(text),
  }))
  writeFileSync(path('library'), withTree(encodeLibrary(library)))

  writeFileSync(path('esp'), '')
  truncateSync(path('esp'), 34 * MiB)
  await run('mkfs.vfat', '-F', '32', '-n', 'KEYVISORESP', path('esp'))
  const manifest = { name: 'demo', dataMinimum: STICK.dataMinimum, ...contents.manifest }
  writeFileSync(path('manifest.json'), JSON.stringify(manifest))
  await run('mmd', '-i', path('esp'), '::/keyvisor')
  await run('mcopy', '-i', path('esp'), path('manifest.json'), `::${MANIFEST_ON_ESP}`)

  writeFileSync(path('settings'), '')
  truncateSync(path('settings'), STICK.settings)
  await run('mkfs.vfat', '-F', '32', '-n', 'KEYVISOR', path('settings'))
  return {
    biosBoot: path('biosBoot'),
    esp: path('esp'),
    root: path('root'),
    settings: path('settings'),
    library: path('library'),
  }
}

/** A library's file system. */
export function encodeLibrary(files: readonly { name: string; bytes: Buffer }[]): Buffer {
  const sizes = files.map(({ name, bytes }) => ({ name, size: bytes.length }))
  const { metadata, offsets, size } = encodeErofs({ label: 'library', uuid: UUID, epoch: 1, files: sizes })
  const all = Buffer.concat([metadata], size)
  for (const [index, { bytes }] of files.entries()) bytes.copy(all, offsets[index])
  return all
}

/** The same with its hash tree behind it, as a library has one. */
function withTree(bytes: Buffer): Buffer {
  const leaves = verityLeaves(bytes)
  const tree = upperTree()
  tree.add(leaves)
  const { levels } = tree.finish()
  const superblock = encodeVerity(UUID, bytes.length / VERITY_BLOCK)
  const padding = Buffer.alloc(alignUp(leaves.length, VERITY_BLOCK) - leaves.length)
  return Buffer.concat([bytes, superblock, levels, leaves, padding])
}

/** A library as images had it before: ext4, and a tree that veritysetup made. */
export async function oldLibrary(path: string): Promise<string> {
  writeFileSync(path, '')
  truncateSync(path, 4 * MiB)
  await run('mke2fs', '-q', '-F', '-t', 'ext4', '-b', '4096', '-O', '^has_journal', '-U', UUID, path)
  await addTree(path)
  return path
}

function writeFiles(folder: string, files: Record<string, string>): void {
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true })
    writeFileSync(join(folder, name), text)
  }
}

/** Two sectors with what marks GRUB's core image. */
function fakeCore(): Buffer {
  const core = Buffer.alloc(1024, 0x90)
  core.write('loading', 0x11b)
  return core
}

function fakeBootImage(): Buffer {
  const image = Buffer.alloc(512)
  image.write('GRUB \0Geom', 0x180)
  return image
}

async function addTree(path: string): Promise<void> {
  const { size } = statSync(path)
  await run('veritysetup', 'format', `--hash-offset=${size}`, `--data-blocks=${size / 4096}`, path, path)
}

export async function assemble(path: string, payloads: Record<PayloadName, string>): Promise<Layout> {
  const sizes = Object.fromEntries(
    Object.entries(payloads).map(([name, file]) => [name, { size: statSync(file).size, digest: name }]),
  ) as Payloads
  const layout = layoutStick(STICK, 'demo', sizes)
  const { primary, backup } = encodeGpt(
    layout.diskGuid,
    layout.sectors,
    layout.partitions.map((partition) => ({ ...partition, attributes: 0n })),
  )
  const file = await open(path, 'w')
  const bootCode = patchBootImage(fakeBootImage(), biosBootFirst(STICK))
  await file.truncate(layout.sectors * 512)
  await file.write(Buffer.concat([encodeProtectiveMbr(layout.sectors, bootCode), primary]), 0)
  await file.write(backup, 0, backup.length, (layout.sectors - BACKUP_SECTORS) * 512)
  for (const { payload, first } of layout.partitions) {
    if (!payload) continue
    const bytes = readFileSync(payloads[payload])
    // Holes stay holes: only blocks that hold something are written.
    for (let at = 0; at < bytes.length; at += 64 * KiB) {
      const block = bytes.subarray(at, at + 64 * KiB)
      if (block.some(Boolean)) await file.write(block, 0, block.length, first * 512 + at)
    }
  }
  await file.close()
  return layout
}
