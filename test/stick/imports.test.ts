/**
 * What runs on the stick runs without Node: nothing that its main file reaches may import anything but its own
 * files and QuickJS's modules.
 */
import { readFileSync } from 'node:fs'
import t from 'tap'

const ROOT = new URL('../../src/', import.meta.url)

/** Every import of a file that is left after compiling, and of the files that it imports. */
function imports(file: URL, seen = new Map<string, string[]>()): Map<string, string[]> {
  const name = file.href.slice(ROOT.href.length)
  if (seen.has(name)) return seen
  const text = readFileSync(file, 'utf8')
  const found = [...text.matchAll(/^(?:import|export) (?!type )[^'"]*from ['"]([^'"]+)['"]/gm)]
  const modules = found.map((match) => match[1] as string)
  seen.set(name, modules)
  for (const module of modules) {
    if (module.startsWith('.')) imports(new URL(module.replace(/\.js$/, '.ts'), file), seen)
  }
  return seen
}

t.test('the stick imports nothing of Node', async (t) => {
  const all = imports(new URL('stick/main.ts', ROOT))
  t.ok(
    all.has('plan/sizing.ts') && all.has('plan/domain.ts') && all.has('base/units.ts'),
    'the walk found its way',
  )
  for (const [file, modules] of all) {
    const foreign = modules.filter((module) => !module.startsWith('.') && module !== 'std' && module !== 'os')
    t.strictSame(foreign, [], file)
  }
  const rooms = [...all.keys()].filter((file) => !file.startsWith('stick/')).sort()
  t.strictSame(rooms, [
    'base/units.ts',
    'plan/domain-devices.ts',
    'plan/domain.ts',
    'plan/firewall.ts',
    'plan/network.ts',
    'plan/report.ts',
    'plan/sizing.ts',
    'plan/xml.ts',
  ])
})
