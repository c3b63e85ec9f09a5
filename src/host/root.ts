/**
 * The host's root: a Debian tree, our overlay and the user's files become squashfs with a verity tree behind it,
 * a kernel and an initrd.
 *
 * `overlay/` is laid out as the stick's root; what depends on the profile is written here as text.
 */
import { copyFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Keyed } from '../base/keyed.js'
import { packageFile } from '../base/package.js'
import { shellWords } from '../base/shell.js'
import { GiB, MiB } from '../base/units.js'
import { writeFile } from '../base/write-file.js'
import {
  keyedFiles,
  type LaidFiles,
  moduleClosure,
  overlayEntries,
  type TarEntry,
  writeTar,
} from '../debian/files.js'
import { refusalOr, writeLaying } from '../debian/lay.js'
import { runInNamespace } from '../debian/script.js'
import { appendHashTree } from '../disk/hash-tree.js'
import { hasSecrets, type Secrets } from '../plan/secrets.js'
import type { HostPlan, Plan } from '../plan/types.js'
import type { StickPlan } from '../stick/definition.js'
import { factsText } from '../stick/facts.js'
import {
  objectOf,
  type Room,
  type Stage,
  type StageDefinition,
  type StageOutput,
  type StageResult,
  type Workbench,
} from '../store/stage.js'
import { networkFiles } from './network.js'
import { wifiConfiguration } from './wifi.js'

/** zstd level 3 with 256 KiB blocks: 6 % larger than level 9, in a quarter of its time. */
const ROOT_SQUASHFS = [
  '-comp',
  'zstd',
  '-Xcompression-level',
  '3',
  '-b',
  '256K',
  '-noappend',
  '-no-progress',
  '-quiet',
]

/**
 * The kernel and its initrd are on the ESP. Microcode is loaded from the initrd, before there is a root, and would be 16 MB
 * more: root.sh lists the packages' files of it.
 */
const NOT_PACKED = ['dev/*', 'boot/*']

/** Everything of ours that is laid over the Debian tree. */
export async function hostEntries(
  host: HostPlan,
  architecture: StickPlan['architecture'],
): Promise<TarEntry[]> {
  return [
    ...(await overlayEntries(packageFile('src/host/overlay'))),
    ...(host.wifi.length > 0 ? await overlayEntries(packageFile('src/host/overlay-wifi')) : []),
    ...(await stickModules()),
    text('/usr/lib/keyvisor/facts', factsText(architecture)),
    ...profileEntries(host),
  ]
}

/** What is laid over the host's tree, the user's own files among it. */
export async function hostFiles({ host, stick }: Pick<Plan, 'host' | 'stick'>): Promise<Keyed<LaidFiles>> {
  return keyedFiles(await hostEntries(host, stick.architecture), host.files)
}

/** The programs that run on the stick, as tsc emitted them. */
async function stickModules(): Promise<TarEntry[]> {
  const dist = packageFile('dist')
  const paths = await moduleClosure(dist, 'aboard/main.js')
  return paths.map((path) => ({
    target: `/usr/lib/keyvisor/${path}`,
    mode: 0o644,
    owner: 'root:root',
    from: { file: join(dist, path) },
  }))
}

function text(target: string, content: string): TarEntry {
  return { target, mode: 0o644, owner: 'root:root', from: { text: content } }
}

/** Configuration files that the profile decides. */
function profileEntries(host: HostPlan): TarEntry[] {
  return [
    text('/etc/hostname', `${host.hostname}\n`),
    text('/etc/hosts', `127.0.0.1 localhost\n127.0.1.1 ${host.hostname}\n::1 localhost ip6-localhost\n`),
    text('/etc/locale.conf', `LANG=${host.locale}\n`),
    text('/etc/default/locale', `LANG=${host.locale}\n`),
    text('/etc/default/keyboard', keyboardText(host.keyboard)),
    ...Object.entries(networkFiles(host)).map(([name, lines]) => text(`/etc/systemd/network/${name}`, lines)),
    text(`/etc/ssh/authorized_keys/${host.admin.name}`, host.admin.sshKeys.map((key) => `${key}\n`).join('')),
  ]
}

/** keyboard(5). */
function keyboardText({ layout, variant, options }: HostPlan['keyboard']): string {
  return `XKBMODEL=pc105\nXKBLAYOUT=${layout}\nXKBVARIANT=${variant}\nXKBOPTIONS=${options}\nBACKSPACE=guess\n`
}

/** The host's plan, but for what is handed over by itself, and for what the boot configuration has. */
type HostSettings = Omit<HostPlan, 'files' | 'kernelArguments'>

export interface RootInputs {
  settings: HostSettings
  /** Version of Keyvisor, which the host shows. */
  version: string
  /** A slow digest of them in the key, since keys are published; empty where there are none. */
  secrets: Keyed<Secrets>
  files: Keyed<LaidFiles>
  epoch: number
}

/** As large as its tree, and packed once more. The estimate was measured on the demo, its hash tree included. */
const ROOM: Room = { scratch: GiB, result: 300 * MiB, objects: { root: 182 * MiB } }

/** The stage that makes of the host's tree its root, its kernel and its initrd. */
export function rootStage(inputs: RootInputs, tree: Stage): StageDefinition<RootInputs, 'tree'> {
  return {
    name: 'root',
    title: 'make the host root',
    program: 'host/root',
    inputs,
    reads: { tree },
    room: () => ROOM,
    make: makeRoot,
  }
}

async function makeRoot(
  bench: Workbench,
  inputs: RootInputs,
  read: Record<'tree', StageResult>,
): Promise<StageOutput> {
  const { scratch, tools } = bench
  await layInputs(inputs, scratch)
  const root = join(scratch, 'root.squashfs')
  const folder = join(scratch, 'root')
  const tree = objectOf(read.tree, 'tree').path
  const unpack = ['-q', '-n', '-f', '-d', folder, tree]
  const notPacked = ['-wildcards', '-ef', join(scratch, 'not-packed'), '-e', ...NOT_PACKED]
  const pack = [folder, root, ...ROOT_SQUASHFS, ...notPacked]
  await runInNamespace({
    path: packageFile('src/host/root.sh'),
    env: {
      SOURCE_DATE_EPOCH: String(inputs.epoch),
      SCRATCH: scratch,
      UNPACK: shellWords(tools.argv({ tool: 'unsquashfs', args: unpack })),
      PACK: shellWords(tools.argv({ tool: 'mksquashfs', args: pack })),
      VERSION: inputs.version,
      ADMIN: inputs.settings.admin.name,
      LOCALE: inputs.settings.locale,
      TIMEZONE: inputs.settings.timezone,
    },
    tree: { folder, from: [tree, join(scratch, 'overlay.tar'), join(scratch, 'files.tar')] },
    onLine: bench.note,
    signal: bench.signal,
  }).catch(async (error) => {
    throw await refusalOr(error, scratch)
  })
  const facts = { ...(await appendHashTree(root, tools)) }
  const file = (name: string) => join(scratch, name)
  const files = { root, kernel: file('vmlinuz'), initrd: file('initrd.img'), packages: file('packages') }
  return { files, facts, isPrivate: hasSecrets(inputs.secrets.value) }
}

/** Writes what the script lays over the tree into `scratch`. */
async function layInputs(inputs: RootInputs, scratch: string): Promise<void> {
  const { overlay, own } = inputs.files.value
  await writeTar(overlay, inputs.epoch, join(scratch, 'overlay.tar'))
  await writeLaying(own, 'host.files', inputs.epoch, scratch)
  await writeSecrets(inputs, scratch)
  await copyFile(packageFile('src/host/customize.sh'), join(scratch, 'customize.sh'))
}

/**
 * Secrets reach the scripts as files that only the builder can read: arguments and environments are everybody's to see
 * (proc(5)).
 */
async function writeSecrets({ settings, secrets }: RootInputs, scratch: string): Promise<void> {
  const { passwordHash, wifi } = secrets.value
  // A line of chpasswd(8).
  const password = passwordHash ? `${settings.admin.name}:${passwordHash.reveal()}\n` : ''
  await writeFile(join(scratch, 'password'), password, { mode: 0o600, flag: 'wx' })
  const configuration = wifi.length > 0 ? wifiConfiguration(settings.wifi, secrets.value) : ''
  await writeFile(join(scratch, 'wifi.conf'), configuration, { mode: 0o600, flag: 'wx' })
}
