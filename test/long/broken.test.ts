/**
 * Sticks that were broken on purpose: each fails with a check that names the cause, and leaves a picture of its screen.
 */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { GiB } from '../../src/base/units.js'
import { isBlank, isPng } from '../../src/lab/png.js'
import { type Proof, type ProveOptions, proveImage } from '../../src/lab/prove.js'
import { withTrial } from '../../src/lab/trial.js'
import { damageLibrary, partitionsOf, removeLibrary, removeSquashfs } from '../support/breakage.js'
import { copyImage, isEvent, onStick, openDemo, openStick, waitFor } from '../support/demo.js'
import { needTools } from '../support/tools.js'

const demo = needTools(t, 'mcopy', 'sgdisk') ? await openDemo(t) : undefined
const mute = demo && (await openStick(t, 'fixtures/sticks/mute.yaml'))

/** Fills data to the last block that a guest can have. What is reserved (mke2fs(8), -m) only root can write to. */
const FILL = `sudo chmod 1777 /data
available=$(df --output=avail -B1 /data | tail -n 1)
fallocate -l $((available - (32 << 20))) /data/fill
dd if=/dev/zero of=/data/rest bs=64k 2>/dev/null
dd if=/dev/zero of=/data/crumbs bs=4k 2>/dev/null
sync`

if (demo && mute) {
  t.setTimeout(90 * 60 * 1000)
  const folder = t.testdir()
  const image = join(folder, 'broken.img')
  const partitions = await partitionsOf(demo.image)

  /** Boots what shall fail; a check of `name` shall give the reason. The report lies in a folder of that name. */
  const fails = async (t: Test, path: string, name: string, why: RegExp, options: ProveOptions = {}) => {
    const report = join(folder, `report ${name}`)
    const proof = await proveImage(path, { accelerator: 'tcg', report, ...options }, demo.place)
    t.notOk(proof.passed)
    const named = proof.checks.some((check) => !check.passed && check.name === name && why.test(check.detail))
    t.ok(named, `${name} names the cause`, { checks: proof.checks, serial: proof.serialTail })
    const last = proof.screens.at(-1)
    if (!t.match(last, { name: 'failure', file: 'screen.png' }, 'a picture', { unseen: proof.unseen }))
      return proof
    const png = await readFile(join(report, last?.file ?? ''))
    t.ok(isPng(png) && !isBlank(png), 'which shows something')
    return proof
  }

  const guestsOf = ({ events }: Proof) => events.filter(isEvent('guest'))

  await t.test('a kernel without squashfs', async (t) => {
    await copyImage(demo.image, image)
    await removeSquashfs(image, partitions, folder)
    const proof = await fails(t, image, 'problem root', /root cannot be mounted: .* cannot read squashfs/)
    t.notOk(proof.events.some(isEvent('host')), 'the host does not come up')
  })

  await t.test('a guest that never gets ready', async (t) => {
    const proof = await fails(t, mute.image, 'guest mute', /^it was not ready within 240 s$/, {
      deadline: 240,
    })
    t.ok(proof.events.some(isEvent('host')), 'the host is up')
  })

  await t.test('a data partition that is full', async (t) => {
    const keep = join(folder, 'full.qcow2')
    const options = { accelerator: 'tcg', ssh: true, keep, stickSize: 4 * GiB } as const
    await withTrial(demo.image, options, demo.place, async (trial) => {
      t.match(
        await waitFor(trial, 900, isEvent('done')),
        { guests: { ready: 2 } },
        'as long as there is space',
      )
      await onStick(trial, FILL)
    })
    const proof = await fails(t, demo.image, 'problem data', /^the data partition is full /, { keep })
    t.notOk(
      guestsOf(proof).every(({ state }) => state === 'ready'),
      'and guests suffer',
    )
  })

  await t.test('a library with a flipped byte', async (t) => {
    await copyImage(demo.image, image)
    t.ok((await damageLibrary(image, partitions)) > 0, 'the library holds disks')
    const proof = await fails(
      t,
      image,
      'problem verity',
      /^verity: library has a block that is not as it was built$/,
    )
    t.strictSame([...new Set(guestsOf(proof).map(({ state }) => state))], ['failed'])
  })

  await t.test('no library', async (t) => {
    await copyImage(demo.image, image)
    await removeLibrary(image, partitions)
    const proof = await fails(t, image, 'problem library', /^the stick has no library \(partition 6\)/)
    t.ok(proof.events.some(isEvent('host')), 'the host is up')
    t.strictSame(guestsOf(proof), [])
  })
}
