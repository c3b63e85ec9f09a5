import t from 'tap'
import { GiB, MiB } from '../../src/base/units.js'
import type { ReportEvent } from '../../src/guest/report.js'
import { type Sizing, sizesOn, tooMuchOf } from '../../src/lab/expected-sizes.js'
import type { ManifestGuest } from '../../src/stick/manifest.js'

const web = {
  name: 'web',
  autostart: 10,
  cpus: { min: 1, max: 2 },
  memory: { min: 256 * MiB, max: 512 * MiB },
} as unknown as ManifestGuest

/** What the guest has, where the host says so of its accelerator. */
function sizes(pc: Partial<Sizing['pc']>, said: 'kvm' | 'tcg', guests = [web]) {
  const usual = { memory: 3 * GiB, cpus: 1, accelerator: 'tcg', virtualization: true } as const
  const events = [{ event: 'host', accelerator: said } as unknown as ReportEvent]
  return sizesOn({ pc: { ...usual, ...pc }, manifest: { guests }, events })
}

t.test("under KVM the host's word on virtualization counts", async (t) => {
  t.equal(sizes({ accelerator: 'kvm' }, 'kvm')[0]?.accelerator, 'kvm')
  t.equal(sizes({ accelerator: 'kvm' }, 'tcg')[0]?.accelerator, 'tcg')
  t.equal(sizes({}, 'tcg')[0]?.accelerator, 'kvm', 'under TCG it is sure')
  t.equal(sizes({ virtualization: false }, 'kvm')[0]?.accelerator, 'tcg')
})

t.test('what a PC is too small for, and why', async (t) => {
  const large = { ...web, name: 'large', autostart: 20, memory: { min: 2 * GiB, max: 2 * GiB } }
  t.strictSame(
    [...tooMuchOf(sizes({ memory: GiB }, 'kvm', [web, large]))],
    [['large', 'needs 2GiB of memory, 256MiB is left on this PC']],
  )
  t.equal(tooMuchOf(sizes({}, 'kvm')).size, 0)
})
