/**
 * Two real builds of the smallest profile that differ in one file: what `diff` and `--explain` say of them. Nothing of them
 * has a usual name: neither the folders, store included, nor the guest, which is called as what every object has.
 *
 * The first build on a machine takes minutes; later ones take what the store has.
 */
import { cpSync, mkdirSync, readFileSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { packageFile } from '../../src/base/package.js'
import { silent } from '../../src/base/progress.js'
import { systemTools } from '../../src/base/tool.js'
import { MiB } from '../../src/base/units.js'
import { lockPath } from '../../src/lock/choose.js'
import { diffImages } from '../../src/media/diff.js'
import { type BuildResult, buildImage } from '../../src/pipeline/build.js'
import { Store, storeFolder } from '../../src/store/store.js'
import { diffTools } from '../../src/tools/tools.js'
import { built, OUT } from '../support/built.js'
import { keyvisor } from '../support/command.js'
import { needTools, ODD_NAME, skipAloud } from '../support/tools.js'

const place = join(OUT, `diff-${process.pid}`)
t.teardown(() => rmSync(place, { recursive: true, force: true }))
const folder = join(place, ODD_NAME)
const profile = join(folder, `${ODD_NAME}.yaml`)
const GUEST = 'constructor'

/** `minimal` with a file, and with a guest of a raw disk, of which a stage makes a base. */
async function writeProfile(): Promise<void> {
  const [file, image] = [join(folder, ODD_NAME), join(folder, `${ODD_NAME}.raw`)]
  const source = JSON.stringify(ODD_NAME)
  const files = `  files:\n    - { source: ${source}, target: /etc/motd-of-a-test }\n`
  const guest = `{ name: ${GUEST}, source: { image: ${JSON.stringify(`${ODD_NAME}.raw`)}, format: raw }, firmware: bios }`
  const minimal = packageFile('profiles/minimal.yaml')
  writeFileSync(profile, `${readFileSync(minimal, 'utf8')}${files}guests:\n  - ${guest}\n`)
  writeFileSync(file, '')
  writeFileSync(image, 'a disk')
  truncateSync(image, 8 * MiB)
  // The packages' versions stay; a build adds the image.
  cpSync(lockPath(minimal), lockPath(profile))
}

/** Builds it with a file of this text. */
async function withFile(text: string, store: Store): Promise<BuildResult> {
  writeFileSync(join(folder, ODD_NAME), text)
  return buildImage({ profile, out: join(folder, 'out'), explain: true }, { store, progress: silent })
}

/** What a verb says with this folder at /usr/src, and the store below it. */
async function belowUsr(...args: string[]): Promise<string> {
  const mounts = 'mount --bind "$1" /usr/src; mkdir -p /usr/src/objects; mount --bind "$2" /usr/src/objects'
  // Two images differ with exit code 1.
  const script = `${mounts}; shift 2; "$@" || [ $? = 1 ]`
  const command = [folder, storeFolder(), process.execPath, packageFile('dist/cli/main.js'), ...args]
  const { stdout } = await systemTools.run({
    tool: 'unshare',
    args: ['--mount', 'sh', '-eu', '-c', script, 'sh', ...command],
    env: { KEYVISOR_STORE: '/usr/src/objects' },
  })
  return stdout
}

if (needTools(t, 'mmdebstrap', 'bwrap', 'unshare')) {
  await built('minimal')
  mkdirSync(folder, { recursive: true })
  // The shared one, by another name.
  symlinkSync(storeFolder(), join(folder, 'store'))
  const store = await Store.open(join(folder, 'store'))
  await writeProfile()
  // Not in the store, whatever earlier runs of this test left there.
  const now = Date.now()
  const first = await withFile(`hello ${now}`, store)
  cpSync(first.image, join(folder, 'first.img'))
  cpSync(first.manifestFile, join(folder, 'first.manifest.json'))
  const second = await withFile(`hallo ${now}`, store)
  const diff = async (a: string, b: string) => {
    const scratch = await store.scratch('diff')
    t.teardown(() => rmSync(scratch, { recursive: true, force: true }))
    return diffImages(a, b, { tools: diffTools(), scratch })
  }

  await t.test('the explanation names the file, and what follows from it', async (t) => {
    const of = (name: string) => second.explanations?.find(({ stage }) => stage === name)
    t.match(of('tree.host'), { reused: true, changes: [] })
    t.match(of('library'), { reused: true, changes: [] })
    t.match(of('root'), { reused: false, known: true })
    t.strictSame(
      of('root')?.changes.map(({ path }) => path),
      [['files', '/etc/motd-of-a-test']],
    )
    t.match(of('image'), {
      reused: false,
      changes: [{ path: ['stages', 'esp'] }, { path: ['stages', 'root'] }],
    })
  })

  await t.test('the difference is that file, its root hash, and GUIDs', async (t) => {
    const { same, differences, notes } = await diff(join(folder, 'first.img'), second.image)
    t.notOk(same)
    t.strictSame(notes, [])
    const inRoot = differences.filter(({ part, field }) => part === 'root-a' && field !== 'time')
    t.match(inRoot, [{ item: '/etc/motd-of-a-test', field: 'bytes', a: 19, b: 19, at: 1 }])
    t.equal(inRoot.length, 1, 'exactly that file')
    const others = new Set(differences.map(({ part }) => part))
    t.strictSame([...others].sort(), ['esp', 'layout', 'manifest', 'root-a'])
    t.ok(differences.filter(({ part }) => part === 'layout').every(({ item }) => /[gG]uid$/.test(item)))
  })

  await t.test('the guest is known to every verb', async (t) => {
    t.match(second.manifest.guests, [{ name: GUEST }])
    const env = { KEYVISOR_STORE: store.folder }
    const says = async (...args: string[]) => {
      const { code, stdout, stderr } = await keyvisor(args, { env })
      t.equal(code, 0, stderr)
      return stdout
    }
    t.match(await says('validate', profile), /: valid/)
    t.match(await says('lock', profile), /^ {2}guest constructor disk0 +8MiB, /m)
    t.match(await says('plan', profile), /make a qcow2 of the image of guest constructor +stored$/m)
    t.match(await says('inspect', second.image), /^ {2}guest +constructor: bios, /m)
    t.match(await says('diff', second.image, second.image), /same/)
    const { entries } = JSON.parse(await says('store', 'ls', '--json'))
    t.ok(entries.some(({ stage }: { stage: string }) => stage === `import.${GUEST}`))
  })

  await t.test('all of it can be below /usr', async (t) => {
    if (process.getuid?.() !== 0) return skipAloud(t, 'only root can mount folders elsewhere')
    const text = readFileSync(profile, 'utf8')
    writeFileSync(join(folder, 'below.yaml'), `${text}stick: { esp: 130MiB }\n`)
    cpSync(lockPath(profile), join(folder, 'below.lock.json'))
    t.match(await belowUsr('build', '/usr/src/below.yaml', '--out', '/usr/src/below'), /minimal\.img/)
    const image = '/usr/src/below/minimal.img'
    t.match(await belowUsr('inspect', image), /^ {2}guest +constructor: bios, /m)
    const told = await belowUsr('diff', '/usr/src/first.img', image)
    t.match(told, '/etc/motd-of-a-test')
    t.notMatch(told, /files of .* were not compared/)
  })

  await t.test('an image is the same as its copy, and its manifest as its own', async (t) => {
    cpSync(second.image, join(folder, 'copy.img'))
    t.ok((await diff(second.image, join(folder, 'copy.img'))).same)
    t.ok((await diff(second.manifestFile, second.image)).same)
  })
}
