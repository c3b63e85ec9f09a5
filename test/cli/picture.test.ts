import { stripVTControlCharacters } from 'node:util'
import t from 'tap'
import { GiB, MiB } from '../../src/base/units.js'
import { drawLayout } from '../../src/cli/picture.js'
import type { StickPlan } from '../../src/stick/definition.js'
import { estimateLayout, type Layout, layoutStick } from '../../src/stick/layout.js'

const STICK: StickPlan = {
  architecture: 'amd64',
  firmware: ['bios', 'uefi', 'secureboot'],
  minimumSize: 4 * GiB,
  alignment: MiB,
  biosBoot: MiB,
  esp: 256 * MiB,
  rootSlot: 384 * MiB,
  library: { headroomPercent: 25 },
  dataMinimum: 512 * MiB,
}

const LAYOUT = layoutStick(STICK, 'demo', {
  biosBoot: { size: 105297, sha256: 'a'.repeat(64) },
  esp: { size: 90 * MiB, sha256: 'b'.repeat(64) },
  root: { size: 184 * MiB, sha256: 'c'.repeat(64) },
  library: { size: 220 * MiB, sha256: 'd'.repeat(64) },
})
const ESTIMATE = estimateLayout(STICK, {
  biosBoot: 105297,
  esp: 90 * MiB,
  root: 184 * MiB,
  library: 2220 * MiB,
})

const lines = (text: string) => text.split('\n')

// 1 + 256 + 384 + 384 + 275 MiB behind the first MiB, and 512 MiB for data: 1301 MiB and 1 for the backup GPT. The
// GUIDs are sha256 digests (see layout.test.ts): their first eight digits are the only figures not worked out by hand.
t.test('80 columns', async (t) => {
  const [disk, ...guids] = [LAYOUT.diskGuid, ...LAYOUT.partitions.map(({ guid }) => guid)].map((guid) =>
    guid.slice(0, 8),
  )
  t.equal(
    drawLayout(LAYOUT, { width: 80, color: false }),
    `image 1.3GiB, smallest stick 1.8GiB, disk ${disk}

┌───────────┬────────┬─────────────┬─────────────┬─────────┬╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌┐
│ bios-boot │ esp    │ root-a      │ root-b      │ library │ data              ┊
│ 1MiB      │ 256MiB │ 384MiB      │ 384MiB      │ 275MiB  │ 512MiB+           ┊
│ █░░░░░░░░ │ ██░░░░ │ █████░░░░░░ │ ░░░░░░░░░░░ │ ██████░ │                   ┊
└───────────┴────────┴─────────────┴─────────────┴─────────┴╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌┘

█ used   ░ free   ┊ made on first boot

#  name       first LBA  last LBA     size      used  GUID
1  bios-boot       2048      4095     1MiB  102.8KiB  ${guids[0]}
2  esp             4096    528383   256MiB     90MiB  ${guids[1]}
3  root-a        528384   1314815   384MiB    184MiB  ${guids[2]}
4  root-b       1314816   2101247   384MiB         -  ${guids[3]}
5  library      2101248   2664447   275MiB    220MiB  ${guids[4]}
6  data         2664448       end  512MiB+         -  -

Partition 6, data, is made on first boot, and fills the stick.
`,
  )
})

t.test('120 columns', async (t) => {
  t.same(lines(drawLayout(LAYOUT, { width: 120, color: false })).slice(2, 7), [
    '┌───────────┬──────────────┬─────────────────────┬─────────────────────┬───────────────┬╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌┐',
    '│ bios-boot │ esp          │ root-a              │ root-b              │ library       │ data                          ┊',
    '│ 1MiB      │ 256MiB       │ 384MiB              │ 384MiB              │ 275MiB        │ 512MiB+                       ┊',
    '│ █░░░░░░░░ │ ████░░░░░░░░ │ █████████░░░░░░░░░░ │ ░░░░░░░░░░░░░░░░░░░ │ ██████████░░░ │                               ┊',
    '└───────────┴──────────────┴─────────────────────┴─────────────────────┴───────────────┴╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌┘',
  ])
})

t.test('an estimate in ASCII', async (t) => {
  t.equal(
    drawLayout(ESTIMATE, { width: 80, color: false, ascii: true }),
    `image ~3.7GiB, smallest stick ~4.2GiB

+-----------+---------+---------+---------+--------------------------+---------+
| bios-boot | esp     | root-a  | root-b  | library                  | data    :
| ~1MiB     | ~256MiB | ~384MiB | ~384MiB | ~2.7GiB                  | 512MiB+ :
| #........ | ##..... | ###.... | ....... | ###################..... |         :
+-----------+---------+---------+---------+--------------------------+---------+

# used   . free   : made on first boot

#  name       first LBA  last LBA     size       used  GUID
1  bios-boot      ~2048     ~4095    ~1MiB  ~102.8KiB  -
2  esp            ~4096   ~528383  ~256MiB     ~90MiB  -
3  root-a       ~528384  ~1314815  ~384MiB    ~184MiB  -
4  root-b      ~1314816  ~2101247  ~384MiB          -  -
5  library     ~2101248  ~7784447  ~2.7GiB    ~2.2GiB  -
6  data        ~7784448       end  512MiB+          -  -

Partition 6, data, is made on first boot, and fills the stick.
~ is an estimate: the build tells exactly.
`,
  )
  t.match(drawLayout(ESTIMATE, { width: 80, color: false }), '5  library     ≈2101248  ≈7784447  ≈2.7GiB')
})

t.test('colours change nothing but colours', async (t) => {
  const colored = drawLayout(LAYOUT, { width: 80, color: true })
  t.not(colored, stripVTControlCharacters(colored))
  t.equal(stripVTControlCharacters(colored), drawLayout(LAYOUT, { width: 80, color: false }))
})

t.test('the bar fills any width exactly, and is left out where names do not fit', async (t) => {
  for (let width = 61; width < 240; width++) {
    const bar = lines(drawLayout(LAYOUT, { width, color: false })).slice(2, 7)
    t.same(
      bar.map((line) => line.length),
      Array(5).fill(width),
      `${width} columns`,
    )
  }
  const narrow = drawLayout(LAYOUT, { width: 58, color: false })
  t.notMatch(narrow, '┌')
  t.match(narrow, '3  root-a')
})

t.test('a stick that was booted, and a disk of somebody else', async (t) => {
  const made: Layout = { ...LAYOUT, data: null }
  t.notMatch(drawLayout(made, { width: 80, color: false }), /first boot|┊/)
  t.match(drawLayout({ ...made, partitions: [] }, { width: 80, color: false }), 'first LBA')
  const [first] = LAYOUT.partitions as [Layout['partitions'][0]]
  const hostile = { ...first, name: '\x1b[2J\u202e名前 Größe and much more', used: 10 * GiB }
  const text = drawLayout({ ...made, partitions: [hostile] }, { width: 80, color: false })
  t.match(text, '?[2J??? Größe a~')
  t.notMatch(text, '\x1b')
  const empty = { number: 6, name: 'data', first: 1, minimum: 0 }
  t.match(drawLayout({ ...LAYOUT, data: empty }, { width: 80, color: false }), /│ data +┊/)
})
