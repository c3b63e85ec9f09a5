/**
 * The stick's ESP: boot loaders, their configuration, kernel and initrd, and the manifest.
 */
import { join } from 'node:path'
import { type Sha256, sha256 } from '../base/digests.js'
import { KeyvisorError } from '../base/errors.js'
import { lookUp } from '../base/lookup.js'
import type { Bytes } from '../base/units.js'
import { writeFile } from '../base/write-file.js'
import { writeEsp } from '../debian/boot.js'
import { type LibraryFacts, libraryFacts } from '../guest/library.js'
import { LOADING_PREFIX } from '../guest/report.js'
import type { Plan } from '../plan/types.js'
import { GRUB_CONFIG, slotConfig, slotFiles } from '../stick/boot-config.js'
import type { StickPlan } from '../stick/definition.js'
import { MANIFEST_VERSION, type StickFacts, stickManifest } from '../stick/manifest.js'
import type { HostSlot } from '../stick/partitions.js'
import {
  hashTreeOf,
  objectOf,
  payloadOf,
  readOf,
  type Stage,
  type StageDefinition,
  type StageOutput,
  type StageResult,
  type Workbench,
} from '../store/stage.js'

/** The slot that an image has a host in. */
const FIRST_SLOT: HostSlot = 'a'

/** FAT has 11 letters for it. The partition that a person should see has the plain name. */
const ESP_LABEL = 'KEYVISORESP'

export interface EspInputs {
  architecture: StickPlan['architecture']
  size: Bytes
  kernelArguments: string[]
  manifest: StickFacts
  epoch: number
}

/** @param reads the host's `root`, and the `library` */
export function espStage(inputs: EspInputs, reads: Record<string, Stage>): StageDefinition<EspInputs> {
  const { size } = inputs
  return {
    name: 'esp',
    title: 'pack the boot partition',
    program: 'host/esp',
    inputs,
    reads,
    room: () => ({ scratch: size, result: size, objects: { esp: size } }),
    make: makeEsp,
  }
}

async function makeEsp(
  { scratch, tools }: Workbench,
  { architecture, size, kernelArguments, manifest: facts, epoch }: EspInputs,
  read: Record<string, StageResult>,
): Promise<StageOutput> {
  const { name, firmware } = facts
  const manifest = join(scratch, 'manifest.json')
  await writeFile(manifest, `${JSON.stringify(manifestOf(facts, read), null, 1)}\n`)
  const config = join(scratch, 'boot.cfg')
  const bootConfig = slotConfig({
    title: `Keyvisor ${name}`,
    announcement: `${LOADING_PREFIX}${name}`,
    root: hashTreeOf(readOf(read, 'root')),
    library: libraryFacts(readOf(read, 'library')),
    kernelArguments,
  })
  await writeFile(config, bootConfig)
  const slot = slotFiles(FIRST_SLOT)
  const files = [
    { path: slot.kernel, source: objectOf(readOf(read, 'root'), 'kernel').path },
    { path: slot.initrd, source: objectOf(readOf(read, 'root'), 'initrd').path },
    { path: slot.config, source: config },
    { path: 'keyvisor/manifest.json', source: manifest },
  ]
  const image = join(scratch, 'esp.fat')
  const serial = sha256(`esp ${name}`).slice(0, 8)
  const request = {
    architecture,
    label: ESP_LABEL,
    serial,
    size,
    epoch,
    firmware,
    grubConfig: GRUB_CONFIG,
    files,
  }
  await writeEsp(request, image, tools).catch((error) => {
    throw espTooLarge(error) ?? error
  })
  return { files: { esp: image } }
}

/** What the stick's manifest says of the plan. */
export function stickFacts({ plan, builder }: { plan: Plan; builder: string }): StickFacts {
  const { name, epoch, stick, host } = plan
  return {
    version: MANIFEST_VERSION,
    name,
    builder,
    epoch,
    dataMinimum: stick.dataMinimum,
    architecture: stick.architecture,
    firmware: stick.firmware,
    host: {
      suite: host.suite,
      hostname: host.hostname,
      admin: host.admin.name,
      keys: host.admin.sshKeys.length,
    },
    guests: plan.guests.map(
      ({ name, uuid, hardware, changes, autostart, cpus, memory, drives, ports, ready }) => ({
        name,
        uuid,
        hardware,
        changes,
        autostart,
        cpus,
        memory,
        drives,
        ports,
        ready,
      }),
    ),
  }
}

/** The manifest that the ESP carries, of the results that it was made from. */
export function manifestOf(facts: StickFacts, read: Record<string, StageResult>) {
  const { rootHash, size, bases } = libraryFacts(readOf(read, 'library'))
  const payloads = {
    slots: { a: payloadOf(readOf(read, 'root'), 'root'), b: null },
    library: { rootHash, size },
  }
  return stickManifest(facts, payloads, (stage) => digestOf(bases, stage))
}

function digestOf(bases: LibraryFacts['bases'], stage: string): Sha256 {
  const base = lookUp(bases, stage)
  if (!base) throw new Error(`BUG: the library has no base of ${stage}`)
  return base.sha256
}

function espTooLarge(cause: KeyvisorError): KeyvisorError | undefined {
  if (cause.code !== 'fat-full') return undefined
  return new KeyvisorError('esp-too-large', `what the ESP must hold is larger than it: ${cause.message}`, {
    hint: 'raise `stick.esp`, or leave it out',
    cause,
  })
}
