/**
 * Builds where little or nothing changed.
 */
import { createHash, randomBytes } from 'node:crypto'
import { appendFileSync, cpSync, existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { build, figure, folder, median, RUNS, root, shown, timed } from './measure.js'

const LIMITS = { nothing: 0.5, definition: 5, guest: 1.3 }
const MIB = 1 << 20
/** Of each guest of the changed stick. */
const GUEST_MIB = 512

/** A copy of the demo that may be changed, built once. */
function demo() {
  const profile = join(folder, 'demo.yaml')
  if (existsSync(profile)) return { profile, args: [profile, '--out', join(folder, 'demo-out')] }
  cpSync(join(root, 'profiles/demo.yaml'), profile)
  cpSync(join(root, 'profiles/demo'), join(folder, 'demo'), { recursive: true })
  const lock = join(root, 'profiles/demo.lock.json')
  if (existsSync(lock)) cpSync(lock, join(folder, 'demo.lock.json'))
  const args = [profile, '--out', join(folder, 'demo-out')]
  return { profile, args, image: build(args).result.image }
}

export function nothing() {
  const { args } = demo()
  const prefix = process.getuid() === 0 ? ['unshare', '--net'] : []
  const runs = Array.from({ length: RUNS }, () => build(args, { prefix }))
  if (!runs.every(({ result }) => result.unchanged)) throw new Error('something had changed')
  const seconds = runs.map((run) => run.seconds)
  const where = prefix.length > 0 ? 'Without network.' : 'Not root: the network was there.'
  figure(
    'nothing changed, the whole command',
    median(seconds),
    LIMITS.nothing,
    's',
    `${shown('', seconds)}. ${where}`,
  )
}

export function definition() {
  const { profile, args } = demo()
  const [ours, copies] = [[], []]
  for (let run = 0; run < RUNS; run++) {
    const text = readFileSync(profile, 'utf8')
    writeFileSync(profile, text.replace(/max: 5\d\dMiB/, `max: ${520 + run}MiB`))
    if (readFileSync(profile, 'utf8') === text) throw new Error('the profile is as it was')
    const { seconds, result } = build(args)
    ours.push(seconds)
    copies.push(copySeconds(result.image))
  }
  const copying = median(copies)
  const raw = `${shown('', ours)}. The limit has ${copying.toFixed(2)} s for the copying of the image's bytes, by cp.`
  figure("only a guest's definition changed", median(ours), LIMITS.definition + copying, 's', raw)
}

/** Two guests from images; the disk of one changes as a whole. */
export function guest() {
  const profile = join(folder, 'guests.yaml')
  const names = ['steady', 'changing']
  const guests = names.map((name) => `  - name: ${name}\n    source: {image: ${name}.qcow2, format: qcow2}\n`)
  writeFileSync(profile, `version: 1\nname: guests\nstick: {minimumSize: 8GiB}\nguests:\n${guests.join('')}`)
  for (const name of names) writeGuest(name)
  const args = [profile, '--out', join(folder, 'guests-out')]
  build(args)
  const [ours, copies] = [[], []]
  for (let run = 0; run < RUNS; run++) {
    const disk = writeGuest('changing')
    pinImage(join(folder, 'guests.lock.json'), 'changing', disk)
    ours.push(build(args).seconds)
    copies.push(copySeconds(disk))
  }
  const raw = `${GUEST_MIB} MiB: ${shown('ours', ours)}; ${shown('cp and sync', copies)}`
  figure('one guest changed, against cp of its disk', median(ours) / median(copies), LIMITS.guest, '×', raw)
}

/** A qcow2 with a disk full of what no compressor or hole detection makes smaller. */
function writeGuest(name) {
  const [raw, disk] = [join(folder, `${name}.raw`), join(folder, `${name}.qcow2`)]
  rmSync(raw, { force: true })
  for (let at = 0; at < GUEST_MIB; at += 16) appendFileSync(raw, randomBytes(16 * MIB))
  timed(['qemu-img', 'convert', '-f', 'raw', '-O', 'qcow2', raw, disk])
  rmSync(raw)
  return disk
}

/** What `keyvisor lock` would write, without asking a mirror: the new bytes of an image. */
function pinImage(path, name, disk) {
  const lock = JSON.parse(readFileSync(path, 'utf8'))
  const bytes = readFileSync(disk)
  lock.images[name] = { sha256: createHash('sha256').update(bytes).digest('hex'), size: bytes.length }
  writeFileSync(path, `${JSON.stringify(lock, null, 1)}\n`)
}

function copySeconds(file) {
  const copy = join(folder, 'copy.img')
  rmSync(copy, { force: true })
  const { seconds } = timed(['sh', '-c', 'cp --sparse=always "$1" "$2" && sync "$2"', 'sh', file, copy])
  rmSync(copy)
  return seconds
}
