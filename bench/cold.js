/**
 * A build from nothing but packages, and the first one ever, against mkosi with the same packages out of a local archive.
 * In turns.
 *
 * Debian 12's mkosi (14) cannot make the same image. Its own has one system, no guests, and starts on UEFI only: an ESP
 * with systemd-boot and a unified kernel whose initrd is dracut's, and a squashfs with verity. It has apt and dracut
 * where ours has initramfs-tools. Nothing of it is replayed from a lock or checked by digest. To fill the ESP it mounts
 * it; where the kernel cannot mount FAT, it is asked for the squashfs alone, which is less work than ours.
 */
import { createHash } from 'node:crypto'
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { which } from '../dist/base/tool.js'
import { Store, silent, storeFolder } from '../dist/index.js'
import { archivesOf, lockedDebs } from '../dist/lock/fetch.js'
import { makeLock } from '../dist/lock/lock.js'
import { prepare } from '../dist/prepare/prepare.js'
import {
  build,
  figure,
  folder,
  linkOrCopy,
  MB,
  median,
  packageStore,
  RUNS,
  root,
  shown,
  timed,
} from './measure.js'

const LIMITS = { cached: 0.5, first: 0.9 }

/** What mkosi installs beside what it is asked for, and instead of our initramfs-tools. */
const MKOSI_NEEDS = [
  '?priority(required)',
  'apt',
  'ca-certificates',
  'systemd',
  'systemd-sysv',
  'dbus',
  'libpam-systemd',
  'dracut',
  'systemd-boot',
  'systemd-resolved',
]

export async function cold() {
  if (process.getuid() !== 0 || !which('mkosi') || !which('debootstrap'))
    throw new Error('this part needs root, and Debian’s mkosi and debootstrap')
  const run = { store: await Store.open(storeFolder()), progress: silent }
  const profile = join(root, 'profiles/minimal.yaml')
  const prepared = await prepare({ profile }, run)
  const { plan, lock, lockFile } = prepared
  await lockedDebs(prepared, ['host', 'tools.pack'], run)
  const packages = plan.host.packages.filter((name) => name !== 'initramfs-tools')
  const archive = writeSuite(await mkosiDebs(lock, packages, run))
  // Fills the shared store's tools tree, where it was empty.
  build([profile, '--lock', lockFile, '--out', join(folder, 'cold')])

  const [cached, first, theirs, written] = [[], [], [], []]
  for (let at = 0; at < RUNS; at++) {
    theirs.push(mkosi(archive, packages))
    const store = await packageStore('store', lock, run.store, true)
    const done = coldBuild([profile, '--lock', lockFile], store.folder)
    cached.push(done.seconds)
    written.push(done.written)
    rmSync(store.folder, { recursive: true })
    first.push(coldBuild([profile, '--lock', join(folder, 'first.lock.json')], store.folder).seconds)
    rmSync(store.folder, { recursive: true })
    rmSync(join(folder, 'first.lock.json'))
  }
  const raw = (ours) => `${shown('ours', ours)}; ${shown(`mkosi, ${FORMAT.words},`, theirs)}`
  const against = 'against mkosi from cached packages'
  figure(
    `cold build from cached packages, ${against}`,
    median(cached) / median(theirs),
    LIMITS.cached,
    '×',
    raw(cached),
  )
  figure(
    `first build ever, packages fetched, ${against}`,
    median(first) / median(theirs),
    LIMITS.first,
    '×',
    raw(first),
  )
  figure('bytes given to disks by a cold build, scratch included', median(written) / MB, null, 'MB')
}

/** A build into a folder that is removed again. */
function coldBuild(args, store) {
  const out = join(folder, 'cold')
  rmSync(out, { recursive: true, force: true })
  return build([...args, '--out', out], { env: { KEYVISOR_STORE: store } })
}

async function mkosiDebs(lock, packages, run) {
  const set = 'bench.mkosi'
  const request = {
    set,
    suite: 'trixie',
    packages: [...packages, ...MKOSI_NEEDS],
    component: 'non-free-firmware',
  }
  const theirs = await makeLock({ packages: [request], files: {} }, run.store)
  return (await lockedDebs({ lock: theirs, archives: archivesOf(lock) }, [set], run))[set]
}

/** An archive as debootstrap wants it (Debian's repository format): dists/, pool/, and one component. */
function writeSuite(debs) {
  const archive = join(folder, 'suite')
  const index = join(archive, 'dists/trixie/main/binary-amd64')
  mkdirSync(index, { recursive: true })
  mkdirSync(join(archive, 'pool'))
  for (const { item, path } of debs) linkOrCopy(path, join(archive, 'pool', basename(item.filename)))
  const stanzas = debs.map(({ item }) =>
    item.stanza.replace(/^Filename: .*$/m, `Filename: pool/${basename(item.filename)}`),
  )
  const text = stanzas.join('\n')
  const digest = createHash('sha256').update(text).digest('hex')
  const entry = `SHA256:\n ${digest} ${Buffer.byteLength(text)} main/binary-amd64/Packages\n`
  const head = 'Origin: Debian\nSuite: stable\nCodename: trixie\nArchitectures: amd64\nComponents: main\n'
  writeFileSync(join(index, 'Packages'), text)
  writeFileSync(join(archive, 'dists/trixie/Release'), `${head}Date: ${new Date().toUTCString()}\n${entry}`)
  return archive
}

/** Bootable where the kernel can mount what that takes. */
const FORMAT = /\bvfat$/m.test(readFileSync('/proc/filesystems', 'utf8'))
  ? { words: 'bootable GPT image', options: ['--format=gpt_squashfs', '--verity=yes', '--bootable'] }
  : { words: 'a squashfs alone', options: ['--format=plain_squashfs'] }

/** Seconds of one whole mkosi. Its systemd-nspawn wants a /run in memory, as systemd has it, and no unit of its own. */
function mkosi(archive, packages) {
  const work = join(folder, 'mkosi')
  mkdirSync(join(work, 'cache'), { recursive: true })
  const { seconds } = timed([
    'unshare',
    '--mount',
    'sh',
    '-c',
    'mount -t tmpfs run /run && exec "$@"',
    'sh',
    'mkosi',
    `--directory=${work}`,
    '--force',
    '--distribution=debian',
    '--release=trixie',
    `--mirror=file:${archive}`,
    `--local-mirror=file:${archive}`,
    '--repository-key-check=no',
    '--compress-fs=zstd',
    '--nspawn-keep-unit=yes',
    ...FORMAT.options,
    `--package=${packages.join(',')}`,
    `--cache=${join(work, 'cache')}`,
    `--workspace-dir=${work}`,
    `--output=${join(work, 'image.raw')}`,
    'build',
  ])
  rmSync(work, { recursive: true })
  return seconds
}
