/**
 * The lab's tools: QEMU, its firmware and swtpm, from a tools tree of their own.
 *
 * What an image is tried with is no input of the image, so its packages are in no profile's lock: the store has a
 * lock of its own for them (`locks/tools.lab.json`), made on first use and kept until somebody removes it.
 */
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { KeyvisorError } from '../base/errors.js'
import { systemTools, type ToolRunner } from '../base/tool.js'
import { answers, lockedDebs, makeLock, readLock, setDigest, writeLock } from '../build/lock.js'
import type { StageRun } from '../build/stage.js'
import { toolsTree, usesSystemTools } from '../build/tools.js'
import { LAB_PACKAGES } from '../plan/packages.js'
import type { Lock } from '../plan/types.js'

/** Older ones nest KVM badly under emulation: with 7.2 one start in ten failed (measured). */
const OLDEST_QEMU = 10

const REQUEST = { packages: [LAB_PACKAGES], images: {}, mirror: undefined }

/**
 * A runner for QEMU and what belongs to it; fetched and unpacked on first use. With `KEYVISOR_TOOLS=system` the
 * machine's own. Throws `qemu-too-old`, and what fetching packages throws.
 */
export async function openLab(run: StageRun): Promise<ToolRunner> {
  if (usesSystemTools()) {
    await checkQemuVersion(systemTools)
    return systemTools
  }
  const lock = (await keptLock(run)) ?? (await newLock(run))
  return treeOf(lock, run).catch(async (error: KeyvisorError) => {
    // Mirrors drop old versions; for trying an image any version from now on will do.
    if (error.code !== 'package-gone') throw error
    return treeOf(await newLock(run), run)
  })
}

function lockFile(run: StageRun): string {
  return join(run.store.folder, 'locks', `${LAB_PACKAGES.set}.json`)
}

/** Undefined also when the lock answers another Keyvisor's question, or is damaged: then a new one is made. */
async function keptLock(run: StageRun): Promise<Lock | undefined> {
  const lock = await readLock(lockFile(run)).catch((error: KeyvisorError) => {
    if (error.code === 'lock-damaged') return undefined
    throw error
  })
  return lock && answers(lock, REQUEST) ? lock : undefined
}

async function newLock(run: StageRun): Promise<Lock> {
  const lock = await makeLock(REQUEST, run.store, run.signal)
  await mkdir(join(run.store.folder, 'locks'), { recursive: true })
  await writeLock(lockFile(run), lock)
  return lock
}

function treeOf(lock: Lock, run: StageRun): Promise<ToolRunner> {
  const { set } = LAB_PACKAGES
  const debs = async () => (await lockedDebs(lock, [set], run))[set] ?? []
  return toolsTree(run, 'lab', setDigest(lock, set), debs)
}

/** Throws `qemu-too-old`, or `tool-missing`. */
export async function checkQemuVersion(tools: ToolRunner): Promise<void> {
  const { stdout } = await tools.run({ tool: 'qemu-system-x86_64', args: ['--version'], timeout: 30 })
  const found = /version (\d+)(?:\.\d+)*/.exec(stdout)
  if (Number(found?.[1] ?? 0) >= OLDEST_QEMU) return
  const message = `this machine's QEMU is ${found?.[0] ?? 'of an unknown version'}, and ${OLDEST_QEMU} or newer is needed`
  throw new KeyvisorError('qemu-too-old', message, {
    hint: 'unset KEYVISOR_TOOLS: then a QEMU of its own is fetched',
  })
}
