/**
 * Speed, memory and sizes of a build, against the limits that users were told: `npm run bench`.
 *
 * Ratios and figures of one run on a calm machine; nothing of this is a timed test. Prints a table, writes it to
 * bench/results/DATE.md, and fails where a figure is above its limit. Needs the compiled program, mmdebstrap and, for
 * the build without network, root. Left out: how fast a mirror is.
 */
import { spawnSync } from 'node:child_process'
import {
  cpSync,
  existsSync,
  linkSync,
  mkdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { cpus, totalmem } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { lockedDebs } from '../dist/build/fetch.js'
import { prepare } from '../dist/build/prepare.js'
import { HOST_EXCLUDES, stageList } from '../dist/build/stages.js'
import { Store, silent, storeFolder, version } from '../dist/index.js'

const root = fileURLToPath(new URL('..', import.meta.url))
const folder = join(root, 'out/bench')
const RUNS = 3
const MB = 1_000_000

const LIMITS = { rootRatio: 1.25, nothing: 1, definition: 5, memory: 300, rootPayload: 190, image: 320 }

const figures = []

/** One line of the table. `limit` is the most that is allowed. */
function figure(what, value, limit, unit, note = '') {
  figures.push({ what, value, limit, unit, note })
  console.log(
    `${value <= limit ? 'ok      ' : 'ABOVE   '}${what}: ${value.toFixed(2)} ${unit}, limit ${limit.toFixed(2)}. ${note}`,
  )
}

const median = (values) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]

/** Runs a command to its end; the answer is its seconds and its stdout. */
function timed(argv, env = {}) {
  const started = process.hrtime.bigint()
  const { status, stdout, stderr } = spawnSync(argv[0], argv.slice(1), {
    env: { ...process.env, ...env },
    encoding: 'utf8',
    maxBuffer: 1 << 28,
  })
  if (status !== 0)
    throw new Error(`${argv.join(' ')} ended with ${status}\n${stdout.slice(-2000)}${stderr.slice(-2000)}`)
  return { seconds: Number(process.hrtime.bigint() - started) / 1e9, stdout }
}

/** Peak of the builder alone, not of its tools: it says so itself when it ends. */
const PEAK = `data:text/javascript,${encodeURIComponent(
  `process.on('exit', () => process.stdout.write(JSON.stringify({ kind: 'peak', kib: process.resourceUsage().maxRSS }) + '\\n'))`,
)}`

/** A whole `keyvisor build`, as a user starts it. */
function build(args, { prefix = [], env = {} } = {}) {
  const program = [
    process.execPath,
    '--import',
    PEAK,
    join(root, 'dist/cli/main.js'),
    'build',
    ...args,
    '--json',
  ]
  const { seconds, stdout } = timed([...prefix, ...program], env)
  const events = stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line))
  const of = (kind) => events.filter((event) => event.kind === kind)
  const stages = Object.fromEntries(of('end').map((event) => [event.stage, event]))
  return { seconds, stages, result: of('result')[0], peak: (of('peak')[0].kib * 1024) / MB }
}

const peaks = []

// ------------------------------------------------------------------------- the host's root against mmdebstrap

/** Our tree and root, against mmdebstrap with the same packages, files left out and archive, in turns. */
async function hostRoot() {
  const shared = { store: await Store.open(storeFolder()), progress: silent }
  const profile = join(root, 'profiles/minimal.yaml')
  const prepared = await prepare({ profile }, shared)
  const { plan, lock, stages, lockFile } = prepared
  const { host: debs } = await lockedDebs(prepared, ['host', 'tools.pack'], shared)
  const store = await cachedStore(lock, shared.store)
  const archive = writeArchive(debs)
  const args = [profile, '--lock', lockFile, '--out', join(folder, 'root')]
  const env = { KEYVISOR_STORE: store.folder }
  build(args, { env })
  const [ours, theirs] = [[], []]
  for (let run = 0; run < RUNS; run++) {
    theirs.push(mmdebstrap(plan, archive))
    for (const stage of stageList(stages)) {
      if (['tree.host', 'root'].includes(stage.name))
        rmSync(join(store.folder, 'records', `${stage.key}.json`))
    }
    rmSync(join(folder, 'root'), { recursive: true })
    const done = build(args, { env })
    peaks.push(done.peak)
    ours.push(done.stages['tree.host'].seconds + done.stages.root.seconds)
  }
  const note = `ours ${ours.map((s) => s.toFixed(1)).join(', ')} s; mmdebstrap ${theirs.map((s) => s.toFixed(1)).join(', ')} s`
  figure(
    "host's root from cached packages, against mmdebstrap alone",
    median(ours) / median(theirs),
    LIMITS.rootRatio,
    '×',
    note,
  )
}

/** A store that has a lock's packages and nothing else. */
async function cachedStore(lock, from) {
  const to = await Store.open(join(folder, 'store'))
  for (const { sha256 } of Object.values(lock.packages)) {
    if (!existsSync(from.objectPath(sha256)) || existsSync(to.objectPath(sha256))) continue
    mkdirSync(dirname(to.objectPath(sha256)), { recursive: true })
    linkOrCopy(from.objectPath(sha256), to.objectPath(sha256))
  }
  return to
}

function linkOrCopy(source, target) {
  try {
    linkSync(source, target)
  } catch {
    cpSync(source, target)
  }
}

function writeArchive(debs) {
  const archive = join(folder, 'archive')
  mkdirSync(archive)
  for (const { item, path } of debs) linkOrCopy(path, join(archive, basename(item.filename)))
  const index = debs.map(({ item }) =>
    item.stanza.replace(/^Filename: .*$/m, `Filename: ./${basename(item.filename)}`),
  )
  writeFileSync(join(archive, 'Packages'), index.join('\n'))
  writeFileSync(join(archive, 'Release'), 'Suite: trixie\nCodename: trixie\n')
  return archive
}

/** Seconds of mmdebstrap alone, into a folder. It makes its own initrd, as we make ours. */
function mmdebstrap({ host }, archive) {
  const excludes = join(folder, 'excludes')
  writeFileSync(excludes, `${HOST_EXCLUDES.join('\n')}\n`)
  const target = join(folder, 'tree')
  const hook = `mkdir -p "$1"/etc/dpkg/dpkg.cfg.d && cp ${excludes} "$1"/etc/dpkg/dpkg.cfg.d/bench`
  const mapping = process.getuid() === 0 ? [] : ['--map-auto', '--map-root-user']
  const inNamespace = ['unshare', ...mapping, '--mount-proc', '--pid', '--fork', '--kill-child', '--']
  const { seconds } = timed([
    ...inNamespace,
    ...['mmdebstrap', '--mode=root', '--variant=essential', '--format=directory'],
    ...[`--include=${host.packages.join(',')}`, `--setup-hook=${hook}`],
    ...['--aptopt=Apt::Install-Recommends "false"', '--aptopt=Acquire::Languages "none"'],
    ...[host.suite, target, `deb [trusted=yes] copy:${archive} ./`],
  ])
  timed([...inNamespace, 'rm', '-rf', target])
  return seconds
}

// ---------------------------------------------------------------------------------------- small changes

/** A copy of the demo that may be changed. */
function demoCopy() {
  const profile = join(folder, 'demo.yaml')
  cpSync(join(root, 'profiles/demo.yaml'), profile)
  cpSync(join(root, 'profiles/demo'), join(folder, 'demo'), { recursive: true })
  const lock = join(root, 'profiles/demo.lock.json')
  if (existsSync(lock)) cpSync(lock, join(folder, 'demo.lock.json'))
  return profile
}

function smallChanges() {
  const profile = demoCopy()
  const args = [profile, '--out', join(folder, 'demo-out')]
  const first = build(args)
  const offline = process.getuid() === 0 ? ['unshare', '--net'] : []
  const nothing = Array.from({ length: RUNS }, () => build(args, { prefix: offline }))
  if (!nothing.every(({ result }) => result.unchanged)) throw new Error('something had changed')
  const where = offline.length > 0 ? 'Without network.' : 'Not root: the network was there.'
  figure(
    'nothing changed, the whole command',
    median(nothing.map(({ seconds }) => seconds)),
    LIMITS.nothing,
    's',
    where,
  )

  const changed = Array.from({ length: RUNS }, (_, run) => {
    const text = readFileSync(profile, 'utf8')
    writeFileSync(profile, text.replace(/max: 5\d\dMiB/, `max: ${520 + run}MiB`))
    if (readFileSync(profile, 'utf8') === text) throw new Error('the profile is as it was')
    return build(args)
  })
  peaks.push(...[first, ...changed].map(({ peak }) => peak))
  const { image } = first.result
  const copying = median(Array.from({ length: RUNS }, () => copySeconds(image)))
  const note = `Of it ${copying.toFixed(2)} s for the copying of the image's bytes, by cp.`
  const seconds = median(changed.map((done) => done.seconds))
  figure("only a guest's definition changed", seconds, LIMITS.definition + copying, 's', note)
}

function copySeconds(image) {
  const copy = join(folder, 'copy.img')
  rmSync(copy, { force: true })
  return timed(['sh', '-c', 'cp --sparse=always "$1" "$2" && sync "$2"', 'sh', image, copy]).seconds
}

// ------------------------------------------------------------------------------------- memory and sizes

/** A guest from a raw image of 8 GiB that is nearly all holes. */
function largeGuest() {
  const image = join(folder, 'large.raw')
  writeFileSync(image, Buffer.alloc(8 << 20, 'keyvisor'))
  truncateSync(image, 8 * 2 ** 30)
  const profile = join(folder, 'large.yaml')
  writeFileSync(
    profile,
    `version: 1\nname: large\nstick: {minimumSize: 16GiB}\nguests:\n  - name: large\n    source: {image: large.raw, format: raw}\n`,
  )
  const done = build([profile, '--out', join(folder, 'large-out')])
  peaks.push(done.peak)
  const note = `With a guest of 8 GiB ${done.peak.toFixed(0)} MB, in ${done.seconds.toFixed(0)} s.`
  figure("builder's own peak memory", Math.max(...peaks), LIMITS.memory, 'MB', note)
}

function sizes() {
  const { result } = build([join(root, 'profiles/minimal.yaml'), '--out', join(folder, 'minimal-out')])
  const manifest = JSON.parse(readFileSync(result.manifestFile, 'utf8'))
  figure('root payload', manifest.root.size / MB, LIMITS.rootPayload, 'MB')
  figure('image without guests, allocated', (statSync(result.image).blocks * 512) / MB, LIMITS.image, 'MB')
}

// ----------------------------------------------------------------------------------------------- report

function report() {
  const date = new Date().toISOString().slice(0, 10)
  const machine = `${cpus().length} × ${cpus()[0].model}, ${(totalmem() / 2 ** 30).toFixed(0)} GiB, Node ${process.version}`
  const rows = figures.map(({ what, value, limit, unit, note }) => {
    const verdict = value <= limit ? 'yes' : '**no**'
    return `| ${what} | ${value.toFixed(2)} ${unit} | ${limit.toFixed(2)} ${unit} | ${verdict} | ${note} |`
  })
  const head = `# ${date}\n\nKeyvisor ${version()}; ${machine}; ${process.getuid() === 0 ? 'as root' : 'rootless'}. Medians of ${RUNS} runs.\n`
  const table = ['| what | figure | limit | within | |', '|---|---|---|---|---|', ...rows].join('\n')
  mkdirSync(join(root, 'bench/results'), { recursive: true })
  writeFileSync(join(root, `bench/results/${date}.md`), `${head}\n${table}\n`)
}

rmSync(folder, { recursive: true, force: true })
mkdirSync(folder, { recursive: true })
try {
  await hostRoot()
  smallChanges()
  largeGuest()
  sizes()
} finally {
  rmSync(folder, { recursive: true, force: true })
}
report()
if (figures.some(({ value, limit }) => value > limit)) process.exitCode = 1
