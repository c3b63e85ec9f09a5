/**
 * Quickstart: sets the machine up, builds profiles/demo.yaml, boots the image in QEMU, and says what happened. Run it
 * with `npm run quickstart`.
 */
import { spawnSync } from 'node:child_process'
import { relative } from 'node:path'
import { fileURLToPath } from 'node:url'

const HELP = `npm run quickstart
Sets this machine up, builds profiles/demo.yaml, and boots the image in QEMU. It takes no arguments.`

const unknown = process.argv[2]
if (unknown !== undefined) {
  const isHelp = unknown === '--help' || unknown === '-h'
  console.error(isHelp ? HELP : `quickstart takes no arguments, and there is "${unknown}"\n${HELP}`)
  process.exit(isHelp ? 0 : 2)
}

const root = fileURLToPath(new URL('..', import.meta.url))
process.chdir(root)
const setUp = spawnSync('scripts/setup.sh', { stdio: 'inherit' })
if (setUp.status !== 0) process.exit(setUp.status ?? 1)

// Only now: the set-up compiles them.
const { exitCodeOf, showError } = await import('../dist/cli/errors.js')
const { formatSeconds } = await import('../dist/cli/progress.js')
const { safe } = await import('../dist/cli/safe.js')
const { openTerminal } = await import('../dist/cli/terminal.js')
const { eventText } = await import('../dist/cli/trial-text.js')
const library = await import('../dist/index.js')
const { buildImage, EXIT, formatBytes, formatCpus, proveImage, Store, storeFolder } = library

const terminal = openTerminal()
const steps = []

/** Shows progress, and remembers how long each stage took for the summary. */
function progress() {
  const show = terminal.progress(false)
  const titles = new Map()
  return (event) => {
    show(event)
    if (event.kind === 'start') titles.set(event.stage, event.title)
    if (event.kind === 'end') steps.push({ title: titles.get(event.stage) ?? event.stage, ...event })
  }
}

const heading = (text) => terminal.error(`\n== ${text}`)

function column(rows) {
  const width = Math.max(...rows.map(([label]) => label.length))
  return rows.map(([label, text]) => `  ${label.padEnd(width)}  ${text}`).join('\n')
}

function builtWords(image, { host, packages, guests, image: { smallestStick } }) {
  const system = `Debian ${host.suite} with ${packages.host.length} packages`
  return `Built ${image}: ${system} and ${guests.length} guests, for a stick of ${formatBytes(smallestStick)} or more.`
}

const secondsSince = (moment) => formatSeconds((Date.now() - moment) / 1000)

function summary(built, events, started, bootStarted) {
  const host = events.find(({ event }) => event === 'host')
  const guests = events.filter(({ event }) => event === 'guest')
  const image = relative(root, built.image)
  const done = steps.map(({ title, seconds, reused }) => [
    title,
    reused ? 'in the store' : formatSeconds(seconds),
  ])
  return [
    '',
    builtWords(image, built.manifest),
    '',
    'Steps',
    column([
      ...done,
      ['boot, until every guest was ready', secondsSince(bootStarted)],
      ['all', secondsSince(started)],
    ]),
    '',
    host
      ? `Guests, on a PC with ${formatBytes(host.memory)} and ${formatCpus(host.cpus)}`
      : 'The host did not come up',
    column(
      guests.map((guest) => [guest.name, `${guest.state}${guest.said ? `, and said "${guest.said}"` : ''}`]),
    ),
    '',
    'Next',
    column([
      [`npx keyvisor run ${image} --ssh`, 'look around on the stick, without one'],
      [`npx keyvisor inspect ${image}`, 'see what is on the image'],
      ['npx keyvisor init my-stick.yaml', 'begin a profile of your own'],
    ]),
  ].join('\n')
}

async function quickstart() {
  const started = Date.now()
  const run = { store: await Store.open(storeFolder()), progress: progress(), signal: terminal.signal }
  heading('building profiles/demo.yaml')
  const built = await buildImage({ profile: 'profiles/demo.yaml', out: 'out' }, run)
  heading(`booting ${relative(root, built.image)} in QEMU: some minutes where there is no KVM`)
  const bootStarted = Date.now()
  const onEvent = (event) => terminal.error(safe(eventText(event)))
  // While the stick runs: its guests shut down cleanly, which nobody has to wait for.
  const visit = async ({ events }) => {
    terminal.out(safe(summary(built, events, started, bootStarted)))
    heading('switching the PC off, as its power button does')
  }
  const proof = await proveImage(built.image, { firmware: 'bios', onEvent, visit }, run)
  if (proof.passed) return
  for (const { name, detail } of proof.checks.filter(({ passed }) => !passed)) {
    terminal.error(`not passed: ${name}: ${detail}`)
  }
  terminal.error(safe(proof.serialTail.join('\n')))
  terminal.exit(EXIT.failed)
}

try {
  await quickstart()
} catch (error) {
  terminal.exit(exitCodeOf(error, terminal.signal))
  showError(error, terminal, false)
}
