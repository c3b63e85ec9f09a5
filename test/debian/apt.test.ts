import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import t from 'tap'
import { sha256 } from '../../src/base/digests.js'
import { KeyvisorError } from '../../src/base/errors.js'
import {
  archiveSources,
  debFileName,
  fetchPackages,
  openApt,
  packageId,
  parseSources,
  parseStanza,
  resolvePackages,
  withComponents,
} from '../../src/debian/apt.js'
import type { LockedPackage } from '../../src/debian/types.js'
import { needTools, ODD_NAME } from '../support/tools.js'

/** As an index of trixie has it, but for shorter dependencies. */
const STANZA = `Package: libvirt-daemon-system
Source: libvirt
Version: 11.3.0-3+deb13u1
Installed-Size: 372
Maintainer: Debian Libvirt Maintainers <pkg-libvirt-maintainers@lists.alioth.debian.org>
Architecture: amd64
Depends: adduser, libvirt-daemon-config-network (= 11.3.0-3+deb13u1), init-system-helpers (>= 1.54~)
Pre-Depends: init-system-helpers (>= 1.54~)
Conffiles:
 /etc/default/libvirt-guests 3fb4db5aa4ad4a37e6c1d9ba1cfb0d41
 /etc/Package: not-a-field
Description-en: Libvirt daemon configuration files
 Libvirt is a C toolkit.
 .
 Package: also not a field.
Multi-Arch: foreign
Homepage: https://libvirt.org/
Section: admin
Priority: optional
Filename: pool/main/libv/libvirt/libvirt-daemon-system_11.3.0-3+deb13u1_amd64.deb
Size: 94252
SHA256: 2f1c0a7bb6b8ef4a4d9de2ab7a1f1c3f6d0b9b6c7d8e9f0a1b2c3d4e5f607182
`

t.test('a stanza is read, and only what installing needs is kept', async (t) => {
  const [item] = parseStanza(STANZA) as [LockedPackage]
  t.match(item, {
    name: 'libvirt-daemon-system',
    version: '11.3.0-3+deb13u1',
    architecture: 'amd64',
    sha256: '2f1c0a7bb6b8ef4a4d9de2ab7a1f1c3f6d0b9b6c7d8e9f0a1b2c3d4e5f607182',
    size: 94252,
    filename: 'pool/main/libv/libvirt/libvirt-daemon-system_11.3.0-3+deb13u1_amd64.deb',
  })
  t.strictSame(
    item.stanza
      .trimEnd()
      .split('\n')
      .map((line) => line.split(':')[0]),
    [
      'Package',
      'Source',
      'Version',
      'Installed-Size',
      'Architecture',
      'Depends',
      'Pre-Depends',
      'Multi-Arch',
      'Section',
      'Priority',
      'Filename',
      'Size',
      'SHA256',
    ],
  )
  t.ok(item.stanza.endsWith('\n'))
  t.equal(packageId(item), 'libvirt-daemon-system_11.3.0-3+deb13u1_amd64')
  t.equal(debFileName(item), 'libvirt-daemon-system_11.3.0-3+deb13u1_amd64.deb')
})

t.test('an empty stanza is none', async (t) => {
  t.strictSame(parseStanza(''), [])
  t.strictSame(parseStanza('\n \n'), [])
})

t.test('lines of sources.list are read', async (t) => {
  const lines = [
    'deb http://archive.example/debian trixie main',
    'deb [signed-by=/usr/share/keyrings/a.gpg arch=amd64] https://archive.example/security/ trixie-security main contrib',
    'deb-src http://archive.example/debian trixie main',
    '# deb http://archive.example/debian sid main',
    '',
    'deb http://archive.example/debian',
  ]
  t.strictSame(parseSources(lines), [
    { uri: 'http://archive.example/debian', suite: 'trixie', components: 'main' },
    { uri: 'https://archive.example/security', suite: 'trixie-security', components: 'main contrib' },
  ])
})

t.test('components are added to every line, once', async (t) => {
  const lines = [
    'deb http://archive.example/debian trixie main',
    'deb http://archive.example/s trixie-s main',
  ]
  t.strictSame(withComponents(lines, []), lines)
  const more = withComponents(lines, ['non-free-firmware', 'contrib', 'non-free-firmware'])
  t.strictSame(
    parseSources(more).map(({ components }) => components),
    ['main non-free-firmware contrib', 'main non-free-firmware contrib'],
  )
})

t.test(
  'without a mirror in the profile mmdebstrap tells its own, security and updates included',
  async (t) => {
    if (!needTools(t, 'mmdebstrap')) return
    const suites = parseSources(await archiveSources('trixie', undefined)).map(({ suite }) => suite)
    t.strictSame(suites, ['trixie', 'trixie-updates', 'trixie-security'])
  },
)

t.test("a profile's mirror is the only source", async (t) => {
  if (!needTools(t, 'mmdebstrap')) return
  const sources = await archiveSources('trixie', 'http://archive.example/debian')
  t.match(parseSources(sources), [
    { uri: 'http://archive.example/debian', suite: 'trixie', components: 'main' },
  ])
  t.equal(sources.length, 1)
})

t.test('a suite that nobody knows is told as mmdebstrap tells it', async (t) => {
  if (!needTools(t, 'mmdebstrap')) return
  const answer = await archiveSources('no-such-suite', undefined).catch((error) => error)
  // mmdebstrap takes unknown suites for Debian ones, or refuses: both are answers, a crash is none.
  t.ok(
    Array.isArray(answer) || (answer instanceof KeyvisorError && answer.code === 'tool-failed'),
    String(answer),
  )
})

t.test('a mirror that has no index is unreachable', async (t) => {
  if (!needTools(t, 'apt-get')) return
  const folder = t.testdir({ apt: {}, archive: {} })
  const line = `deb file:${join(folder, 'archive')} trixie main`
  await t.rejects(openApt([line], join(folder, 'apt')), {
    code: 'mirror-unreachable',
    message: join(folder, 'archive'),
    hint: /network|mirror/,
  })
})

t.test('a package that nobody knows is told from an apt that cannot work', async (t) => {
  if (!needTools(t, 'apt-get')) return
  const folder = t.testdir()
  const place = join(folder, ODD_NAME)
  await t.rejects(openApt(['deb file:/nonexistent trixie main'], place), { code: 'mirror-unreachable' })
  const apt = { folder: place, epoch: 0 }
  const request = { set: 'host', suite: 'trixie', architecture: 'amd64', packages: ['no-such-package'] }
  rmSync(join(place, 'status'))
  mkdirSync(join(place, 'status'))
  await t.rejects(resolvePackages(apt, request, false), {
    code: 'tool-failed',
    message: /read \(21: Is a directory\)/,
  })
  rmdirSync(join(place, 'status'))
  writeFileSync(join(place, 'status'), '')
  await t.rejects(resolvePackages(apt, request, false), {
    code: 'package-unknown',
    message: /Unable to locate package no-such-package/,
  })
})

// ------------------------------------------------------------------------------------ fetching, from a folder

function archive(folder: string, name: string, text: string): LockedPackage {
  const filename = `pool/${name}_1%3a2_amd64.deb`
  writeFileSync(join(folder, filename), text)
  return {
    name,
    version: '1:2',
    architecture: 'amd64',
    sha256: sha256(text),
    size: text.length,
    filename,
    stanza: '',
  }
}

t.test('packages are fetched from the first archive that has them, each under its digest', async (t) => {
  if (!needTools(t, 'apt-get')) return
  const folder = t.testdir({ one: { pool: {} }, two: { pool: {} }, [ODD_NAME]: {} })
  const a = archive(join(folder, 'one'), 'a', 'AAA')
  const b = archive(join(folder, 'two'), 'b', 'B')
  const archives = ['one', 'two'].map((name) => `copy:${join(folder, name)}`)
  let told = 0
  await fetchPackages([a, b], archives, join(folder, ODD_NAME), (bytes) => {
    told = bytes
  })
  t.ok(existsSync(join(folder, ODD_NAME, `${sha256('AAA')}.deb`)))
  t.ok(existsSync(join(folder, ODD_NAME, `${sha256('B')}.deb`)))
  t.equal(told, 4, 'the last word on progress is everything')
})

t.test('what an archive broke off, or has other bytes of, is taken from the next', async (t) => {
  if (!needTools(t, 'apt-get')) return
  const folder = t.testdir({ other: { pool: {} }, good: { pool: {} }, out: {} })
  const a = archive(join(folder, 'good'), 'a', 'A'.repeat(1000))
  writeFileSync(join(folder, 'other', a.filename), 'B'.repeat(1000))
  const server = createServer((_, response) => {
    response.writeHead(200, { 'content-length': 1000 })
    response.write('A'.repeat(10), () => response.destroy())
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => server.close())
  const { port } = server.address() as AddressInfo
  const archives = [`http://127.0.0.1:${port}`, `copy:${folder}/other`, `copy:${folder}/good`]
  await fetchPackages([a], archives, join(folder, 'out'), () => {})
  t.equal(readFileSync(join(folder, 'out', `${a.sha256}.deb`), 'utf8'), 'A'.repeat(1000))
})

t.test('other bytes than the locked ones do not come in', async (t) => {
  if (!needTools(t, 'apt-get')) return
  const folder = t.testdir({ one: { pool: {} }, out: {} })
  const a = archive(join(folder, 'one'), 'a', 'AAA')
  writeFileSync(join(folder, 'one', a.filename), 'BAD')
  await t.rejects(
    fetchPackages([a], [`copy:${folder}/one`], join(folder, 'out'), () => {}),
    {
      code: 'package-gone',
      message: /a 1:2/,
    },
  )
  t.strictSame(
    readdirSync(join(folder, 'out')).filter((name) => name.endsWith('.deb')),
    [],
  )
})
