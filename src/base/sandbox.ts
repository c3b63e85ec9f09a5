/**
 * The sandbox that a tool from a tools tree runs in: bubblewrap's arguments (bwrap(1)), and what its refusals mean.
 *
 * A tool sees the tree's programs, and each bind at the path that it has on the machine. Left out: starting it
 * (`tool.ts`).
 */
import { lstatSync, readdirSync, readlinkSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { KeyvisorError } from './errors.js'

/** A host path that a tool may see, at the same place. */
export interface Bind {
  path: string
  write?: boolean
  /** A device node, such as `/dev/kvm`. */
  device?: boolean
}

export interface SandboxRequest {
  /** The tools tree. */
  tree: string
  binds: readonly Bind[]
  network: boolean
  /** No user namespace is made: that of root maps uid 0 alone, and files of other owners could not be read. */
  root: boolean
}

/**
 * bwrap's arguments for what is seen inside. The root is an empty tmpfs into which the tree is bound, so that binds can
 * be made at any path; a folder of the tree that holds the place of a bind is made anew, and its children bound singly.
 * Throws KeyvisorError `cannot-bind` for a place that is the sandbox's own.
 */
export function sandboxArguments({ tree, binds, network, root }: SandboxRequest): string[] {
  const placed = orderedBinds(binds).map((bind) => ({ ...bind, place: placeOf(tree, bind) }))
  const argv = ['--die-with-parent', '--unshare-ipc', '--unshare-pid', '--unshare-uts']
  if (!network) argv.push('--unshare-net')
  if (!root) argv.push('--unshare-user', '--uid', '0', '--gid', '0')
  argv.push(...treeMounts(tree, new Set(placed.map(({ place }) => place))))
  argv.push('--dev', '/dev', '--proc', '/proc', '--tmpfs', '/tmp')
  if (network) argv.push('--ro-bind-try', '/etc/resolv.conf', '/etc/resolv.conf')
  for (const { device, write, path, place } of placed) {
    argv.push(device ? '--dev-bind' : write ? '--bind' : '--ro-bind', path, place)
  }
  return argv
}

/** Parents first, and of one path the writable last: what is read must not cover what is written. */
function orderedBinds(binds: readonly Bind[]): Bind[] {
  return [...binds].sort(
    (a, b) => a.path.length - b.path.length || Number(a.write ?? 0) - Number(b.write ?? 0),
  )
}

// ------------------------------------------------------------------------------------ the tree

/** Only what programs are made of: a tree's empty /root or /var would stand in the way of binds below them. */
const PROGRAMS = ['usr', 'etc']

function treeMounts(tree: string, places: ReadonlySet<string>): string[] {
  return readdirSync(tree, { withFileTypes: true })
    .filter((entry) => entry.isSymbolicLink() || PROGRAMS.includes(entry.name))
    .flatMap(({ name }) => mounts(tree, `/${name}`, places))
}

/** What puts one path of the tree at its place, and leaves the places of binds free. */
function mounts(tree: string, path: string, places: ReadonlySet<string>): string[] {
  const source = join(tree, path)
  const found = lstatSync(source)
  if (found.isSymbolicLink()) return ['--symlink', readlinkSync(source), path]
  if (places.has(path)) return []
  if (!found.isDirectory() || !holdsOne(path, places)) return ['--ro-bind', source, path]
  return ['--dir', path, ...readdirSync(source).flatMap((name) => mounts(tree, join(path, name), places))]
}

function holdsOne(folder: string, places: ReadonlySet<string>): boolean {
  return [...places].some((place) => place.startsWith(`${folder}/`))
}

// ------------------------------------------------------------------------------------ the places of binds

/** Where in the sandbox a bind goes: its own path, but for the tree's links (`/lib` is `usr/lib`). */
function placeOf(tree: string, { path, device }: Bind): string {
  const place = followed(tree, resolve(path))
  const isProc = place === '/proc' || place.startsWith('/proc/')
  const isDev = place === '/dev' || (place.startsWith('/dev/') && !place.startsWith('/dev/shm/') && !device)
  if (place === '/' || isProc || isDev || isOccupied(tree, place)) {
    throw new KeyvisorError(
      'cannot-bind',
      `${path} cannot be shown to tools: their sandbox has its own there`,
      {
        hint: 'use a folder of your own, such as one in your home',
      },
    )
  }
  return place
}

/** A path as the tree's symbolic links lead it. */
function followed(tree: string, path: string): string {
  let place = '/'
  for (const name of path.split('/').filter(Boolean)) {
    const next = join(place, name)
    const found = lstatSync(join(tree, next), { throwIfNoEntry: false })
    place = found?.isSymbolicLink() ? resolve(place, readlinkSync(join(tree, next))) : next
  }
  return place
}

/** True where the tree has files: a bind would hide them. */
function isOccupied(tree: string, place: string): boolean {
  if (!PROGRAMS.includes(place.split('/')[1] as string)) return false
  const path = join(tree, place)
  const found = lstatSync(path, { throwIfNoEntry: false })
  if (!found?.isDirectory()) return found !== undefined
  return readdirSync(path, { recursive: true, withFileTypes: true }).some((entry) => !entry.isDirectory())
}

// ------------------------------------------------------------------------------------ refusals

/** The AppArmor profile that lets bubblewrap and unshare make user namespaces where Ubuntu restricts them. */
export const APPARMOR_PROFILE = `abi <abi/4.0>,
include <tunables/global>
profile keyvisor-unshare /usr/bin/unshare flags=(unconfined) {
  userns,
}
profile keyvisor-bwrap /usr/bin/bwrap flags=(unconfined) {
  userns,
}`

/** What a machine says that makes no namespaces for us. */
export function namespaceRefused(cause?: unknown): KeyvisorError {
  return new KeyvisorError('namespace-refused', 'this machine does not let users make namespaces', {
    hint: `build as root, or save this as /etc/apparmor.d/keyvisor and run "apparmor_parser -r /etc/apparmor.d/keyvisor":\n${APPARMOR_PROFILE}`,
    cause,
  })
}

/** bubblewrap's words where the kernel, or a container, makes it no namespace. */
const REFUSED =
  /^bwrap: (No permissions to creat|Creating new namespace failed|setting up uid map|Failed to make \/ slave|Unexpected capabilities)/m

/** True where bubblewrap's words, and not the tool's, say that there is no namespace to be had. */
export function refusesNamespace(words: string): boolean {
  return REFUSED.test(words)
}
