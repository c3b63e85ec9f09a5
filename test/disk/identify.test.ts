import { mkdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import t from 'tap'
import { systemTools } from '../../src/base/tool.js'
import { KiB, MiB } from '../../src/base/units.js'
import { identify } from '../../src/disk/identify.js'
import { holds } from '../support/property.js'
import { needTool } from '../support/tools.js'

const UUID = '0a1b2c3d-4e5f-8071-8293-a4b5c6d7e8f9'

/** What identify says of a file of `size` bytes that a tool has formatted. */
async function formatted(path: string, size: number, tool: string, ...args: string[]) {
  writeFileSync(path, '')
  truncateSync(path, size)
  await systemTools.run({ tool, args: [...args, path] })
  return identify(readFileSync(path).subarray(0, 4096))
}

t.test('ext4', async (t) => {
  if (!needTool(t, 'mke2fs')) return
  const path = join(t.testdir(), 'ext4')
  const options = ['-q', '-F', '-U', UUID, '-L', 'library']
  t.same(await formatted(path, 8 * MiB, 'mke2fs', ...options, '-t', 'ext4', '-b', '4096'), {
    kind: 'ext4',
    bytes: 8 * MiB,
    label: 'library',
    uuid: UUID,
  })
  t.match(await formatted(path, 3 * MiB, 'mke2fs', ...options, '-t', 'ext2', '-b', '1024'), {
    kind: 'ext4',
    bytes: 3 * MiB,
  })
  const huge = 'a file system whose count of blocks does not fit 32 bits'
  const wide = ['-t', 'ext4', '-b', '1024', '-O', '64bit', '-E', 'lazy_itable_init=1']
  const head = Buffer.alloc(4096)
  readFileSync(path).copy(head, 0, 0, 4096)
  t.ok(await formatted(path, 8 * MiB, 'mke2fs', ...options, ...wide))
  readFileSync(path).copy(head, 0, 0, 4096)
  head.writeUInt32LE(2, 1024 + 0x150)
  t.match(identify(head), { bytes: 8 * MiB + 2 * 2 ** 32 * KiB }, huge)
})

t.test('labels cannot steer a terminal', async (t) => {
  const head = Buffer.alloc(4096)
  head.writeUInt16LE(0xef53, 1024 + 56)
  head.write('\x1b[2Jab\x9b', 1024 + 120, 'latin1')
  t.match(identify(head), { kind: 'ext4', label: '?[2Jab?' })
})

t.test('FAT of each width', async (t) => {
  if (!needTool(t, 'mkfs.vfat')) return
  const path = join(t.testdir(), 'fat')
  const cases: [string, number][] = [
    ['12', 2 * MiB],
    ['16', 20 * MiB],
    ['32', 64 * MiB],
  ]
  for (const [width, size] of cases) {
    const found = await formatted(path, size, 'mkfs.vfat', '-F', width, '-n', 'KEYVISOR')
    t.same(found, { kind: 'fat', bytes: size, label: 'KEYVISOR' }, `FAT${width}`)
  }
})

t.test('squashfs', async (t) => {
  if (!needTool(t, 'mksquashfs')) return
  const folder = t.testdir()
  mkdirSync(join(folder, 'root'))
  writeFileSync(join(folder, 'root', 'file'), 'x'.repeat(5000))
  const path = join(folder, 'squashfs')
  await systemTools.run({
    tool: 'mksquashfs',
    args: [join(folder, 'root'), path, '-quiet', '-no-progress', '-noappend'],
  })
  const { stdout } = await systemTools.run({ tool: 'unsquashfs', args: ['-s', path] })
  const bytes = Number(/Filesystem size (\d+) bytes/.exec(stdout)?.[1])
  t.ok(bytes > 0)
  t.same(identify(readFileSync(path)), { kind: 'squashfs', bytes })
})

t.test('LUKS of both versions', async (t) => {
  if (!needTool(t, 'cryptsetup')) return
  const path = join(t.testdir(), 'luks')
  const key = join(t.testdir({ key: 'secret' }), 'key')
  const quick = [
    '--pbkdf',
    'pbkdf2',
    '--pbkdf-force-iterations',
    '1000',
    '--key-file',
    key,
    '-q',
    '--uuid',
    UUID,
  ]
  const format = (...options: string[]) => {
    writeFileSync(path, '')
    truncateSync(path, 20 * MiB)
    return systemTools.run({ tool: 'cryptsetup', args: ['luksFormat', ...quick, ...options, path] })
  }
  await format('--type', 'luks2', '--label', 'data')
  t.same(identify(readFileSync(path)), { kind: 'luks', version: 2, uuid: UUID, label: 'data' })
  await format('--type', 'luks1')
  t.same(identify(readFileSync(path)), { kind: 'luks', version: 1, uuid: UUID, label: '' })
})

t.test('nothing, and what is not known', async (t) => {
  t.same(identify(Buffer.alloc(4096)), { kind: 'zeros' })
  t.same(identify(Buffer.alloc(0)), { kind: 'zeros' })
  t.same(identify(Buffer.alloc(9000, 1)), { kind: 'unknown' })
  t.same(identify(Buffer.from('hsqs')), { kind: 'unknown' }, 'a magic number alone is not enough')
})

t.test('noise never throws', async (t) => {
  const start = fc.constantFrom('hsqs', 'LUKS\xba\xbe', 'verity\0\0', '\xeb\x58\x90')
  const isKnown = (start: string, noise: Uint8Array) => {
    const bytes = Buffer.from(noise)
    bytes.write(start, 'latin1')
    return typeof identify(bytes).kind === 'string'
  }
  await holds(t, 500, fc.property(start, fc.uint8Array({ maxLength: 4200 }), isKnown))
})
