/**
 * Verbs that need no build, each with files of its own that it can be run on again and again, in a second.
 */
import { existsSync, mkdirSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { sha256, sha256File } from '../../../src/base/digests.js'
import { silent } from '../../../src/base/progress.js'
import { MiB } from '../../../src/base/units.js'
import { sealTree } from '../../../src/store/seal.js'
import { Store } from '../../../src/store/store.js'
import { verifyStore } from '../../../src/store/verify.js'
import type { Verb } from './faulty.js'

const PROFILE = `version: 1
name: faulty
host:
  hostname: faulty
  admin:
    name: admin
    sshKeys: []
guests:
  - name: disk
    cpus: 1
    memory: 64MiB
    source:
      image: guest.raw
      format: raw
`

/** Files of a small profile: one image guest. */
export interface Files {
  folder: string
  profile: string
  lock: string
  out: string
  image: string
  manifest: string
}

/** Writes the profile and its guest's disk. */
export function makeFiles(folder: string): Files {
  const below = (path: string) => join(folder, path)
  for (const name of ['profile', 'out']) mkdirSync(below(name))
  const files = {
    folder,
    profile: below('profile/faulty.yaml'),
    lock: below('profile/faulty.lock.json'),
    out: below('out'),
    image: below('out/faulty.img'),
    manifest: below('out/faulty.manifest.json'),
  }
  writeFileSync(files.profile, PROFILE)
  writeFileSync(below('profile/guest.raw'), Buffer.alloc(4 * MiB, 'a disk of a guest'))
  return files
}

/** These verbs, on a store of their own. */
export async function smallVerbs({ folder, profile }: Files): Promise<Verb[]> {
  const opened = await Store.open(join(folder, 'small'))
  const common = { folder, store: opened.folder, opened }
  const fresh = join(folder, 'profile', 'fresh.yaml')
  const nothing = () => {}
  const long = () => rmSync(fresh, { force: true })
  const old = () => smallStore(opened)
  return [
    {
      ...common,
      name: 'init',
      args: ['init', fresh],
      ready: long,
      written: { [fresh]: [await initDigest(fresh)] },
    },
    { ...common, name: 'validate', args: ['validate', profile], ready: nothing },
    { ...common, name: 'store ls', args: ['store', 'ls', '--json'], ready: old },
    {
      ...common,
      name: 'store prune',
      args: ['store', 'prune', '--older-than', '300d', '--json'],
      ready: old,
    },
    {
      ...common,
      name: 'store verify',
      args: ['store', 'verify', '--json'],
      ready: () => damaged(opened),
      storeWrong: () => soundKept(opened),
    },
  ]
}

/** Of the profile that `init` writes: whole, or not there. */
async function initDigest(path: string): Promise<string> {
  const { keyvisor } = await import('../command.js')
  const { code, stderr } = await keyvisor(['init', path])
  if (code !== 0) throw new Error(stderr)
  return (await sha256File(path)).sha256
}

const OLD = new Date('2020-01-01')

/** A little of everything that a store can hold: in use, and not used for years. */
async function smallStore(store: Store): Promise<void> {
  rmSync(store.folder, { recursive: true, force: true })
  await Store.open(store.folder)
  for (const text of ['kept', 'old']) {
    const digest = addObject(store, text)
    const objects = { it: { sha256: digest, size: text.length } }
    await store.writeRecord(sha256(`record ${text}`), { stage: text, objects, facts: {} })
    await addTree(store, text)
  }
  addObject(store, 'old package')
  const old = [store.objectPath(sha256('old')), store.objectPath(sha256('old package'))]
  const tree = store.treePath(sha256('tree old'))
  const paths = [...old, store.recordPath(sha256('record old')), join(tree, 'digest'), tree]
  for (const path of paths) utimesSync(path, OLD, OLD)
}

function addObject(store: Store, text: string): string {
  const path = store.objectPath(sha256(text))
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(path, text)
  return sha256(text)
}

async function addTree(store: Store, text: string): Promise<void> {
  const tree = store.treePath(sha256(`tree ${text}`))
  mkdirSync(join(tree, 'usr'), { recursive: true })
  writeFileSync(join(tree, 'usr', 'tool'), text)
  await sealTree(tree)
}

/** Whatever became of a verify: what was sound is there, and another one leaves nothing else. */
async function soundKept(store: Store): Promise<string[]> {
  await verifyStore({ store, progress: silent })
  const { damage, records, trees } = await verifyStore({ store, progress: silent })
  const lost = ['kept', 'old', 'old package'].filter((text) => !existsSync(store.objectPath(sha256(text))))
  return [
    ...lost.map((text) => `the sound object "${text}" is gone`),
    ...(records === 2 && trees === 1 ? [] : [`${records} sound records and ${trees} trees are left`]),
    ...damage.map(({ key, reason }) => `${key} is damaged still: ${reason}`),
  ]
}

/** The same with something of each kind that is damaged: `store verify` removes it. */
async function damaged(store: Store): Promise<void> {
  await smallStore(store)
  const path = store.objectPath(sha256('damaged'))
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(path, 'other bytes')
  writeFileSync(store.recordPath(sha256('half')), '{')
  writeFileSync(join(store.treePath(sha256('tree old')), 'usr', 'tool'), 'changed')
}
