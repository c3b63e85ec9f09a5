/**
 * Final: one image from finished payloads, and the manifest that is published beside it.
 */
import { readFile } from 'node:fs/promises'
import { basename } from 'node:path'
import { type Bytes, SECTOR } from '../base/units.js'
import type { LockedPackage } from '../debian/types.js'
import { assembleImage } from '../image/assemble.js'
import { lockedSet } from '../lock/lock.js'
import { hasSecrets } from '../plan/secrets.js'
import { type Layout, layoutStick, type PayloadName } from '../stick/layout.js'
import {
  type Manifest,
  type ManifestPackage,
  type ManifestPayload,
  parsePackages,
} from '../stick/manifest.js'
import type { Workplace } from '../store/workplace.js'
import { usesSystemTools } from '../tools/tools.js'
import { object, type Payloads, payload } from './payloads.js'
import type { PlannedBuild } from './plan-build.js'
import type { Done } from './stage.js'

/** Assembles the image at `image`. The answer is its manifest, which is not written here. */
export async function makeFinal(
  prepared: PlannedBuild,
  results: Payloads,
  image: string,
  place: Workplace,
): Promise<Manifest> {
  const { plan, stages } = prepared
  const started = Date.now()
  const stage = 'image'
  const payloads = {
    biosBoot: object(results.loader, 'core'),
    esp: object(results.esp, 'esp'),
    root: object(results.host, 'root'),
    library: object(results.library, 'library'),
  }
  const layout = layoutStick(plan.stick, plan.name, payloads)
  place.progress({ kind: 'start', stage, title: stages.image.title })
  const total = payloads.esp.size + payloads.root.size + payloads.library.size
  let done = 0
  const onBytes = (bytes: Bytes) => {
    done += bytes
    place.progress({ kind: 'bytes', stage, done, total })
  }
  const bootImage = object(results.loader, 'boot').path
  const isPrivate = hasSecrets(prepared.secrets)
  await assembleImage(
    { layout, stick: plan.stick, bootImage, payloads, isPrivate },
    image,
    onBytes,
    place.signal,
  )
  place.progress({ kind: 'end', stage, seconds: (Date.now() - started) / 1000, reused: false })
  return fullManifest(prepared, results, layout, image)
}

async function fullManifest(
  prepared: PlannedBuild,
  results: Payloads,
  layout: Layout,
  image: string,
): Promise<Manifest> {
  const { host, disks, library, esp, loader, stick } = results
  const packages = async (done: Done) => {
    const list = done.objects['packages']
    return list ? parsePackages(await readFile(list.path, 'utf8')) : []
  }
  const guests = await Promise.all(
    Object.entries(disks).map(async ([name, done]) => [name, await packages(done)] as const),
  )
  const payloads: Record<PayloadName, ManifestPayload> = {
    biosBoot: payload(loader, 'core'),
    esp: payload(esp, 'esp'),
    root: stick.root,
    library: payload(library, 'library'),
  }
  return {
    ...stick,
    image: { file: basename(image), size: layout.sectors * SECTOR, smallestStick: layout.smallestStick },
    layout,
    payloads,
    packages: { host: await packages(host), guests: Object.fromEntries(guests) },
    tools: usesSystemTools() ? [] : lockedSet(prepared.lock, 'tools.pack').map(named),
    key: prepared.stages.image.key,
  }
}

function named({ name, version, architecture }: LockedPackage): ManifestPackage {
  return { name, version, architecture }
}
