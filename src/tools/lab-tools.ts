/**
 * The lab's tools, from tools trees of their own: QEMU, its firmware and swtpm; and what looks into a stick.
 *
 * What an image is tried with is no input of the image, so its packages are in no profile's lock: the store has a
 * lock of its own for each tree (`locks/tools.lab.json`), made on first use and kept until somebody removes it.
 */

import { join } from 'node:path'
import { ARCHITECTURES, USUAL_ARCHITECTURE } from '../arch/architecture.js'
import { KeyvisorError } from '../base/errors.js'
import { makeFolder } from '../base/make-folder.js'
import { systemTools, type ToolRunner } from '../base/tool.js'
import type { PackageRequest } from '../debian/types.js'
import { archivesOf, lockedDebs } from '../lock/fetch.js'
import { answers, makeLock, readLock, setDigest, writeLock } from '../lock/lock.js'
import type { Lock } from '../lock/types.js'
import { CHECK_PACKAGES, LAB_PACKAGES } from '../plan/packages.js'
import type { Workplace } from '../store/workplace.js'
import { toolsTree, usesSystemTools } from './tools.js'

/** Older ones nest KVM badly under emulation: with 7.2 one start in ten failed (measured). */
const OLDEST_QEMU = 10

/**
 * A runner for QEMU and what belongs to it; fetched and unpacked on first use. With `KEYVISOR_TOOLS=system` the
 * machine's own. Throws `qemu-too-old`, and what fetching packages throws.
 */
export async function openLab(place: Workplace): Promise<ToolRunner> {
  if (usesSystemTools()) {
    await checkQemuVersion(systemTools)
    return systemTools
  }
  return openTree(LAB_PACKAGES, place)
}

/** A runner for what looks into a stick offline: e2fsck, debugfs and qemu-img. As {@link openLab}. */
export async function openCheckTools(place: Workplace): Promise<ToolRunner> {
  return usesSystemTools() ? systemTools : openTree(CHECK_PACKAGES, place)
}

async function openTree(packages: PackageRequest, place: Workplace): Promise<ToolRunner> {
  const lock = (await keptLock(packages, place)) ?? (await newLock(packages, place))
  return treeOf(packages, lock, place).catch(async (error: KeyvisorError) => {
    // Mirrors drop old versions; for trying an image any version from now on will do.
    if (error.code !== 'package-gone') throw error
    return treeOf(packages, await newLock(packages, place), place)
  })
}

function requestOf(packages: PackageRequest) {
  return { packages: [packages], files: {}, mirror: undefined }
}

function lockFile({ set }: PackageRequest, place: Workplace): string {
  return join(place.store.folder, 'locks', `${set}.json`)
}

/** Undefined also when the lock answers another Keyvisor's question, or is damaged: then a new one is made. */
async function keptLock(packages: PackageRequest, place: Workplace): Promise<Lock | undefined> {
  const lock = await readLock(lockFile(packages, place)).catch((error: KeyvisorError) => {
    if (['lock-damaged', 'lock-newer'].includes(error.code)) return undefined
    throw error
  })
  return lock && answers(lock, requestOf(packages)) ? lock : undefined
}

async function newLock(packages: PackageRequest, place: Workplace): Promise<Lock> {
  const lock = await makeLock(requestOf(packages), place)
  await makeFolder(join(place.store.folder, 'locks'))
  await writeLock(lockFile(packages, place), lock)
  return lock
}

function treeOf({ set }: PackageRequest, lock: Lock, place: Workplace): Promise<ToolRunner> {
  const debs = async () => (await lockedDebs({ lock, archives: archivesOf(lock) }, [set], place))[set] ?? []
  return toolsTree(place, set.replace('tools.', ''), setDigest(lock, set), debs)
}

/** Throws `qemu-too-old`, or `tool-missing`. */
async function checkQemuVersion(tools: ToolRunner): Promise<void> {
  const { stdout } = await tools.run({
    tool: ARCHITECTURES[USUAL_ARCHITECTURE].qemu.program,
    args: ['--version'],
    timeout: 30,
  })
  const found = /version (\d+)(?:\.\d+)*/.exec(stdout)
  if (Number(found?.[1] ?? 0) >= OLDEST_QEMU) return
  const message = `this machine's QEMU is ${found?.[0] ?? 'of an unknown version'}, and ${OLDEST_QEMU} or newer is needed`
  throw new KeyvisorError('qemu-too-old', message, {
    hint: 'unset KEYVISOR_TOOLS: then a QEMU of its own is fetched',
  })
}
