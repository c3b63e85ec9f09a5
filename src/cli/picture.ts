/**
 * The layout as a picture in a terminal: a bar of the partitions to scale, and a table below it. Pure.
 *
 * Left out: everything about what the partitions hold. Names may come out of a foreign image, so nothing of them
 * reaches the terminal that could steer it.
 */
import { formatBytes, type Layout, type LayoutPartition, printable, SECTOR } from '../index.js'

export interface PictureOptions {
  /** Columns of the terminal. */
  width: number
  /** Use ANSI colours. */
  color: boolean
  /** Draw with ASCII alone. */
  ascii?: boolean
}

/** The picture: lines that end in `\n`, none wider than `width` where the table allows. */
export function drawLayout(layout: Layout, options: PictureOptions): string {
  const cells = cellsOf(layout)
  const bar = drawBar(cells, options)
  const blocks = [
    summary(layout),
    ...(bar ? [bar, legend(cells, options)] : []),
    drawTable(layout, options),
    footnotes(layout),
  ]
  const text = `${blocks.filter(Boolean).join('\n\n')}\n`
  return options.ascii ? toAscii(text) : text
}

// ---------------------------------------------------------------------------------------------- Bar

/** One partition in the bar, or the space between two. */
interface Cell {
  name: string
  size: string
  /** What decides its width. */
  weight: number
  /** Share of it that is filled, 0 to 1; null where nothing is to be filled. */
  filled: number | null
  /** Not in the image: first boot makes it. */
  future: boolean
}

function cellsOf(layout: Layout): Cell[] {
  const cells = extentsOf(layout).map((extent): Cell => {
    const bytes = bytesOf(extent)
    return {
      name: 'name' in extent ? shown(extent.name) : GAP,
      size: mark(layout) + formatBytes(bytes),
      weight: bytes,
      filled: 'used' in extent ? Math.min(1, extent.used / bytes) : null,
      future: false,
    }
  })
  if (!layout.data) return cells
  const { name, minimum } = layout.data
  return [
    ...cells,
    { name, size: minimum ? `${formatBytes(minimum)}+` : '', weight: minimum, filled: null, future: true },
  ]
}

type Extent = Pick<LayoutPartition, 'first' | 'last'>

/** What a space between two partitions is called. */
const GAP = 'free'

/** The partitions, and the spaces between them, as they lie on the disk. */
function extentsOf({ partitions }: Layout): (LayoutPartition | Extent)[] {
  const sorted = [...partitions].sort((a, b) => a.first - b.first)
  return sorted.flatMap((partition, index) => {
    const from = (sorted[index - 1]?.last ?? partition.first - 1) + 1
    return from < partition.first ? [{ first: from, last: partition.first - 1 }, partition] : [partition]
  })
}

/** Undefined where the names do not fit side by side. */
function drawBar(cells: Cell[], options: PictureOptions): string | undefined {
  const room = options.width - cells.length - 1
  const least = cells.map(({ name, size }) => Math.max(name.length, size.length) + 1)
  const widths = shares(
    cells.map(({ weight }) => weight),
    least,
    room,
  )
  if (!widths) return undefined
  const row = (draw: (cell: Cell, width: number, index: number) => string) =>
    cells.map((cell, index) => draw(cell, widths[index] as number, index))
  const label = (text: string, width: number) => ` ${text}`.padEnd(width)
  return [
    edge(cells, widths, '┌┬┐'),
    walled(
      cells,
      row(({ name }, width) => label(name, width)),
    ),
    walled(
      cells,
      row(({ size }, width) => label(size, width)),
    ),
    walled(
      cells,
      row((cell, width, index) => paint(gauge(cell, width), index, options.color)),
    ),
    edge(cells, widths, '└┴┘'),
  ].join('\n')
}

/**
 * Divides `room` columns by weight, none below its least. Undefined when the least do not fit. A cell whose share
 * would be below its least gets the least, and the others share what is left.
 */
function shares(weights: number[], least: number[], room: number): number[] | undefined {
  if (weights.length === 0 || sum(least) > room) return undefined
  const fixed = new Set<number>()
  for (;;) {
    const free = weights.map((_, index) => index).filter((index) => !fixed.has(index))
    const rest = room - sum([...fixed].map((index) => least[index] as number))
    const unit = rest / Math.max(1, sum(free.map((index) => weights[index] as number)))
    const short = free.filter((index) => (weights[index] as number) * unit < (least[index] as number))
    if (short.length === 0 || free.length === 0) return whole(weights, least, fixed, unit, room)
    for (const index of short) fixed.add(index)
  }
}

/** Whole columns: each share rounded down, what is over given to the widest. */
function whole(weights: number[], least: number[], fixed: Set<number>, unit: number, room: number): number[] {
  const widths = weights.map((weight, index) =>
    fixed.has(index) ? (least[index] as number) : Math.floor(weight * unit),
  )
  const widest = widths.indexOf(Math.max(...widths))
  widths[widest] = (widths[widest] as number) + room - sum(widths)
  return widths
}

function sum(numbers: number[]): number {
  return numbers.reduce((total, number) => total + number, 0)
}

/** The upper or lower edge; dashed over what is not in the image. */
function edge(cells: Cell[], widths: number[], [left, between, right]: string): string {
  const line = cells.map(({ future }, index) => (future ? '╌' : '─').repeat(widths[index] as number))
  return `${left}${line.join(between)}${right}`
}

function walled(cells: Cell[], texts: string[]): string {
  const last = cells.at(-1)?.future ? '┊' : '│'
  return `│${texts.join('│')}${last}`
}

/** What is used shows at least one block: an all but empty partition is not an empty one. */
function gauge({ filled }: Cell, width: number): string {
  if (filled === null) return ' '.repeat(width)
  const inner = width - 2
  const used = filled > 0 ? Math.max(1, Math.round(filled * inner)) : 0
  return ` ${'█'.repeat(used)}${'░'.repeat(inner - used)} `
}

/** Cyan, yellow, green, blue, magenta: no red, which means an error. */
const COLORS = [36, 33, 32, 34, 35]

function paint(text: string, index: number, color: boolean): string {
  return color ? `\x1b[${COLORS[index % COLORS.length]}m${text}\x1b[0m` : text
}

function legend(cells: Cell[], { width }: PictureOptions): string {
  const future = cells.some((cell) => cell.future) ? ['┊ made on first boot'] : []
  const text = ['█ used', '░ free', ...future].join('   ')
  return text.length <= width ? text : ''
}

// ---------------------------------------------------------------------------------------------- Table

const HEAD = ['#', 'name', 'first LBA', 'last LBA', 'size', 'used', 'GUID']
const LEFT = new Set([1, 6])

function drawTable(layout: Layout, { color }: PictureOptions): string {
  const rows = [HEAD, ...extentsOf(layout).map((extent) => tableRow(layout, extent)), ...futureRow(layout)]
  const widths = HEAD.map((_, column) => Math.max(...rows.map((row) => (row[column] as string).length)))
  const lines = rows.map((row) =>
    row
      .map((text, column) => {
        const width = widths[column] as number
        return LEFT.has(column) ? text.padEnd(width) : text.padStart(width)
      })
      .join('  ')
      .trimEnd(),
  )
  if (color) lines[0] = `\x1b[1m${lines[0]}\x1b[0m`
  return lines.join('\n')
}

function tableRow(layout: Layout, extent: LayoutPartition | Extent): string[] {
  const about = mark(layout)
  const place = [`${about}${extent.first}`, `${about}${extent.last}`, about + formatBytes(bytesOf(extent))]
  if (!('name' in extent)) return ['-', GAP, ...place, '-', '-']
  const { number, name, used, guid } = extent
  return [
    `${number}`,
    shown(name),
    ...place,
    used > 0 ? about + formatBytes(used) : '-',
    guid ? guid.slice(0, 8) : '-',
  ]
}

function futureRow(layout: Layout): string[][] {
  if (!layout.data) return []
  const { number, name, first, minimum } = layout.data
  return [
    [
      `${number}`,
      name,
      `${mark(layout)}${first}`,
      'end',
      minimum ? `${formatBytes(minimum)}+` : '-',
      '-',
      '-',
    ],
  ]
}

// ---------------------------------------------------------------------------------------------- Words

function summary(layout: Layout): string {
  const about = mark(layout)
  const image = `image ${about}${formatBytes(layout.sectors * SECTOR)}`
  const stick = `smallest stick ${about}${formatBytes(layout.smallestStick)}`
  return [image, stick, ...(layout.diskGuid ? [`disk ${layout.diskGuid.slice(0, 8)}`] : [])].join(', ')
}

function footnotes(layout: Layout): string {
  const { data, estimated } = layout
  const lines = [
    ...(data ? [`Partition ${data.number}, ${data.name}, is made on first boot, and fills the stick.`] : []),
    ...(estimated ? ['≈ is an estimate: the build tells exactly.'] : []),
  ]
  return lines.join('\n')
}

function mark({ estimated }: Layout): string {
  return estimated ? '≈' : ''
}

function bytesOf({ first, last }: Extent): number {
  return (last - first + 1) * SECTOR
}

/** Longest name that is drawn: GPT allows 36. */
const MOST_NAME = 16

/** A partition's name without anything that could steer a terminal or has no certain width. */
function shown(name: string): string {
  const plain = printable(name)
  return plain.length > MOST_NAME ? `${plain.slice(0, MOST_NAME - 1)}~` : plain
}

const ASCII: Record<string, string> = {
  '─': '-',
  '╌': '-',
  '│': '|',
  '┊': ':',
  '█': '#',
  '░': '.',
  '≈': '~',
}

/** One character for one, so that all columns stay. */
function toAscii(text: string): string {
  return text.replace(/[┌┬┐└┴┘]/g, '+').replace(/[\u0080-\uffff]/g, (character) => ASCII[character] ?? '?')
}
