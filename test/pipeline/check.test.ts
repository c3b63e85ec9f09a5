/** What `build --check` says of two images. Two real builds are compared in test/oracle/locked.test.ts. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { sha256File } from '../../src/base/digests.js'
import { silent } from '../../src/base/progress.js'
import type { BuildResult } from '../../src/pipeline/build.js'
import { compareBuilds } from '../../src/pipeline/check.js'

function build(folder: string, bytes: string): BuildResult {
  const image = join(folder, 'demo.img')
  writeFileSync(image, bytes)
  return { image } as BuildResult
}

t.test('images that differ are no success', async (t) => {
  const folder = t.testdir({ one: {}, two: {} })
  const first = build(join(folder, 'one'), 'bytes')
  const run = { progress: silent }
  const same = build(join(folder, 'two'), 'bytes')
  const { sha256 } = await sha256File(first.image)
  t.equal(await compareBuilds(first, same, run, async () => ['nothing']), sha256)
  const other = build(join(folder, 'two'), 'bytez')
  await t.rejects(
    compareBuilds(first, other, run, async () => ['esp', '/etc/motd']),
    {
      code: 'not-reproducible',
      exitCode: 1,
      message: `a second build does not give the bytes of ${first.image}: esp, /etc/motd`,
    },
  )
})
