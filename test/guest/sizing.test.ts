import fc from 'fast-check'
import t from 'tap'
import { formatBytes, GiB, MiB } from '../../src/base/units.js'
import type { LibraryGuest } from '../../src/guest/definition.js'
import { hostReserve, type Pc, sizeGuests } from '../../src/guest/sizing.js'
import { guest } from '../support/guests.js'
import { below, holds } from '../support/property.js'

const pc = (memory: number, cpus = 4, kvm = true): Pc => ({ memory, cpus, kvm })

function sized(memory: number, name: string, autostart: number | null, max = memory): LibraryGuest {
  return guest(name, { memory: { min: memory, max }, autostart })
}

t.test('the host keeps an eighth, between 512 MiB and 2 GiB', async (t) => {
  t.equal(hostReserve(2 * GiB), 512 * MiB)
  t.equal(hostReserve(4 * GiB), 512 * MiB)
  t.equal(hostReserve(8 * GiB), GiB)
  t.equal(hostReserve(64 * GiB), 2 * GiB)
})

t.test('a large PC gives everybody the most', async (t) => {
  const [first] = sizeGuests([guest('a')], pc(32 * GiB, 8))
  t.strictSame(first, { name: 'a', start: true, reason: '', memory: GiB, cpus: 2, accelerator: 'kvm' })
})

t.test('what is left is shared in proportion to what each could use', async (t) => {
  // 4 GiB less 512 MiB for the host, 2 x 512 MiB of minimums and 2 x 64 MiB for QEMU: 2432 MiB to share, 1 to 3.
  const guests = [sized(512 * MiB, 'a', 1, 1536 * MiB), sized(512 * MiB, 'b', 2, 3584 * MiB)]
  const memory = sizeGuests(guests, pc(4 * GiB)).map((one) => one.memory / MiB)
  t.strictSame(memory, [512 + 608, 512 + 1824])
})

t.test('emulation takes more for itself', async (t) => {
  // 2432 MiB of the case above less 2 x (192 - 64) MiB: 2176 MiB.
  const guests = [sized(512 * MiB, 'a', 1, 1536 * MiB), sized(512 * MiB, 'b', 2, 3584 * MiB)]
  const all = sizeGuests(guests, pc(4 * GiB, 4, false))
  t.strictSame(
    all.map((one) => one.memory / MiB),
    [512 + 544, 512 + 1632],
  )
  t.ok(all.every((one) => one.accelerator === 'tcg'))
})

t.test('minimums that just fit all start', async (t) => {
  // 2 GiB less 512 MiB for the host is exactly what the two need: nothing is taken off for QEMU.
  const guests = [sized(GiB, 'a', 1, 2 * GiB), sized(512 * MiB, 'b', 2)]
  const memory = sizeGuests(guests, pc(2 * GiB)).map((one) => one.start && one.memory)
  t.strictSame(memory, [GiB, 512 * MiB])
})

t.test('start order decides who gets the last memory', async (t) => {
  const guests = [sized(GiB, 'late', 20), sized(GiB, 'early', 10), sized(256 * MiB, 'small', 30)]
  const all = sizeGuests(guests, pc(2 * GiB))
  t.strictSame(
    all.map((one) => [one.name, one.start]),
    [
      ['early', true],
      ['late', false],
      ['small', true],
    ],
  )
  t.equal(all[1]?.reason, 'needs 1GiB of memory, 512MiB is left on this PC')
})

t.test('a guest that needs more CPUs than there are is not started', async (t) => {
  const [only] = sizeGuests([guest('a', { cpus: { min: 4, max: 8 } })], pc(8 * GiB, 2))
  t.equal(only?.start, false)
  t.equal(only?.reason, 'needs 4 CPUs, this PC has 2')
})

t.test('a guest without autostart comes last, sized for what the others leave', async (t) => {
  // 4 GiB less 512 MiB for the host and 2 GiB for `a`: 1.5 GiB, less 64 MiB for each QEMU's own need.
  const all = sizeGuests([sized(256 * MiB, 'manual', null, 8 * GiB), sized(2 * GiB, 'a', 1)], pc(4 * GiB))
  t.strictSame(
    all.map((one) => [one.name, one.start, one.memory / MiB]),
    [
      ['a', true, 2048],
      ['manual', false, 1536 - 64],
    ],
  )
})

t.test('a minimum that is no whole number of MiB is rounded up', async (t) => {
  t.equal(sizeGuests([sized(MiB + 1, 'a', 1)], pc(4 * GiB))[0]?.memory, 2 * MiB)
})

t.test("a share is one of all the PC's memory, what the host keeps included", async (t) => {
  const half = guest('a', { memory: { min: 512 * MiB, max: { percent: 50 } } })
  const memory = (pc_: Pc) => sizeGuests([half], pc_)[0]?.memory
  t.equal(memory(pc(16 * GiB)), 8 * GiB)
  t.equal(memory(pc(2 * GiB)), GiB)
  // 3 % of 1000 MiB are 30 MiB, and 7 % of 1001 MiB are 70.07 MiB.
  const percent = (value: number) => guest('a', { memory: { min: MiB, max: { percent: value } } })
  t.equal(sizeGuests([percent(3)], pc(1000 * MiB))[0]?.memory, 30 * MiB)
  t.equal(sizeGuests([percent(7)], pc(1001 * MiB))[0]?.memory, 70 * MiB)
})

t.test('a share below the least is the least, and all of it is what the host leaves', async (t) => {
  const tenth = guest('a', { memory: { min: 512 * MiB, max: { percent: 10 } } })
  t.match(sizeGuests([tenth], pc(2 * GiB))[0], { start: true, memory: 512 * MiB })
  // 2 GiB less 512 MiB for the host and 64 MiB for QEMU.
  const all = guest('a', { memory: { min: 512 * MiB, max: { percent: 100 } } })
  t.equal(sizeGuests([all], pc(2 * GiB))[0]?.memory, (2048 - 512 - 64) * MiB)
})

t.test('two shares that come to more than there is are both cut', async (t) => {
  const share = (name: string, autostart: number) =>
    guest(name, { memory: { min: 512 * MiB, max: { percent: 75 } }, autostart })
  // 4 GiB less 512 MiB for the host, 2 x 512 MiB of minimums and 2 x 64 MiB for QEMU: 2432 MiB, half each.
  const memory = sizeGuests([share('a', 1), share('b', 2)], pc(4 * GiB)).map((one) => one.memory / MiB)
  t.strictSame(memory, [512 + 1216, 512 + 1216])
})

t.test('properties of any PC with any guests', async (t) => {
  const machine = fc
    .record({ memory: from(256, 40_256), cpus: from(1, 16), kvm: fc.boolean() })
    .map(({ memory, cpus, kvm }) => pc(memory * MiB, cpus, kvm))
  const guests = fc
    .array(wish, { maxLength: 7 })
    .map((wishes) => wishes.map((wish, index) => guest(`g${index}`, wish)))
  const keepsRules = (guests: LibraryGuest[], machine: Pc) => {
    const broken = brokenRule(guests, machine)
    if (broken) throw new Error(broken)
  }
  await holds(t, 2000, fc.property(guests, machine, keepsRules))
})

const from = (min: number, max: number) => fc.integer({ min, max })

/** What a guest asks for, of memory (in MiB), CPUs and its place in the order. */
const wish = fc
  .record({
    least: from(1, 4096),
    more: fc.oneof(
      { weight: 2, arbitrary: below(8192) },
      from(1, 100).map((percent) => ({ percent })),
    ),
    cpus: from(1, 6),
    moreCpus: below(8),
    autostart: fc.option(below(1000), { freq: 4 }),
  })
  .map(({ least, more, cpus, moreCpus, autostart }) => ({
    memory: { min: least * MiB, max: typeof more === 'number' ? (least + more) * MiB : more },
    cpus: { min: cpus, max: cpus + moreCpus },
    autostart,
  }))

/** The most that a guest may have on a PC. */
function most({ memory: { min, max } }: LibraryGuest, machine: Pc): number {
  return typeof max === 'number' ? max : Math.max(min, (machine.memory * max.percent) / 100)
}

/** The first rule that the sizes break. */
function brokenRule(guests: LibraryGuest[], machine: Pc): string | undefined {
  const all = sizeGuests(guests, machine)
  const started = all.filter((one) => one.start)
  const given = started.reduce((total, one) => total + one.memory, hostReserve(machine.memory))
  if (started.length > 0 && given > machine.memory) return `${formatBytes(given)} is more than there is`
  if (all.length !== guests.length) return 'a guest is missing'
  for (const one of all) {
    const wanted = guests.find((other) => other.name === one.name)
    if (!wanted) return 'an unknown guest'
    if (one.memory % MiB !== 0) return 'no whole MiB'
    if (one.memory < wanted.memory.min || one.memory > most(wanted, machine))
      return 'memory outside its range'
    if (one.cpus < wanted.cpus.min || one.cpus > wanted.cpus.max) return 'CPUs outside their range'
    if (one.start && one.cpus > machine.cpus) return 'more CPUs than there are'
    const before = all.slice(0, all.indexOf(one))
    const order = wanted.autostart ?? Number.POSITIVE_INFINITY
    const overtaken = before.find((other) => orderOf(guests, other.name) > order)
    if (overtaken) return `${overtaken.name} comes before ${one.name}`
    if (one.start !== (one.reason === '')) return 'a reason that does not fit'
    if (wanted.autostart === null && one.start) return 'started without autostart'
    // What a guest found was at least what is left over at the end.
    if (one.reason.includes('memory') && wanted.memory.min <= machine.memory - given) return 'there was room'
  }
  return undefined
}

function orderOf(guests: LibraryGuest[], name: string): number {
  return guests.find((guest) => guest.name === name)?.autostart ?? Number.POSITIVE_INFINITY
}
