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
  const all = imports(new URL('aboard/main.ts', ROOT))
  t.ok(
    all.has('guest/sizing.ts') && all.has('guest/kvm/domain.ts') && all.has('base/units.ts'),
    'the walk found its way',
  )
  for (const [file, modules] of all) {
    const foreign = modules.filter((module) => !module.startsWith('.') && module !== 'std' && module !== 'os')
    t.strictSame(foreign, [], file)
  }
  const rooms = [...all.keys()].filter((file) => !file.startsWith('aboard/')).sort()
  t.strictSame(rooms, [
    'arch/architecture.ts',
    'base/ipv4.ts',
    'base/units.ts',
    'base/xml.ts',
    'guest/definition.ts',
    'guest/drives.ts',
    'guest/firewall.ts',
    'guest/hypervisor.ts',
    'guest/hypervisors.ts',
    'guest/kvm/devices.ts',
    'guest/kvm/domain.ts',
    'guest/kvm/kvm.ts',
    'guest/kvm/machine.ts',
    'guest/kvm/process.ts',
    'guest/metadata.ts',
    'guest/network-xml.ts',
    'guest/network.ts',
    'guest/paths.ts',
    'guest/report.ts',
    'guest/sizing.ts',
  ])
})
