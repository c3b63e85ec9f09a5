/**
 * Makes src/stick/names.gen.ts, the names that the host's packages know, from those packages: time zones, keyboard
 * layouts, locales, accounts, machine types. They are installed as for a stick, by a build of
 * fixtures/settings/settings.yaml, and asked there.
 *
 * `--check` writes nothing, fails when the file says something else than the packages, and compiles the keymap of each
 * layout without its variants: all of them take minutes.
 */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, normalize } from 'node:path'
import { fileURLToPath } from 'node:url'
import { systemTools, treeTools } from '../dist/base/tool.js'
import { buildImage } from '../dist/pipeline/build.js'
import { planBuild } from '../dist/pipeline/plan-build.js'
import { Store, storeFolder } from '../dist/store/store.js'

const root = fileURLToPath(new URL('../', import.meta.url))
const target = join(root, 'src/stick/names.gen.ts')
const check = process.argv.includes('--check')

/** What the questions below are asked of; the kernel's modules are most of a tree, and not among it. */
const PARTS = [
  'bin',
  'sbin',
  'lib',
  'lib64',
  'etc',
  'usr/bin',
  'usr/lib64',
  'usr/lib/x86_64-linux-gnu',
  'usr/share/X11',
  'usr/share/perl',
  'usr/share/perl5',
  'usr/share/zoneinfo',
  'usr/share/i18n',
  'usr/share/qemu',
  'var/lib/dpkg/info',
]

/** The host's tree as its packages made it, before a profile is laid over it. */
async function installedTree(folder) {
  const out = join(root, 'out/test')
  mkdirSync(out, { recursive: true })
  const profile = join(root, 'fixtures/settings/settings.yaml')
  const request = { profile, lock: join(out, 'settings.lock.json'), out }
  const run = { store: await Store.open(storeFolder()), progress: () => {} }
  await buildImage(request, run)
  const { stages } = await planBuild(request, run)
  const record = await run.store.readRecord(stages.hostTree.key)
  const squashfs = run.store.objectPath(record.objects.tree.sha256)
  const args = ['-q', '-n', '-f', '-no-xattrs', '-d', folder, squashfs, ...PARTS]
  await systemTools.run({ tool: 'unsquashfs', args })
}

// ------------------------------------------------------------------------------------------ what there is

/** Files below zoneinfo of a package, without what is no zone, and zones that count leap seconds. */
function zonesOf(tree, name) {
  const listed = readFileSync(join(tree, `var/lib/dpkg/info/${name}.list`), 'utf8').split('\n')
  const names = listed.flatMap(
    (path) => /^\/usr\/share\/zoneinfo\/(?!right\/|posix\/)(.+)$/.exec(path)?.[1] ?? [],
  )
  const none = ['localtime', 'posixrules', 'Factory']
  return names.filter((zone) => !none.includes(zone) && isZone(join(tree, 'usr/share/zoneinfo', zone)))
}

/** By its magic (RFC 9636, section 3.1). */
function isZone(path) {
  try {
    return readFileSync(path).subarray(0, 4).toString() === 'TZif'
  } catch (error) {
    if (error.code === 'EISDIR') return false
    throw error
  }
}

/** Older names, each with the zone that its link ends at. */
async function oldZones(tree) {
  const info = join(tree, 'usr/share/zoneinfo')
  const { stdout } = await systemTools.run({
    tool: 'find',
    args: [info, '-type', 'l', '-printf', '%P %l\\n'],
  })
  const links = new Map(
    stdout
      .trim()
      .split('\n')
      .map((line) => line.split(' ')),
  )
  return zonesOf(tree, 'tzdata-legacy').map((zone) => {
    const link = links.get(zone)
    if (link === undefined) throw new Error(`${zone} is no link: which zone is meant?`)
    return `${zone}=${normalize(join(zone, '..', link))}`
  })
}

const matches = (text, pattern) => [...text.matchAll(pattern)].map((match) => match[1])

/** Each layout of the rules that console keyboards are made from, as `{name, title, languages, variants}`. */
function layoutsOf(tree) {
  const rules = readFileSync(join(tree, 'usr/share/X11/xkb/rules/base.xml'), 'utf8')
  return rules
    .split('<layout>')
    .slice(1)
    .map((text) => {
      const [own, ...variants] = text.split('<variant>')
      const [name] = matches(own, /<name>(.+?)</g)
      const [title] = matches(own, /<description>(.+?)</g)
      const languages = matches(own, /<iso639Id>(.+?)</g)
      return { name, title, languages, variants: variants.map((part) => matches(part, /<name>(.+?)</g)[0]) }
    })
    .filter(({ name }) => name !== 'custom')
}

/** Sources of localedef(1), which makes a UTF-8 locale of any; the others in the folder are parts of them. */
function localesOf(tree) {
  return readdirSync(join(tree, 'usr/share/i18n/locales'))
    .map((name) => /^([a-z]{2,3}(?:_[A-Z]{2})?)(@[a-z]+)?$/.exec(name))
    .flatMap((match) => (match ? [`${match[1]}.UTF-8${match[2] ?? ''}`] : []))
}

/** Languages of two letters that have no layout of their name, each with the one that has its title, or the first. */
function languagesOf(tree, layouts) {
  const folder = join(tree, 'usr/share/i18n/locales')
  const found = new Map()
  for (const source of readdirSync(folder).filter((name) => /^[a-z]{2}_[A-Z]{2}$/.test(name))) {
    const text = readFileSync(join(folder, source), 'utf8')
    const codes = matches(text, /^lang_(?:term|lib)\s+"(.+?)"/gm)
    const [word] = matches(text, /^title\s+"(\S+)/gm)
    const all = layouts.filter(({ languages }) => languages.some((code) => codes.includes(code)))
    const layout = all.find(({ title }) => title === word) ?? all[0]
    const language = source.slice(0, 2)
    if (layout && !layouts.some(({ name }) => name === language)) found.set(language, layout.name)
  }
  return [...found].map(([language, layout]) => `${language}=${layout}`)
}

function namesIn(tree, file) {
  return readFileSync(join(tree, 'etc', file), 'utf8')
    .trim()
    .split('\n')
    .map((line) => line.split(':')[0])
}

async function machinesOf(tools) {
  const { stdout } = await tools.run({ tool: 'qemu-system-x86_64', args: ['-machine', 'help'] })
  return matches(stdout, /^(pc-(?:q35|i440fx)-\S+) /gm)
}

// ------------------------------------------------------------------------------------------ keymaps

/** Whether a console's keymap has most of a to z on plain keys. A large one has a line for each modifier (keymaps(5)). */
async function isLatin(tools, layout, variant) {
  const args = ['-model', 'pc105', layout, variant]
  const { stdout } = await tools.run({ tool: 'ckbcomp', args })
  const points = matches(stdout, /^(?:plain )?keycode\s+\d+\s+=\s+\+?U\+([0-9a-f]{4})\b/gm)
  const letters = points
    .map((point) => Number.parseInt(point, 16))
    .filter((point) => point >= 0x61 && point <= 0x7a)
  return new Set(letters).size > 13
}

/** Layouts, as `ru` or `ru(phonetic)`, whose keymap is not Latin. Throws where one does not compile. */
async function notLatin(tools, layouts) {
  const all = layouts.flatMap(({ name, variants }) => [
    [name, ''],
    ...variants.map((variant) => [name, variant]),
  ])
  const asked = check ? all.filter(([, variant]) => variant === '') : all
  const found = new Set()
  const queue = [...asked]
  const work = async () => {
    for (let next = queue.shift(); next; next = queue.shift()) {
      if (!(await isLatin(tools, ...next))) found.add(next)
    }
  }
  await Promise.all([work(), work()])
  return asked
    .filter((one) => found.has(one))
    .map(([name, variant]) => (variant ? `${name}(${variant})` : name))
}

// ------------------------------------------------------------------------------------------ the file

/** Words as lines of some 110 letters. */
function wrapped(words) {
  const lines = ['']
  for (const word of words) {
    if (lines.at(-1).length + word.length > 110) lines.push('')
    lines.push(`${lines.pop()} ${word}`.trim())
  }
  return lines.join('\n')
}

const sorted = (words) => [...new Set(words)].sort()

async function listsOf(tree) {
  const tools = treeTools(tree)
  const layouts = layoutsOf(tree)
  return {
    ZONES: ['Time zones of tzdata.', wrapped(sorted(zonesOf(tree, 'tzdata')))],
    OLD_ZONES: [
      'Names that only tzdata-legacy has, each with its zone.',
      wrapped(sorted(await oldZones(tree))),
    ],
    LAYOUTS: [
      'XKB layouts of xkb-data, each with its title and its variants.',
      layouts.map(({ name, title, variants }) => `${name}|${title}|${variants.join(' ')}`).join('\n'),
    ],
    NOT_LATIN: [
      'Layouts and variants whose keymap lacks most of the letters a to z, as ckbcomp of console-setup compiles them.',
      wrapped(await notLatin(tools, layouts)),
    ],
    LANGUAGES: [
      'Layouts by the language that they are for, where their names differ.',
      wrapped(languagesOf(tree, layouts)),
    ],
    LOCALES: [
      'UTF-8 locales that the sources of the package locales can make.',
      wrapped(sorted(localesOf(tree))),
    ],
    USERS: ['Users of every host.', wrapped(sorted(namesIn(tree, 'passwd')))],
    GROUPS: ['Groups of every host.', wrapped(sorted(namesIn(tree, 'group')))],
    MACHINES: ["Machine types of the suite's QEMU.", wrapped(await machinesOf(tools))],
  }
}

function textOf(lists) {
  const parts = Object.entries(lists).map(
    ([name, [comment, text]]) => `/** ${comment} */\nexport const ${name} = \`\n${text}\n\`\n`,
  )
  return `/* Generated by scripts/names.js from the packages of the host. Do not edit. */\n\n${parts.join('\n')}`
}

/** The words of a list in the file, as far as they were asked. */
function wordsOf(source, name) {
  const text = new RegExp(`export const ${name} = \`\n([^\`]*)\``).exec(source)?.[1] ?? ''
  const words = name === 'LAYOUTS' ? text.trim().split('\n') : text.trim().split(/\s+/)
  return name === 'NOT_LATIN' && check ? words.filter((word) => !word.includes('(')) : words
}

function differences(lists) {
  const source = readFileSync(target, 'utf8')
  return Object.keys(lists).flatMap((name) => {
    const [here, there] = [wordsOf(source, name), wordsOf(textOf(lists), name)]
    const added = there.filter((word) => !here.includes(word)).map((word) => `+ ${word}`)
    const gone = here.filter((word) => !there.includes(word)).map((word) => `- ${word}`)
    return [...added, ...gone].map((change) => `${name}: ${change}`)
  })
}

const tree = mkdtempSync(join(tmpdir(), 'keyvisor-names.'))
try {
  await installedTree(tree)
  const lists = await listsOf(tree)
  if (!check) writeFileSync(target, textOf(lists))
  else {
    const changed = differences(lists)
    for (const line of changed) console.error(line)
    if (changed.length > 0) console.error('the packages know other names: run npm run names')
    for (const name of Object.keys(lists)) console.log(`${name}: ${wordsOf(textOf(lists), name).length}`)
    process.exitCode = changed.length > 0 ? 1 : 0
  }
} finally {
  rmSync(tree, { recursive: true, force: true })
}
