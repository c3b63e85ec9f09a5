import t from 'tap'
import { machineText, stopText, walkText } from '../../src/cli/walk-text.js'
import type { Machine, Proof } from '../../src/index.js'

const PROOF: Proof = {
  passed: true,
  firmware: 'bios',
  accelerator: 'tcg',
  memory: 2 ** 31,
  cpus: 1,
  virtualization: true,
  checks: [{ name: 'host', passed: true, detail: 'up after 31 s' }],
  events: [],
  seconds: 75.5,
  serialTail: ['login:'],
  shutdown: 'off',
  timings: [],
  unseen: [],
  screens: [],
  report: '/r/a',
}
const FAILED: Proof = {
  ...PROOF,
  passed: false,
  checks: [...PROOF.checks, { name: 'said web', passed: false, detail: '"2" is not one more than "2"' }],
  serialTail: ['one', 'two'],
  screens: [{ name: 'failure', file: 'screen.png' }],
  report: '/r/b',
}
const UNTRIED: Proof = {
  ...FAILED,
  checks: [{ name: 'trial', passed: false, detail: 'qemu failed (exit code 1); no memory' }],
  serialTail: [],
  screens: [],
  report: null,
}

const pc = (name: string) =>
  ({
    name,
    description: 'a PC',
    firmware: 'bios',
    memory: 2 ** 31,
    cpus: 1,
    processor: 'virtualization',
    otherSystem: false,
    board: { chipset: 'q35', bus: 'xhci', nic: 'none', screen: true, old: false },
  }) as Machine

t.test('before a boot, and after it', async (t) => {
  t.match(machineText(pc('a'), 1, 3), /^\nPC 2 of 3: a \(a PC; bios, q35, /)
  t.strictSame(stopText(pc('b'), FAILED).split('\n'), [
    'b: FAILED (bios, software emulation, 1 min 16 s)',
    '  ok      host: up after 31 s',
    '  FAILED  said web: "2" is not one more than "2"',
  ])
})

t.test('a walk that passed ends with its verdict', async (t) => {
  const runs = [{ machine: pc('a'), proof: PROOF }]
  t.strictSame(walkText({ passed: true, runs }).split('\n').slice(1), [
    '  ok      a  1 min 16 s, 1 checks',
    'passed: 1 of 1 PCs',
  ])
})

t.test('one that failed ends, for each PC, with what failed, serial lines and picture', async (t) => {
  const runs = [
    { machine: pc('a'), proof: PROOF },
    { machine: pc('long-name'), proof: FAILED },
    { machine: pc('c'), proof: UNTRIED },
  ]
  t.strictSame(walkText({ passed: false, runs }).split('\n').slice(1), [
    '  ok      a          1 min 16 s, 1 checks',
    '  FAILED  long-name  1 min 16 s, said web: "2" is not one more than "2"',
    '  FAILED  c          1 min 16 s, trial: qemu failed (exit code 1); no memory',
    'FAILED: 1 of 3 PCs',
    '',
    'long-name: what failed: said web',
    'the last lines of its serial console:',
    '  | one',
    '  | two',
    'the last picture of its screen: /r/b/screen.png',
    '',
    'c: what failed: trial',
    'its serial console said nothing',
    'there is no picture of its screen',
    'run it again with --report DIR for pictures and the whole log',
  ])
})
