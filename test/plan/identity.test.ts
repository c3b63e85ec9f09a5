import t from 'tap'
import { type Card, guestSerial, guestUuid, identifyCards } from '../../src/plan/identity.js'

const card = (guest: string, index = 0): Card => ({ guest, index })

t.test('names alone decide', async (t) => {
  t.strictSame(identifyCards('demo', [card('a')]), identifyCards('demo', [card('a')]))
  t.notSame(identifyCards('demo', [card('a')]), identifyCards('other', [card('a')]))
  t.equal(guestUuid('demo', 'a'), guestUuid('demo', 'a'))
  t.not(guestUuid('demo', 'a'), guestUuid('demo', 'b'))
  // Joined without a border these two would be one.
  t.not(guestUuid('demo', 'ab'), guestUuid('demoa', 'b'))
})

t.test('neither the order of guests nor another guest changes an identity', async (t) => {
  const [a, b] = identifyCards('demo', [card('a'), card('b')])
  t.strictSame(identifyCards('demo', [card('b'), card('a')]), [b, a])
  t.strictSame(identifyCards('demo', [card('a'), card('b'), card('zz')]).slice(0, 2), [a, b])
})

t.test('a full network has no two equal identities', async (t) => {
  const identities = identifyCards(
    'demo',
    Array.from({ length: 190 }, (_, index) => card(`g${index}`)),
  )
  t.equal(new Set(identities.map((one) => one.mac)).size, 190)
  t.equal(new Set(identities.map((one) => one.address)).size, 190)
  for (const { mac, address } of identities) {
    if (!/^52:54:00(:[0-9a-f]{2}){3}$/.test(mac)) t.fail(mac)
    const host = Number(/^172\.29\.86\.([0-9]+)$/.exec(address)?.[1])
    if (!(host >= 10 && host <= 199)) t.fail(address)
  }
})

t.test('one card more is refused', async (t) => {
  const cards = Array.from({ length: 191 }, (_, index) => card('g', index))
  t.throws(() => identifyCards('demo', cards), { message: /^BUG: 191 / })
})

t.test("a user's own MAC stays, and no other card gets it", async (t) => {
  const [derived] = identifyCards('demo', [card('b')])
  const taken = { ...card('a'), mac: (derived?.mac ?? '').toUpperCase() }
  const [own, other] = identifyCards('demo', [taken, card('b')])
  t.equal(own?.mac, derived?.mac)
  t.not(other?.mac, derived?.mac)
  t.match(other?.mac, /^52:54:00/)
})

t.test('serials fit a virtio disk', async (t) => {
  t.match(guestSerial('demo', 'a', 'disk-0'), /^KV[0-9A-F]{18}$/)
  t.not(guestSerial('demo', 'a', 'disk-0'), guestSerial('demo', 'a', 'disk-1'))
})
