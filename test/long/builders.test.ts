/**
 * Builders on Debian 12, Debian 13 and Ubuntu 24.04 give the same answers: what `validate` says of every profile that is
 * broken, what becomes of images that are sound, damaged or something else, and the bytes of a stick. Each system has its
 * own mmdebstrap, bubblewrap and apt; Node is this machine's. Needs root and the network, and some twenty minutes.
 *
 * Left out: the bytes of guests from packages, and other differences between builders (`reproduce.test.ts`).
 */
import { execFile } from 'node:child_process'
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import t from 'tap'
import { sha256File } from '../../src/base/digests.js'
import { packageFile } from '../../src/base/package.js'
import { systemTools } from '../../src/base/tool.js'
import { PROGRAM } from '../support/builders/builder.js'
import { BUILDER_SYSTEMS, type Elsewhere, isThisSystem, otherSystem } from '../support/builders/elsewhere.js'
import { needTools, skipAloud } from '../support/tools.js'

const run = promisify(execFile)
const folder = mkdtempSync(join(tmpdir(), 'keyvisor-builders-'))
const lock = join(folder, 'shop.lock.json')
const broken = packageFile('fixtures/profiles/broken')

interface Answer {
  asked: string
  code: number
  stdout: string
  stderr: string
}

/** What the program says, and how it ends. */
async function ask({ options }: Elsewhere, store: string, ...args: string[]): Promise<Answer> {
  const [tool = '', ...before] = [...options.prefix, process.execPath, PROGRAM]
  const env = { PATH: process.env['PATH'], HOME: folder, KEYVISOR_STORE: store, ...options.env }
  const asked = args.join(' ')
  const ended = run(tool, [...before, ...args], { env, cwd: '/', maxBuffer: 64 << 20 })
  return ended.then(
    ({ stdout, stderr }) => ({ asked, code: 0, stdout, stderr }),
    ({ code, stdout, stderr }) => ({ asked, code, stdout, stderr }),
  )
}

/** A profile with one image as its guest, for the image at `shop.qcow2`. */
const profile = join(folder, 'shop.yaml')

async function layImage(): Promise<void> {
  const image = join(folder, 'shop.qcow2')
  const qemu = (...args: string[]) => systemTools.run({ tool: 'qemu-img', args })
  await qemu('create', '-q', '-f', 'qcow2', image, '64M')
  await systemTools.run({ tool: 'qemu-io', args: ['-f', 'qcow2', '-c', 'write -P 7 1M 1M', image] })
  const guest = 'name: shop, source: { image: shop.qcow2, format: qcow2 }, firmware: bios'
  writeFileSync(profile, `version: 1\nname: shop\nguests:\n  - { ${guest} }\n`)
}

/** All that is asked of one builder; the profile's lock is made by the first. */
async function answersOf(builder: Elsewhere, name: string): Promise<{ answers: Answer[]; image: string }> {
  const store = join(folder, 'stores', name)
  const out = join(folder, 'out')
  rmSync(out, { recursive: true, force: true })
  mkdirSync(store, { recursive: true })
  const profiles = readdirSync(broken).filter((file) => /\.(yaml|json)$/.test(file))
  const validated = await ask(
    builder,
    store,
    'validate',
    '--json',
    ...profiles.map((file) => join(broken, file)),
  )
  const built = await ask(builder, store, 'build', profile, '--lock', lock, '--out', out, '--json')
  const { sha256 } = await sha256File(join(out, 'shop.img')).catch(() => ({
    sha256: built.stderr + built.stdout,
  }))
  const asks = [
    ['inspect', join(out, 'shop.img'), '--json'],
    ['inspect', profile],
    ['diff', join(out, 'shop.img'), join(out, 'shop.img'), '--json'],
    ['build', profile, '--lock', lock, '--out', profile],
    ['plan', profile, '--lock', lock, '--json'],
  ]
  const others: Answer[] = []
  for (const args of asks) others.push(await ask(builder, store, ...args))
  return { answers: [validated, ...others], image: sha256 }
}

/** Without what may differ: where the store is, and keys of stages, which name the builder's own mmdebstrap. */
function comparable(answer: Answer | undefined): string[] {
  return JSON.stringify(answer, null, 1)
    .replace(/stores\/\w+/g, 'stores/NAME')
    .replace(/\\"key\\": \\"[0-9a-f]{64}\\"/g, '"key": KEY')
    .split(/\\n|\n/)
}

t.setTimeout(3_600_000)
t.teardown(() => rmSync(folder, { recursive: true, force: true }))

if (process.getuid?.() !== 0) skipAloud(t, 'only root can build in another system')
else if (needTools(t, 'mmdebstrap', 'bwrap', 'unshare', 'qemu-img', 'qemu-io')) {
  chmodSync(folder, 0o755)
  await layImage()
  const here = await answersOf({ varied: [], options: { prefix: [], env: {} } }, 'here')
  t.match(here.image, /^[0-9a-f]{64}$/, 'the stick was built here')
  for (const system of BUILDER_SYSTEMS.filter((item) => !isThisSystem(item))) {
    await t.test(system.title, async (t) => {
      const other = await otherSystem(system, join(folder, system.suite), folder)
      if (!other) throw new Error(`BUG: ${system.title} was not made`)
      const there = await answersOf(other, system.suite)
      t.equal(there.image, here.image, 'the same bytes')
      there.answers.forEach((answer, index) => {
        t.strictSame(comparable(answer), comparable(here.answers[index]), answer.asked.slice(0, 60))
      })
    })
  }
}
