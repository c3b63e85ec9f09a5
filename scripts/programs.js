/**
 * Writes `src/store/programs.gen.ts`: for each module that a stage names as its program, the digest of its source and of all
 * that it uses.
 *
 * What a module uses: the modules that it imports by relative path, types alone left out, and each `packageFile('src/…')`,
 * a script or a folder of files. Run before each compile. `--check` compares, and writes nothing.
 */
import { createHash } from 'node:crypto'
import { existsSync, readdirSync, readFileSync, realpathSync, statSync, writeFileSync } from 'node:fs'
import { join, posix, relative } from 'node:path'
import { fileURLToPath } from 'node:url'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const NAME = 'src/store/programs.gen.ts'

/** Every file of a module's closure, as paths below the package, sorted. */
export function closureOf(module, root = ROOT) {
  const found = new Set()
  const queue = [`src/${module}.ts`]
  for (let path = queue.pop(); path !== undefined; path = queue.pop()) {
    if (found.has(path)) continue
    found.add(path)
    if (path.endsWith('.ts')) queue.push(...usedBy(path, root))
  }
  return [...found].sort()
}

function usedBy(path, root) {
  const text = readFileSync(join(root, path), 'utf8')
  // A package by its name is not ours: its version is pinned.
  if (/\bimport\((?!'[a-z@])|\brequire\(|new Worker\(/.test(text))
    throw new Error(
      `${path} loads a module as it runs, which no digest of its maker would see: import it by name`,
    )
  const imports = [...text.matchAll(/^(?:import|export) (?!type )[^;'"]*?from '(\.[^']+)\.js'/gm)]
  const modules = imports.map(([, specifier]) => `${posix.join(posix.dirname(path), specifier)}.ts`)
  const assets = [...text.matchAll(/packageFile\('(src\/[^']+)'\)/g)].flatMap(([, asset]) =>
    filesOf(asset, root),
  )
  return [...modules, ...assets]
}

/** A script, or all that lies in a folder but TypeScript. */
function filesOf(path, root) {
  if (!statSync(join(root, path)).isDirectory()) return [path]
  return readdirSync(join(root, path), { recursive: true, withFileTypes: true })
    .filter((entry) => !entry.isDirectory() && !entry.name.endsWith('.ts'))
    .map((entry) => relative(root, join(entry.parentPath ?? entry.path, entry.name)))
}

export function digestOf(module, root = ROOT) {
  const hash = createHash('sha256')
  for (const path of closureOf(module, root)) {
    const bytes = readFileSync(join(root, path))
    hash.update(`${path} ${bytes.length}\n`).update(bytes)
  }
  return hash.digest('hex')
}

/** Modules that stages name, in order. */
export function programs(root = ROOT) {
  const sources = readdirSync(join(root, 'src'), { recursive: true, encoding: 'utf8' }).filter(
    (path) => path.endsWith('.ts') && !path.endsWith('.gen.ts'),
  )
  const texts = sources.map((path) => readFileSync(join(root, 'src', path), 'utf8'))
  const names = texts.flatMap((text) =>
    [...text.matchAll(/program(?:: |Of\()'([\w-]+\/[\w/-]+)'/g)].map(([, name]) => name),
  )
  return [...new Set(names)].sort()
}

function text() {
  const lines = programs().map((name) => `  '${name}': '${digestOf(name)}',\n`)
  return `// Made by scripts/programs.js from the sources: not to be edited, and not committed.
export const PROGRAMS: Readonly<Record<string, string>> = {
${lines.join('')}}
`
}

if (process.argv[1] && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) {
  const path = join(ROOT, NAME)
  const [wanted, found] = [text(), existsSync(path) ? readFileSync(path, 'utf8') : '']
  if (process.argv.includes('--check') && wanted !== found) {
    console.error(`${NAME} is not of these sources: run npm run build`)
    process.exitCode = 1
  } else if (wanted !== found) writeFileSync(path, wanted)
}
