/**
 * Builds where little or nothing changed.
 */
import { cpSync, existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { build, figure, folder, median, RUNS, root, shown, timed } from './measure.js'

const LIMITS = { nothing: 4, version: 2, definition: 5 }

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
  const least = startSeconds(['-e', '0'])
  const where = prefix.length > 0 ? 'Without network.' : 'Not root: the network was there.'
  const raw = `${shown('ours', seconds)}; ${shown('node -e 0', least)}. ${where}`
  figure('nothing changed, against node -e 0', median(seconds) / median(least), LIMITS.nothing, '×', raw)
}

export function version() {
  const ours = startSeconds([join(root, 'dist/cli/main.js'), '--version'])
  const least = startSeconds(['-e', '0'])
  const raw = `${shown('ours', ours)}; ${shown('node -e 0', least)}`
  figure('keyvisor --version, against node -e 0', median(ours) / median(least), LIMITS.version, '×', raw)
}

/** Short commands vary more than long ones. */
const STARTS = 15

function startSeconds(args) {
  return Array.from({ length: STARTS }, () => timed([process.execPath, ...args]).seconds)
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

function copySeconds(file) {
  const copy = join(folder, 'copy.img')
  rmSync(copy, { force: true })
  const { seconds } = timed(['sh', '-c', 'cp --sparse=always "$1" "$2" && sync "$2"', 'sh', file, copy])
  rmSync(copy)
  return seconds
}
