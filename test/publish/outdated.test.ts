/** What lies beside a new image, and is of an earlier one. */
import t from 'tap'
import { outdatedArtifacts } from '../../src/publish/outdated.js'

const artifact = (path: string) => ({ path, sha256: '', size: 0 })
const digest = '0'.repeat(64)

t.test('each artifact that was not made now has a warning; other files have none', async (t) => {
  const folder = t.testdir({
    'a.img': '',
    'a.manifest.json': '',
    'a.img.zst': '',
    'a.bmap': '',
    'a.zip': '',
    'b.img.zst': '',
    'a.txt': '',
    SHA256SUMS: `${digest}  a.img\n`,
    'SHA256SUMS.minisig': '',
  })
  const found = await outdatedArtifacts(folder, 'a', [
    artifact(`${folder}/a.img`),
    artifact('elsewhere/a.zip'),
  ])
  t.strictSame(
    found.map(({ file }) => file.slice(folder.length + 1)),
    ['a.img.zst', 'a.bmap', 'SHA256SUMS', 'SHA256SUMS.minisig'],
  )
  t.match(found[0], { code: 'outdated', severity: 'warning', hint: /--artifacts/ })
})

t.test('checksums that cannot be read may be of this one', async (t) => {
  const folder = t.testdir({ SHA256SUMS: {} })
  t.match(await outdatedArtifacts(folder, 'a', []), [
    { code: 'outdated', message: 'may be of an earlier image, and cannot be read: it is a folder' },
  ])
})

t.test('checksums of another stick are left alone', async (t) => {
  const folder = t.testdir({ SHA256SUMS: `${digest}  b.img\n`, 'SHA256SUMS.minisig': '' })
  t.strictSame(await outdatedArtifacts(folder, 'a', []), [])
  t.strictSame(await outdatedArtifacts(t.testdir({}), 'a', []), [])
})
