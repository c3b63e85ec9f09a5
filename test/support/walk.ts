/**
 * A made-up walk over eight PCs, one of which failed, by a stick that tries to get at whoever reads of it.
 */

import type { ReportEvent } from '../../src/guest/report.js'
import { type Evidence, type Pictures, pcFacts, type Run } from '../../src/lab/evidence.js'
import type { Proof } from '../../src/lab/prove.js'
import { pngOf, words } from './pictures.js'

/** Where every attack wants to go. */
export const OUTSIDE = 'http://outside.example/'

const ATTACKS = [
  `<script src="${OUTSIDE}script.js"></script>`,
  `<img src=${OUTSIDE}img.png onerror=alert(1)>`,
  `"><iframe src='${OUTSIDE}frame'></iframe>`,
  `</style><style>@import "${OUTSIDE}style.css"`,
  `</pre><link rel=stylesheet href=${OUTSIDE}link.css>`,
  ']]><!-- --> &amp; &#0;',
  '\x00\x01\x08\x1b[2J\x7f\x9f\ud800\ufffe\u202e',
]
const [script, img, frame, style, link, comment, control] = ATTACKS as [
  ...[string, string, string, string, string, string, string],
]

export const FAILED = 'old laptop'
export const NAMES = [
  'office',
  'server',
  FAILED,
  'secure boot',
  'no network',
  'large',
  'emulated',
  `hostile ${script} ${comment} ${control}`,
]

const host = { event: 'host', name: script, seconds: 31.4, memory: 2 ** 31, cpus: 2 }
const done = { event: 'done', seconds: 61 }

function guest(more: object = {}): object {
  return {
    event: 'guest',
    name: 'counter',
    state: 'ready',
    reason: '',
    accelerator: 'kvm',
    memory: 2 ** 29,
    cpus: 2,
    seconds: 20.2,
    said: 'start number 3',
    hypervisor: 'KVM',
    note: '',
    confinement: null,
    hardware: null,
    ...more,
  }
}

function proof(events: object[], more: Partial<Proof> = {}): Proof {
  return {
    passed: true,
    firmware: 'uefi',
    accelerator: 'tcg',
    memory: 2 ** 31,
    cpus: 2,
    virtualization: true,
    checks: [
      { name: 'host', passed: true, detail: 'up after 31 s' },
      { name: 'guest counter', passed: true, detail: 'ready after 20 s' },
      { name: 'shutdown', passed: true, detail: 'switched itself off' },
    ],
    events: events as ReportEvent[],
    seconds: 75.5,
    serialTail: ['demo login:'],
    shutdown: 'off',
    timings: [
      { name: 'grub', here: 2, stick: null },
      { name: 'host', here: 38.5, stick: 31.4 },
      { name: 'guest counter', here: 59.5, stick: null },
    ],
    screens: [
      { name: 'firmware', file: 'firmware.png' },
      { name: 'guest counter', file: 'guest-1.png' },
    ],
    unseen: ['grub: it said nothing'],
    report: null,
    ...more,
  } as Proof
}

/** The kernel stops: no guests, a serial console that attacks, a picture of the failure. */
const failed = proof([{ event: 'problem', code: img, message: frame }], {
  passed: false,
  checks: [
    { name: 'host', passed: false, detail: 'it did not say that it is up within 40 s' },
    { name: `problem ${img}`, passed: false, detail: frame },
  ],
  serialTail: [link, style, 'Kernel panic - not syncing'],
  shutdown: 'killed',
  timings: [],
  screens: [{ name: 'failure', file: 'screen.png' }],
  unseen: [img],
})

/** Members of a wrong type, as a stick may send them. */
const hostile = proof([
  { event: 'host', name: { toString: 1 }, seconds: 'soon' },
  guest({ name: frame, said: style, note: control, reason: comment, state: ['ready'] }),
  guest({ name: null, memory: '1GiB', cpus: {}, seconds: Number.NaN, said: 'x'.repeat(100_000) }),
])

function proofOf(name: string): Proof {
  if (name === FAILED) return failed
  return name.startsWith('hostile') ? hostile : proof([host, guest(), done])
}

const runs: Run[] = NAMES.map((name) => ({ name, pc: pcFacts(proofOf(name)), proof: proofOf(name) }))

export const WALK: Evidence = { image: `out/${frame}.img`, date: '2026-01-02T03:04:05.000Z', runs }

const png = pngOf(80, 25, words).toString('base64')
export const PICTURES: Pictures[] = runs.map(
  ({ proof }) => new Map(proof.screens.map(({ file }) => [file, png])),
)
