import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import t from 'tap'
import { KeyvisorError } from '../../src/base/errors.js'
import { systemTools } from '../../src/base/tool.js'
import { GiB, KiB, MiB } from '../../src/base/units.js'
import {
  decodeQcow2,
  looksLikeQcow2,
  QCOW2_HEAD_BYTES,
  refuseCutQcow2,
  refuseUnsafeQcow2,
} from '../../src/disk/qcow2.js'
import { type Change, changed, holds, noise, readOrRefused } from '../support/property.js'
import { needTool } from '../support/tools.js'

/** A version 3 header as qemu-img writes it: 1 GiB, 64 KiB clusters, no extension but the end. */
function header(change: (bytes: Buffer) => void = () => {}): Buffer {
  const bytes = Buffer.alloc(QCOW2_HEAD_BYTES)
  bytes.write('QFI\xfb', 'latin1')
  bytes.writeUInt32BE(3, 4)
  bytes.writeUInt32BE(16, 20)
  bytes.writeBigUInt64BE(1n << 30n, 24)
  bytes.writeUInt32BE(2, 36)
  bytes.writeBigUInt64BE(0x30000n, 40)
  bytes.writeBigUInt64BE(0x10000n, 48)
  bytes.writeUInt32BE(1, 56)
  bytes.writeUInt32BE(4, 96)
  bytes.writeUInt32BE(112, 100)
  change(bytes)
  return bytes
}

const decoded = (change?: (bytes: Buffer) => void) => decodeQcow2(header(change), 'web.qcow2')
const refusal = (change: (bytes: Buffer) => void) => () => refuseUnsafeQcow2(decoded(change), 'web.qcow2')

function extension(bytes: Buffer, type: number, text: string): void {
  bytes.writeUInt32BE(type, 112)
  bytes.writeUInt32BE(text.length, 116)
  bytes.write(text, 120)
}

t.test('a plain image passes', async (t) => {
  t.match(decoded(), {
    version: 3,
    size: GiB,
    clusterBytes: 64 * KiB,
    backingFile: null,
    dataFile: null,
    encryption: 'none',
    compression: 'zlib',
    dirty: false,
    corrupt: false,
    extendedL2: false,
    snapshots: 0,
    bitmaps: false,
    l1Bytes: 16,
    refcountTableBytes: 64 * KiB,
    refcountBits: 16,
    offsets: { l1Table: 192 * KiB, refcountTable: 64 * KiB, snapshots: 0 },
  })
  t.doesNotThrow(refusal(() => {}))
  t.doesNotThrow(
    refusal((bytes) => bytes.writeUInt8(1, 79)),
    'dirty: only its reference counts are old',
  )
})

t.test('images that reach for other files', async (t) => {
  const withBacking = (bytes: Buffer) => {
    bytes.writeUInt32BE(512, 12)
    bytes.writeUInt32BE(11, 16)
    bytes.write('/etc/\x1bshadow', 512)
    extension(bytes, 0xe2792aca, 'raw')
  }
  t.same(decoded(withBacking).backingFile, { name: '/etc/\x1bshado', format: 'raw' })
  t.throws(refusal(withBacking), {
    code: 'qcow2-backing-file',
    message: 'web.qcow2: has a backing file, "/etc/\\u001bshado"',
    hint: /qemu-img convert/,
  })
  t.throws(
    refusal((bytes) => bytes.writeUInt8(1, 8)),
    { code: 'qcow2-backing-file' },
    'an offset beyond the file, without a name, is a backing file too',
  )
  t.throws(
    refusal((bytes) => bytes.writeUInt8(4, 79)),
    { code: 'qcow2-data-file' },
    'the feature bit alone',
  )
  t.throws(
    refusal((bytes) => extension(bytes, 0x44415441, '/dev/sda')),
    { code: 'qcow2-data-file', message: 'web.qcow2: has an external data file, "/dev/sda"' },
    'the extension alone',
  )
})

t.test('images that cannot be used', async (t) => {
  const cases: [string, (bytes: Buffer) => void][] = [
    ['qcow2-encrypted', (bytes) => bytes.writeUInt32BE(1, 32)],
    ['qcow2-encrypted', (bytes) => bytes.writeUInt32BE(2, 32)],
    ['qcow2-encrypted', (bytes) => bytes.writeUInt32BE(9, 32)],
    ['qcow2-encrypted', (bytes) => extension(bytes, 0x0537be77, 'x'.repeat(16))],
    ['qcow2-corrupt', (bytes) => bytes.writeUInt8(2, 79)],
    ['qcow2-unknown-feature', (bytes) => bytes.writeUInt8(32, 79)],
    ['qcow2-unknown-feature', (bytes) => bytes.writeUInt8(128, 72)],
    [
      'qcow2-unknown-feature',
      (bytes) => {
        bytes.writeUInt8(8, 79)
        bytes.writeUInt8(7, 104)
      },
    ],
    ['qcow2-absurd-size', (bytes) => bytes.writeBigUInt64BE(0n, 24)],
    ['qcow2-absurd-size', (bytes) => bytes.writeBigUInt64BE(1n << 62n, 24)],
    ['qcow2-absurd-size', (bytes) => bytes.writeBigUInt64BE((1n << 30n) + 1n, 24)],
    ['qcow2-absurd-size', (bytes) => bytes.writeUInt32BE(0x400001, 36)],
    ['qcow2-absurd-size', (bytes) => bytes.writeUInt32BE(1, 36)],
    ['qcow2-absurd-size', (bytes) => bytes.writeUInt32BE(129, 56)],
    ['qcow2-absurd-size', (bytes) => bytes.writeUInt32BE(65537, 60)],
    [
      'qcow2-absurd-size',
      (bytes) => {
        bytes.writeUInt8(16, 79)
        bytes.writeUInt32BE(13, 20)
        bytes.writeUInt32BE(4096, 36)
      },
    ],
  ]
  for (const [code, change] of cases) t.throws(refusal(change), { code }, `${code}: ${change}`)
})

t.test('tables that are not where the header says', async (t) => {
  const size = 192 * KiB + 16
  const cut = (change: (bytes: Buffer) => void, bytes = size) => {
    return () => refuseCutQcow2(decoded(change), bytes, 'web.qcow2')
  }
  t.doesNotThrow(
    cut(() => {}),
    'the file of an empty image ends with its L1 table',
  )
  const cases: [RegExp, (bytes: Buffer) => void, number?][] = [
    [/L1 table ends at byte 196624, and the file has 196623/, () => {}, size - 1],
    [/L1 table cannot begin at byte 0/, (bytes) => bytes.writeBigUInt64BE(0n, 40)],
    [/L1 table cannot begin at byte 196609/, (bytes) => bytes.writeBigUInt64BE(0x30001n, 40)],
    [/L1 table ends at byte/, (bytes) => bytes.writeBigUInt64BE(1n << 63n, 40)],
    [/refcount table cannot begin at byte 1/, (bytes) => bytes.writeBigUInt64BE(1n, 48)],
    [/refcount table ends at byte/, (bytes) => bytes.writeUInt32BE(100, 56)],
    [/snapshot table cannot begin at byte 0/, (bytes) => bytes.writeUInt32BE(1, 60)],
  ]
  for (const [message, change, bytes] of cases) {
    t.throws(cut(change, bytes), { code: 'qcow2-damaged', message }, `${message}`)
  }
  const none = (bytes: Buffer) => {
    bytes.writeBigUInt64BE(0n, 48)
    bytes.writeUInt32BE(0, 56)
  }
  t.throws(cut(none), { code: 'qcow2-damaged' })
  t.doesNotThrow(
    cut((bytes) => none(bytes) ?? bytes.writeUInt8(1, 79)),
    'a dirty image may have no counts',
  )
})

t.test('headers that cannot be believed', async (t) => {
  const cases: [RegExp, (bytes: Buffer) => void][] = [
    [/version 1/, (bytes) => bytes.writeUInt32BE(1, 4)],
    [/version 4/, (bytes) => bytes.writeUInt32BE(4, 4)],
    [/cluster_bits 8/, (bytes) => bytes.writeUInt32BE(8, 20)],
    [/cluster_bits 22/, (bytes) => bytes.writeUInt32BE(22, 20)],
    [/header_length 96/, (bytes) => bytes.writeUInt32BE(96, 100)],
    [/header_length 113/, (bytes) => bytes.writeUInt32BE(113, 100)],
    [/refcount_order 7/, (bytes) => bytes.writeUInt32BE(7, 96)],
    [/compression_type 1/, (bytes) => bytes.writeUInt8(1, 104)],
    [/compression_type 0/, (bytes) => bytes.writeUInt8(8, 79)],
    [/backing_file_size 1024/, (bytes) => bytes.fill(4, 14, 16) && bytes.writeUInt32BE(1024, 16)],
  ]
  for (const [message, change] of cases) {
    t.throws(() => decoded(change), { code: 'qcow2-damaged', message }, `${message}`)
  }
  const endless = (bytes: Buffer) => bytes.writeBigUInt64BE(0x1234_0000_ffff_fff0n, 112)
  const cut = { code: 'qcow2-damaged', message: /^web\.qcow2 is damaged: .* needs [0-9]+ bytes/ }
  t.throws(() => decoded(endless), cut)
  t.throws(() => decoded((bytes) => bytes.writeUInt32BE(0xfffffff8, 100)), cut)
  t.throws(() => decodeQcow2(Buffer.from('not one'), 'web.qcow2'), { code: 'qcow2-damaged' })
  t.throws(() => decodeQcow2(Buffer.alloc(0), 'web.qcow2'), { code: 'qcow2-damaged' })
  t.notOk(looksLikeQcow2(Buffer.from('QFI')))
})

t.test('images of qemu-img, with every option', async (t) => {
  if (!needTool(t, 'qemu-img')) return
  const folder = t.testdir()
  const create = async (name: string, ...options: string[]) => {
    await systemTools.run({
      tool: 'qemu-img',
      args: ['create', '-q', '-f', 'qcow2', ...options],
      cwd: folder,
    })
    const bytes = readFileSync(join(folder, name))
    const header = decodeQcow2(bytes.subarray(0, QCOW2_HEAD_BYTES), name)
    t.doesNotThrow(() => refuseCutQcow2(header, bytes.length, name), `${name} is whole`)
    return header
  }
  const plain = await create('plain.qcow2', 'plain.qcow2', '100M')
  t.match(plain, {
    version: 3,
    size: 100 * MiB,
    clusterBytes: 64 * KiB,
    compression: 'zlib',
    refcountBits: 16,
  })
  t.doesNotThrow(() => refuseUnsafeQcow2(plain, 'plain'))

  const old = await create('old.qcow2', '-o', 'compat=0.10', 'old.qcow2', '100M')
  t.match(old, { version: 2, size: 100 * MiB, backingFile: null, refcountBits: 16 })
  t.doesNotThrow(() => refuseUnsafeQcow2(old, 'old'))

  const zstd = 'extended_l2=on,cluster_size=128k,compression_type=zstd,refcount_bits=1,lazy_refcounts=on'
  const modern = await create('modern.qcow2', '-o', zstd, 'modern.qcow2', '3T')
  t.match(modern, { extendedL2: true, clusterBytes: 128 * KiB, compression: 'zstd', refcountBits: 1 })
  t.doesNotThrow(() => refuseUnsafeQcow2(modern, 'modern'), 'the L1 table of a large disk is large enough')

  const small = await create('small.qcow2', '-o', 'cluster_size=512', 'small.qcow2', '1G')
  t.equal(small.clusterBytes, 512)
  t.doesNotThrow(() => refuseUnsafeQcow2(small, 'small'))

  const overlay = await create('top.qcow2', '-F', 'qcow2', '-b', 'plain.qcow2', 'top.qcow2')
  t.same(overlay.backingFile, { name: 'plain.qcow2', format: 'qcow2' })
  t.throws(() => refuseUnsafeQcow2(overlay, 'top'), { code: 'qcow2-backing-file' })

  const outside = await create('out.qcow2', '-o', 'data_file=bytes.raw,data_file_raw=on', 'out.qcow2', '1M')
  t.equal(outside.dataFile, 'bytes.raw')
  t.throws(() => refuseUnsafeQcow2(outside, 'out'), { code: 'qcow2-data-file' })

  const secret = ['--object', 'secret,id=s,data=x', '-o']
  const aes = await create(
    'aes.qcow2',
    ...secret,
    'encrypt.format=aes,encrypt.key-secret=s',
    'aes.qcow2',
    '1M',
  )
  t.equal(aes.encryption, 'aes')
  t.throws(() => refuseUnsafeQcow2(aes, 'aes'), { code: 'qcow2-encrypted' })

  const luks = ['encrypt.format=luks,encrypt.key-secret=s', 'luks.qcow2', '1M']
  const locked = await retried(() => create('luks.qcow2', ...secret, ...luks))
  t.equal(locked.encryption, 'luks')
  t.throws(() => refuseUnsafeQcow2(locked, 'luks'), { code: 'qcow2-encrypted' })
})

/** QEMU times its key derivation by CPU time, and gives up where that clock ticks too coarsely. */
async function retried<T>(work: () => Promise<T>, attempts = 30): Promise<T> {
  return work().catch((error: Error) => {
    if (attempts === 0 || !error.message.includes('accurate CPU usage')) throw error
    return retried(work, attempts - 1)
  })
}

t.test('snapshots and bitmaps are told', async (t) => {
  if (!needTool(t, 'qemu-img')) return
  const folder = t.testdir()
  const qemuImg = (...args: string[]) => systemTools.run({ tool: 'qemu-img', args, cwd: folder })
  await qemuImg('create', '-q', '-f', 'qcow2', 'a.qcow2', '1M')
  await qemuImg('snapshot', '-c', 'before', 'a.qcow2')
  await qemuImg('bitmap', '--add', 'a.qcow2', 'changes')
  const bytes = readFileSync(join(folder, 'a.qcow2'))
  const header = decodeQcow2(bytes, 'a')
  t.match(header, { snapshots: 1, bitmaps: true })
  t.doesNotThrow(() => refuseCutQcow2(header, bytes.length, 'a'))
})

t.test('noise and truncation end in nothing but an error for people', async (t) => {
  const whole = header((bytes) => extension(bytes, 0xe2792aca, 'raw'))
  for (let length = 0; length < 140; length++) {
    t.throws(() => decodeQcow2(whole.subarray(0, Math.min(length, 127)), 'cut'), KeyvisorError)
  }
  const decodeNoise = (changes: Change[]) =>
    readOrRefused(() => {
      const noisy = changed(whole.subarray(0, 256), changes)
      refuseUnsafeQcow2(decodeQcow2(noisy, 'noise'), 'noise')
    })
  await holds(t, 5000, fc.asyncProperty(noise(4, 128, 8), decodeNoise))
})
