/**
 * Checking a build: the same image once more, from nothing but the locked packages and the profile's own files, and
 * both must have the same bytes.
 */
import { join } from 'node:path'
import { type Sha256, sha256File } from '../base/digests.js'
import { KeyvisorError } from '../base/errors.js'
import { type ProgressEvent, step } from '../base/progress.js'
import { seededStore } from '../prepare/seed.js'
import type { Workplace } from '../store/workplace.js'
import { type BuildRequest, type BuildResult, buildImage } from './build.js'
import { planBuild } from './plan-build.js'

/** In which parts two images differ, in words; both are still there. */
export type Differences = (first: BuildResult, second: BuildResult) => Promise<string[]>

/**
 * Builds what `first` is a build of again, in an empty store that has only the locked packages, and compares. Answers
 * with the digest of both images. Throws `not-reproducible`, and what buildImage throws.
 */
export async function checkBuild(
  request: BuildRequest,
  first: BuildResult,
  place: Workplace,
  differences: Differences,
): Promise<Sha256> {
  return place.store.inScratch('check', async (folder) => {
    const locked = { ...request, lock: first.lockFile, locked: true }
    const store = await seededStore(await planBuild(locked, place), join(folder, 'store'), place)
    const again = {
      ...place,
      store,
      offline: true,
      progress: (event: ProgressEvent) => place.progress(told(event)),
    }
    const second = await buildImage({ ...locked, out: join(folder, 'out') }, again)
    return compareBuilds(first, second, place, differences)
  })
}

/** So that nobody takes the second build's stages for the first's. */
function told(event: ProgressEvent): ProgressEvent {
  return event.kind === 'start' ? { ...event, title: `again: ${event.title}` } : event
}

/** Answers with the digest of both images. Throws `not-reproducible`. */
export async function compareBuilds(
  first: BuildResult,
  second: BuildResult,
  run: Pick<Workplace, 'progress'>,
  differences: Differences,
): Promise<Sha256> {
  return step(run.progress, { stage: 'check', title: 'compare both images' }, async () => {
    const one = await sha256File(first.image)
    const two = await sha256File(second.image)
    if (one.sha256 !== two.sha256) throw notReproducible(first, await differences(first, second))
    return one.sha256
  })
}

function notReproducible({ image }: BuildResult, parts: string[]): KeyvisorError {
  const message = `a second build does not give the bytes of ${image}: ${parts.join(', ')}`
  return new KeyvisorError('not-reproducible', message, {
    hint: 'remove the image and build again; when it stays so, report it with both manifests',
  })
}
