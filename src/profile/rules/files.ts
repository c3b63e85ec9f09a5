/**
 * Rules about files: targets at which a file would have no effect, or that leave no room for each other.
 *
 * Left out: what depends on the packages, such as a target that is a folder there: `debian/lay.sh` refuses that.
 */
import { type Finding, formatPath, type ProfilePath } from '../../yaml/problems.js'
import { DEFAULTS, type Profile, type RootFile } from '../../yaml/profile.gen.js'
import type { Placed, Sound } from '../../yaml/sound.js'
import { fileLists, type Rule } from './valid-parts.js'

type PlacedFile = Placed<Sound<RootFile>>
type Reason = [where: RegExp, why: string, hint?: string]

/** Links to folders that every Debian root has: base-files makes them, and `/usr` is merged. */
const LINKS: [RegExp, string][] = [
  [/^\/(bin|sbin|lib|lib64)\//, '/usr/$1/'],
  [/^\/var\/run\//, '/run/'],
  [/^\/var\/lock\//, '/run/lock/'],
]

/** The place that a target leads to. */
const realTarget = (target: string) => LINKS.reduce((path, [link, to]) => path.replace(link, to), target)

/** What no running system takes from its root: file systems of the kernel's and of memory are mounted over it. */
const MOUNTED: Reason[] = [
  [/^\/(run|tmp)(\/|$)/, 'is empty at each start', 'let a file in /etc/tmpfiles.d make it'],
  [/^\/dev(\/|$)/, 'is filled by the kernel', 'let a file in /etc/udev/rules.d make it'],
  [/^\/(proc|sys)(\/|$)/, 'is filled by the kernel', 'let a file in /etc/sysctl.d or /etc/tmpfiles.d set it'],
]

/** What the host takes from elsewhere: the stick's partitions, and fields of the profile. */
const ON_HOST: Reason[] = [
  [/^\/boot(\/|$)/, 'is not on the stick: kernel and initrd are on the boot partition'],
  [/^\/data(\/|$)/, "is where the stick's data partition is mounted, which is made at the first start"],
  [/^\/etc\/machine-id$/, 'is written at each start: the identity of a stick is made at its first'],
  [/^\/usr\/lib\/keyvisor(\/|$)/, "is Keyvisor's own folder"],
  [/^\/etc\/initramfs-tools\/(hooks|scripts|conf\.d)\/keyvisor$/, "is Keyvisor's own file"],
  [/^\/etc\/(passwd|shadow|group|gshadow)$/, 'has the accounts that packages make', 'set host.admin'],
  [/^\/etc\/hostname$/, 'is written from the profile', 'set host.hostname'],
  [/^\/etc\/(locale\.conf|default\/locale)$/, 'is written from the profile', 'set host.locale'],
  [/^\/etc\/default\/keyboard$/, 'is written from the profile', 'set host.keyboard'],
  [/^\/etc\/(localtime|timezone)$/, 'is written from the profile', 'set host.timezone'],
]

/** The keys of the profile are in a file of the admin's name. */
function hostReasons({ host }: Sound<Profile>): Reason[] {
  const admin = host?.admin?.name ?? DEFAULTS.admin.name
  const keys = new RegExp(`^/etc/ssh/authorized_keys/${admin}$`)
  return [...MOUNTED, ...ON_HOST, [keys, 'is written from the profile', 'set host.admin.sshKeys']]
}

function lists(profile: Sound<Profile>): { files: PlacedFile[]; reasons: Reason[] }[] {
  const [host = [], ...guests] = fileLists(profile)
  return [
    { files: host, reasons: hostReasons(profile) },
    ...guests.map((files) => ({ files, reasons: MOUNTED })),
  ]
}

const noEffect: Rule = (profile) =>
  lists(profile).flatMap(({ files, reasons }) =>
    files.flatMap(({ value: { target }, path }): Finding[] => {
      if (target === undefined) return []
      const found = reasons.find(([where]) => where.test(realTarget(target)))
      if (!found) return []
      const [where, why, hint = 'choose another target'] = found
      const place = where.exec(realTarget(target))?.[0].replace(/\/$/, '')
      return [
        {
          code: 'no-effect',
          path: [...path, 'target'],
          message: `this is no place for a file: ${place} ${why}`,
          hint,
        },
      ]
    }),
  )

/** Case matters in a path: each list is compared as it is written, but for the links that every root has. */
const targets: Rule = (profile) =>
  lists(profile).flatMap(({ files }) => {
    const seen: Seen = { files: new Map(), folders: new Map() }
    return files.flatMap(({ value: { target }, path }): Finding[] => {
      if (target === undefined) return []
      const place = realTarget(target)
      const found = targetFinding(target, place, seen)
      if (found) return [{ ...found, path: [...path, 'target'] }]
      seen.files.set(place, path)
      for (const folder of foldersOf(place)) seen.folders.set(folder, path)
      return []
    })
  })

/** Targets and the folders that they are in, each with the file whose target it is. */
interface Seen {
  files: Map<string, ProfilePath>
  folders: Map<string, ProfilePath>
}

/** `/a` and `/a/b` of `/a/b/c`. */
function foldersOf(place: string): string[] {
  const parts = place.split('/')
  return parts.slice(2).map((_, index) => parts.slice(0, index + 2).join('/'))
}

function targetFinding(target: string, place: string, seen: Seen): Omit<Finding, 'path'> | undefined {
  const same = seen.files.get(place)
  if (same) return { code: 'duplicate-target', message: `${target} is the target of ${formatPath(same)} too` }
  const folder = foldersOf(place).find((path) => seen.files.has(path))
  const other = seen.files.get(folder ?? '') ?? seen.folders.get(place)
  if (!other) return undefined
  const message = `${folder ?? place} cannot be a file and a folder: see ${formatPath(other)}`
  return { code: 'target-below-file', message }
}

/** NAME_MAX and PATH_MAX of Linux (limits.h); a path's zero byte counts. */
const LIMIT = { name: 255, path: 4095 }

const long: Rule = (profile) =>
  lists(profile).flatMap(({ files }) =>
    files.flatMap(({ value: { target = '' }, path }): Finding[] => {
      const name = Math.max(...target.split('/').map((part) => Buffer.byteLength(part)))
      const whole = Buffer.byteLength(target)
      if (name <= LIMIT.name && whole <= LIMIT.path) return []
      const [what, length, limit] =
        name > LIMIT.name ? ['a name in it', name, LIMIT.name] : ['it', whole, LIMIT.path]
      const message = `the target is too long: ${what} has ${length} bytes in UTF-8; the limit is ${limit}`
      return [{ code: 'long-target', path: [...path, 'target'], message }]
    }),
  )

/** A builder who is not root has that many ids for a root: debian/namespace.ts. */
const MOST_ID = 65535

const owners: Rule = (profile) =>
  lists(profile).flatMap(({ files }) =>
    files.flatMap(({ value: { owner = '' }, path }): Finding[] => {
      const id = owner.split(':').find((part) => /^[0-9]+$/.test(part) && Number(part) > MOST_ID)
      if (id === undefined) return []
      return [
        {
          code: 'too-large',
          path: [...path, 'owner'],
          message: `${id} is above ${MOST_ID}, the most that an id can be`,
        },
      ]
    }),
  )

export const fileRules: Rule[] = [noEffect, targets, long, owners]
