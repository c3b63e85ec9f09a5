import { stripVTControlCharacters } from 'node:util'
import t from 'tap'
import { GiB, MiB } from '../../src/base/units.js'
import { drawLayout } from '../../src/cli/picture.js'
import { estimateLayout, type Layout, layoutStick } from '../../src/stick/layout.js'
import { payloads, STICK } from '../support/stick.js'

const PAYLOADS = payloads({
  esp: { size: 90 * MiB, digest: 'b'.repeat(64) },
  library: { size: 220 * MiB, digest: 'd'.repeat(64) },
})
const LAYOUT = layoutStick(STICK, 'demo', PAYLOADS)
const ESTIMATE = estimateLayout(STICK, {
  biosBoot: 105297,
  esp: 90 * MiB,
  root: 184 * MiB,
  settings: 64 * MiB,
  library: 2220 * MiB,
})

const lines = (text: string) => text.split('\n')

// 1 + 256 + 128 + 384 + 384 + 64 + 275 MiB behind the first MiB: 1493 MiB and 1 for the backup GPT; 512 MiB for data. The
// GUIDs are sha256 digests (see layout.test.ts): their first eight digits are the only figures not worked out by hand.
t.test('80 columns', async (t) => {
  const [disk, ...guids] = [LAYOUT.diskGuid, ...LAYOUT.partitions.map(({ guid }) => guid)].map((guid) =>
    guid.slice(0, 8),
  )
  t.equal(
    drawLayout(LAYOUT, { width: 80, color: false }),
    `image 1.5GiB, smallest stick 2GiB, disk ${disk}

┌──────────┬───────┬───────┬─────────┬─────────┬─────────┬────────┬╌╌╌╌╌╌╌╌╌╌╌╌┐
│ bios-boot│ esp   │ free  │ root-a  │ root-b  │ settings│ library│ data       ┊
│ 1MiB     │ 256MiB│ 128MiB│ 384MiB  │ 384MiB  │ 64MiB   │ 275MiB │ 512MiB+    ┊
│ █░░░░░░░ │ ██░░░ │       │ ███░░░░ │ ░░░░░░░ │ ███████ │ █████░ │            ┊
└──────────┴───────┴───────┴─────────┴─────────┴─────────┴────────┴╌╌╌╌╌╌╌╌╌╌╌╌┘

█ used   ░ free   ┊ made on first boot

#  name       first LBA  last LBA     size      used  GUID
1  bios-boot       2048      4095     1MiB  102.8KiB  ${guids[0]}
2  esp             4096    528383   256MiB     90MiB  ${guids[1]}
-  free          528384    790527   128MiB         -  -
3  root-a        790528   1576959   384MiB    184MiB  ${guids[2]}
4  root-b       1576960   2363391   384MiB         -  ${guids[3]}
5  settings     2363392   2494463    64MiB     64MiB  ${guids[4]}
6  library      2494464   3057663   275MiB    220MiB  ${guids[5]}
7  data         3057664       end  512MiB+         -  -

Partition 7, data, is made on first boot, and fills the stick.
`,
  )
})

t.test('120 columns', async (t) => {
  t.same(lines(drawLayout(LAYOUT, { width: 120, color: false })).slice(2, 7), [
    '┌──────────┬────────────┬───────┬──────────────────┬──────────────────┬─────────┬────────────┬╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌┐',
    '│ bios-boot│ esp        │ free  │ root-a           │ root-b           │ settings│ library    │ data                    ┊',
    '│ 1MiB     │ 256MiB     │ 128MiB│ 384MiB           │ 384MiB           │ 64MiB   │ 275MiB     │ 512MiB+                 ┊',
    '│ █░░░░░░░ │ ████░░░░░░ │       │ ████████░░░░░░░░ │ ░░░░░░░░░░░░░░░░ │ ███████ │ ████████░░ │                         ┊',
    '└──────────┴────────────┴───────┴──────────────────┴──────────────────┴─────────┴────────────┴╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌┘',
  ])
})

t.test('an estimate in ASCII', async (t) => {
  t.equal(
    drawLayout(ESTIMATE, { width: 80, color: false, ascii: true }),
    `image ~3.9GiB, smallest stick ~4.4GiB

+----------+--------+--------+--------+--------+---------+------------+--------+
| bios-boot| esp    | free   | root-a | root-b | settings| library    | data   :
| ~1MiB    | ~256MiB| ~128MiB| ~384MiB| ~384MiB| ~64MiB  | ~2.7GiB    | 512MiB+:
| #....... | ##.... |        | ###... | ...... | ####### | ########.. |        :
+----------+--------+--------+--------+--------+---------+------------+--------+

# used   . free   : made on first boot

#  name       first LBA  last LBA     size       used  GUID
1  bios-boot      ~2048     ~4095    ~1MiB  ~102.8KiB  -
2  esp            ~4096   ~528383  ~256MiB     ~90MiB  -
-  free         ~528384   ~790527  ~128MiB          -  -
3  root-a       ~790528  ~1576959  ~384MiB    ~184MiB  -
4  root-b      ~1576960  ~2363391  ~384MiB          -  -
5  settings    ~2363392  ~2494463   ~64MiB     ~64MiB  -
6  library     ~2494464  ~8177663  ~2.7GiB    ~2.2GiB  -
7  data        ~8177664       end  512MiB+          -  -

Partition 7, data, is made on first boot, and fills the stick.
~ is an estimate: the build tells exactly.
`,
  )
  t.match(drawLayout(ESTIMATE, { width: 80, color: false }), '6  library     ≈2494464  ≈8177663  ≈2.7GiB')
})

t.test('colours change nothing but colours', async (t) => {
  const colored = drawLayout(LAYOUT, { width: 80, color: true })
  t.not(colored, stripVTControlCharacters(colored))
  t.equal(stripVTControlCharacters(colored), drawLayout(LAYOUT, { width: 80, color: false }))
})

t.test('the bar fills any width exactly, and is left out where names do not fit', async (t) => {
  for (let width = 72; width < 240; width++) {
    const bar = lines(drawLayout(LAYOUT, { width, color: false })).slice(2, 7)
    t.same(
      bar.map((line) => line.length),
      Array(5).fill(width),
      `${width} columns`,
    )
  }
  const narrow = drawLayout(LAYOUT, { width: 71, color: false })
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
  const empty = { number: 7, name: 'data', first: 1, minimum: 0 }
  t.match(drawLayout({ ...LAYOUT, data: empty }, { width: 80, color: false }), /│ data *┊/)
})
