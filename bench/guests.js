/**
 * Guests from the user's own images: what a build costs against the tools that read and write the same bytes.
 */

import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import {
  closeSync,
  existsSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { build, figure, folder, MB, median, RUNS, root, shown, timed } from './measure.js'

const LIMITS = {
  replace: 1,
  clone: 1.3,
  raw: 1.2,
  foreign: 1.2,
  written: 1.02,
  peak: 1,
  memory: 250,
  reads: 0.95,
}
/** What a build may take beside its bytes: the lock's packages are chosen anew, payloads of the host are verified. */
const GRACE = 1
const MIB = 1 << 20
const GIB = 1 << 30

/** Guests, each full of what no compressor or hole detection makes smaller. */
const GUESTS = { names: ['first', 'second', 'third'], gib: 3 }

/** A file of random bytes in steps of 16 MiB, from `start` of a file of `size`. */
function noise(path, bytes, size = bytes) {
  const file = openSync(path, 'w')
  ftruncateSync(file, size)
  for (let at = 0; at < bytes; at += 16 * MIB) writeSync(file, randomBytes(16 * MIB), 0, 16 * MIB, at)
  closeSync(file)
  timed(['sync', path])
}

/** A qcow2 with a disk of noise. */
function writeGuest(place, name, gib) {
  const [raw, disk] = [join(place, `${name}.raw`), join(place, `${name}.qcow2`)]
  noise(raw, gib * GIB)
  timed(['qemu-img', 'convert', '-f', 'raw', '-O', 'qcow2', raw, `${disk}.new`])
  rmSync(raw)
  renameSync(`${disk}.new`, disk)
  timed(['sync', disk])
  return disk
}

function writeProfile(place, name, images) {
  const profile = join(place, `${name}.yaml`)
  const guests = images.map(({ name, file, format }) => {
    return `  - name: ${name}\n    source: {image: ${file}, format: ${format}}\n`
  })
  const list = guests.length > 0 ? `guests:\n${guests.join('')}` : ''
  writeFileSync(profile, `version: 1\nname: ${name}\nstick: {minimumSize: 64GiB}\n${list}`)
  return profile
}

function prepared(place) {
  for (const name of GUESTS.names) writeGuest(place, name, GUESTS.gib)
  const images = GUESTS.names.map((name) => ({ name, file: `${name}.qcow2`, format: 'qcow2' }))
  const args = [writeProfile(place, 'three', images), '--out', join(place, 'out')]
  const { image } = build(args).result
  return { args, image }
}

function sumSeconds(file) {
  return timed(['sha256sum', file]).seconds
}

function copySeconds(file, target, how) {
  rmSync(target, { force: true })
  const { seconds } = timed(['sh', '-c', `cp ${how} "$1" "$2" && sync "$2"`, 'sh', file, target])
  rmSync(target)
  return seconds
}

/** One guest of three is replaced, the lock is made anew, and the image built. */
function replaced(place, baseline) {
  const { args, image } = prepared(place)
  const [ours, theirs] = [[], []]
  for (let run = 0; run < RUNS; run++) {
    const disk = writeGuest(place, GUESTS.names[1], GUESTS.gib)
    ours.push(build([...args, '--update']).seconds)
    theirs.push(baseline(image, disk))
  }
  return { ours, theirs }
}

export function replace() {
  const place = join(folder, 'replace')
  mkdirSync(place)
  const copy = join(place, 'copy.img')
  const { ours, theirs } = replaced(place, (image, disk) => {
    return copySeconds(image, copy, '--sparse=always') + sumSeconds(disk)
  })
  rmSync(place, { recursive: true })
  const raw = `${shown('ours', ours)}; ${shown('cp and sync of the image, sha256sum of the guest', theirs)}`
  const what = 'one guest of three replaced, against a copy of the image and the digest of the guest'
  figure(what, (median(ours) - GRACE) / median(theirs), LIMITS.replace, '×', raw)
}

/** The same where the file system shares blocks. */
export function clone() {
  if (process.getuid() !== 0) throw new Error('this part mounts a file system: it needs root')
  const [disk, place] = [join(folder, 'xfs.img'), join(folder, 'xfs')]
  mkdirSync(place)
  timed(['truncate', '-s', '40G', disk])
  timed(['mkfs.xfs', '-q', disk])
  timed(['mount', '-o', 'loop', disk, place])
  try {
    const copy = join(place, 'copy.img')
    const { ours, theirs } = replaced(place, (_, guest) => {
      return copySeconds(guest, copy, '--reflink=never') + sumSeconds(guest)
    })
    const raw = `${shown('ours', ours)}; ${shown('cp and sha256sum of the guest', theirs)}`
    const what = 'the same on XFS, against a copy and the digest of the guest alone'
    figure(what, (median(ours) - GRACE) / median(theirs), LIMITS.clone, '×', raw)
  } finally {
    timed(['umount', place])
    rmSync(disk)
  }
}

/** The first build of a guest from a raw disk of 8 GiB with 3 GiB in it. */
export function raw() {
  const place = join(folder, 'raw')
  const what = 'a guest from a raw disk of 8 GiB with 3 GiB in it, against qemu-img convert and sha256sum'
  converted(place, 'raw', 'raw', (disk) => noise(disk, 3 * GIB, 8 * GIB), what, LIMITS.raw)
}

/** The same from disks of other hypervisors, with 2 GiB in them. */
export function foreign() {
  const place = join(folder, 'foreign')
  for (const [format, driver] of [
    ['vmdk', 'vmdk'],
    ['vhdx', 'vhdx'],
  ]) {
    const make = (disk) => {
      const source = join(place, 'source')
      noise(source, 2 * GIB)
      timed(['qemu-img', 'convert', '-f', 'raw', '-O', driver, source, disk])
      rmSync(source)
      timed(['sync', disk])
    }
    const what = `a guest from a ${format} of 2 GiB, against qemu-img convert and sha256sum`
    converted(place, format, driver, make, what, LIMITS.foreign)
  }
}

/** Builds of a guest whose disk becomes a qcow2, against the tools that read and write the same bytes. */
function converted(place, format, driver, make, what, limit) {
  mkdirSync(place)
  const disk = join(place, `disk.${format}`)
  const profile = writeProfile(place, `from${format}`, [{ name: 'box', file: `disk.${format}`, format }])
  const args = [profile, '--out', join(place, 'out')]
  const [ours, theirs] = [[], []]
  for (let run = -1; run < RUNS; run++) {
    make(disk)
    // The lock's packages stay: what is new is the disk.
    const started = process.hrtime.bigint()
    if (run >= 0) timed([process.execPath, join(root, 'dist/cli/main.js'), 'lock', profile])
    build(args)
    const seconds = Number(process.hrtime.bigint() - started) / 1e9
    const target = join(place, 'theirs.qcow2')
    const convert = 'qemu-img convert -f "$3" -O qcow2 "$1" "$2" && sha256sum "$1" && sync "$2"'
    const other = timed(['sh', '-c', convert, 'sh', disk, target, driver]).seconds
    rmSync(target)
    // The first one has made the host's stages, too.
    if (run < 0) continue
    ours.push(seconds)
    theirs.push(other)
  }
  rmSync(place, { recursive: true })
  const words = `${shown('ours', ours)}; ${shown('qemu-img convert and sha256sum', theirs)}`
  figure(what, median(ours) / median(theirs), limit, '×', words)
}

/** Guests of 12 GiB in all: what is written, what the disk holds at the peak, and the builder's memory with holes. */
export async function written() {
  const place = join(folder, 'written')
  const store = join(folder, 'written-store')
  mkdirSync(place)
  const names = ['a', 'b', 'c', 'd']
  const images = names.map((name) => ({ name, file: `${name}.qcow2`, format: 'qcow2' }))
  // The host's stages, and the tools: those of a stick of the same name without guests.
  const env = { KEYVISOR_STORE: store }
  build([writeProfile(place, 'twelve', []), '--out', join(folder, 'host-out')], { env })
  for (const name of names) writeGuest(place, name, 3)
  const profile = writeProfile(place, 'twelve', images)
  const out = join(place, 'out')
  mkdirSync(out)
  timed(['sync'])
  const before = taken(store)
  const peak = watch(() => taken(store) - before + taken(out))
  const done = await buildBeside([profile, '--out', out], env)
  const most = await peak()
  const image = statSync(join(out, 'twelve.img')).blocks * 512
  figure('bytes written for guests of 12 GiB, against the image', done.written / image, LIMITS.written, '×')
  const allowed = image + 128 * MIB
  const raw = `${(most / MB).toFixed(0)} MB of ${(allowed / MB).toFixed(0)}`
  figure('disk taken at the peak, against the image and 128 MiB', most / allowed, LIMITS.peak, '×', raw)
  rmSync(place, { recursive: true })
  rmSync(store, { recursive: true })
  sparse()
}

/** A qcow2 of 40 GiB that is nearly all holes. */
function sparse() {
  const place = join(folder, 'sparse')
  mkdirSync(place)
  const disk = join(place, 'disk.qcow2')
  timed(['qemu-img', 'create', '-q', '-f', 'qcow2', '-o', 'preallocation=metadata', disk, '40G'])
  const profile = writeProfile(place, 'holes', [{ name: 'box', file: 'disk.qcow2', format: 'qcow2' }])
  const { peak, seconds } = build([profile, '--out', join(place, 'out')])
  rmSync(place, { recursive: true })
  const raw = `in ${seconds.toFixed(0)} s`
  figure("builder's memory with a qcow2 of 40 GiB of length", peak, LIMITS.memory, 'MB', raw)
}

/** What a folder takes on the disk. A file that goes while we look takes nothing. */
function taken(place) {
  if (!existsSync(place)) return 0
  let bytes = 0
  for (const entry of readdirSync(place, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue
    try {
      bytes += statSync(join(entry.parentPath, entry.name)).blocks * 512
    } catch {}
  }
  return bytes
}

/** Asks again and again; the answer of what is returned is the most that there was. */
function watch(ask) {
  let most = 0
  let running = true
  const loop = (async () => {
    while (running) {
      most = Math.max(most, ask())
      await setTimeout(100)
    }
  })()
  return async () => {
    running = false
    await loop
    return most
  }
}

/** As `build` of measure.js, while somebody watches. */
async function buildBeside(args, env) {
  const blocks = join(folder, 'blocks')
  const program = [process.execPath, join(root, 'dist/cli/main.js'), 'build', ...args]
  const child = spawn('time', ['-f', '%O', '-o', blocks, ...program], {
    env: { ...process.env, ...env },
    stdio: 'ignore',
  })
  const status = await new Promise((resolve) => child.on('exit', resolve))
  if (status !== 0) throw new Error(`the build ended with ${status}`)
  return { written: Number(readFileSync(blocks, 'utf8')) * 512 }
}

/** Reads of 4 KiB at random places of a base, its pages dropped: the library's file system against ext4, both by loop. */
export function reads() {
  if (process.getuid() !== 0) throw new Error('this part mounts file systems: it needs root')
  const place = join(folder, 'reads')
  mkdirSync(place)
  const disk = writeGuest(place, 'box', 1)
  const profile = writeProfile(place, 'reads', [{ name: 'box', file: 'box.qcow2', format: 'qcow2' }])
  const { image, manifest } = build([profile, '--out', join(place, 'out')]).result
  const { layout } = JSON.parse(readFileSync(manifest ?? image.replace(/img$/, 'manifest.json'), 'utf8'))
  const library = layout.partitions.find(({ name }) => name === 'library')
  const ext4 = join(place, 'ext4.img')
  mkdirSync(join(place, 'folder'))
  renameSync(disk, join(place, 'folder', 'base.qcow2'))
  timed([
    'mke2fs',
    '-q',
    '-t',
    'ext4',
    '-O',
    '^has_journal,^metadata_csum',
    '-d',
    join(place, 'folder'),
    ext4,
    '1200M',
  ])
  const ours = mounted(image, ['-t', 'erofs', '-o', `ro,loop,offset=${library.first * 512}`], place)
  const theirs = mounted(ext4, ['-t', 'ext4', '-o', 'ro,noload,loop'], place)
  rmSync(place, { recursive: true })
  const raw = `a second: ours ${ours.map(Math.round).join(', ')}; ext4 ${theirs.map(Math.round).join(', ')}`
  // The limit is the least, so that this is the reciprocal of what is above it.
  figure(
    'time of random reads of a base, against ext4',
    median(theirs) / median(ours),
    1 / LIMITS.reads,
    '×',
    raw,
  )
}

/** Reads a second of each run. */
function mounted(image, options, place) {
  const at = join(place, 'mnt')
  mkdirSync(at, { recursive: true })
  timed(['mount', ...options, image, at])
  try {
    const name = readdirSync(at).find((file) => file.endsWith('.qcow2'))
    return Array.from({ length: RUNS }, () => randomReads(join(at, name)))
  } finally {
    timed(['umount', at])
  }
}

const READS = 20_000

function randomReads(path) {
  timed(['sh', '-c', 'sync; echo 3 > /proc/sys/vm/drop_caches'])
  const script = `
    const { openSync, readSync, fstatSync } = require('node:fs')
    const file = openSync(process.argv[1]), blocks = Math.floor(fstatSync(file).size / 4096)
    const buffer = Buffer.alloc(4096)
    let place = 1
    const started = process.hrtime.bigint()
    for (let i = 0; i < ${READS}; i++) {
      place = (place * 1103515245 + 12345) % 2147483648
      readSync(file, buffer, 0, 4096, (place % blocks) * 4096)
    }
    console.log(${READS} / (Number(process.hrtime.bigint() - started) / 1e9))`
  return Number(timed([process.execPath, '-e', script, path]).stdout)
}
