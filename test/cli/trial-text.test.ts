import t from 'tap'
import { proofText } from '../../src/cli/trial-text.js'
import type { Proof } from '../../src/index.js'

const PROOF: Proof = {
  passed: true,
  firmware: 'bios',
  accelerator: 'tcg',
  memory: 2 ** 31,
  cpus: 2,
  virtualization: true,
  checks: [{ name: 'host', passed: true, detail: 'up after 31 s' }],
  events: [],
  seconds: 75.5,
  serialTail: ['login:'],
  shutdown: 'off',
  timings: [],
  unseen: [],
  screens: [],
  report: null,
}

const FAILED: Proof = {
  ...PROOF,
  passed: false,
  checks: [
    { name: 'guest web', passed: false, detail: 'failed: no sign' },
    { name: 'host', passed: true, detail: 'up after 31 s' },
    { name: 'problem verity', passed: false, detail: 'a bad block' },
  ],
  serialTail: ['one', 'two'],
}

t.test('a boot that passed', async (t) => {
  const lines = proofText(PROOF).split('\n')
  t.strictSame(lines, ['passed (bios, software emulation, 1 min 16 s)', '  ok      host: up after 31 s'])
  t.match(proofText({ ...PROOF, report: '/r' }), /^the whole report is in \/r: begin with report\.html$/m)
})

t.test('a failure ends with what failed, the last serial lines and the last picture', async (t) => {
  const screens = [
    { name: 'grub', file: 'grub.png' },
    { name: 'failure', file: 'screen.png' },
  ]
  const lines = proofText({ ...FAILED, report: '/r', screens }).split('\n')
  t.equal(lines[0], 'FAILED (bios, software emulation, 1 min 16 s)')
  t.equal(lines[1], '  ok      host: up after 31 s', 'what failed stands last')
  t.strictSame(lines.slice(-6), [
    '',
    'what failed: guest web, problem verity',
    'the last lines of its serial console:',
    '  | one',
    '  | two',
    'the last picture of its screen: /r/screen.png',
  ])
})

t.test('without a report there is no picture, and a hint', async (t) => {
  const lines = proofText(FAILED).split('\n')
  t.strictSame(lines.slice(-2), [
    'there is no picture of its screen',
    'run it again with --report DIR for pictures and the whole log',
  ])
})
