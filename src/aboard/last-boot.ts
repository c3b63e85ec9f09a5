/**
 * `last-boot.txt` on the settings partition: what the stick did when it was started last, in words, for whoever plugs it
 * into a PC that runs something else.
 *
 * The partition is mounted for the moment of writing alone: a stick may be pulled at any time, and FAT has no journal.
 */
import { type Banner, bannerRows } from './banner.js'
import { type Machine, must } from './machine.js'
import { readBanner } from './report.js'

const FOLDER = '/run/keyvisor/settings'
const NAME = 'last-boot.txt'
const DRAFT = '/run/keyvisor/last-boot.txt'

/** By default what is wrong with one file makes all read-only (Linux, vfat.rst). */
const OPTIONS = 'nosuid,nodev,noexec,noatime,errors=continue'

/** Seconds for each step; a stick that hangs must not hold its PC. */
const PATIENCE = '20'

/** Once the boot has settled. Throws Error. */
export function tellBooted(machine: Machine, banner: Banner): void {
  write(machine, lastBootText(machine, banner, 'not yet, or its power was cut'))
}

/** When the host is shut down. Throws Error; does nothing where no boot came so far that there is a banner. */
export function tellStopped(machine: Machine, unstopped: readonly string[]): void {
  const banner = readBanner(machine)
  if (!banner) return
  const guests =
    unstopped.length === 0 ? 'every guest first' : `while these still ran: ${unstopped.join(', ')}`
  write(machine, lastBootText(machine, banner, `${clock(machine, 'now')}, ${guests}`))
}

function lastBootText(machine: Machine, banner: Banner, ended: string): string {
  const started = `${clock(machine, `@${bootTime(machine)}`)}, by that PC's clock`
  const rows: [string, string][] = [
    ['Started', started],
    ['Model', pcName(machine)],
    ...bannerRows(banner, banner.addresses ?? []),
    ['Shut down', ended],
  ]
  const lines = rows.map(([label, text]) => `${label.padEnd(10)}  ${text}`.trimEnd())
  return [`Keyvisor ${banner.version}: the last start of ${banner.name}`, '', ...lines, ''].join('\r\n')
}

/** As its maker calls it (Linux, ABI/testing/sysfs-class-dmi). */
function pcName(machine: Machine): string {
  const words = ['sys_vendor', 'product_name'].map((name) =>
    machine.readFile(`/sys/class/dmi/id/${name}`)?.trim(),
  )
  return words.filter(Boolean).join(' ') || 'without a name'
}

/** Seconds since 1970 (proc_stat(5), `btime`). */
function bootTime(machine: Machine): string {
  return /^btime (\d+)$/m.exec(machine.readFile('/proc/stat') ?? '')?.[1] ?? '0'
}

function clock(machine: Machine, moment: string): string {
  return must(machine, ['date', `--date=${moment}`, '+%Y-%m-%d %H:%M %Z']).trim()
}

/**
 * A new file, then its name: no reader finds half of it. The old one goes first, and is gone before there is a new one: a
 * stick that was pulled may have a name whose clusters are free, and the new file must not get those.
 */
function write(machine: Machine, text: string): void {
  try {
    writeMounted(machine, text)
  } catch (error) {
    const why = error instanceof Error ? error.message : error
    throw new Error(`${NAME} cannot be written to the settings partition: ${why}`)
  }
}

function writeMounted(machine: Machine, text: string): void {
  const within = (...argv: string[]) => must(machine, ['timeout', PATIENCE, ...argv])
  const [unfinished, finished] = [`${FOLDER}/${NAME}.new`, `${FOLDER}/${NAME}`]
  machine.writeFile(DRAFT, text)
  within('mkdir', '-p', FOLDER)
  within('mount', '-t', 'vfat', '-o', OPTIONS, settingsDevice(machine), FOLDER)
  try {
    within('rm', '-f', unfinished, finished)
    within('sync', FOLDER)
    within('cp', DRAFT, unfinished)
    within('sync', unfinished)
    within('mv', '-T', unfinished, finished)
  } finally {
    within('umount', FOLDER)
  }
}

/** As the initrd left it. */
function settingsDevice(machine: Machine): string {
  const name = /^settings=(\S+)$/m.exec(machine.readFile('/run/keyvisor/stick') ?? '')?.[1]
  if (name === undefined) throw new Error('the stick has no settings partition')
  return `/dev/${name}`
}
