/** What `build --check` says of two images. Two real builds are compared in test/oracle/locked.test.ts. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { sha256File } from '../../src/base/digests.js'
import { silent } from '../../src/base/progress.js'
import { SECTOR } from '../../src/base/units.js'
import type { BuildResult } from '../../src/build/build.js'
import { compareBuilds, differingPartitions } from '../../src/build/check.js'

/** A disk of sectors that are full of one letter each, with a partition `esp` at 1 to 2 and `root-a` at 3. */
function build(folder: string, letters: string, last = 3): BuildResult {
  const image = join(folder, `${letters}.img`)
  writeFileSync(image, Buffer.concat([...letters].map((letter) => Buffer.alloc(SECTOR, letter))))
  const partitions = [
    { name: 'esp', first: 1, last: 2 },
    { name: 'root-a', first: 3, last },
  ]
  return { image, manifest: { layout: { partitions } } } as unknown as BuildResult
}

t.test('partitions that differ are named', async (t) => {
  const folder = t.testdir()
  const first = build(folder, 'GABCZ')
  const cases: [BuildResult, string[]][] = [
    [build(folder, 'GAxCZ'), ['esp']],
    [build(folder, 'GABxZ'), ['root-a']],
    [build(folder, 'GxBxZ'), ['esp', 'root-a']],
    [build(folder, 'xABCZ'), ['partition tables or boot code']],
    [build(folder, 'GABCx'), ['partition tables or boot code']],
    [build(folder, 'GABCZ', 4), ['root-a']],
  ]
  for (const [second, names] of cases) t.strictSame(await differingPartitions(first, second), names)
})

t.test('images that differ are no success', async (t) => {
  const folder = t.testdir({ one: {}, two: {} })
  const first = build(join(folder, 'one'), 'GABCZ')
  const run = { progress: silent }
  const same = build(join(folder, 'two'), 'GABCZ')
  const { sha256 } = await sha256File(first.image)
  t.equal(await compareBuilds(first, same, run, differingPartitions), sha256)
  const other = build(join(folder, 'two'), 'GAxCZ')
  await t.rejects(compareBuilds(first, other, run, differingPartitions), {
    code: 'not-reproducible',
    exitCode: 1,
    message: `a second build does not give the bytes of ${first.image}: esp`,
  })
  await t.rejects(
    compareBuilds(first, other, run, async () => ['/etc/motd']),
    { message: /: \/etc\/motd$/ },
  )
})
