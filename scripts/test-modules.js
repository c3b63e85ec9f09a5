/**
 * Lets Node run the tests as they were compiled: `node --import ./scripts/test-modules.js test/ROOM/NAME.test.ts`.
 *
 * A module keeps the address of its TypeScript source, so that whatever looks for files beside it finds them; its code is
 * that of dist-tests/, which scripts/test.js has tsc(1) write. Compiling in each process took longer than most tests.
 *
 * Spec: Node's module customization hooks (module.register).
 */
import { existsSync, readFileSync, statSync } from 'node:fs'
import { register } from 'node:module'
import { join, relative } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { isMainThread } from 'node:worker_threads'

const root = fileURLToPath(new URL('..', import.meta.url))
const sources = ['src', 'test'].map((folder) => pathToFileURL(join(root, folder, '/')).href)

// Hooks run in a thread of their own, which loads this file once more.
if (isMainThread) register(import.meta.url)

const isSource = (url) => url?.endsWith('.ts') && sources.some((folder) => url.startsWith(folder))

/** TypeScript names a module as it will be called: `./plan.js` is plan.ts, where that is there. */
export async function resolve(specifier, context, next) {
  if (isSource(context.parentURL) && /^\.{1,2}\/.*\.js$/.test(specifier)) {
    const url = new URL(specifier.replace(/\.js$/, '.ts'), context.parentURL)
    if (existsSync(url)) return { url: url.href, shortCircuit: true }
  }
  return next(specifier, context)
}

export async function load(url, context, next) {
  if (!isSource(url)) return next(url, context)
  const source = fileURLToPath(url)
  const compiled = join(root, 'dist-tests', relative(root, source).replace(/ts$/, 'js'))
  if (!existsSync(compiled) || statSync(compiled).mtimeMs < statSync(source).mtimeMs)
    throw new Error(`${source} was not compiled since it was changed: run it by node scripts/test.js`)
  return { format: 'module', source: readFileSync(compiled, 'utf8'), shortCircuit: true }
}
