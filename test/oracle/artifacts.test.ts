/**
 * What is published, as those see it who take it: bmaptool, minisign, sha256sum, zstd, xz, unzip, tar, and the formats'
 * own schemas.
 *
 * SPDX's schema comes in no package: what it asks for is written here by hand, from clauses 6, 7 and 11 of SPDX 2.3.
 */
import { mkdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import { basename, join } from 'node:path'
import { Spec, Validation } from '@cyclonedx/cyclonedx-library'
import { Ajv2020 } from 'ajv/dist/2020.js'
import t, { type Test } from 'tap'
import { type Json, sha256 } from '../../src/base/digests.js'
import { removeScratch } from '../../src/base/namespace.js'
import { packageFile } from '../../src/base/package.js'
import { silent } from '../../src/base/progress.js'
import { systemTools } from '../../src/base/tool.js'
import { SECTOR } from '../../src/base/units.js'
import { type BuildResult, buildImage } from '../../src/pipeline/build.js'
import { outdatedArtifacts } from '../../src/publish/outdated.js'
import {
  type ArtifactsRequest,
  type Published,
  publishImage,
  readyArtifacts,
} from '../../src/publish/publish.js'
import { Store, storeFolder } from '../../src/store/store.js'
import { dpkgLines, OUT, packageLine } from '../support/built.js'
import { needTools } from '../support/tools.js'

t.setTimeout(1_800_000)

const run = (tool: string, args: string[], cwd?: string) =>
  systemTools.run({ tool, args, ...(cwd ? { cwd } : {}) })

/** Folders of their own: SHA256SUMS names the files of one stick. */
const folder = (name: string) => join(OUT, `artifacts.${name}`)
for (const name of ['minimal', 'demo', 'parts']) mkdirSync(folder(name), { recursive: true })
t.teardown(() => rmSync(folder('parts'), { recursive: true, force: true }))

type Result = BuildResult & Pick<Published, 'artifacts'>

async function published(name: string, request: ArtifactsRequest, progress = silent): Promise<Result> {
  const place = { store: await Store.open(storeFolder()), progress }
  const profile = packageFile(join('profiles', `${name}.yaml`))
  const ready = await readyArtifacts(request)
  const built = await buildImage({ profile, out: folder(name) }, place)
  return { ...built, ...(await publishImage(built, ready, folder(name), place)) }
}

const read = (result: Result, name: string) => readFileSync(join(folder(result.manifest.name), name), 'utf8')

function sums(result: Result): void {
  t.test(`checksums of ${result.manifest.name}`, async (t) => {
    if (!needTools(t, 'sha256sum')) return
    await t.resolves(run('sha256sum', ['--strict', '-c', 'SHA256SUMS'], folder(result.manifest.name)))
    const listed = read(result, 'SHA256SUMS')
      .split('\n')
      .map((line) => line.slice(66))
      .filter(Boolean)
    const made = result.artifacts.map(({ path }) => basename(path))
    const others = (name: string) => !/^SHA256SUMS|\.(tar|zip)$/.test(name)
    t.strictSame(listed, made.filter(others).sort())
  })
}

/** What was on the stick before must not shine through: the target is full of other bytes. */
function blockMap({ image, manifest }: Result): void {
  t.test(`block map of ${manifest.name}`, async (t) => {
    if (!needTools(t, 'bmaptool', 'dd', 'tr', 'sh')) return
    const target = join(folder('parts'), `${manifest.name}.stick`)
    await run('sh', [
      '-c',
      `head -c "$1" /dev/zero | tr '\\0' x >"$2"`,
      'sh',
      `${manifest.image.size}`,
      target,
    ])
    const map = image.replace(/img$/, 'bmap')
    await run('bmaptool', ['copy', '--bmap', map, image, target])
    for (const { payload, first, used } of manifest.layout.partitions) {
      if (payload === null) continue
      const digest = async (path: string) => {
        const script =
          'dd if="$1" bs=1M iflag=skip_bytes,count_bytes skip="$2" count="$3" status=none | sha256sum'
        return (await run('sh', ['-c', script, 'sh', path, `${first * SECTOR}`, `${used}`])).stdout
      }
      t.equal(await digest(target), await digest(image), payload)
    }
    const table = await run('sgdisk', ['-v', target])
    t.match(table.stdout, 'No problems found')
    rmSync(target)
  })
}

function manifestSchema({ manifest, manifestFile }: Result): void {
  t.test(`the manifest of ${manifest.name} is as its schema says`, async (t) => {
    const schema = JSON.parse(readFileSync(packageFile('schemas/manifest.schema.json'), 'utf8'))
    const ajv = new Ajv2020({ allErrors: true, allowUnionTypes: true, strictRequired: false })
    ajv.addKeyword('x-unit')
    const validate = ajv.compile(schema)
    t.ok(validate(JSON.parse(readFileSync(manifestFile, 'utf8'))), JSON.stringify(validate.errors))
    t.notOk(validate({ ...manifest, more: 1 }), 'and nothing else')
    t.ok(manifest.tools.some(({ name }) => name === 'squashfs-tools'))
  })
}

function compressed({ image, manifest }: Result, form: string, tool: string): void {
  t.test(`the image of ${manifest.name} as ${form}`, async (t) => {
    if (!needTools(t, tool)) return
    await t.resolves(run(tool, ['-t', `${image}.${form}`]))
    const { stdout } = await run('sh', ['-c', `${tool} -dc "$1" | sha256sum`, 'sh', `${image}.${form}`])
    t.match(read({ manifest } as Result, 'SHA256SUMS'), `${stdout.slice(0, 64)}  ${manifest.image.file}\n`)
    t.ok(statSync(`${image}.${form}`).size < statSync(image).blocks * 512)
  })
}

function bundle(
  { image, artifacts, manifest }: Result,
  form: string,
  [tool = '', option = '']: string[],
): void {
  t.test(`the ${form} of ${manifest.name}`, async (t) => {
    if (!needTools(t, tool)) return
    const path = image.replace(/img$/, form)
    const { stdout } = await run(tool, [option, path])
    if (form === 'zip') t.match(stdout, /No errors detected/)
    const list = form === 'zip' ? (await run('unzip', ['-Z1', path])).stdout : stdout
    const names = artifacts.map((one) => basename(one.path)).filter((name) => name !== basename(path))
    t.strictSame(list.trim().split('\n'), names.sort())
  })
}

function signature({ manifest }: Result, publicKey: string): void {
  t.test('the signature', async (t) => {
    const { stdout } = await run(
      'minisign',
      ['-V', '-p', publicKey, '-m', 'SHA256SUMS'],
      folder(manifest.name),
    )
    t.match(stdout, /Signature and comment signature verified\nTrusted comment: demo /)
  })
}

interface Component {
  name: string
  version: string
  purl: string
  components: Component[]
}

/** `name version architecture` of a package URL. */
function purlLine(purl: string): string {
  const [, name = '', version = '', arch = ''] =
    /^pkg:deb\/debian\/([^@]+)@([^?]+)\?arch=(\w+)&distro=\w+$/.exec(purl) ?? []
  return `${decodeURIComponent(name)} ${decodeURIComponent(version)} ${arch}`
}

function bills(result: Result): void {
  const { packages } = result.manifest
  const roots = [packages.host, ...Object.values(packages.guests)].map((list) => list.map(packageLine).sort())

  t.test("the host's list is dpkg's own", async (t) => {
    if (!needTools(t, 'unsquashfs', 'dpkg-query')) return
    t.strictSame(await dpkgLines(await hostAdmin(t, result)), roots[0])
  })

  t.test('CycloneDX', async (t) => {
    const text = read(result, 'demo.cdx.json')
    const validator = new Validation.JsonStrictValidator(Spec.Version.v1dot6)
    t.equal(await validator.validate(text), null)
    t.ok(await validator.validate(text.replace('"bomFormat"', '"form"')), 'it does say what is wrong')
    const { components } = JSON.parse(text) as { components: Component[] }
    t.strictSame(
      components.map((root) => root.components.map(({ purl }) => purlLine(purl)).sort()),
      roots,
    )
  })

  t.test('SPDX', async (t) => {
    const document = JSON.parse(read(result, 'demo.spdx.json'))
    spdxRules(t, document)
    const purls = document.packages.flatMap((one: { externalRefs?: { referenceLocator: string }[] }) =>
      (one.externalRefs ?? []).map(({ referenceLocator }) => purlLine(referenceLocator)),
    )
    t.strictSame(purls.sort(), roots.flat().sort())
  })
}

/** dpkg's folder of the host's root, unpacked. */
async function hostAdmin(t: Test, { image, manifest }: Result): Promise<string> {
  const first = manifest.layout.partitions.find(({ name }) => name === 'root-a')?.first ?? 0
  const root = join(folder('parts'), 'root')
  t.teardown(() => removeScratch(root))
  const quiet = ['-q', '-n', '-no-xattrs']
  await run('unsquashfs', [...quiet, '-o', String(first * SECTOR), '-d', root, image, 'var/lib/dpkg'])
  return join(root, 'var/lib/dpkg')
}

const SPDX_ID = { type: 'string', pattern: '^SPDXRef-[A-Za-z0-9.-]+$' }
const closed = (
  required: string[],
  properties: Record<string, object>,
  optional: Record<string, object> = {},
) => ({
  type: 'object',
  additionalProperties: false,
  required,
  properties: { ...properties, ...optional },
})
const list = (items: object) => ({ type: 'array', minItems: 1, items })

/** Fields that the document uses, as SPDX 2.3 describes them; numbers in the comments are clauses. */
const SPDX_RULES = closed(
  [
    'spdxVersion',
    'dataLicense',
    'SPDXID',
    'name',
    'documentNamespace',
    'creationInfo',
    'packages',
    'relationships',
  ],
  {
    spdxVersion: { const: 'SPDX-2.3' }, // 6.1
    dataLicense: { const: 'CC0-1.0' }, // 6.2
    SPDXID: { const: 'SPDXRef-DOCUMENT' }, // 6.3
    name: { type: 'string' }, // 6.4
    documentNamespace: { type: 'string', pattern: '^https?://[^#\\s]+$' }, // 6.5: no `#`
    creationInfo: closed(['created', 'creators'], {
      creators: list({ type: 'string', pattern: '^(Person|Organization|Tool): .+$' }), // 6.8
      created: { type: 'string', pattern: '^\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\dZ$' }, // 6.9
    }),
    documentDescribes: list(SPDX_ID),
    packages: list(
      closed(
        ['SPDXID', 'name', 'downloadLocation'], // 7.1, 7.2, 7.7
        { SPDXID: SPDX_ID, name: { type: 'string' }, downloadLocation: { const: 'NOASSERTION' } },
        {
          versionInfo: { type: 'string' }, // 7.3
          filesAnalyzed: { const: false }, // 7.8
          checksums: list(
            closed(['algorithm', 'checksumValue'], {
              algorithm: { const: 'SHA256' },
              checksumValue: { type: 'string', pattern: '^[0-9a-f]{64}$' },
            }),
          ), // 7.10
          externalRefs: list(
            closed(['referenceCategory', 'referenceType', 'referenceLocator'], {
              referenceCategory: { const: 'PACKAGE-MANAGER' },
              referenceType: { const: 'purl' },
              referenceLocator: { type: 'string', pattern: '^pkg:' },
            }),
          ), // 7.21
          primaryPackagePurpose: { enum: ['OPERATING-SYSTEM', 'FILE', 'INSTALL', 'LIBRARY'] }, // 7.24
        },
      ),
    ),
    relationships: list(
      closed(['spdxElementId', 'relationshipType', 'relatedSpdxElement'], {
        spdxElementId: SPDX_ID,
        relationshipType: { enum: ['DESCRIBES', 'CONTAINS'] },
        relatedSpdxElement: SPDX_ID,
      }),
    ), // 11.1
  },
)

function spdxRules(
  t: Test,
  document: {
    packages: { SPDXID: string }[]
    relationships: { spdxElementId: string; relatedSpdxElement: string }[]
  },
): void {
  const validate = new Ajv2020({ allErrors: true, strictRequired: false }).compile(SPDX_RULES)
  t.ok(validate(document), JSON.stringify(validate.errors))
  const ids = new Set(['SPDXRef-DOCUMENT', ...document.packages.map(({ SPDXID }) => SPDXID)])
  t.equal(ids.size, document.packages.length + 1, 'no name of an element is given twice')
  const ends = document.relationships.flatMap((one) => [one.spdxElementId, one.relatedSpdxElement])
  t.ok(
    ends.every((id) => ids.has(id)),
    'and each that is used is there',
  )
}

/** in-toto's and SLSA's rules for what must be there, and that nothing is left out of the lock. */
function statement(result: Result): void {
  t.test('provenance', async (t) => {
    const { _type, subject, predicateType, predicate } = JSON.parse(read(result, 'demo.provenance.json'))
    t.equal(_type, 'https://in-toto.io/Statement/v1')
    t.equal(predicateType, 'https://slsa.dev/provenance/v1')
    t.match(predicate, {
      buildDefinition: { buildType: /^https:/, externalParameters: { profile: { name: 'demo.yaml' } } },
      runDetails: { builder: { id: /^https:/ } },
    })
    const digests = read(result, 'SHA256SUMS')
    for (const { name, digest } of subject) t.ok(digests.includes(`${digest.sha256}  ${name}\n`), name)
    const lock = JSON.parse(readFileSync(result.lockFile, 'utf8')) as {
      packages: Record<string, { sha256: string }>
    }
    const resolved = predicate.buildDefinition.resolvedDependencies as { digest: { sha256: string } }[]
    t.strictSame(
      new Set(resolved.map(({ digest }) => digest.sha256)),
      new Set(Object.values(lock.packages).map((item) => item.sha256)),
    )
    t.equal(subject[0].digest.sha256, sha256(readFileSync(result.image)))
  })
}

function again(first: Result, request: ArtifactsRequest): void {
  t.test('nothing is made again, and what is has the same bytes', async (t) => {
    const stages: string[] = []
    const progress = (event: { kind: string; stage: string }) =>
      event.kind === 'start' && void stages.push(event.stage)
    const build = () => published('demo', request, progress)
    const kept = await build()
    t.strictSame(kept.artifacts as unknown as Json, first.artifacts as unknown as Json)
    t.strictSame(stages, [])
    for (const { path } of first.artifacts.slice(2)) rmSync(path)
    t.strictSame((await build()).artifacts as unknown as Json, first.artifacts as unknown as Json)
    t.strictSame(stages, ['artifacts', 'sign', 'bundle'])
  })
}

/** What a later build warns of has a list of its own. */
function outdated(result: Result): void {
  t.test(`artifacts of ${result.manifest.name} are outdated once its image is another one`, async (t) => {
    const { name } = result.manifest
    const told = await outdatedArtifacts(folder(name), name, [])
    const made = result.artifacts.slice(2).map(({ path }) => path)
    t.strictSame(told.map(({ file }) => file).sort(), made.sort())
    rmSync(result.image)
    const { unchanged, warnings } = await published(name, { kinds: [] })
    t.notOk(unchanged, 'the image is written anew')
    const again = warnings.filter(({ code }) => code === 'outdated')
    t.strictSame(again, [], 'with the same bytes, so nothing is outdated')
  })
}

// The builds come last: what stands above as a constant is known by then.
const TOOLS = ['mmdebstrap', 'bwrap', 'unshare', 'minisign']
if (needTools(t, ...TOOLS)) {
  const key = join(folder('parts'), 'minisign')
  await run('minisign', ['-G', '-f', '-W', '-p', `${key}.pub`, '-s', `${key}.key`])
  const minimal = await published('minimal', { kinds: ['xz', 'bmap', 'sums'], bundle: 'tar' })
  const request: ArtifactsRequest = {
    kinds: ['zst', 'bmap', 'sbom', 'provenance'],
    changesFrom: minimal.manifestFile,
    sign: { key: `${key}.key` },
    bundle: 'zip',
  }
  const demo = await published('demo', request)

  for (const result of [minimal, demo]) {
    sums(result)
    blockMap(result)
    manifestSchema(result)
  }
  compressed(minimal, 'xz', 'xz')
  compressed(demo, 'zst', 'zstd')
  bundle(minimal, 'tar', ['tar', '-tf'])
  bundle(demo, 'zip', ['unzip', '-tq'])
  signature(demo, `${key}.pub`)
  bills(demo)
  statement(demo)
  again(demo, request)
  outdated(demo)
  outdated(minimal)
}
