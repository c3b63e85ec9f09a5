/**
 * A qcow2 image of a raw disk, in one pass: clusters of nothing but zeros are left out, whether they were holes or not.
 *
 * Spec: QEMU's docs/interop/qcow2.rst. The file has the header, the L1 table, the clusters with data in the order of the
 * disk, the L2 tables, the refcount table, the refcount blocks; so its bytes depend on those of the disk alone. Left out:
 * compression, snapshots, backing files, and whatever else a base has no use for.
 */
import type { FileHandle } from 'node:fs/promises'
import { alignUp, type Bytes } from '../base/units.js'
import { readAhead } from './read-ahead.js'
import { filledRuns, HOLE, writeAt } from './sparse.js'

/** QEMU's own default, and what is looked at for zeros. */
const CLUSTER: Bytes = HOLE
const CLUSTER_BITS = Math.log2(CLUSTER)
/** Bytes of an entry of L1, L2 and refcount tables. */
const ENTRY: Bytes = 8
const PER_TABLE = CLUSTER / ENTRY
/** Reference counts have 16 bits. */
const REFCOUNT: Bytes = 2
const PER_REFCOUNT_BLOCK = CLUSTER / REFCOUNT
/** "Bit 63: 0 for a cluster that is unused, compressed or requires COW, 1 if its refcount is exactly one." */
const COPIED = 1n << 63n

const HEADER = { magic: 0x514649fb, version: 3, bytes: 104, refcountOrder: 4 } as const

/** Reads `raw` to its end, and writes the image to `target`, which is empty. `onBytes` gets each piece of the disk. */
export async function encodeQcow2(
  raw: FileHandle,
  size: Bytes,
  target: FileHandle,
  onBytes: (bytes: Buffer) => void,
): Promise<void> {
  const l1Entries = Math.ceil(size / (CLUSTER * PER_TABLE))
  const l1 = Buffer.alloc(alignUp(Math.max(l1Entries, 1) * ENTRY, CLUSTER))
  const dataAt = CLUSTER + l1.length
  const { tables, end } = await writeClusters(raw, target, dataAt, onBytes)
  let at = end
  for (const [index, table] of tables) {
    l1.writeBigUInt64BE(BigInt(at) | COPIED, index * ENTRY)
    await writeAt(target, table, at)
    at += CLUSTER
  }
  const refcounts = await writeRefcounts(target, at)
  await writeAt(target, encodeHeader(size, l1Entries, refcounts), 0)
  await writeAt(target, l1, CLUSTER)
}

interface Written {
  /** The L2 tables that are needed, by their place in L1. */
  tables: Map<number, Buffer>
  /** Where the last cluster ends. */
  end: Bytes
}

async function writeClusters(
  raw: FileHandle,
  target: FileHandle,
  dataAt: Bytes,
  onBytes: (bytes: Buffer) => void,
): Promise<Written> {
  const tables = new Map<number, Buffer>()
  let end = dataAt
  let disk = 0
  const put = (cluster: number) => {
    const index = Math.floor(cluster / PER_TABLE)
    const table = tables.get(index) ?? Buffer.alloc(CLUSTER)
    tables.set(index, table)
    table.writeBigUInt64BE(BigInt(end) | COPIED, (cluster % PER_TABLE) * ENTRY)
    end += CLUSTER
  }
  for await (const chunk of readAhead(raw)) {
    const runs = filledRuns(chunk).map(([first, last]) => {
      const at = end
      for (let cluster = first; cluster < last; cluster += CLUSTER) put((disk + cluster) / CLUSTER)
      return { at, bytes: chunk.subarray(first, last) }
    })
    const writing = writeRuns(target, runs)
    writing.catch(() => {})
    try {
      onBytes(chunk)
    } finally {
      await writing
    }
    disk += chunk.length
  }
  return { tables, end }
}

/** The end of a disk may be a part of a cluster; a table comes behind it, so that the rest is a hole. */
async function writeRuns(target: FileHandle, runs: { at: Bytes; bytes: Buffer }[]): Promise<void> {
  for (const { at, bytes } of runs) await writeAt(target, bytes, at)
}

/** Every cluster of the file is used once, those of the refcounts among them. The answer is where their table is. */
async function writeRefcounts(target: FileHandle, at: Bytes): Promise<{ at: Bytes; clusters: number }> {
  const before = at / CLUSTER
  let blocks = 0
  let tableClusters = 0
  for (let all = -1; all !== before + blocks + tableClusters; ) {
    all = before + blocks + tableClusters
    blocks = Math.ceil(all / PER_REFCOUNT_BLOCK)
    tableClusters = Math.max(1, Math.ceil(blocks / PER_TABLE))
  }
  const table = Buffer.alloc(tableClusters * CLUSTER)
  for (let index = 0; index < blocks; index++) {
    const block = at + table.length + index * CLUSTER
    table.writeBigUInt64BE(BigInt(block), index * ENTRY)
    const left = before + blocks + tableClusters - index * PER_REFCOUNT_BLOCK
    const counts = Buffer.alloc(CLUSTER)
    for (let count = 0; count < Math.min(left, PER_REFCOUNT_BLOCK); count++)
      counts.writeUInt16BE(1, count * REFCOUNT)
    await writeAt(target, counts, block)
  }
  await writeAt(target, table, at)
  return { at, clusters: tableClusters }
}

function encodeHeader(size: Bytes, l1Entries: number, refcounts: { at: Bytes; clusters: number }): Buffer {
  const header = Buffer.alloc(CLUSTER)
  header.writeUInt32BE(HEADER.magic, 0) // magic
  header.writeUInt32BE(HEADER.version, 4) // version
  header.writeUInt32BE(CLUSTER_BITS, 20) // cluster_bits
  header.writeBigUInt64BE(BigInt(size), 24) // size
  header.writeUInt32BE(l1Entries, 36) // l1_size
  header.writeBigUInt64BE(BigInt(CLUSTER), 40) // l1_table_offset
  header.writeBigUInt64BE(BigInt(refcounts.at), 48) // refcount_table_offset
  header.writeUInt32BE(refcounts.clusters, 56) // refcount_table_clusters
  header.writeUInt32BE(HEADER.refcountOrder, 96) // refcount_order
  header.writeUInt32BE(HEADER.bytes, 100) // header_length
  return header
}
