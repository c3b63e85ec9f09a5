import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import type { ProgressEvent } from '../../src/base/progress.js'
import { GiB, MiB } from '../../src/base/units.js'
import type { ManifestGuest } from '../../src/build/manifest.js'
import { Store } from '../../src/build/store.js'
import { loadMachines, MACHINES_FILE } from '../../src/lab/machines.js'
import { sizesOn, walkImage } from '../../src/lab/walk.js'
import type { ReportEvent } from '../../src/plan/report.js'

const web = {
  ...{ name: 'web', autostart: 10, cpus: { min: 1, max: 2 } },
  memory: { min: 256 * MiB, max: 512 * MiB },
} as unknown as ManifestGuest
const pc = { memory: 3 * GiB, cpus: 1, accelerator: 'tcg', virtualization: true } as const

t.test("under KVM the host's word on virtualization counts", async (t) => {
  const host = (accelerator: 'kvm' | 'tcg') => [{ event: 'host', accelerator } as unknown as ReportEvent]
  const kvm = { ...pc, accelerator: 'kvm' } as const
  t.equal(sizesOn(kvm, [web], host('kvm'))[0]?.accelerator, 'kvm')
  t.equal(sizesOn(kvm, [web], host('tcg'))[0]?.accelerator, 'tcg')
  t.equal(sizesOn(pc, [web], host('tcg'))[0]?.accelerator, 'kvm', 'under TCG it is sure')
  t.equal(sizesOn({ ...pc, virtualization: false }, [web], host('kvm'))[0]?.accelerator, 'tcg')
})

t.test('what is no image ends a walk before anything is fetched, made or started', async (t) => {
  const store = await Store.open(join(t.testdir(), 'store'))
  const heard: ProgressEvent[] = []
  const run = { store, progress: (event: ProgressEvent) => void heard.push(event) }
  const machines = await loadMachines(MACHINES_FILE)
  await t.rejects(walkImage('/nowhere.img', machines, {}, run), { code: 'no-such-file' })
  t.strictSame(heard, [])
  t.strictSame(readdirSync(join(store.folder, 'tmp')), [])
})
