/**
 * Stamps: whether a file is the one that was looked at before, without reading it again.
 */
import type { BigIntStats } from 'node:fs'
import { type FileHandle, stat } from 'node:fs/promises'
import { ifThere } from '../base/file-errors.js'

/** Changes whenever the file is written to or replaced, even if somebody sets its mtime back; undefined when there is none. */
export async function fileStamp(path: string): Promise<string | undefined> {
  const found = await ifThere(stat(path, { bigint: true }))
  return found && stampOf(found)
}

/** The same of an open file, which another may have replaced under its name. */
export async function openStamp(file: FileHandle): Promise<string> {
  return stampOf(await file.stat({ bigint: true }))
}

function stampOf({ dev, ino, size, mtimeNs, ctimeNs }: BigIntStats): string {
  return [dev, ino, size, mtimeNs, ctimeNs].join(' ')
}

/** A write in the same tick of the file system's clock would not show in a stamp: nanoseconds for a tick, and for whole seconds. */
const TICK = { fine: 50_000_000n, coarse: 2_000_000_000n }

/**
 * True when a later write is certain to change the stamp of an open file: its times are a tick or more ago. File systems
 * that count whole seconds (FAT, some servers) have longer ticks.
 */
export async function isSettled(file: FileHandle): Promise<boolean> {
  const { mtimeNs, ctimeNs } = await file.stat({ bigint: true })
  const now = BigInt(Date.now()) * 1_000_000n
  const tick = mtimeNs % 1_000_000_000n === 0n ? TICK.coarse : TICK.fine
  return now - mtimeNs >= tick && now - ctimeNs >= tick
}
