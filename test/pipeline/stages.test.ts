/**
 * The keys: each input changes the keys of what is made from it and of nothing else. No goldens: a new version of a
 * script may change every key, and which ones depend on which stays.
 */
import t from 'tap'
import { Keyed } from '../../src/base/keyed.js'
import { Secret } from '../../src/base/secret.js'
import type { LockedPackage } from '../../src/debian/types.js'
import type { Lock } from '../../src/lock/types.js'
import { type BuildFacts, planStages, type Stages, stageList } from '../../src/pipeline/stages.js'
import { packageRequests } from '../../src/plan/packages.js'
import type { Plan } from '../../src/plan/types.js'
import { facts, IMPORTS, id, laid, lock, plan, planned, profile, SETS } from '../support/planned.js'

/** The keys by the name of their stage. */
function keys(stages: Stages): Record<string, string> {
  const { beforeBases, bases, ...others } = stages
  const made = Object.values(bases).flatMap((base) => (base.kind === 'made' ? [base.stage] : []))
  const all = [...Object.values(others), ...Object.values(beforeBases), ...made]
  return Object.fromEntries(all.map(({ name, key }) => [name, key]))
}

const before = keys(planStages(planned, facts))

/** Names of the stages whose keys are other ones now. */
function changed(changes: {
  plan?: (plan: Plan) => void
  lock?: (lock: Lock) => void
  facts?: Partial<BuildFacts>
  other?: Partial<typeof planned>
}): string[] {
  const [newPlan, newLock] = [structuredClone(plan), structuredClone(lock)]
  changes.plan?.(newPlan)
  changes.lock?.(newLock)
  const prepared = { ...planned, plan: newPlan, lock: newLock, ...changes.other }
  const after = keys(planStages(prepared, { ...facts, ...changes.facts }))
  return Object.keys(before).filter((name) => after[name] !== before[name])
}

const guest = (plan: Plan, name: string) =>
  plan.guests.find((item) => item.name === name) as Plan['guests'][0]
const debian = (plan: Plan, name: string) => {
  const { source } = guest(plan, name)
  if (source.kind !== 'debian') throw new Error('not a guest from packages')
  return source
}

const END = ['library', 'esp', 'image']
const TREES = ['tree.host', 'tree.web', 'tree.twin', 'tree.other']
const DISKS = ['disk.web', 'disk.twin', 'disk.other']
const BUILT = [...TREES, 'root', ...DISKS, 'library', 'esp', 'image']
const ALL = Object.keys(before)

function changes(
  t: { strictSame(found: unknown, wanted: unknown, message: string): unknown },
  what: string,
  change: Parameters<typeof changed>[0],
  expected: string[],
): void {
  t.strictSame(changed(change).sort(), [...expected].sort(), what)
}

t.test('nothing changed, nothing to do', async (t) => {
  changes(t, 'the same again', {}, [])
  t.equal(ALL.length, 14)
})

t.test('what the whole build rests on changes all that is made with it', async (t) => {
  changes(t, 'tools', { facts: { tools: 'u' } }, ALL)
  const rest = ALL.filter((name) => ![...IMPORTS, 'loader'].includes(name))
  changes(
    t,
    'epoch',
    {
      plan: (plan) => {
        plan.epoch += 1
      },
    },
    rest,
  )
  changes(t, 'mmdebstrap', { facts: { mmdebstrap: 'mmdebstrap 2' } }, BUILT)
})

t.test('a package changes the trees that it is in', async (t) => {
  const renew = (name: string) => ({
    lock: (lock: Lock) => {
      ;(lock.packages[id(name)] as LockedPackage).sha256 = '9'.repeat(64)
    },
  })
  changes(t, 'of the host', renew('libvirt'), ['tree.host', 'root', 'esp', 'image'])
  changes(t, 'of two guests', renew('busybox'), ['tree.web', 'tree.twin', 'disk.web', 'disk.twin', ...END])
  changes(t, 'of one guest', renew('nano'), ['tree.other', 'disk.other', ...END])
  changes(t, 'of all', renew('base'), BUILT)
})

t.test('a maker that changed changes what it makes, and what is made of that', async (t) => {
  const of = (module: string): Partial<BuildFacts> => ({
    programOf: (name) => (name === module ? 'changed' : facts.programOf(name)),
  })
  changes(t, 'of trees', { facts: of('debian/tree') }, BUILT)
  changes(t, "of the host's root", { facts: of('host/root') }, ['root', 'esp', 'image'])
  changes(t, 'of disks', { facts: of('sources/debian/disk') }, [...DISKS, ...END])
  changes(t, 'of imports', { facts: of('sources/image/disk') }, [...IMPORTS, ...END])
  changes(t, 'of the library', { facts: of('sources/library') }, END)
  changes(t, 'of the loader', { facts: of('host/loader') }, ['loader', 'image'])
  changes(t, 'of the ESP', { facts: of('host/esp') }, ['esp', 'image'])
  changes(t, 'of the settings', { facts: of('host/settings') }, ['settings', 'image'])
  changes(t, 'of the image', { facts: of('image/image') }, ['image'])
})

t.test("files and settings of the host change the host's root", async (t) => {
  const expected = ['root', 'esp', 'image']
  changes(t, 'entries', { facts: { hostFiles: laid('i') } }, expected)
  changes(t, 'version', { other: { builder: '0.1.1' } }, expected)
  const secrets = new Keyed({ passwordHash: new Secret('$6$a$b'), wifi: [] }, 's')
  changes(t, 'secrets', { other: { secrets } }, expected)
  changes(
    t,
    'user',
    {
      plan: (plan) => {
        plan.host.admin.name = 'ada'
      },
    },
    expected,
  )
  changes(
    t,
    'password',
    {
      plan: (plan) => {
        plan.host.admin.password = true
      },
    },
    expected,
  )
  changes(
    t,
    'time zone',
    {
      plan: (plan) => {
        plan.host.timezone = 'Asia/Tokyo'
      },
    },
    expected,
  )
  changes(
    t,
    'locale',
    {
      plan: (plan) => {
        plan.host.locale = 'de_DE.UTF-8'
      },
    },
    expected,
  )
  const asked = { plan: (plan: Plan) => void plan.host.packages.push('zsh') }
  changes(t, 'packages asked for', asked, ['tree.host', ...expected])
})

t.test('files, units and size of a guest change its disk', async (t) => {
  const expected = ['disk.web', ...END]
  const read = { ...facts.read, 'disk.web': laid('new') }
  changes(t, 'entries', { facts: { read } }, expected)
  changes(t, 'units', { plan: (plan) => void debian(plan, 'web').units.push('web.service') }, expected)
  changes(
    t,
    'size',
    {
      plan: (plan) => {
        debian(plan, 'web').size *= 2
      },
    },
    expected,
  )
  changes(
    t,
    'UUID',
    {
      plan: (plan) => {
        guest(plan, 'web').uuid = 'u'
      },
    },
    expected,
  )
  const asked = { plan: (plan: Plan) => void debian(plan, 'web').packages.push('zsh') }
  changes(t, 'packages asked for', asked, ['tree.web', ...expected])
})

t.test("an image's bytes and format change its import", async (t) => {
  const image = (change: object) => ({
    plan: (plan: Plan) => void Object.assign(guest(plan, 'box').images['import.box.disk2'] ?? {}, change),
  })
  changes(t, 'bytes', image({ sha256: 'aa'.repeat(32) }), ['import.box.disk2', ...END])
  changes(t, 'format', image({ format: 'qcow2' }), ['import.box.disk2', ...END])
  changes(t, 'path alone', image({ path: '/elsewhere/data.raw' }), [])
})

t.test('a file that is a base as it is has no stage, and changes the library', async (t) => {
  const image = (change: object) => ({
    plan: (plan: Plan) => void Object.assign(guest(plan, 'box').source, change),
  })
  changes(t, 'bytes', image({ sha256: 'aa'.repeat(32) }), END)
  changes(t, 'size', image({ size: 2 }), END)
  const iso = (plan: Plan) =>
    void Object.assign(guest(plan, 'box').images['import.box.iso0'] ?? {}, { sha256: 'aa'.repeat(32) })
  changes(t, 'bytes of another drive', { plan: iso }, END)
  changes(t, 'path alone', image({ path: '/elsewhere/box.qcow2' }), [])
  const made = planStages(planned, facts).bases
  t.match(made['import.box'], { kind: 'given', file: { path: '/profiles/box.qcow2', format: 'qcow2' } })
  t.match(made['import.box.iso0'], { kind: 'given', file: { path: '/profiles/tools.iso', format: 'iso' } })
  t.match(made['import.box.disk2'], { kind: 'made', stage: { name: 'import.box.disk2' } })
})

t.test('a definition changes the library and no disk', async (t) => {
  changes(
    t,
    'memory',
    {
      plan: (plan) => {
        guest(plan, 'web').memory.min *= 2
      },
    },
    END,
  )
  changes(
    t,
    'start order',
    {
      plan: (plan) => {
        guest(plan, 'web').autostart = 7
      },
    },
    END,
  )
  changes(
    t,
    'network',
    {
      plan: (plan) => {
        plan.network.bridge = 'other0'
      },
    },
    END,
  )
})

t.test('what stands on the boot partition or around it', async (t) => {
  const argument = { plan: (plan: Plan) => void plan.host.kernelArguments.push('debug') }
  changes(t, 'kernel arguments', argument, ['esp', 'image'])
  changes(
    t,
    'ESP',
    {
      plan: (plan) => {
        plan.stick.esp *= 2
      },
    },
    ['esp', 'image'],
  )
  changes(
    t,
    'firmware of PCs',
    {
      plan: (plan) => {
        plan.stick.firmware = ['uefi']
      },
    },
    ['esp', 'image'],
  )
  changes(
    t,
    'least data',
    {
      plan: (plan) => {
        plan.stick.dataMinimum *= 2
      },
    },
    ['esp', 'image'],
  )
  changes(
    t,
    'root slot',
    {
      plan: (plan) => {
        plan.stick.rootSlot *= 2
      },
    },
    ['image'],
  )
  changes(
    t,
    'name',
    {
      plan: (plan) => {
        plan.name = 'other'
      },
    },
    ['library', 'esp', 'settings', 'image'],
  )
})

t.test('equal trees are one stage', async (t) => {
  t.equal(before['tree.web'], before['tree.twin'])
  t.not(before['tree.web'], before['tree.other'])
  const names = stageList(planStages(planned, facts)).map(({ name }) => name)
  t.strictSame(names, [
    'tree.host',
    'root',
    'tree.web',
    'tree.other',
    'disk.web',
    'disk.twin',
    'disk.other',
    ...IMPORTS,
    'library',
    'loader',
    'esp',
    'settings',
    'image',
  ])
})

t.test('a guest of which nothing was read is a bug', async (t) => {
  t.throws(() => planStages(planned, { ...facts, read: {} }), /BUG: nothing was read of guest web/)
})

t.test('the sets of the profile are those of this test', async (t) => {
  t.strictSame(
    packageRequests(profile)
      .map(({ set }) => set)
      .filter((set) => set !== 'tools.lab')
      .sort(),
    Object.keys(SETS).sort(),
  )
})
