/**
 * What was found on an image, as text. Pure.
 *
 * The manifest came with the image: it is shown as what it claims, and any of it may be missing or of another type.
 */
import { formatBytes, type InspectedPartition, type Inspection, type Json } from '../index.js'
import { drawLayout, type PictureOptions } from './picture.js'

export function inspectText(inspection: Inspection, options: PictureOptions): string {
  const { path, size, allocated, layout, partitions, manifest, notes } = inspection
  const taken = allocated === null ? 'a disk' : `of which ${formatBytes(allocated)} are taken on disk`
  const blocks = [
    `${path}: ${formatBytes(size)}, ${taken}`,
    drawLayout(layout, options).trimEnd(),
    contentsText(partitions),
    manifestText(manifest),
    notes.length > 0
      ? ['what is odd about it:', ...notes.map((note) => `  - ${note}`)].join('\n')
      : 'nothing is odd about it',
  ]
  return `${blocks.filter(Boolean).join('\n\n')}\n`
}

// ------------------------------------------------------------------------------------------ contents

function contentsText(partitions: InspectedPartition[]): string {
  const width = Math.max(0, ...partitions.map(({ name }) => name.length))
  const lines = partitions.map(({ name, ...rest }) => `  ${name.padEnd(width)}  ${contentWords(rest)}`)
  return ['holds', ...lines].join('\n')
}

function contentWords({ content, verity }: Pick<InspectedPartition, 'content' | 'verity'>): string {
  const label = 'label' in content && content.label ? ` "${content.label}"` : ''
  const tree = verity ? `, with a ${verity.algorithm} hash tree over ${verity.dataBlocks} blocks` : ''
  return `${KINDS[content.kind] ?? content.kind}${label}${tree}`
}

const KINDS: Record<string, string> = {
  fat: 'FAT',
  grub: "GRUB's core image",
  luks: 'LUKS',
  zeros: 'nothing yet',
  unknown: 'something unknown',
}

// ------------------------------------------------------------------------------------------ manifest

function manifestText(manifest: Json): string {
  if (!isObject(manifest)) return ''
  const { name, builder, epoch, host, guests, slots, library } = manifest
  const rows = [
    ['name', text(name)],
    ['built by', `keyvisor ${text(builder)}, packages as of ${dateOf(epoch)}`],
    ['host', `${at(host, 'hostname')}, Debian ${at(host, 'suite')}, admin ${at(host, 'admin')}`],
    ...['a', 'b'].flatMap((slot) => slotRow(slots, slot)),
    ['library hash', at(library, 'rootHash')],
    ...(Array.isArray(guests) ? guests : []).map((guest) => ['guest', guestWords(guest)]),
  ]
  return [
    'its manifest says',
    ...rows.map(([label = '', words = '']) => `  ${label.padEnd(12)}  ${words}`),
  ].join('\n')
}

/** A slot without a host has none. */
function slotRow(slots: Json | undefined, slot: string): string[][] {
  const root = isObject(slots) ? slots[slot] : undefined
  return root === null ? [] : [[`slot ${slot}`, `root hash ${at(root, 'rootHash')}`]]
}

function guestWords(guest: Json): string {
  const order = isObject(guest) ? guest['autostart'] : null
  const starts =
    typeof order === 'number' ? `starts with the stick, order ${order}` : 'does not start by itself'
  const changes = at(guest, 'changes') === 'discard' ? 'fresh at each start' : 'keeps its changes'
  return `${at(guest, 'name')}: ${at(isObject(guest) ? guest['hardware'] : null, 'firmware')}, ${starts}, ${changes}`
}

function isObject(value: Json | undefined): value is { [key: string]: Json } {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function at(value: Json | undefined, key: string): string {
  return isObject(value) ? text(value[key]) : '?'
}

function text(value: Json | undefined): string {
  return typeof value === 'string' || typeof value === 'number' ? String(value) : '?'
}

/** Seconds since 1970 as a date; a foreign number may be none. */
function dateOf(epoch: Json | undefined): string {
  const date = new Date(typeof epoch === 'number' ? epoch * 1000 : Number.NaN)
  return Number.isNaN(date.getTime()) ? '?' : date.toISOString().slice(0, 10)
}
