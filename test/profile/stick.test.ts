/**
 * What `validate` says of memory and room is what the stick and the build say: asked of many random profiles.
 */
import fc, { type Arbitrary } from 'fast-check'
import t from 'tap'
import { type Bytes, MiB } from '../../src/base/units.js'
import { hostReserve, sizeGuests } from '../../src/guest/sizing.js'
import type { Lock } from '../../src/lock/types.js'
import { makePlan } from '../../src/plan/plan.js'
import { checkRules } from '../../src/profile/rules.js'
import { layoutStick } from '../../src/stick/layout.js'
import type { Guest, Profile, Stick } from '../../src/yaml/profile.gen.js'
import { below, holds } from '../support/property.js'

const lock: Lock = {
  version: 1,
  epoch: 1_750_000_000,
  requests: '',
  asked: [],
  packages: {},
  sources: {},
  sets: {},
  files: {},
}

function planOf(profile: Profile) {
  return makePlan(profile, lock, { folder: '/', sshKeyFiles: {}, virtualSizes: {} })
}

const codesOf = (profile: Profile) => checkRules(profile).map(({ code }) => code)

const from = (min: number, max: number) => fc.integer({ min, max })

/** Around whole units, where rounding shows. */
const around = (count: Arbitrary<number>, unit: Arbitrary<Bytes>) =>
  fc.tuple(count, unit, fc.constantFrom(0, 0, 1, -1)).map(([count, unit, off]) => count * unit + off)

const size = (most: number) => around(from(1, most), fc.constant(MiB)).map((bytes) => `${bytes}B`)

const share = from(1, 100).map((percent) => `${percent}%`)

const memory: Arbitrary<NonNullable<Guest['memory']>> = from(1, 4096).chain((min) =>
  fc.oneof(
    share,
    fc.constant(`${min}MiB`),
    below(3).map((more) => `${min * MiB + more}B`),
    share.map((max) => ({ min: `${min}MiB`, max })),
    below(4096).map((more) => ({ min: `${min}MiB`, max: `${min + more}MiB` })),
  ),
)

/** What a guest asks for; whether it starts by itself, and how early. */
const wish = fc.record(
  {
    cpus: fc.constantFrom<NonNullable<Guest['cpus']>[]>(1, 4, { min: 1, max: 8 }),
    memory,
    autostart: fc.oneof(fc.constant<false>(false), below(9)),
  },
  { requiredKeys: ['cpus'] },
)

/** Up to five guests, no two of which start at the same place. */
const guests: Arbitrary<Guest[]> = fc.array(wish, { maxLength: 5 }).map((wishes) =>
  wishes.map(({ autostart, ...wish }, index) => ({
    name: `g${index}`,
    source: { debian: {} },
    ...wish,
    ...(typeof autostart === 'number' ? { autostart: { order: 1 + autostart * 10 + index } } : {}),
    ...(autostart === false ? { autostart } : {}),
  })),
)

/** Memory of the smallest PC, small ones above all. */
const minimumMemory = around(
  fc.oneof(from(1, 1), from(1, 4), from(1, 32)),
  fc.constantFrom(256 * MiB, 512 * MiB, 1024 * MiB),
)

t.test('a profile is valid where the smallest PC starts every guest that it shall start', async (t) => {
  let refused = 0
  const isSaid = (guests: Guest[], minimum: Bytes, kvm: boolean) => {
    const profile: Profile = { version: 1, name: 'demo', guests, stick: { minimumMemory: `${minimum}B` } }
    const { guests: planned } = planOf(profile)
    const sized = sizeGuests(planned, { memory: minimum, cpus: 64, kvm })
    const wanted = planned.filter(({ autostart }) => autostart !== null)
    const started = sized.filter(({ start }) => start)
    const fits = started.length === wanted.length && minimum >= hostReserve(minimum)
    const isRefused = codesOf(profile).includes('memory-too-small')
    if (isRefused) refused++
    return isRefused !== fits
  }
  await holds(t, 4000, fc.property(guests, minimumMemory, fc.boolean(), isSaid))
  t.ok(refused > 400 && refused < 3600, `${refused} of 4000 were refused`)
})

t.test('16 GiB with a guest of 15 GiB: the host keeps two there', async (t) => {
  const profile = (memory: string): Profile => {
    const guests = [{ name: 'large', source: { debian: {} }, memory }]
    return { version: 1, name: 'demo', guests, stick: { minimumMemory: '16GiB' } }
  }
  const [finding] = checkRules(profile('15GiB')).filter(({ code }) => code === 'memory-too-small')
  t.match(finding, {
    path: ['stick', 'minimumMemory'],
    message:
      'guest large does not start on a PC of 16GiB: it needs 15GiB of memory, 14GiB is left on this PC',
  })
  t.notOk(codesOf(profile('14GiB')).includes('memory-too-small'))
})

t.test('an ESP at its least, which depends on what the initrd carries', async (t) => {
  const isRefused = (esp: string, host?: Profile['host']) =>
    codesOf({ version: 1, name: 'demo', stick: { esp }, ...(host && { host }) }).includes('below-least')
  t.notOk(isRefused('33MiB', { firmware: ['realtek'] }))
  t.ok(isRefused('32MiB', { firmware: [] }))
  t.notOk(isRefused('40MiB'))
  t.ok(isRefused('39MiB'), 'microcode is among the default')
  t.ok(isRefused('39MiB', { firmware: ['microcode'] }))
})

t.test('a profile is refused where no payloads are small enough for its stick', async (t) => {
  let refused = 0
  const payload = { digest: 'ab'.repeat(32), size: 1 }
  const payloads = { biosBoot: payload, esp: payload, root: payload, settings: payload, library: payload }
  const sizes = { esp: size(300), rootSlot: size(500), minimumSize: size(2500), library: size(500) }
  const sticks = fc.record(sizes, { requiredKeys: ['esp', 'rootSlot', 'minimumSize'] })
  const isSaid = (stick: Partial<Stick>) => {
    const profile: Profile = { version: 1, name: 'demo', stick }
    const { stick: planned } = planOf(profile)
    let code = ''
    try {
      layoutStick(planned, 'demo', payloads)
    } catch (error) {
      code = (error as { code: string }).code
    }
    const isRefused = codesOf(profile).includes('stick-too-small')
    if (isRefused) refused++
    return isRefused === (code === 'stick-too-small')
  }
  await holds(t, 2000, fc.property(sticks, isSaid))
  t.ok(refused > 200 && refused < 1800, `${refused} of 2000 were refused`)
})
