/**
 * Pictures of a boot: the firmware, GRUB, each guest's own screen, the banner, and whatever a boot that failed shows.
 *
 * They are evidence for a person and fail no boot: what cannot be pictured is said, and that is all.
 * Left out: what is made of them (`report-html.ts`).
 */

import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { errorWords } from '../base/file-errors.js'
import { shellWords } from '../base/shell.js'
import { systemTools } from '../base/tool.js'
import { type Bytes, MiB } from '../base/units.js'
import { writeFile } from '../base/write-file.js'
import { type GuestEvent, LOADING_PREFIX, SERIAL_PREFIX } from '../guest/report.js'
import { isBlank, isPng } from './png.js'
import type { Trial } from './trial.js'

export interface Screen {
  /** `firmware`, `grub`, `guest NAME`, `banner`, or `failure`. */
  name: string
  /** PNG, relative to the report's folder. */
  file: string
}

export interface Screens {
  /** Begins to look: the PC is on. */
  watch(trial: Camera): void
  /** A line of the serial console. */
  hearLine(line: string): void
  /** Takes what is to be seen at the end: guests where the host is up, the banner where the stick is done, a failure's screen. */
  close(trial: Trial, end: { done: boolean; good: boolean }, signal?: AbortSignal): Promise<void>
  /** In the order in which they were asked for, whichever file was written first. */
  taken(): Screen[]
  /** What is not pictured, and why: `guest web: ...`. */
  missing(): string[]
}

type Camera = Pick<Trial, 'screenshot' | 'folder'>

/** Milliseconds between the first looks at the firmware's screen, which may be there for less than a second. */
const LOOK_EVERY = 250

/** What each next pause is longer: a PC that hangs in its firmware is not looked at for nothing. */
const LONGER = 1.02

/** Milliseconds that the login prompt takes to show the last banner under emulation. */
const SETTLE = 2000

/** The kernel's lines, and the report's: from here on the screen is not the firmware's. */
const KERNEL = new RegExp(`\\[ *\\d+\\.\\d{6}\\] |${SERIAL_PREFIX}`)

/** Pictures are written to `report`, a folder that is there. */
export function openScreens(report: string): Screens {
  const album = openAlbum(report)
  let look: Look | undefined
  let firmware: Promise<void> | undefined
  let grub: Promise<void> | undefined
  const started = new AbortController()
  const shoot = (name: string, file: string) => (look ? album.add(name, file, look()) : Promise.resolve())
  return {
    watch(trial) {
      look = openCamera(trial)
      firmware = album.add('firmware', 'firmware.png', firmwarePicture(look, started.signal))
    },
    hearLine(line) {
      if (line.includes(LOADING_PREFIX)) grub ??= shoot('grub', 'grub.png')
      if (grub || KERNEL.test(line)) started.abort()
    },
    async close(trial, { done, good }, signal) {
      started.abort()
      await Promise.all([firmware, grub ?? album.miss('grub', 'it said nothing on the serial console')])
      await addGuests(trial, album, signal)
      signal?.throwIfAborted()
      if (done) await sleep(SETTLE).then(() => shoot('banner', 'banner.png'))
      if (!good) await shoot('failure', 'screen.png')
    },
    taken: album.taken,
    missing: album.missing,
  }
}

// ------------------------------------------------------------------------------------------ keeping them

interface Album {
  /** Keeps a picture under a name; says so where it cannot be had. Never rejects. */
  add(name: string, file: string, png: Promise<Buffer>): Promise<void>
  miss(name: string, why: string): void
  taken(): Screen[]
  missing(): string[]
}

function openAlbum(report: string): Album {
  const pages: { screen: Screen; kept: boolean }[] = []
  const missing: string[] = []
  const miss = (name: string, why: string) => void missing.push(`${name}: ${why}`)
  return {
    async add(name, file, png) {
      const page = { screen: { name, file }, kept: false }
      pages.push(page)
      try {
        await writeFile(join(report, file), await png)
        page.kept = true
      } catch (error) {
        miss(name, errorWords(error))
      }
    },
    miss,
    taken: () => pages.filter(({ kept }) => kept).map(({ screen }) => screen),
    missing: () => [...missing],
  }
}

/** What is on the PC's screen now. */
type Look = () => Promise<Buffer>

/** QEMU sees the session's folder only. */
function openCamera({ screenshot, folder }: Camera): Look {
  let shots = 0
  return async () => {
    const file = join(folder, `screen-${++shots}.png`)
    await screenshot(file)
    return readFile(file)
  }
}

/**
 * The last picture that shows something before the stick is started; rejects where there is none. What is there at
 * power-on is QEMU's own: that the display is not initialized yet.
 */
async function firmwarePicture(look: Look, started: AbortSignal): Promise<Buffer> {
  const first = await look()
  let last: Buffer | undefined
  for (let pause = LOOK_EVERY; !started.aborted; pause *= LONGER) {
    const png = await look()
    if (!started.aborted && !png.equals(first) && !isBlank(png)) last = png
    await sleep(pause, undefined, { signal: started }).catch(() => {})
  }
  if (last) return last
  throw new Error('its screen showed nothing before the stick was started')
}

// ---------------------------------------------------------------------------------------------- guests

/** Larger than a picture of a guest's screen: a stick must not fill the memory of this machine. */
const LARGEST: Bytes = 8 * MiB

/** Seconds for a login, which takes some ten under emulation, and for each guest: a little more than the stick gives it. */
const PATIENCE = { login: 60, guest: 35 }

async function addGuests(trial: Trial, album: Album, signal: AbortSignal | undefined): Promise<void> {
  const names = runningGuests(trial)
  if (names.length === 0) return
  const answer = ask(trial, names, signal).then((text) => text.split('\n'))
  for (const [index, name] of names.entries()) {
    const png = answer.then((lines) => decodePicture(lines[index] ?? ''))
    await album.add(`guest ${name}`, `guest-${index + 1}.png`, png)
  }
}

/**
 * Those whose QEMU runs or may run: one that gave no sign is worth a look, too, and most of all the one that is still waited
 * for, of which there is no event.
 */
function runningGuests({ events, manifest }: Trial): string[] {
  if (!events.some(({ event }) => event === 'host')) return []
  const told = events.filter((event): event is GuestEvent => event.event === 'guest')
  const running = told.filter(({ state, confinement }) => state !== 'skipped' && confinement !== null)
  const isDone = events.some(({ event }) => event === 'done')
  const started = isDone ? [] : manifest.guests.filter(({ autostart }) => autostart !== null)
  const waitedFor = started.filter(({ name }) => !told.some((event) => event.name === name))
  return [...new Set([...running, ...waitedFor].map(({ name }) => String(name)))]
}

/** A shell script that prints each guest's screen on a line of its own, in base64; an empty one where it has none. */
function screenshotScript(names: readonly string[]): string {
  return `for name in ${shellWords(names)}; do
  file=$(mktemp)
  timeout 30 virsh -q -c qemu:///system screenshot "$name" "$file" >/dev/null 2>&1 && base64 -w0 "$file"
  rm -f "$file"
  echo
done`
}

async function ask(
  { ssh }: Trial,
  names: readonly string[],
  signal: AbortSignal | undefined,
): Promise<string> {
  const [tool, ...args] = ssh ?? []
  if (!tool) throw new Error('nobody can log in to the stick of this trial')
  const timeout = PATIENCE.login + PATIENCE.guest * names.length
  const call = { tool, args: [...args, screenshotScript(names)], timeout, ...(signal ? { signal } : {}) }
  const { stdout } = await systemTools.run(call).catch((error: Error) => {
    throw new Error(error.message.split('\n')[0], { cause: error })
  })
  return stdout
}

function decodePicture(line: string): Buffer {
  if (line === '') throw new Error('libvirt gave no picture of it')
  const png = Buffer.from(line.slice(0, LARGEST), 'base64')
  if (!isPng(png)) throw new Error('what libvirt gave is no PNG')
  return png
}
