/**
 * Kernel modules of a real build, as kmod sees them: each has all that it depends on, in the host's root, in its initrd and
 * in a guest; and what `host.firmware` brings is on the stick.
 */
import { existsSync, lstatSync, mkdirSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { basename, join } from 'node:path'
import t, { type Test } from 'tap'
import { removeScratch } from '../../src/base/namespace.js'
import { systemTools } from '../../src/base/tool.js'
import { SECTOR } from '../../src/base/units.js'
import { HOST_EXCLUDES } from '../../src/host/tree.js'
import type { BuildResult } from '../../src/pipeline/build.js'
import { FIRMWARE } from '../../src/plan/firmware.js'
import { hostPackages } from '../../src/plan/packages.js'
import type { HardwareFirmware } from '../../src/yaml/profile.gen.js'
import { built, OUT } from '../support/built.js'
import { guestRoot } from '../support/guest-root.js'
import { needTools } from '../support/tools.js'

t.setTimeout(1_800_000)

const folder = join(OUT, `modules.${process.pid}`)
mkdirSync(folder, { recursive: true })
t.teardown(() => removeScratch(folder))

const run = (tool: string, ...args: string[]) => systemTools.run({ tool, args })

/** A module's name, of a path or of what depends on it: `-` and `_` are the same (modprobe(8)). */
const nameOf = (path: string) =>
  basename(path)
    .replace(/\.ko(\.\w+)?$/, '')
    .replaceAll('-', '_')

/**
 * Each module below a folder of one kernel that lacks something it depends on, with what it lacks. What is built into the
 * kernel stands in the root's own `modules.builtin`.
 */
async function lacking(modules: string, root = modules): Promise<string[]> {
  const paths = readdirSync(modules, { recursive: true, encoding: 'utf8' })
    .filter((path) => /\.ko(\.\w+)?$/.test(path))
    .sort()
  const builtIn = readFileSync(join(root, 'modules.builtin'), 'utf8').split('\n')
  const known = new Set([...paths, ...builtIn].map(nameOf))
  const { stdout } = await run('modinfo', '-F', 'depends', ...paths.map((path) => join(modules, path)))
  const lines = stdout.split('\n')
  if (lines.length !== paths.length + 1)
    throw new Error(`${lines.length - 1} lines of ${paths.length} modules`)
  return paths.flatMap((path, at) => {
    const lacks = (lines[at] ?? '').split(',').filter((name) => name !== '' && !known.has(nameOf(name)))
    return lacks.map((name) => `${nameOf(path)} lacks ${name}`)
  })
}

/** The folder of the one kernel in a root. */
function kernelOf(root: string): string {
  const modules = join(root, 'usr/lib/modules')
  const kernels = readdirSync(modules)
  if (kernels.length !== 1) throw new Error(`kernels: ${kernels.join(' ')}`)
  return join(modules, kernels[0] as string)
}

/** Part of the host's root. */
async function unpacked({ image, manifest }: BuildResult, ...paths: string[]): Promise<string> {
  const first = manifest.layout.partitions.find(({ name }) => name === 'root-a')?.first ?? 0
  const root = join(folder, manifest.name)
  await run('unsquashfs', '-q', '-n', '-no-xattrs', '-o', String(first * SECTOR), '-d', root, image, ...paths)
  return root
}

async function initrd({ image, manifest }: BuildResult): Promise<string> {
  const first = manifest.layout.partitions.find(({ name }) => name === 'esp')?.first ?? 0
  const [file, root] = [join(folder, 'initrd.img'), join(folder, 'initrd')]
  await run('mcopy', '-i', `${image}@@${first * SECTOR}`, '::a/initrd.img', file)
  await run('unmkinitramfs', file, root)
  return root
}

function hostModules(t: Test, root: string): void {
  const modules = kernelOf(root)
  t.test('every module has what it depends on', async (t) => {
    t.strictSame(await lacking(modules), [])
  })
  t.test('depmod lists each of them, and no other', async (t) => {
    const listed = readFileSync(join(modules, 'modules.dep'), 'utf8').match(/[^\s:]+/g) ?? []
    t.strictSame(
      listed.filter((path) => !existsSync(join(modules, path))),
      [],
    )
    t.ok(new Set(listed).size > 2500, `${new Set(listed).size} modules`)
  })
  t.test('what was missed, and what is left out on purpose', async (t) => {
    const has = (path: string) => existsSync(join(modules, 'kernel', path))
    for (const path of ['drivers/gpu/drm/i915/i915', 'drivers/media/cec/core/cec', 'sound/core/snd'])
      t.ok(has(`${path}.ko.xz`), path)
    for (const path of ['sound/pci', 'drivers/media/usb', 'drivers/gpu/drm/amd', 'drivers/gpu/drm/nouveau'])
      t.notOk(has(path), path)
  })
}

/** Buses of PCs of the last ten years; {@link QUIRKS} come with them. */
const BUSES = ['xhci_pci_renesas', 'rtsx_pci_sdmmc', 'rtsx_usb_sdmmc', 'mmc_block', 'vmd', 'thunderbolt']

/** Drivers of devices that usb_storage leaves to them: as many as the kernel has. */
const QUIRKS = 'kernel/drivers/usb/storage/ums-'

/** What they may take, with what only they depend on. In the initrd modules are packed one by one. */
const BUSES_LIMIT = 1_000_000

/** Each module with all that it depends on, as depmod has it: its own path first. */
function dependencies(kernel: string): string[][] {
  const lines = readFileSync(join(kernel, 'modules.dep'), 'utf8').trim().split('\n')
  return lines.map((line) => line.match(/[^\s:]+/g) ?? [])
}

function initrdBuses(t: Test, parts: string, kernel: string): void {
  const all = dependencies(kernel)
  const isBus = ([path = '']: string[]) => BUSES.includes(nameOf(path)) || path.startsWith(QUIRKS)
  const wanted = new Set(all.filter(isBus).flat())
  const names = [...wanted].map(nameOf)
  for (const name of BUSES) t.ok(names.includes(name), `the kernel has ${name}`)
  t.ok(names.filter((name) => name.startsWith('ums_')).length >= 10, 'and the quirk drivers')
  const files = readdirSync(parts, { recursive: true, encoding: 'utf8' })
  const has = (path: string) => files.some((file) => file.endsWith(`/${path}`))
  t.strictSame(
    [...wanted].filter((path) => !has(path)),
    [],
    'all of them are in the initrd',
  )
  const others = new Set(all.filter(([path = '']) => !wanted.has(path) && has(path)).flat())
  const added = [...wanted].filter((path) => !others.has(path))
  const bytes = added.reduce((sum, path) => sum + statSync(join(kernel, path)).size, 0)
  t.ok(bytes < BUSES_LIMIT, `${bytes} bytes`)
}

async function initrdModules(t: Test, result: BuildResult, root: string): Promise<void> {
  const parts = await initrd(result)
  // Modules may be in another part than the list of them.
  t.strictSame(await lacking(parts, kernelOf(root)), [])
  initrdBuses(t, parts, kernelOf(root))
  const names = readdirSync(parts, { recursive: true, encoding: 'utf8' }).map(nameOf)
  for (const name of ['squashfs', 'dm_verity', 'overlay', 'usb_storage', 'nvme'])
    t.ok(names.includes(name), name)
  const early = readdirSync(parts, { recursive: true, encoding: 'utf8' }).map((path) => basename(path))
  t.ok(early.includes('GenuineIntel.bin') && early.includes('AuthenticAMD.bin'), 'microcode of both')
}

/** dpkg's list of what each package of the default `host.firmware` brings, but for microcode, is in the root. */
async function firmware(t: Test, root: string): Promise<void> {
  const packages = ['realtek', 'bnx2', 'bnx2x'].flatMap(
    (name) => FIRMWARE[name as keyof typeof FIRMWARE].packages,
  )
  for (const name of packages) {
    const list = readFileSync(join(root, 'var/lib/dpkg/info', `${name}.list`), 'utf8').split('\n')
    const files = list.filter((path) => path.includes('/lib/firmware/'))
    t.ok(files.length > 3, `${files.length} paths of ${name}`)
    t.strictSame(
      files.filter((path) => !lstatSync(join(root, path), { throwIfNoEntry: false })),
      [],
      name,
    )
  }
}

if (
  needTools(t, 'mmdebstrap', 'bwrap', 'unshare', 'unsquashfs', 'modinfo', 'unmkinitramfs', 'mcopy', 'debugfs')
) {
  const minimal = await built('minimal')
  const root = await unpacked(minimal, 'usr/lib/modules', 'usr/lib/firmware', 'var/lib/dpkg/info')
  hostModules(t, root)
  await t.test('the initrd', (t) => initrdModules(t, minimal, root))
  await t.test('firmware', (t) => firmware(t, root))

  await t.test("a guest's kernel is whole", async (t) => {
    const guest = await guestRoot(await built('demo'), 'counter', folder)
    const target = join(folder, 'guest')
    mkdirSync(join(target, 'usr/lib'), { recursive: true })
    await run('debugfs', '-R', `rdump /usr/lib/modules ${join(target, 'usr/lib')}`, guest.file)
    t.strictSame(await lacking(kernelOf(target)), [])
    const list = await guest.text(`/var/lib/dpkg/info/linux-image-${basename(kernelOf(target))}.list`)
    const modules = list.split('\n').filter((path) => path.endsWith('.ko.xz'))
    t.ok(modules.length > 500, `${modules.length} modules`)
    t.strictSame(
      modules.filter((path) => !existsSync(join(target, path))),
      [],
    )
  })
}

t.test('each choice of host.firmware has the same kernel, and nothing leaves its files out', async (t) => {
  const packages = (firmware: HardwareFirmware[]) =>
    hostPackages({ version: 1, name: 'demo', host: { firmware } })
  const none = packages([])
  for (const name of Object.keys(FIRMWARE) as HardwareFirmware[]) {
    t.strictSame(
      packages([name]).filter((one) => !FIRMWARE[name].packages.includes(one)),
      none,
      name,
    )
  }
  t.strictSame(
    HOST_EXCLUDES.filter((line) => /=\/(usr\/)?lib|=\/\*/.test(line)),
    [],
  )
})
