/**
 * How long a stick takes to start under emulation, and what its root is made of: `npm run bench:boot [IMAGE...]`.
 *
 * Starts each image (out/demo.img unless told) three times in turns, each a first boot, and prints medians, what systemd
 * says of the last one, and the largest parts of the last image's root. So an image of before and one of after a change
 * are compared. Writes the same to bench/results/boot-DATE.md. Only a calm machine gives figures that mean anything.
 */
import { spawnSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { cpus } from 'node:os'
import { basename, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { inspectImage, proveImage, SECTOR, Store, silent, storeFolder, version } from '../dist/index.js'

const root = fileURLToPath(new URL('..', import.meta.url))
const images = process.argv.length > 2 ? process.argv.slice(2) : [join(root, 'out/demo.img')]
const newest = images.at(-1)
const RUNS = Number(process.env.RUNS ?? 3)
/** What power-on to `done` may take, in seconds of the stick's own clock (issue 4). */
const LIMIT = 75

const median = (values) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]

/** What a command prints. */
function printed(command, args) {
  const { status, stdout, stderr } = spawnSync(command, args, { encoding: 'utf8', maxBuffer: 1 << 28 })
  if (status !== 0) throw new Error(`${command} ended with ${status}: ${stderr}`)
  return stdout
}

const run = { store: await Store.open(storeFolder()), progress: silent }

/** One first boot of an image; `ask` are commands for the stick when it is done. */
async function boot(image, ask) {
  const answers = []
  const visit = async ({ ssh }) => {
    for (const command of ask) answers.push(printed(ssh[0], [...ssh.slice(1), command]))
  }
  const { passed, checks, events } = await proveImage(image, { accelerator: 'tcg', ssh: true, visit }, run)
  if (!passed) throw new Error(`the boot did not pass: ${JSON.stringify(checks)}`)
  const seconds = { host: events.find(({ event }) => event === 'host').seconds }
  for (const { name, seconds: own } of events.filter(({ event }) => event === 'guest')) seconds[name] = own
  seconds.done = events.find(({ event }) => event === 'done').seconds
  return { seconds, answers }
}

/** Bytes, before packing, below each folder of interest of the root. */
async function rootParts() {
  const { layout } = await inspectImage(newest)
  const { first } = layout.partitions.find(({ name }) => name === 'root-a')
  const parts = new Map()
  for (const line of printed('unsquashfs', ['-o', `${first * SECTOR}`, '-lls', newest]).split('\n')) {
    const [, type, size, path] =
      /^([-dlcbps])\S+ \S+\s+(\d+) \S+ \S+ squashfs-root\/?(.*?)( -> .*)?$/.exec(line) ?? []
    if (type !== '-') continue
    const folders = path.split('/').slice(0, -1)
    const deep = folders[1] === 'lib' && folders[2] ? 3 : 2
    const part = `/${folders.slice(0, deep).join('/')}`
    parts.set(part, (parts.get(part) ?? 0) + Number(size))
  }
  return [...parts].sort(([, a], [, b]) => b - a).slice(0, 15)
}

const QUESTIONS = [
  'systemd-analyze',
  'systemd-analyze blame | head -25',
  'systemd-analyze critical-chain keyvisor-guests.service',
]

const boots = new Map(images.map((image) => [image, []]))
for (let index = 0; index < RUNS; index++) {
  for (const image of images) {
    const isLast = index === RUNS - 1 && image === newest
    boots.get(image).push(await boot(image, isLast ? QUESTIONS : []))
    console.log(`${image}, boot ${index + 1}: ${JSON.stringify(boots.get(image).at(-1).seconds)}`)
  }
}

const secondsOf = (image, name) => boots.get(image).map(({ seconds }) => seconds[name])
const rows = Object.keys(boots.get(newest)[0].seconds).map((name) => {
  const cells = images.map((image) => {
    const all = secondsOf(image, name)
    return `${median(all).toFixed(1)} (${all.map((value) => value.toFixed(1)).join(', ')})`
  })
  return `| ${name} | ${cells.join(' | ')} |`
})
const parts = (await rootParts()).map(([part, size]) => `| ${part} | ${(size / 1e6).toFixed(1)} |`)
const done = median(secondsOf(newest, 'done'))
const text = `# Boot of ${version()}, ${new Date().toISOString().slice(0, 10)}

${RUNS} first boots of each image under emulation (a PC with 1 CPU and 3 GiB) on ${cpus().length} × ${cpus()[0]?.model}. Seconds of the stick's own clock;
a guest's are from its start. Medians, and all in brackets. \`done\` may take ${LIMIT}: ${done <= LIMIT ? 'ok' : 'ABOVE'}.

| | ${images.map((image) => basename(image)).join(' | ')} |
| --- |${' --- |'.repeat(images.length)}
${rows.join('\n')}

## systemd of the last boot

\`\`\`
${boots.get(newest).at(-1).answers.join('\n').trim()}
\`\`\`

## Parts of the root, before packing

| part | MB |
| --- | --- |
${parts.join('\n')}
`
mkdirSync(join(root, 'bench/results'), { recursive: true })
writeFileSync(join(root, `bench/results/boot-${new Date().toISOString().slice(0, 10)}.md`), text)
console.log(text)
process.exitCode = done <= LIMIT ? 0 : 1
