/**
 * The host's root: a Debian tree, our overlay and the user's files become squashfs with a verity tree behind it,
 * a kernel and an initrd.
 *
 * `overlay/` is laid out as the stick's root; what depends on the profile is written here as text.
 */
import { copyFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { packageFile } from '../base/package.js'
import { shellWords } from '../base/shell.js'
import type { ToolRunner } from '../base/tool.js'
import { moduleClosure, overlayEntries, type TarEntry, writeTar } from '../debian/files.js'
import { refusalOr, writeLaying } from '../debian/lay.js'
import { runInNamespace } from '../debian/script.js'
import { appendHashTree, type HashTree } from '../disk/hash-tree.js'
import type { Secrets } from '../plan/secrets.js'
import type { HostPlan } from '../plan/types.js'
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

export interface HostFiles {
  root: string
  tree: HashTree
  kernel: string
  initrd: string
  /** Lines of `name version architecture`, dpkg's own list. */
  packages: string
}

/** Everything that is laid over the Debian tree, as entries; the stage's key is made from the same. */
export async function hostEntries(host: HostPlan): Promise<TarEntry[]> {
  return [
    ...(await overlayEntries(packageFile('src/host/overlay'))),
    ...(host.wifi.length > 0 ? await overlayEntries(packageFile('src/host/overlay-wifi')) : []),
    ...(await stickModules()),
    ...profileEntries(host),
  ]
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

/** Configuration files that the profile decides. */
function profileEntries(host: HostPlan): TarEntry[] {
  const text = (target: string, content: string, mode = 0o644): TarEntry => ({
    target,
    mode,
    owner: 'root:root',
    from: { text: content },
  })
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

export interface HostRequest {
  host: HostPlan
  /** Version of Keyvisor. */
  version: string
  secrets: Secrets
  /** The packed Debian tree. */
  treeSquashfs: string
  entries: TarEntry[]
  epoch: number
}

/** Makes the root in `scratch`. `readable` are folders of the inputs (the store). */
export async function packHostRoot(
  request: HostRequest,
  scratch: string,
  tools: ToolRunner,
  readable: string[],
  options: { signal?: AbortSignal; onLine?: (line: string) => void } = {},
): Promise<HostFiles> {
  const { host, epoch } = request
  const overlay = join(scratch, 'overlay.tar')
  await writeTar(request.entries, epoch, overlay)
  await writeLaying(host.files, 'host.files', epoch, scratch)
  await writeSecrets(request, scratch)
  await copyFile(packageFile('src/host/customize.sh'), join(scratch, 'customize.sh'))
  const binds = [{ path: scratch, write: true }, ...readable.map((path) => ({ path }))]
  const root = join(scratch, 'root.squashfs')
  const folder = join(scratch, 'root')
  const unpack = ['-q', '-n', '-f', '-d', folder, request.treeSquashfs]
  const env = { SOURCE_DATE_EPOCH: String(epoch) }
  const notPacked = ['-wildcards', '-ef', join(scratch, 'not-packed'), '-e', ...NOT_PACKED]
  const pack = [folder, root, ...ROOT_SQUASHFS, ...notPacked]
  await runInNamespace({
    path: packageFile('src/host/root.sh'),
    env: {
      ...env,
      SCRATCH: scratch,
      UNPACK: shellWords(tools.argv({ tool: 'unsquashfs', args: unpack, binds })),
      PACK: shellWords(tools.argv({ tool: 'mksquashfs', args: pack, binds, env })),
      VERSION: request.version,
      ADMIN: host.admin.name,
      LOCALE: host.locale,
      TIMEZONE: host.timezone,
    },
    tree: { folder, from: [request.treeSquashfs, overlay, join(scratch, 'files.tar')] },
    ...options,
  }).catch(async (error) => {
    throw await refusalOr(error, scratch)
  })
  const tree = await appendHashTree(root, tools)
  return {
    root,
    tree,
    kernel: join(scratch, 'vmlinuz'),
    initrd: join(scratch, 'initrd.img'),
    packages: join(scratch, 'packages'),
  }
}

/**
 * Secrets reach the scripts as files that only the builder can read: arguments and environments are everybody's to see
 * (proc(5)).
 */
async function writeSecrets({ host, secrets }: HostRequest, scratch: string): Promise<void> {
  const { passwordHash, wifi } = secrets
  // A line of chpasswd(8).
  const password = passwordHash ? `${host.admin.name}:${passwordHash.reveal()}\n` : ''
  await writeFile(join(scratch, 'password'), password, { mode: 0o600, flag: 'wx' })
  const configuration = wifi.length > 0 ? wifiConfiguration(host.wifi, secrets) : ''
  await writeFile(join(scratch, 'wifi.conf'), configuration, { mode: 0o600, flag: 'wx' })
}
