import fc from 'fast-check'
import t from 'tap'
import { ARCHITECTURES } from '../../src/arch/architecture.js'
import { KeyvisorError } from '../../src/base/errors.js'
import { GiB, KiB, MiB } from '../../src/base/units.js'
import { encodeGpt } from '../../src/disk/gpt.js'
import { PARTITION_TYPE } from '../../src/disk/partition-type.js'
import type { StickPlan } from '../../src/stick/definition.js'
import {
  biosBootFirst,
  checkFits,
  estimateLayout,
  layoutStick,
  type Payloads,
  partitionBytes,
} from '../../src/stick/layout.js'
import { below, holds } from '../support/property.js'
import { payloads, STICK } from '../support/stick.js'

t.test('the partitions of the stick', async (t) => {
  const layout = layoutStick(STICK, 'demo', payloads())
  // In MiB: bios-boot 1..2, esp 2..258, free 258..386, root-a 386..770, root-b 770..1154, settings 1154..1218, library of 125
  // 1218..1343.
  t.same(
    layout.partitions.map(({ guid: _, ...partition }) => partition),
    [
      {
        number: 1,
        name: 'bios-boot',
        type: PARTITION_TYPE.biosBoot,
        first: 2048,
        last: 4095,
        payload: 'biosBoot',
        used: 105297,
      },
      {
        number: 2,
        name: 'esp',
        type: PARTITION_TYPE.esp,
        first: 4096,
        last: 528383,
        payload: 'esp',
        used: 256 * MiB,
      },
      {
        number: 3,
        name: 'root-a',
        type: ARCHITECTURES.amd64.rootPartition,
        first: 790528,
        last: 1576959,
        payload: 'root',
        used: 184 * MiB,
      },
      {
        number: 4,
        name: 'root-b',
        type: ARCHITECTURES.amd64.rootPartition,
        first: 1576960,
        last: 2363391,
        payload: null,
        used: 0,
      },
      {
        number: 5,
        name: 'settings',
        type: PARTITION_TYPE.basicData,
        first: 2363392,
        last: 2494463,
        payload: 'settings',
        used: 64 * MiB,
      },
      {
        number: 6,
        name: 'library',
        type: PARTITION_TYPE.library,
        first: 2494464,
        last: 2750463,
        payload: 'library',
        used: 100 * MiB,
      },
    ],
  )
  t.equal(layout.sectors, 1344 * 2048, 'the backup GPT takes one MiB more')
  t.same(layout.data, { number: 7, name: 'data', first: 2750464, minimum: 512 * MiB })
  t.equal(layout.smallestStick, (1343 + 512 + 1) * MiB)
  t.equal(layout.estimated, false)
  t.equal(biosBootFirst(STICK), 2048)
})

t.test('a library of a fixed size', async (t) => {
  const layout = layoutStick({ ...STICK, library: { size: 700 * MiB + 1 } }, 'demo', payloads())
  t.equal(partitionBytes(layout.partitions[5] as never), 701 * MiB)
})

t.test('GUIDs derive from the payloads and the name, and from nothing else', async (t) => {
  const first = layoutStick(STICK, 'demo', payloads())
  const guids = (layout: typeof first) => [layout.diskGuid, ...layout.partitions.map(({ guid }) => guid)]
  t.same(guids(layoutStick(STICK, 'demo', payloads())), guids(first))
  t.equal(new Set(guids(first)).size, 7, 'no two alike')
  const others = [
    layoutStick(STICK, 'other', payloads()),
    ...(['biosBoot', 'esp', 'root', 'settings', 'library'] as const).map((name) =>
      layoutStick(STICK, 'demo', payloads({ [name]: { ...payloads()[name], digest: 'f'.repeat(64) } })),
    ),
  ]
  t.equal(new Set([first, ...others].flatMap(guids)).size, 49, 'every GUID changes with any of them')
})

t.test('payloads that do not fit are named with their figure and what to do', async (t) => {
  const large = (name: keyof Payloads, size: number) => () =>
    layoutStick(
      { ...STICK, library: { size: 200 * MiB } },
      'demo',
      payloads({ [name]: { size, digest: '' } }),
    )
  t.throws(large('root', 384 * MiB + 1), {
    code: 'root-too-large',
    message:
      'the root payload of 384MiB (402653185 bytes) is larger than its partition root-a of 384MiB (402653184 bytes)',
    hint: /stick\.rootSlot/,
  })
  t.doesNotThrow(large('root', 384 * MiB))
  t.throws(large('esp', 300 * MiB), { code: 'esp-too-large', hint: /stick\.esp/ })
  t.throws(large('library', 201 * MiB), { code: 'library-too-large', hint: /stick\.library/ })
  t.throws(large('biosBoot', 2 * MiB), { code: 'bios-boot-too-large' })
})

t.test('the smallest stick is exact', async (t) => {
  const { smallestStick } = layoutStick(STICK, 'demo', payloads())
  t.doesNotThrow(() => layoutStick({ ...STICK, minimumSize: smallestStick }, 'demo', payloads()))
  t.throws(() => layoutStick({ ...STICK, minimumSize: smallestStick - 1 }, 'demo', payloads()), {
    code: 'stick-too-small',
    message:
      /need a stick of 1\.8GiB \(1946157056 bytes\); `stick\.minimumSize` is 1\.8GiB \(1946157055 bytes\)/,
    hint: /stick\.minimumSize/,
  })
})

t.test('an estimate has the same shape, and does not throw', async (t) => {
  const sizes = {
    biosBoot: 105297,
    esp: 256 * MiB,
    root: 184 * MiB,
    settings: 64 * MiB,
    library: 100 * MiB,
  }
  const exact = layoutStick(STICK, 'demo', payloads())
  t.same(estimateLayout(STICK, sizes), {
    ...exact,
    estimated: true,
    diskGuid: '',
    partitions: exact.partitions.map((partition) => ({ ...partition, guid: '' })),
  })
  const tooLarge = estimateLayout(STICK, { ...sizes, library: 100 * GiB })
  t.throws(() => checkFits(tooLarge, STICK), { code: 'stick-too-small' })
})

t.test('any plan gives aligned partitions without overlap, which the GPT encoder takes', async (t) => {
  const sticks = fc
    .record({
      alignment: below(4).map((power) => MiB * 2 ** power),
      esp: fc.integer({ min: 1, max: 300 * MiB }),
      rootSlot: fc.integer({ min: 1, max: 600 * MiB }),
      library: fc.oneof(
        fc.record({ size: fc.integer({ min: 1, max: GiB }) }),
        fc.record({ headroomPercent: below(100) }),
      ),
      secondEsp: below(200 * MiB),
      settings: below(100 * MiB),
      dataMinimum: below(GiB),
    })
    .map((plan): StickPlan => ({ ...STICK, ...plan }))
  const payloads = fc.record({
    biosBoot: below(MiB),
    esp: below(MiB),
    root: below(MiB),
    settings: below(MiB),
    library: below(2 ** 31),
  })
  const fits = (stick: StickPlan, sizes: Parameters<typeof estimateLayout>[1]) => {
    const { alignment } = stick
    const layout = estimateLayout(stick, sizes)
    const wrong = layout.partitions.some((partition, index) => {
      const next = layout.partitions[index + 1]?.first ?? layout.data?.first ?? 0
      const free = partition.name === 'esp' ? Math.ceil(stick.secondEsp / alignment) * alignment : 0
      return (partition.first * 512) % alignment !== 0 || (next - partition.last - 1) * 512 !== free
    })
    const guid = '00000000-0000-8000-8000-000000000001'
    const partitions = layout.partitions.map((partition) => ({ ...partition, guid, attributes: 0n }))
    encodeGpt(guid, layout.sectors, partitions)
    const spare = layout.sectors - ((layout.partitions.at(-1)?.last ?? 0) + 1)
    if (wrong || spare < 33 || spare * 512 > alignment + 33 * KiB) throw new Error('misplaced')
    if ('headroomPercent' in stick.library && partitionBytes(layout.partitions[5] as never) < sizes.library)
      throw new Error('no room for the library')
  }
  await holds(t, 300, fc.property(sticks, payloads, fits))
})

t.test('errors are for people', async (t) => {
  const error = t.throws(() => layoutStick({ ...STICK, minimumSize: MiB }, 'demo', payloads()))
  t.ok(error instanceof KeyvisorError)
})
