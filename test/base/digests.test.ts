import { createHash } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import {
  canonicalJson,
  derivedUuid,
  type Json,
  sha256,
  sha256File,
  stretchedDigest,
} from '../../src/base/digests.js'
import { systemTools } from '../../src/base/tool.js'
import { needTool } from '../support/tools.js'

t.test('digests are those of the standard', async (t) => {
  // FIPS 180-2, appendix B.1: the message "abc".
  const abc = 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad'
  t.equal(sha256('abc'), abc)
  t.equal(sha256(new TextEncoder().encode('abc')), abc)
})

t.test("a file's digest is sha256sum's", async (t) => {
  if (!needTool(t, 'sha256sum')) return
  const path = join(t.testdir(), 'file')
  // More than the stream reads at once, and no whole number of it.
  writeFileSync(path, Buffer.alloc(3_000_001, 'keyvisor'))
  const { stdout } = await systemTools.run({ tool: 'sha256sum', args: [path] })
  t.strictSame(await sha256File(path), { sha256: stdout.slice(0, 64), size: 3_000_001 })
  await t.rejects(sha256File(`${path}.none`), { code: 'ENOENT' })
})

t.test('canonical JSON sorts keys by code unit, at every depth', async (t) => {
  t.equal(
    canonicalJson({ b: 1, a: [{ d: null, c: true }], B: 'x' }),
    '{"B":"x","a":[{"c":true,"d":null}],"b":1}',
  )
  // By code unit a surrogate (U+D83D) comes before U+FF21; by code point or by locale it does not.
  t.equal(
    canonicalJson({ '\uff21': 1, '\u{1f600}': 2, é: 3, z: 4 }),
    '{"z":4,"é":3,"\u{1f600}":2,"\uff21":1}',
  )
  t.equal(canonicalJson({ '10': 1, '9': 2 }), '{"10":1,"9":2}')
})

t.test('equal values give equal text whatever order they were written in', async (t) => {
  t.equal(canonicalJson({ a: 1, b: { c: 2, d: 3 } }), canonicalJson({ b: { d: 3, c: 2 }, a: 1 }))
  t.not(canonicalJson([1, 2]), canonicalJson([2, 1]))
  t.not(canonicalJson({ a: '1' }), canonicalJson({ a: 1 }))
})

t.test('what JSON cannot carry is a bug', async (t) => {
  for (const value of [Number.NaN, Number.POSITIVE_INFINITY]) {
    t.throws(() => canonicalJson({ a: value }), /BUG/)
  }
  t.throws(() => canonicalJson({ a: undefined } as unknown as Json), /BUG/)
})

t.test('a derived UUID has version 8 and the variant of RFC 9562', async (t) => {
  const form = /^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/
  for (let count = 0; count < 100; count++) t.match(derivedUuid('disk', String(count)), form)
})

t.test('a derived UUID is the start of a digest, but for its marks', async (t) => {
  const digest = createHash('sha256').update('["disk","demo"]').digest('hex')
  const plain = derivedUuid('disk', 'demo').replaceAll('-', '')
  t.equal(plain.slice(0, 12), digest.slice(0, 12))
  t.equal(plain.slice(13, 16), digest.slice(13, 16))
  t.equal(plain.slice(17), digest.slice(17, 32))
})

t.test('words do not run into each other', async (t) => {
  t.not(derivedUuid('ab', 'c'), derivedUuid('a', 'bc'))
  t.not(derivedUuid('a'), derivedUuid('a', ''))
  t.equal(derivedUuid('a', 'b'), derivedUuid('a', 'b'))
})

t.test("a weak text's digest is OpenSSL's scrypt, with the cost that guessing shall have", async (t) => {
  if (!needTool(t, 'openssl')) return
  const options = ['pass:known to all', 'salt:demo', 'n:131072', 'r:8', 'p:1', 'maxmem_bytes:167772160']
  const args = ['kdf', '-keylen', '32', ...options.flatMap((option) => ['-kdfopt', option]), 'SCRYPT']
  const { stdout } = await systemTools.run({ tool: 'openssl', args })
  t.equal(stretchedDigest('known to all', 'demo'), stdout.trim().replaceAll(':', '').toLowerCase())
})
