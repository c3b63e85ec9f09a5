/**
 * What `run` and `test` say of a stick that is being tried. Pure.
 *
 * Every name and reason comes from the stick: whoever prints this makes it safe first.
 */
import { type Check, formatBytes, formatCpus, type Proof, type ReportEvent, type Trial } from '../index.js'
import { formatSeconds } from './progress.js'

const ACCELERATOR = { kvm: 'KVM', tcg: 'software emulation' }

/** One event of the stick's report as a line. */
export function eventText(event: ReportEvent): string {
  switch (event.event) {
    case 'host': {
      const boot = event.secureBoot === 'enabled' ? 'UEFI, Secure Boot enabled' : event.firmware.toUpperCase()
      const guests = `guests run with ${ACCELERATOR[event.accelerator]}`
      return `host up after ${formatSeconds(event.seconds)} (${boot}; ${guests})`
    }
    case 'guest': {
      const { name, state, reason, seconds, said, memory, cpus } = event
      const words = [state, reason && `: ${reason}`, said && `: "${said}"`].filter(Boolean).join('')
      if (state === 'skipped') return `guest ${name} ${words}`
      return `guest ${name} ${words} (${formatSeconds(seconds)}, ${formatBytes(memory)}, ${formatCpus(cpus)})`
    }
    case 'network': {
      const sockets = event.listens.map(({ protocol, port }) => `${protocol} ${port}`)
      return `network: ${event.addresses.join(', ') || 'no address'}; guests on ${event.subnet}; listens: ${[...new Set(sockets)].join(', ')}`
    }
    case 'data': {
      const guests = event.guests.join(', ')
      if (event.state === 'free') return `there is space on the stick again: ${guests} go on`
      return `the stick is full (${formatBytes(event.free)} free): ${guests} paused until there is space on /data`
    }
    case 'problem':
      return `problem (${event.code}): ${event.message}`
    case 'done':
      return `the stick is done starting, after ${formatSeconds(event.seconds)}`
  }
}

/** How to reach a stick that has just been switched on. */
export function trialText({ pc, links, ssh }: Pick<Trial, 'pc' | 'links' | 'ssh'>): string {
  const ram = `${formatBytes(pc.memory)}, ${formatCpus(pc.cpus)}, ${pc.firmware}, ${ACCELERATOR[pc.accelerator]}`
  return [
    `a virtual PC starts from the stick (${ram})`,
    ...links.map(({ guest, url }) => `  ${guest}: ${url}  (once it is ready)`),
    ...(ssh ? [`  log in: ${ssh.join(' ')}`] : ['  log in: not possible; --ssh makes a key for this trial']),
    ...(pc.vnc === null ? [] : [`  screen: open vnc://127.0.0.1:${pc.vnc} with a VNC viewer`]),
    '  Ctrl-C shuts the stick down; a second Ctrl-C pulls the plug',
  ].join('\n')
}

/** The verdict, and what helps where it is a bad one: what failed, the last serial lines, the last picture. */
export function proofText(proof: Proof): string {
  const { passed, report } = proof
  const saved = report ? ['', `the whole report is in ${report}: begin with report.html`] : []
  return [verdictText(proof), ...saved, ...(passed ? [] : ['', failureText(proof)])].join('\n')
}

/** The verdict and all checks, those that failed last. */
export function verdictText({ passed, checks, firmware, accelerator, seconds }: Proof): string {
  const how = `${firmware}, ${ACCELERATOR[accelerator]}, ${formatSeconds(seconds)}`
  const sorted = [...checks.filter((check) => check.passed), ...checks.filter((check) => !check.passed)]
  return [`${passed ? 'passed' : 'FAILED'} (${how})`, ...sorted.map(checkText)].join('\n')
}

function checkText({ name, passed, detail }: Check): string {
  return `  ${passed ? 'ok     ' : 'FAILED '} ${name}: ${detail}`
}

/** What helps to understand a failure. */
export function failureText({ checks, serialTail, screens, report }: Proof): string {
  const failed = checks.filter((check) => !check.passed).map(({ name }) => name)
  const last = screens.at(-1)
  return [
    `what failed: ${failed.join(', ')}`,
    ...(serialTail.length > 0
      ? ['the last lines of its serial console:', ...serialTail.map((line) => `  | ${line}`)]
      : ['its serial console said nothing']),
    last ? `the last picture of its screen: ${report}/${last.file}` : 'there is no picture of its screen',
    ...(report ? [] : ['run it again with --report DIR for pictures and the whole log']),
  ].join('\n')
}
