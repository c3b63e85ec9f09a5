/**
 * What a real build wrote, as other people's checkers see it: from the partition table down to each guest's files.
 *
 * The first build on a machine takes a minute; later ones take what the store has.
 */
import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { basename, join } from 'node:path'
import t, { type Test } from 'tap'
import { sha256File } from '../../src/base/digests.js'
import { systemTools } from '../../src/base/tool.js'
import { type Bytes, GiB, MiB, SECTOR } from '../../src/base/units.js'
import type { LibraryFile, LibraryIndex } from '../../src/guest/definition.js'
import { basesOf } from '../../src/guest/drives.js'
import { networkXml } from '../../src/guest/network-xml.js'
import { type Sized, sizeGuests } from '../../src/guest/sizing.js'
import type { BuildResult } from '../../src/pipeline/build.js'
import { GRUB_CONFIG } from '../../src/stick/boot-config.js'
import {
  guestBases,
  type Manifest,
  type ManifestLibrary,
  type ManifestPayload,
} from '../../src/stick/manifest.js'
import { built, dpkgLines, OUT, packageLine } from '../support/built.js'
import { HYPERVISOR } from '../support/guests.js'
import { needTools } from '../support/tools.js'

const run = (tool: string, ...args: string[]) => systemTools.run({ tool, args })

/** Decimal, as the issue has it: the limits that users were told. */
const MB: Bytes = 1_000_000
const LIMIT = { root: 190 * MB, imageWithoutGuests: 320 * MB }

/** A folder for parts of an image, removed at the end. */
const parts = join(OUT, `parts.${process.pid}`)
mkdirSync(parts, { recursive: true })
t.teardown(() => rmSync(parts, { recursive: true, force: true }))

/** One partition as a file of its own. */
async function partition({ image, manifest }: BuildResult, name: string): Promise<string> {
  const found = manifest.layout.partitions.find((item) => item.name === name)
  if (!found) throw new Error(`no partition ${name}`)
  return cut(image, name, found.first * SECTOR, (found.last - found.first + 1) * SECTOR)
}

/** Bytes of a file as a sparse file in {@link parts}. */
async function cut(path: string, name: string, at: Bytes, size: Bytes): Promise<string> {
  const target = join(parts, name)
  rmSync(target, { force: true })
  await run(
    'dd',
    `if=${path}`,
    `of=${target}`,
    'bs=1M',
    'conv=sparse',
    'iflag=skip_bytes,count_bytes',
    `skip=${at}`,
    `count=${size}`,
  )
  const file = await open(target, 'r+')
  await file.truncate(size)
  await file.close()
  return target
}

const allocated = (path: string): Bytes => statSync(path).blocks * 512

const TOOLS = ['mmdebstrap', 'bwrap', 'unshare']
if (needTools(t, ...TOOLS)) {
  const demo = await built('demo')
  const minimal = await built('minimal')

  for (const { image, manifest } of [demo, minimal]) tables(image, manifest)
  for (const result of [demo, minimal]) partitions(result)
  guests(demo)
  sizes(demo, minimal)
}

function tables(image: string, manifest: Manifest): void {
  t.test(`partition tables of ${manifest.name}`, async (t) => {
    if (!needTools(t, 'sgdisk', 'sfdisk')) return
    const { stdout } = await run('sgdisk', '-v', image)
    t.match(stdout, 'No problems found')
    // It says "No problems" of a disk without any GPT too.
    t.notMatch(stdout, 'Creating new GPT entries')
    const verified = await run('sfdisk', '--verify', image)
    t.match(verified.stdout + verified.stderr, 'No errors detected')
    const listed = JSON.parse((await run('sfdisk', '--json', image)).stdout).partitiontable
    t.equal(listed.id.toLowerCase(), manifest.layout.diskGuid)
    t.strictSame(
      listed.partitions.map((found: { name: string; start: number; size: number; uuid: string }) => [
        found.name,
        found.start,
        found.start + found.size - 1,
        found.uuid.toLowerCase(),
      ]),
      manifest.layout.partitions.map(({ name, first, last, guid }) => [name, first, last, guid]),
    )
    t.equal(statSync(image).size, manifest.image.size)
  })
}

function partitions(result: BuildResult): void {
  const { manifest } = result

  t.test(`boot partition of ${manifest.name}`, async (t) => {
    if (!needTools(t, 'fsck.fat', 'mdir', 'mtype', 'grub-script-check')) return
    const esp = await partition(result, 'esp')
    await t.resolves(run('fsck.fat', '-n', esp))
    const { sha256, size } = manifest.payloads['esp'] as ManifestPayload
    t.strictSame(await sha256File(esp), { sha256, size })
    const { stdout } = await run('mdir', '-/', '-b', '-i', esp, '::')
    for (const path of [
      '/EFI/BOOT/BOOTX64.EFI',
      '/EFI/BOOT/grubx64.efi',
      '/EFI/debian/grub.cfg',
      '/EFI/debian/grubenv',
      '/a/vmlinuz',
      '/a/initrd.img',
      '/a/boot.cfg',
      '/keyvisor/manifest.json',
    ])
      t.match(stdout, `::${path}\n`)
    for (const path of ['EFI/debian/grub.cfg', 'a/boot.cfg']) {
      const config = join(parts, basename(path))
      writeFileSync(config, (await run('mtype', '-i', esp, `::${path}`)).stdout)
      await t.resolves(run('grub-script-check', config))
    }
    t.equal(readFileSync(join(parts, 'grub.cfg'), 'utf8'), GRUB_CONFIG, 'the same on every stick')
    t.match(readFileSync(join(parts, 'boot.cfg'), 'utf8'), `keyvisor.root=${manifest.slots.a?.rootHash},`)
    const environment = (await run('mtype', '-i', esp, '::EFI/debian/grubenv')).stdout
    t.equal(environment.length, 1024)
  })

  t.test(`root of ${manifest.name}`, async (t) => {
    if (!needTools(t, 'unsquashfs', 'veritysetup')) return
    const root = await partition(result, 'root-a')
    const { stdout } = await run('unsquashfs', '-s', root)
    t.match(stdout, /Compression zstd/)
    t.match(stdout, /Xattrs are (compressed|stored)|Tailends/)
    await verified(t, root, manifest, 'root')
    await listing(t, root)
  })

  t.test(`library of ${manifest.name}`, async (t) => {
    if (!needTools(t, 'fsck.erofs', 'veritysetup')) return
    const library = await partition(result, 'library')
    const { stdout, stderr } = await run('fsck.erofs', library)
    // It ends well where a checksum is wrong.
    t.notMatch(stdout + stderr, '<E>')
    await verified(t, library, manifest, 'library')
  })

  t.test(`settings of ${manifest.name}`, async (t) => {
    if (!needTools(t, 'fsck.fat', 'mlabel', 'mtype')) return
    const settings = await partition(result, 'settings')
    await t.resolves(run('fsck.fat', '-n', settings))
    t.match((await run('mlabel', '-s', '-i', settings, '::')).stdout, /Volume label is KEYVISOR\s/)
    t.match((await run('mtype', '-i', settings, '::README.txt')).stdout, manifest.name)
  })

  t.test(`the other slot of ${manifest.name} is empty`, async (t) => {
    t.equal(allocated(await partition(result, 'root-b')), 0)
  })
}

/** veritysetup takes the tree with the manifest's root hash, at the offset of the kernel's command line; not another. */
async function verified(t: Test, path: string, manifest: Manifest, name: 'root' | 'library') {
  const { rootHash } = (name === 'root' ? manifest.slots.a : manifest.library) as ManifestLibrary
  const config = readFileSync(join(parts, 'boot.cfg'), 'utf8')
  const offset = new RegExp(`keyvisor\\.${name}=${rootHash},(\\d+)`).exec(config)?.[1]
  const call = (hash: string) => run('veritysetup', 'verify', `--hash-offset=${offset}`, path, path, hash)
  await t.resolves(call(rootHash), `verity of ${name} at ${offset}`)
  const other = rootHash.replace(/^./, (digit) => (digit === '0' ? '1' : '0'))
  await t.rejects(call(other), { code: 'tool-failed' }, 'not with another root hash')
}

/** What must and what must not be in a root. */
async function listing(t: Test, root: string): Promise<void> {
  const { stdout } = await run('unsquashfs', '-lls', '-d', '', root)
  const paths = new Map(stdout.split('\n').map((line) => [line.split(/\s+/)[5] ?? '', line] as const))
  for (const path of [
    '/usr/bin/qjs',
    '/usr/bin/virsh',
    '/usr/bin/qemu-system-x86_64',
    '/etc/nftables.conf',
  ]) {
    t.ok(paths.has(path), path)
  }
  const shared = [...paths.keys()].filter((path) => /^\/etc\/ssh\/ssh_host_.*_key/.test(path))
  t.strictSame(shared, [], 'no two sticks share a key')
  t.match(paths.get('/etc/machine-id'), / 0 /, 'nor an identity')
  t.match(paths.get('/usr/bin/sudo'), /^-rws/, 'setuid bits are kept')
  t.match(paths.get('/etc/shadow'), /^-rw-r----- root\/(shadow|42) /, 'and owners')
  const foreign = [...paths.values()].filter((line) =>
    /\/(sources\.list|resolv\.conf~|hostname~)$/.test(line),
  )
  t.strictSame(foreign, [])
}

function guests(demo: BuildResult): void {
  t.test("the guests' disks", async (t) => {
    if (!needTools(t, 'fsck.erofs', 'debugfs', 'qemu-img', 'e2fsck', 'dpkg-query')) return
    const files = join(parts, 'library.files')
    await run('fsck.erofs', `--extract=${files}`, await partition(demo, 'library'))
    const index = JSON.parse(readFileSync(join(files, 'guests.json'), 'utf8')) as LibraryIndex
    const names = [
      ...index.guests.flatMap((guest) => basesOf([guest]).map(({ file }) => file)),
      'guests.json',
    ]
    t.strictSame(readdirSync(files).sort(), [...new Set(names)].sort())
    t.strictSame(
      index.guests.map((guest) => [guest.name, basesOf([guest]).map(({ sha256 }) => sha256)]),
      demo.manifest.guests.map((guest) => [guest.name, guestBases(guest)]),
    )
    t.equal(index.guests.length, 2)
    for (const guest of index.guests) {
      await t.test(`base image of ${guest.name}`, async (t) => {
        const { file, sha256, size } = basesOf([guest])[0] as LibraryFile
        const base = join(files, file)
        t.strictSame(await sha256File(base), { sha256, size })
        t.equal(file, `${sha256}.qcow2`)
        await t.resolves(run('qemu-img', 'check', '-f', 'qcow2', base))
        const info = JSON.parse((await run('qemu-img', 'info', '-f', 'qcow2', '--output=json', base)).stdout)
        t.match(guest.drives[0], { size: info['virtual-size'] })
        t.notOk('backing-filename' in info)
        const ext4 = await disk(t, base, guest.name)
        const listed = demo.manifest.packages.guests[guest.name] ?? []
        t.strictSame(await dpkgLines(await adminOf(ext4)), listed.map(packageLine).sort(), "dpkg's own list")
      })
    }
    await t.test('their domains', (t) => domains(t, index))
  })
}

/** dpkg's folder of a root in an ext4: as much of it as the list of packages takes. */
async function adminOf(ext4: string): Promise<string> {
  const admin = `${ext4}.dpkg`
  mkdirSync(admin, { recursive: true })
  await run('debugfs', '-R', `dump /var/lib/dpkg/status ${join(admin, 'status')}`, ext4)
  return admin
}

/** A guest's disk has a table, a boot partition and a root that checkers take: its path. */
async function disk(t: Test, base: string, name: string): Promise<string> {
  const raw = join(parts, `${name}.raw`)
  await run('qemu-img', 'convert', '-f', 'qcow2', '-O', 'raw', base, raw)
  const { stdout } = await run('sgdisk', '-v', raw)
  t.match(stdout, 'No problems found')
  t.notMatch(stdout, 'Creating new GPT entries')
  const table = JSON.parse((await run('sfdisk', '--json', raw)).stdout).partitiontable
  const place = (wanted: string) => table.partitions.find((found: { name: string }) => found.name === wanted)
  const [esp, root] = [place('esp'), place('root')]
  await t.resolves(
    run('fsck.fat', '-n', await cut(raw, `${name}.esp`, esp.start * SECTOR, esp.size * SECTOR)),
  )
  const ext4 = await cut(raw, `${name}.ext4`, root.start * SECTOR, root.size * SECTOR)
  await t.resolves(run('e2fsck', '-fn', ext4))
  const hostname = await run('debugfs', '-R', 'cat /etc/hostname', ext4)
  t.equal(hostname.stdout, `${name}\n`)
  const kernel = await run('debugfs', '-R', 'stat /vmlinuz', ext4)
  t.match(kernel.stdout, /Type: symlink/)
  return ext4
}

/** The domains that the stick would make on two PCs. */
async function domains(t: Test, index: LibraryIndex): Promise<void> {
  if (!needTools(t, 'virt-xml-validate', 'xmllint')) return
  for (const kvm of [true, false]) {
    const sized = sizeGuests(index.guests, { memory: 8 * GiB, cpus: 4, kvm })
    for (const [place, guest] of index.guests.entries()) {
      const path = join(parts, `${guest.name}.xml`)
      writeFileSync(path, HYPERVISOR.domainXml(guest, sized[place] as Sized))
      await t.resolves(run('virt-xml-validate', path, 'domain'), `${guest.name}, ${kvm ? 'KVM' : 'TCG'}`)
    }
  }
  const path = join(parts, 'network.xml')
  writeFileSync(path, networkXml(index.network, index.guests))
  await t.resolves(run('virt-xml-validate', path, 'network'))
}

function sizes(demo: BuildResult, minimal: BuildResult): void {
  t.test('sizes', async (t) => {
    const root = demo.manifest.slots.a?.size ?? 0
    t.ok(root <= LIMIT.root, `the root payload has ${root / MB} MB, the limit is ${LIMIT.root / MB}`)
    const bytes = allocated(minimal.image)
    t.ok(
      bytes <= LIMIT.imageWithoutGuests,
      `without guests ${bytes / MB} MB, the limit is ${LIMIT.imageWithoutGuests / MB}`,
    )
    t.ok(demo.manifest.library.size > 50 * MB, 'guests are what makes the difference')
    t.ok(minimal.manifest.library.size < MiB, 'and a library without guests is nearly empty')
  })
}
