/**
 * The user's files in a real build: each stands in the root of host or guest with its content, mode and owner, also where
 * the build cleans; their units are enabled; and what a root has no room for is refused in words.
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { stringify } from 'yaml'
import { KeyvisorError } from '../../src/base/errors.js'
import { silent } from '../../src/base/progress.js'
import { systemTools } from '../../src/base/tool.js'
import { SECTOR } from '../../src/base/units.js'
import { type BuildResult, buildImage } from '../../src/pipeline/build.js'
import { Store, storeFolder } from '../../src/store/store.js'
import type { DebianTree, Profile, RootFile } from '../../src/yaml/profile.gen.js'
import { OUT } from '../support/built.js'
import { guestRoot } from '../support/guest-root.js'
import { needTools } from '../support/tools.js'

t.setTimeout(1_800_000)

/** The lock and the image stay from one run to the next, so that a later run takes what the store has. */
const folder = join(OUT, 'files')
mkdirSync(folder, { recursive: true })

type Wanted = Omit<RootFile, 'source'> & { text?: string }

/** Where builds have cleaned, then their neighbours, then modes and owners. */
const EVERYWHERE: Wanted[] = [
  '/usr/share/doc/mine/README',
  '/usr/share/man/man1/mine.1',
  '/usr/share/info/mine.info',
  '/usr/share/icons/mine/a.png',
  '/usr/share/locale/de/LC_MESSAGES/mine.mo',
  '/usr/share/pixmaps/mine.xpm',
  '/usr/share/bash-completion/completions/mine',
  '/usr/share/lintian/mine',
  '/usr/share/bug/mine/control',
  '/var/log/mine.log',
  '/var/log/mine/a.log',
  '/var/cache/mine',
  '/var/cache/mine.d/a',
  '/var/tmp/mine',
  '/etc/mine-',
  '/etc/passwd-',
  '/etc/.pwd.lock',
  '/var/lib/dpkg/status-old',
  '/var/cache/debconf/mine-old',
  '/usr/lib/firmware/intel-ucode/ff-ff-ff',
  '/lib/firmware/amd-ucode/mine.bin',
  '/usr/lib/firmware/mine.bin',
  '/var/lib/initramfs-tools/mine',
  '/vmlinuz.mine',
  '/initrd.img.mine',
  '/etc/resolv.conf',
  '/srv/a/b/c/d',
  '/home/mine/file',
  '/var/lib/libvirt/mine',
  '/usr/lib/modules/mine/x.ko',
  '/bin/mine',
  '/etc/ä b c',
  '/etc/-mine',
  '/etc/apparmor.d/mine',
  '/opt/mine/x',
  '/usr/local/lib/mine.so',
  '/root/.mine',
].map((target) => ({ target }))

const OWNED: Wanted[] = [
  { target: '/usr/local/bin/setuid', mode: '4755' },
  { target: '/usr/local/bin/setgid', mode: '2755', owner: 'root:adm' },
  { target: '/etc/mine.secret', mode: '0600' },
  { target: '/etc/mine.none', mode: '0000' },
  { target: '/srv/www', mode: '0640', owner: 'www-data:adm' },
  { target: '/srv/numbers', mode: '0604', owner: '12345:65535' },
  { target: '/srv/declared', owner: 'mine:mine' },
  { target: '/usr/lib/sysusers.d/mine.conf', text: 'u mine 777 "Declared by a file"\n' },
]

const UNIT = '[Service]\nExecStart=true\n\n[Install]\nWantedBy=multi-user.target\n'

const ON_HOST: Wanted[] = [
  ...EVERYWHERE,
  ...OWNED,
  ...['/etc/systemd/system/ldconfig.service', '/etc/tmpfiles.d/provision.conf'].map((target) => ({ target })),
  { target: '/etc/systemd/system/wanted.service', text: UNIT },
  { target: '/usr/lib/systemd/system/unwanted.service', text: UNIT },
  { target: '/etc/systemd/system-preset/50-mine.preset', text: 'enable wanted.service\n' },
]

const IN_GUEST: Wanted[] = [
  ...EVERYWHERE,
  ...OWNED,
  ...['/boot/mine', '/data/mine', '/vmlinuz', '/etc/hostname'].map((target) => ({ target })),
  { target: '/etc/machine-id', text: '0123456789abcdef0123456789abcdef\n' },
  { target: '/etc/systemd/system/wanted.service', text: UNIT },
  { target: '/usr/lib/systemd/system/unwanted.service', text: UNIT },
]

const textOf = ({ target, text }: Wanted) => text ?? `${target}\n`

/** Files as a profile has them, their sources beside it. */
function rootFiles(wanted: Wanted[], name: string): RootFile[] {
  return wanted.map(({ text, ...file }, index) => {
    const source = `${name}.${index}`
    writeFileSync(join(folder, source), textOf({ ...file, ...(text === undefined ? {} : { text }) }))
    return { source, ...file }
  })
}

/** All but the files are those of the demo and of the minimal stick, whose trees the store has. */
function profile(name: string, host: Wanted[], guest?: DebianTree): Profile {
  const source = { debian: { packages: ['busybox'], ...guest } }
  return {
    version: 1,
    name,
    host: { hostname: 'minimal', admin: { name: 'admin' }, files: rootFiles(host, `${name}.host`) },
    ...(guest ? { guests: [{ name: 'counter', source }] } : {}),
  }
}

async function build(given: Profile): Promise<BuildResult> {
  const path = join(folder, `${given.name}.yaml`)
  writeFileSync(path, stringify(given))
  return buildImage(
    { profile: path, out: folder },
    { store: await Store.open(storeFolder()), progress: silent },
  )
}

const IDS: Record<string, number> = { root: 0, adm: 4, 'www-data': 33, mine: 777 }
const id = (name: string) => IDS[name] ?? Number(name)

/** `mode uid/gid` of a file that is as its profile says. */
function attributes({ mode = '0644', owner = 'root:root' }: Wanted): string {
  return `${mode} ${owner.split(':').map(id).join('/')}`
}

// ------------------------------------------------------------------------------------------ the host

/** The host's root: attributes of each path, and the text of some. */
async function hostRoot({ image, manifest }: BuildResult) {
  const first = manifest.layout.partitions.find(({ name }) => name === 'root-a')?.first ?? 0
  const place = ['-o', String(first * SECTOR)]
  const listed = await systemTools.run({ tool: 'unsquashfs', args: ['-lln', '-d', '', ...place, image] })
  const paths = new Map(
    listed.stdout.split('\n').map((line) => {
      const match = /^(\S+)\s+(\S+)\s+\S+\s+\S+\s+\S+ (.*?)(?: -> .*)?$/.exec(line)
      return [match?.[3] ?? '', `${octal(match?.[1] ?? '')} ${match?.[2]}`] as const
    }),
  )
  const text = async (path: string) => {
    const args = ['-no-wildcards', '-cat', ...place, image, path.slice(1)]
    return (await systemTools.run({ tool: 'unsquashfs', args })).stdout
  }
  return { paths, text }
}

/** `-rwsr-xr-x` as `4755`. */
function octal(text: string): string {
  const bits = [...text.slice(1)].map((letter) => ('rwxst'.includes(letter) ? 1 : 0))
  const special = [3, 6, 9].map((at) => ('sStT'.includes(text[at] ?? '-') ? 1 : 0))
  return [special, bits.slice(0, 3), bits.slice(3, 6), bits.slice(6)]
    .map((three) => Number.parseInt(three.join(''), 2))
    .join('')
}

const real = (target: string) => target.replace(/^\/(bin|lib)\//, '/usr/$1/')

async function host(t: Test, result: BuildResult): Promise<void> {
  const { paths, text } = await hostRoot(result)
  for (const file of ON_HOST) {
    const path = real(file.target)
    t.equal(paths.get(path), attributes(file), path)
    t.equal(await text(path), textOf(file), path)
  }
  const wants = (unit: string) => paths.has(`/etc/systemd/system/multi-user.target.wants/${unit}`)
  t.ok(wants('wanted.service'), 'a preset of the user enables a unit')
  t.notOk(wants('unwanted.service'), 'and no unit starts that none names')
  t.ok(wants('ssh.service'), "Keyvisor's own are enabled")
  const microcode = [...paths.keys()].filter((path) => path.startsWith('/usr/lib/firmware/intel-ucode/'))
  t.strictSame(
    microcode,
    ['/usr/lib/firmware/intel-ucode/ff-ff-ff'],
    "the packages' microcode is in the initrd",
  )
  const docs = [...paths.keys()].filter((path) => /^\/usr\/share\/(doc|man|icons)\/[^/]+$/.test(path))
  t.strictSame(
    docs,
    ['/usr/share/doc/mine', '/usr/share/icons/mine', '/usr/share/man/man1'],
    'the rest is cleaned',
  )
}

// ------------------------------------------------------------------------------------------ tests

async function refused(given: Profile): Promise<string[]> {
  const error = await build(given).catch((error: unknown) => error)
  if (!(error instanceof KeyvisorError)) return [`no error in words: ${error}`]
  return [
    `${error.code} ${error.exitCode}`,
    ...error.problems.map(({ position, path, message }) => `${position?.line} ${path}: ${message}`),
  ]
}

if (needTools(t, 'mmdebstrap', 'bwrap', 'unshare', 'unsquashfs', 'debugfs', 'qemu-img', 'sfdisk')) {
  const result = await build(
    profile('files', ON_HOST, { files: rootFiles(IN_GUEST, 'guest'), units: ['wanted.service'] }),
  )

  await t.test("the host's files", (t) => host(t, result))

  await t.test("a guest's files", async (t) => {
    const root = await guestRoot(result, 'counter', t.testdir())
    for (const file of IN_GUEST) {
      const path = real(file.target)
      t.equal(await root.attributes(path), attributes(file), path)
      t.equal(await root.text(path), textOf(file), path)
    }
    const wants = '/etc/systemd/system/multi-user.target.wants'
    t.match(await root.attributes(`${wants}/wanted.service`), /^0777 /, 'units of the profile are enabled')
    t.equal(await root.attributes(`${wants}/unwanted.service`), undefined)
  })

  await t.test('what the host has no room for', async (t) => {
    const wanted: Wanted[] = [
      ...['/etc/systemd', '/bin', '/etc/passwd.d', '/etc/fstab/x/y'].map((target) => ({ target })),
    ]
    t.strictSame(await refused(profile('refused', wanted)), [
      'invalid-profile 2',
      '9 host.files[0].target: /etc/systemd is a folder in this root',
      '11 host.files[1].target: /bin is a folder in this root',
      '15 host.files[3].target: /etc/fstab is no folder in this root',
    ])
    t.strictSame(await refused(profile('refused', [{ target: '/etc/mine', owner: 'nobody:nosuch' }])), [
      'invalid-profile 2',
      '10 host.files[0].owner: there is no group nosuch in this root',
    ])
  })

  await t.test('what a guest has no room for', async (t) => {
    const files = rootFiles([{ target: '/etc' }], 'folder')
    t.strictSame(await refused(profile('refused', [], { files })), [
      'invalid-profile 2',
      '16 guests[0].source.debian.files[0].target: /etc is a folder in this root',
    ])
    const units = ['nosuch.service', 'dbus.service', 'systemd-networkd.service']
    t.strictSame(await refused(profile('refused', [], { units })), [
      'invalid-profile 2',
      '15 guests[0].source.debian.units[0]: the unit nosuch.service cannot be enabled: Unit nosuch.service does not exist',
      '16 guests[0].source.debian.units[1]: the unit dbus.service has no section [Install], and nothing that would start it',
    ])
  })
}
