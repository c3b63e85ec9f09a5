import { mkdirSync, readdirSync, readFileSync, statSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { Interrupted } from '../../src/base/errors.js'
import { systemTools } from '../../src/base/tool.js'
import { MiB } from '../../src/base/units.js'
import { type BundleForm, writeBundle } from '../../src/publish/bundle.js'
import { needTool } from '../support/tools.js'

const EPOCH = 1_764_201_601
const FORMS: BundleForm[] = ['zip', 'tar']

/** Two folders with the same files, of other dates and modes. */
function folders(t: Test): string[] {
  const root = t.testdir({})
  return ['one', 'two'].map((name, index) => {
    const folder = join(root, name)
    mkdirSync(folder)
    for (const [file, bytes] of [
      ['a.img', Buffer.alloc(5 * MiB, 'a')],
      ['b.json', Buffer.from('{}\n')],
    ] as const) {
      writeFileSync(join(folder, file), bytes, { mode: index ? 0o600 : 0o644 })
      utimesSync(join(folder, file), index * 1000, index * 1000)
    }
    return folder
  })
}

const request = (form: BundleForm, folder: string) => ({
  form,
  path: join(folder, `bundle.${form}`),
  epoch: EPOCH,
  mode: 0o640,
  files: ['a.img', 'b.json'].map((file) => join(folder, file)),
})

for (const form of FORMS) {
  t.test(`the same files give the same ${form}, whatever their dates and modes`, async (t) => {
    const bundles: Buffer[] = []
    for (const folder of folders(t)) {
      let told = 0
      await writeBundle(request(form, folder), (bytes) => (told += bytes))
      bundles.push(readFileSync(join(folder, `bundle.${form}`)))
      t.equal(told, bundles.at(-1)?.length, 'progress tells each byte once')
      t.equal(statSync(join(folder, `bundle.${form}`)).mode & 0o777, 0o640)
    }
    t.ok(bundles[0]?.equals(bundles[1] as Buffer))
    t.ok((bundles[0] as Buffer).length < 5 * MiB + 8192)
  })

  t.test(`what is interrupted leaves no ${form}`, async (t) => {
    const [folder = ''] = folders(t)
    const controller = new AbortController()
    const onBytes = () => controller.abort(new Interrupted())
    await t.rejects(writeBundle(request(form, folder), onBytes, controller.signal), { code: 'interrupted' })
    t.strictSame(readdirSync(folder).sort(), ['a.img', 'b.json'])
  })

  t.test(`a file that is gone leaves no ${form}`, async (t) => {
    const [folder = ''] = folders(t)
    const { files, ...rest } = request(form, folder)
    await t.rejects(
      writeBundle({ ...rest, files: [...files, join(folder, 'none')] }, () => {}),
      { code: 'ENOENT' },
    )
    t.strictSame(readdirSync(folder).sort(), ['a.img', 'b.json'])
  })
}

t.test('a member keeps the date of the epoch and mode 0644', async (t) => {
  if (!needTool(t, 'tar')) return
  const [folder = ''] = folders(t)
  await writeBundle(request('tar', folder), () => {})
  const args = ['--utc', '--full-time', '-tvf', join(folder, 'bundle.tar')]
  const { stdout } = await systemTools.run({ tool: 'tar', args })
  t.match(
    stdout,
    /^-rw-r--r-- 0\/0 +5242880 2025-11-27 00:00:01 a\.img\n-rw-r--r-- 0\/0 +3 2025-11-27 00:00:01 b\.json\n$/,
  )
})
