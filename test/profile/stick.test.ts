/**
 * What `validate` says of memory and room is what the stick and the build say: asked of many random profiles.
 */
import t from 'tap'
import { MiB } from '../../src/base/units.js'
import { hostReserve, sizeGuests } from '../../src/guest/sizing.js'
import type { Lock } from '../../src/lock/types.js'
import { makePlan } from '../../src/plan/plan.js'
import type { Guest, Profile, Stick } from '../../src/profile/profile.gen.js'
import { checkRules } from '../../src/profile/rules.js'
import { layoutStick } from '../../src/stick/layout.js'
import { seeded, seedOfRun } from '../support/tools.js'

const random = seeded(seedOfRun())
const pick = <T>(...values: T[]): T => values[random(values.length)] as T

const lock: Lock = {
  ...{ version: 1, epoch: 1_750_000_000, requests: '', asked: [], packages: {} },
  ...{ sources: {}, sets: {}, images: {} },
}

function planOf(profile: Profile) {
  return makePlan(profile, lock, { folder: '/', sshKeyFiles: {}, virtualSizes: {} })
}

const codesOf = (profile: Profile) => checkRules(profile).map(({ code }) => code)

/** Around whole MiB, where rounding shows. */
const size = (most: number) => `${(1 + random(most)) * MiB + pick(0, 0, 1, -1)}B`

function memory(): Guest['memory'] {
  const min = 1 + random(4096)
  const share = `${1 + random(100)}%`
  return pick<Guest['memory']>(
    undefined as never,
    share,
    `${min}MiB`,
    `${min * MiB + random(3)}B`,
    { min: `${min}MiB`, max: share },
    { min: `${min}MiB`, max: `${min + random(4096)}MiB` },
  )
}

function guest(index: number): Guest {
  const given = memory()
  const autostart = pick<Guest['autostart'] | undefined>(undefined, false, {
    order: 1 + random(9) * 10 + index,
  })
  return {
    name: `g${index}`,
    source: { debian: {} },
    cpus: pick<NonNullable<Guest['cpus']>>(1, 4, { min: 1, max: 8 }),
    ...(given === undefined ? {} : { memory: given }),
    ...(autostart === undefined ? {} : { autostart }),
  }
}

t.test('a profile is valid where the smallest PC starts every guest that it shall start', async (t) => {
  let refused = 0
  for (let round = 0; round < 4000; round++) {
    const guests = Array.from({ length: random(6) }, (_, index) => guest(index))
    const minimum =
      (random(pick<number>(1, 4, 32)) + 1) * pick<number>(256, 512, 1024) * MiB + pick(0, 0, 1, -1)
    const profile: Profile = { version: 1, name: 'demo', guests, stick: { minimumMemory: `${minimum}B` } }
    const { guests: planned } = planOf(profile)
    const sized = sizeGuests(planned, { memory: minimum, cpus: 64, kvm: pick(true, false) })
    const wanted = planned.filter(({ autostart }) => autostart !== null)
    const started = sized.filter(({ start }) => start)
    const fits = started.length === wanted.length && minimum >= hostReserve(minimum)
    const isRefused = codesOf(profile).includes('memory-too-small')
    if (isRefused) refused++
    if (isRefused === fits) t.fail(JSON.stringify(profile), { sized })
  }
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
  const payload = { sha256: 'ab'.repeat(32), size: 1 }
  const payloads = { biosBoot: payload, esp: payload, root: payload, library: payload }
  for (let round = 0; round < 2000; round++) {
    const stick: Partial<Stick> = { esp: size(300), rootSlot: size(500), minimumSize: size(2500) }
    if (pick(true, false)) stick.library = size(500)
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
    if (isRefused !== (code === 'stick-too-small')) t.fail(JSON.stringify(profile), { code })
  }
  t.ok(refused > 200 && refused < 1800, `${refused} of 2000 were refused`)
})
