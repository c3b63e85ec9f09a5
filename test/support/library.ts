/**
 * Libraries for tests: put together by the stage that a build runs, of bases that a test has; and files out of one.
 */
import { mkdirSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { join } from 'node:path'
import { systemTools } from '../../src/base/tool.js'
import { type Bytes, MiB } from '../../src/base/units.js'
import { readErofs } from '../../src/disk/erofs.js'
import { fileReader } from '../../src/disk/file-reader.js'
import type { Drive } from '../../src/guest/definition.js'
import { libraryFacts } from '../../src/guest/library.js'
import type { BaseBytes, LibraryParts } from '../../src/image/library.js'
import { NETWORK } from '../../src/plan/identity.js'
import { type Base, leavesOf } from '../../src/sources/base.js'
import { libraryStage } from '../../src/sources/library.js'
import { type StageResult, stageOf } from '../../src/store/stage.js'
import type { Workplace } from '../../src/store/workplace.js'
import { guest } from './guests.js'
import { stage } from './stages.js'

/** A library with one guest, whose drives begin with these bases; `folder` is for its head. */
export async function libraryOf(
  folder: string,
  bases: readonly BaseBytes[],
  place: Workplace,
): Promise<LibraryParts> {
  const stages: Record<string, Base> = {}
  const read: Record<string, StageResult> = {}
  for (const [index, { format, ...file }] of bases.entries()) {
    const name = `import.box.disk${index}`
    stages[name] = format
      ? { kind: 'given', file: { ...file, format } }
      : { kind: 'made', stage: stage(name, { sha256: file.sha256 }) }
    if (!format) read[name] = { objects: { disk: file }, facts: {} }
  }
  const drives = Object.keys(stages).map(
    (base, index): Drive<string> => ({ kind: 'overlay', base, size: MiB, serial: `KVDISK${index}` }),
  )
  const { definition: _, ...box } = guest('box')
  const inputs = { name: 'demo', network: NETWORK, guests: [{ ...box, drives }], epoch: 1_750_000_000 }
  const made = stageOf(libraryStage(inputs, stages), { programOf: () => '', tools: 'system' })
  const leaves: LibraryParts['leaves'] = (base) => leavesOf(base, place)
  const scratch = join(folder, 'library')
  mkdirSync(scratch, { recursive: true })
  const { files, facts = {} } = await made.make(
    {
      scratch,
      tools: systemTools,
      fetched: () => Promise.reject(new Error('nothing is fetched here')),
      leaves,
      note: () => {},
      signal: new AbortController().signal,
    },
    read,
  )
  return { facts: libraryFacts({ facts }), head: files['head'] as string, bases, leaves }
}

const PIECE: Bytes = 4 * MiB

/** Copies a file of the library that begins at a byte of an image. Throws Error where it has none of that name. */
export async function takeFromLibrary(image: string, at: Bytes, name: string, target: string): Promise<void> {
  const file = await open(image, 'r')
  const copy = await open(target, 'w')
  try {
    const read = fileReader(file)
    const files = await readErofs((offset, length) => read(at + offset, length))
    const found = files.find((one) => one.name === name)
    if (!found) throw new Error(`BUG: the library of ${image} has no file ${name}`)
    for (let done = 0; done < found.size; done += PIECE) {
      const piece = await read(at + found.offset + done, Math.min(PIECE, found.size - done))
      await copy.write(piece, 0, piece.length, done)
    }
  } finally {
    await copy.close()
    await file.close()
  }
}
