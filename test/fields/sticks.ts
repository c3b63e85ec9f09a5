/**
 * The profiles that rows make: what each stick needs beside the values of its rows, and those values in their places.
 */
import { existsSync } from 'node:fs'
import { copyFile, cp, mkdir, open, rename, utimes } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import type { Json } from '../../src/base/digests.js'
import { systemTools } from '../../src/base/tool.js'
import { type Row, type StickName, stepsOf } from './row.js'
import { ROWS } from './rows.js'
import { makeStarter } from './starter.js'

type Members = { [name: string]: Json }

/** What the secrets of the profiles are when they come from the environment. */
export const ENVIRONMENT = {
  KEYVISOR_FIELDS_WIFI: 'battery staple',
  KEYVISOR_FIELDS_HASH:
    '$6$fields$x/FB2NENmDURNFkiU73HhjG5lcOJiM.q8vLufbTLw9HHKNNs/3qZWdphB5936jh0Zme57W.RTopcIPHzMv3H71',
}

const FILE = { source: 'one.txt', target: '/etc/fields' }
/** A service that says through which of its two ports it was asked. */
const TOLD = ['told.socket', 'told@.service'].map((name) => ({
  source: name,
  target: `/etc/systemd/system/${name}`,
}))
/** The guest agent is what the guest is asked by. */
const DEBIAN = { packages: ['qemu-guest-agent'], files: [FILE, ...TOLD] }
/** It is made for BIOS. */
const COUNTER = {
  name: 'counter',
  source: { image: 'counter.raw', format: 'raw' },
  firmware: 'bios',
}

/** Not UEFI: what OVMF does ends a QEMU that emulates KVM (`pc/session.ts`). The stick `emulated` is there for that. */
const SYSTEM = { name: 'system', source: { debian: DEBIAN }, firmware: 'bios' }

/** Formats of other hypervisors, and what qemu-img calls them. */
const FOREIGN = { vmdk: 'vmdk', vhdx: 'vhdx', vhd: 'vpc', vdi: 'vdi' }

/** What the rows of a stick cannot do without, and do not say themselves. */
const BASES: Record<StickName, Members> = {
  usual: {
    host: { files: [FILE] },
    guests: [{ ...SYSTEM, nics: [{ network: 'nat' }] }, COUNTER],
  },
  changed: {
    stick: { minimumSize: '8GiB' },
    host: { files: [FILE], network: { wifi: [{}, { ssid: 'home' }] } },
    guests: [
      {
        ...SYSTEM,
        cpus: { min: 1 },
        memory: { min: '300MiB' },
        autostart: { order: 20 },
        disks: [
          {},
          {},
          { image: 'counter-41.raw' },
          {},
          ...Object.keys(FOREIGN).map((name) => ({ image: `counter-41-${name}` })),
        ],
        nics: [{ network: 'nat' }, {}],
      },
      COUNTER,
    ],
  },
  fixed: {
    guests: [
      {
        ...SYSTEM,
        // What answers on the port by which it is known to be ready.
        source: { debian: { ...DEBIAN, units: ['told.socket'] } },
        memory: { max: '10%' },
      },
      COUNTER,
    ],
  },
  lean: {
    stick: { minimumMemory: '8GiB' },
    guests: [{ ...COUNTER, name: 'system', cpus: { max: 2 }, memory: '2GiB' }, COUNTER],
  },
  emulated: {
    guests: ['system', 'counter', 'usual'].map((name) => ({
      name,
      source: { image: 'starter.raw', format: 'raw' },
      memory: '256MiB',
    })),
  },
}

/** Where a row's value is on a stick, and not only asked about. */
export function isBuilt({ where }: Row): boolean {
  return where !== 'validate' && where !== 'plan'
}

/** The profile of a stick: its base with the values of its rows. */
export function profileOf(name: StickName): Members {
  const profile: Members = { version: 1, name: `fields-${name}`, ...copyOf(BASES[name]) }
  for (const row of ROWS.filter(isBuilt)) if (stickOf(row) === name) setAt(profile, stepsOf(row), row.value)
  return profile
}

export function stickOf({ on }: Row): StickName {
  return on ?? 'changed'
}

/** The stick's profile with the row's value. */
export function profileWith(row: Row): Members {
  const profile = profileOf(stickOf(row))
  setAt(profile, stepsOf(row), row.value)
  return profile
}

/** The same with the value that `usual` has there, which may be none. */
export function profileWithout(row: Row): Members {
  const profile = profileOf(stickOf(row))
  setAt(profile, stepsOf(row), valueAt(profileOf('usual'), stepsOf(row)))
  return profile
}

export function valueAt(root: Json, steps: readonly string[]): Json | undefined {
  return steps.reduce<Json | undefined>((at, step) => (at as Members | undefined)?.[step], root)
}

/** Every value of a field, over all entries of the lists that it is in. */
export function valuesAt(root: Json, field: string): (Json | undefined)[] {
  return field.split('.').reduce<(Json | undefined)[]>(
    (found, step) => {
      const inner = found.map((at) => (at as Members | undefined)?.[step.replace('[]', '')])
      return step.endsWith('[]') ? inner.flatMap((list) => (list ?? []) as Json[]) : inner
    },
    [root],
  )
}

function setAt(root: Json, steps: readonly string[], value: Json | undefined): void {
  const [step = '', ...rest] = steps
  const members = root as Members
  if (rest.length === 0 && value === undefined) delete members[step]
  else if (rest.length === 0) members[step] = copyOf(value as Json)
  else {
    if (typeof members[step] !== 'object') members[step] = /^[0-9]+$/.test(rest[0] as string) ? [] : {}
    setAt(members[step] as Json, rest, value)
  }
}

/** Not `structuredClone`, in whose copies what stood in two places is one again. */
function copyOf<T extends Json>(value: T): T {
  return JSON.parse(JSON.stringify(value)) as T
}

/** Where the counter keeps its number, which is a little-endian one. */
const COUNT_AT = 512

/** Lays everything that the profiles name into a folder. */
export async function layFiles(folder: string): Promise<void> {
  await mkdir(folder, { recursive: true })
  await cp('fixtures/fields', folder, { recursive: true })
  await copyFile('fixtures/sticks/traveller/counter.raw', join(folder, 'counter.raw'))
  const started = join(folder, 'counter-41.raw')
  await copyFile(join(folder, 'counter.raw'), started)
  const file = await open(started, 'r+')
  await file.write(Buffer.from([41, 0, 0, 0]), 0, 4, COUNT_AT)
  await file.close()
  await makeStarter(folder)
  const args = ['convert', '-f', 'raw', '-O', 'qcow2', started, join(folder, 'counter-41.qcow2')]
  await systemTools.run({ tool: 'qemu-img', args })
  for (const [name, driver] of Object.entries(FOREIGN))
    await copyFile(await foreignDisk(started, name, driver), join(folder, `counter-41-${name}`))
  await copyFile(join(folder, 'counter-41-vmdk'), join(folder, 'counter-41.vmdk'))
  const [iso, words] = ['tools.iso', 'one.txt'].map((name) => join(folder, name)) as [string, string]
  // The same bytes in each run: a lock pins them. The ISO has the times of its files.
  await utimes(words, 1, 1)
  await systemTools.run({
    tool: 'xorriso',
    args: ['-as', 'mkisofs', '-quiet', '-o', iso, words],
    env: { SOURCE_DATE_EPOCH: '1' },
  })
}

/** Made once: each of these formats has an identity or a time in it, and a lock pins its bytes. */
async function foreignDisk(raw: string, name: string, driver: string): Promise<string> {
  const path = resolve('out/test', `fields-41.${name}`)
  if (existsSync(path)) return path
  await mkdir('out/test', { recursive: true })
  const made = `${path}.${process.pid}`
  const options = driver === 'vpc' ? ['-o', 'force_size=on'] : []
  await systemTools.run({
    tool: 'qemu-img',
    args: ['convert', '-f', 'raw', '-O', driver, ...options, raw, made],
  })
  await rename(made, path)
  return path
}
