/** What plan, build and inspect print, from plain structures. */
import { readFileSync } from 'node:fs'
import t from 'tap'
import { buildText } from '../../src/cli/build-text.js'
import { inspectText } from '../../src/cli/inspect-text.js'
import { planText } from '../../src/cli/plan-text.js'
import { safe, safeValues } from '../../src/cli/safe.js'
import { parsePc } from '../../src/cli/verbs/plan.js'
import { wrapWords } from '../../src/cli/wrap.js'
import {
  GiB,
  type Inspection,
  type Manifest,
  MiB,
  type Plan,
  type PlanReport,
  sizeGuests,
} from '../../src/index.js'
import { estimateLayout, layoutStick } from '../../src/stick/layout.js'

const PLAN = JSON.parse(
  readFileSync(new URL('../../fixtures/plan/full.plan.json', import.meta.url), 'utf8'),
) as Plan
const SIZES = { biosBoot: 190_000, esp: 128 * MiB, root: 170 * MiB, settings: 64 * MiB, library: 200 * MiB }
const PC = { memory: 8 * GiB, cpus: 4, kvm: true }
const REPORT: PlanReport = {
  profile: 'full.yaml',
  lock: { path: 'full.lock.json', made: false },
  plan: PLAN,
  layout: estimateLayout(PLAN.stick, SIZES),
  obstacle: null,
  hostPackages: [{ name: 'sudo', version: '1', architecture: 'amd64' }],
  firmware: [
    { name: 'microcode', title: 'processors', packages: ['a', 'b'], installed: 22 * MiB },
    { name: 'intel-wifi', title: 'Intel Wi-Fi', packages: ['c'], installed: 110 * MiB },
  ],
  pc: PC,
  guests: PLAN.guests.map((definition) => ({
    definition,
    packages: [],
    sized: sizeGuests(PLAN.guests, PC).find(({ name }) => name === definition.name) as ReturnType<
      typeof sizeGuests
    >[0],
  })),
  stages: [
    { name: 'root', title: 'make the host root', key: 'k', stored: true },
    { name: 'image', title: 'assemble the image', key: 'l', stored: false },
  ],
  warnings: [],
}
const OPTIONS = { width: 80, color: false }

t.test('the plan', async (t) => {
  const text = planText(REPORT, OPTIONS)
  t.match(text, new RegExp(`^${PLAN.name}: image ≈`))
  t.ok(text.includes(`pinned by full.lock.json`))
  t.match(text, new RegExp(`^host ${PLAN.host.hostname}$`, 'm'))
  for (const guest of PLAN.guests) {
    t.match(text, new RegExp(`^guest ${guest.name}$`, 'm'))
    t.ok(text.replace(/\s+/g, ' ').includes(`UUID ${guest.uuid}`), 'its UUID')
    for (const { mac } of guest.nics) t.ok(text.includes(mac), mac)
  }
  const unwrapped = text.replace(/\s+/g, ' ')
  t.match(unwrapped, 'network 192.0.2.10/24 via 192.0.2.1, bridge br0')
  t.match(unwrapped, "memory 1GiB to 50% of the PC's disks")
  t.match(
    unwrapped,
    'bridge br0, 52:54:00:fb:9a:79 USB 046d:c52b, where it is there shares /data/shares/exchange',
  )
  t.match(text, /^ {2}make the host root {2}stored\n {2}assemble the image {2}to do\n$/m)
  t.notMatch(text, /does not fit/)
  const wide = text.split('\n').filter((line) => line.length > 80)
  t.strictSame(
    wide.filter((line) => !/UUID|\//.test(line)),
    [],
    'it keeps to the width',
  )
  t.notMatch(planText(REPORT, { ...OPTIONS, ascii: true }), /≈/)
})

t.test('firmware with its sizes and their sum, and Wi-Fi', async (t) => {
  const text = planText(REPORT, OPTIONS)
  const block = [
    'firmware',
    '  microcode    22MiB  for processors',
    '  intel-wifi  110MiB  for Intel Wi-Fi',
    '  together    132MiB  unpacked',
  ]
  t.ok(text.includes(`\n\n${block.join('\n')}\n\n`), text)
  t.match(text, /^ {2}Wi-Fi Büro$/m)
  t.notMatch(planText({ ...REPORT, firmware: [] }, OPTIONS), /^firmware$/m)
})

t.test('a plan that does not fit says so', async (t) => {
  const obstacle = { code: 'stick-too-small', message: 'the image of 9GiB needs more', hint: 'raise it' }
  t.match(
    planText({ ...REPORT, obstacle, guests: [] }, OPTIONS),
    /^it does not fit: the image of 9GiB needs more\n {2}hint: raise it$.*^no guests: /ms,
  )
})

t.test('a PC in words', async (t) => {
  t.strictSame(parsePc('ram=4GiB,cpus=3,kvm=no'), { memory: 4 * GiB, cpus: 3, kvm: false })
  t.strictSame(parsePc('cpus=8'), { memory: 4 * GiB, cpus: 8, kvm: true })
  for (const wrong of [
    '',
    'ram',
    'ram=0B',
    'ram=-1GiB',
    'cpus=1.5',
    'cpus=00',
    'kvm=1',
    'kvm=no,',
    'RAM=4GiB',
  ]) {
    t.throws(() => parsePc(wrong), { code: 'commander.invalidArgument' }, wrong)
  }
})

t.test('the end of a build', async (t) => {
  const manifest = {
    guests: [{ name: 'web' }, { name: 'db' }],
    image: { file: 'a b.img', size: 3 * GiB, smallestStick: 4 * GiB },
  } as unknown as Manifest
  const built = {
    manifestFile: '/x/out/a b.manifest.json',
    lockFile: 'a.lock.json',
    lockMade: true,
    unchanged: false,
    manifest,
    size: 3 * GiB,
    allocated: 400 * MiB,
    shown: 'out/a b.img',
    program: 'npx keyvisor',
    checked: null,
    artifacts: [],
  }
  const text = buildText(built)
  t.match(text, /^built out\/a b\.img\n/)
  t.match(text, /^ {2}image +3GiB, of which 400MiB are taken on disk$/m)
  t.match(text, /^ {2}stick +4GiB or larger$/m)
  t.match(text, /^ {2}guests +web, db$/m)
  t.match(text, /^ {2}lock +a\.lock\.json: keep it/m)
  t.ok(text.includes("  npx keyvisor run 'out/a b.img' "), 'commands can be pasted')
  t.match(buildText({ ...built, unchanged: true, lockMade: false }), /^nothing changed: /)
  t.notMatch(buildText({ ...built, lockMade: false }), /lock/)
  t.notMatch(text, /checked/)
  t.match(
    buildText({ ...built, checked: 'ab12' }),
    /^ {2}checked +a second build gave the same bytes, SHA-256 ab12$/m,
  )
  const artifacts = ['a b.img', 'a b.manifest.json', 'a b.bmap', 'SHA256SUMS'].map((name) => {
    return { path: `/x/out/${name}`, sha256: '', size: 2048 }
  })
  t.match(buildText({ ...built, artifacts }), '\n  beside it a b.bmap, 2KiB\n            SHA256SUMS, 2KiB\n')
})

const DIGEST = 'ab'.repeat(32)
const LAYOUT = layoutStick({ ...PLAN.stick, minimumSize: 64 * GiB }, 'x', {
  biosBoot: { size: SIZES.biosBoot, digest: DIGEST },
  esp: { size: SIZES.esp, digest: DIGEST },
  root: { size: SIZES.root, digest: DIGEST },
  settings: { size: SIZES.settings, digest: DIGEST },
  library: { size: SIZES.library, digest: DIGEST },
})

function inspection(manifest: Inspection['manifest'], notes: string[] = []): Inspection {
  const partitions = LAYOUT.partitions.map((partition) => ({
    ...partition,
    content: { kind: 'zeros' as const },
    verity: null,
  }))
  return { path: 'x.img', size: 3 * GiB, allocated: MiB, layout: LAYOUT, partitions, manifest, notes }
}

t.test('what is on an image', async (t) => {
  const guest = { name: 'web', hardware: { firmware: 'uefi' }, autostart: 10, changes: 'discard' }
  const manifest = {
    name: 'x',
    builder: '0.1.0',
    epoch: 86_400,
    host: { hostname: 'h', suite: 'trixie', admin: 'me' },
    guests: [guest, { ...guest, autostart: null }],
    slots: { a: { rootHash: DIGEST }, b: null },
    library: { rootHash: 'cd' },
  }
  const text = inspectText(inspection(manifest), OPTIONS)
  t.match(text, /^x\.img: 3GiB, of which 1MiB are taken on disk\n/)
  t.match(text, /^ {2}built by +keyvisor 0\.1\.0, packages as of 1970-01-02$/m)
  t.match(text, /^ {2}host +h, Debian trixie, admin me$/m)
  t.match(text, new RegExp(`^ {2}slot a +root hash ${DIGEST}$`, 'm'))
  t.match(text, /^ {2}guest +web: uefi, starts with the stick, order 10, fresh at each start$/m)
  t.match(text, /^ {2}guest +web: uefi, does not start by itself, /m)
  t.match(text, /\nnothing is odd about it\n$/)
})

t.test('a manifest of any shape is no reason to fail', async (t) => {
  for (const manifest of [
    null,
    [],
    'x',
    {},
    { guests: 7, host: [], epoch: 1e99 },
    { guests: [null, 'x', {}] },
  ]) {
    t.match(
      inspectText(inspection(manifest, ['it is odd']), OPTIONS),
      /what is odd about it:\n {2}- it is odd\n$/,
    )
  }
})

t.test('nothing from outside steers the terminal', async (t) => {
  t.equal(safe('a\x1b[2J\x9b2J\u202eb\nä'), 'a?[2J?2J?b\nä')
  const hostile = safeValues({ a: ['x\ny\x1b'], b: 1, c: null, d: { e: 'ok' } })
  t.strictSame(hostile, { a: ['x?y?'], b: 1, c: null, d: { e: 'ok' } })
  const manifest = { name: 'x\x1b]0;owned\x07', host: { hostname: 'h\nroot hash  0000' } }
  const text = inspectText(safeValues(inspection(manifest)), OPTIONS)
  t.notOk(text.includes('\x1b'))
  t.notMatch(text, /^root hash/m)
})

t.test('wrapping', async (t) => {
  t.strictSame(wrapWords('aa bb cc', 5), ['aa bb', 'cc'])
  t.strictSame(wrapWords('aaaaaaaa b', 5), ['aaaaaaaa', 'b'])
  t.strictSame(wrapWords('', 5), [''])
})
