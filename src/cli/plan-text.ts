/**
 * The plan as text. Pure.
 */
import {
  formatBytes,
  formatCpus,
  formatProblem,
  type GuestPreview,
  type Pc,
  type PlanReport,
  type Ready,
  type StagePreview,
  sourceWords,
} from '../index.js'
import { drawLayout, type PictureOptions } from './picture.js'
import { wrapWords } from './wrap.js'

export function planText(report: PlanReport, options: PictureOptions): string {
  const { plan, obstacle, warnings } = report
  const blocks = [
    ...(warnings.length > 0 ? [warnings.map(formatProblem).join('\n')] : []),
    `${plan.name}: ${drawLayout(report.layout, options).trimEnd()}`,
    ...(obstacle ? [`it does not fit: ${obstacle.message}\n  hint: ${obstacle.hint}`] : []),
    firmwareText(report),
    hostText(report, options.width),
    ...hardwareText(report),
    guestsText(report, options.width),
    stagesText(report.stages),
  ]
  const text = `${blocks.join('\n\n')}\n`
  return options.ascii ? text.replaceAll('≈', '~') : text
}

function firmwareText({ plan, lock }: PlanReport): string {
  const date = new Date(plan.epoch * 1000).toISOString().slice(0, 10)
  return `starts on: ${plan.stick.firmware.join(', ')}\npackages as of ${date}, pinned by ${lock.path}`
}

function hostText({ plan, hostPackages }: PlanReport, width: number): string {
  const { host } = plan
  const uplink = host.uplink.kind === 'dhcp' ? 'DHCP' : `${host.uplink.address} via ${host.uplink.gateway}`
  const network = host.bridge === null ? uplink : `${uplink}, bridge ${host.bridge}`
  const facts = [
    `Debian ${host.suite}, ${host.locale}, keyboard ${keyboardWords(host)}, ${host.timezone}, network ${network}`,
    ...(host.wifi.length > 0 ? [`Wi-Fi ${host.wifi.map(({ ssid }) => ssid).join(', ')}`] : []),
    `admin ${host.admin.name}, ${loginWords(host.admin)}`,
    ...wrapWords(
      `${hostPackages.length} packages, for these ${host.packages.length}: ${host.packages.join(' ')}`,
      width - 2,
    ),
  ]
  return [`host ${host.hostname}`, ...facts.map((line) => `  ${line}`)].join('\n')
}

/** Layout and variant, as `de nodeadkeys`. */
function keyboardWords({ keyboard }: PlanReport['plan']['host']): string {
  return [keyboard.layout, keyboard.variant.replace(/^,/, '')].filter(Boolean).join(' ')
}

/** The firmware that the host has for PCs; nothing where it has none. */
function hardwareText({ firmware }: PlanReport): string[] {
  if (firmware.length === 0) return []
  const total = firmware.reduce((sum, { installed }) => sum + installed, 0)
  const rows = [
    ...firmware.map(({ name, installed, title }) => [name, formatBytes(installed), `for ${title}`] as const),
    ['together', formatBytes(total), 'unpacked'] as const,
  ]
  const [names, sizes] = [0, 1].map((column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)))
  const lines = rows.map(
    ([name, size, words]) => `  ${name.padEnd(names ?? 0)}  ${size.padStart(sizes ?? 0)}  ${words}`,
  )
  return [['firmware', ...lines].join('\n')]
}

function loginWords({ sshKeys, password }: PlanReport['plan']['host']['admin']): string {
  const ways = [
    ...(sshKeys.length > 0 ? [`${sshKeys.length} SSH key${sshKeys.length === 1 ? '' : 's'}`] : []),
    ...(password ? ['a password'] : []),
  ]
  return ways.length > 0 ? `with ${ways.join(' and ')}` : 'who cannot log in: no key and no password'
}

// ------------------------------------------------------------------------------------------ guests

function guestsText({ guests, pc }: PlanReport, width: number): string {
  if (guests.length === 0) return 'no guests: add them on the stick, with virt-manager or virsh'
  return guests.map((guest) => guestText(guest, pc, width)).join('\n\n')
}

function guestText({ definition, packages, sized }: GuestPreview, pc: Pc, width: number): string {
  const { name, uuid, hardware, cpus, memory, drives, images, nics, ports, usb, shares } = definition
  const rows: [string, string][] = [
    ['source', sourceWords(definition.source, packages.length)],
    ['machine', `${hardware.machine}, ${hardware.firmware}, UUID ${uuid}`],
    ['CPUs', range(cpus.min, cpus.max, String)],
    ['memory', range(memory.min, memory.max, amountWords)],
    ['disks', drives.flatMap((drive) => diskWords(drive, images)).join(', ')],
    ...drives.flatMap((drive): [string, string][] =>
      drive.kind === 'cdrom' ? [['CD', images[drive.base]?.path ?? '']] : [],
    ),
    ['network', nics.map(nicWords).join('; ') || 'none'],
    ...ports.map((port): [string, string] => [
      'port',
      `${port.host} of the stick leads to its ${port.guest}`,
    ]),
    ...usb.map(({ vendor, product }): [string, string] => ['USB', `${vendor}:${product}, where it is there`]),
    ...shares.map((share): [string, string] => ['shares', `/data/shares/${share.name}`]),
    ['starts', startWords(definition)],
    [pcWords(pc), sizedWords(sized)],
  ]
  const column = Math.max(...rows.map(([label]) => label.length))
  const lines = rows.flatMap(([label, text]) =>
    wrapWords(text, width - column - 4).map(
      (line, index) => `  ${(index === 0 ? label : '').padEnd(column)}  ${line}`,
    ),
  )
  return [`guest ${name}`, ...lines].join('\n')
}

type Definition = GuestPreview['definition']

/** That of the first disk is the guest's source, which has a line of its own. */
function diskWords(drive: Definition['drives'][number], images: Definition['images']): string[] {
  if (drive.kind === 'cdrom') return []
  const image = drive.kind === 'overlay' ? images[drive.base] : undefined
  return [`${formatBytes(drive.size)}${image ? ` from ${image.path}` : ''}`]
}

function amountWords(amount: Definition['memory']['max']): string {
  return typeof amount === 'number' ? formatBytes(amount) : `${amount.percent}% of the PC's`
}

function nicWords(nic: Definition['nics'][number]): string {
  return nic.address === null
    ? `bridge ${nic.bridge}, ${nic.mac}`
    : `${nic.address} on ${nic.network}, ${nic.mac}`
}

function range<T>(min: T, max: T, words: (value: T) => string): string {
  return min === max ? words(min) : `${words(min)} to ${words(max)}`
}

function startWords({ autostart, changes, ready }: Definition): string {
  const order = autostart === null ? 'not by itself' : `with the stick, order ${autostart}`
  const kept = changes === 'keep' ? 'keeps its changes' : 'fresh at each start'
  return `${order}; ${kept}; ready ${readyWords(ready)}`
}

function readyWords(ready: Ready): string {
  if (ready.kind === 'agent') return 'when its agent answers'
  if (ready.kind === 'tcp') return `when its TCP port ${ready.port} answers`
  if (ready.kind === 'log') return `when its console says ${ready.pattern}`
  return 'is not looked for'
}

function pcWords({ memory, cpus, kvm }: Pc): string {
  return `on ${formatBytes(memory)}, ${formatCpus(cpus)}${kvm ? '' : ', no KVM'}`
}

function sizedWords({ start, reason, memory, cpus, accelerator }: GuestPreview['sized']): string {
  const gets = `${formatBytes(memory)}, ${formatCpus(cpus)}, ${accelerator === 'kvm' ? 'KVM' : 'emulated'}`
  return start ? gets : `not started: ${reason}`
}

// ------------------------------------------------------------------------------------------ stages

function stagesText(stages: StagePreview[]): string {
  const column = Math.max(...stages.map(({ title }) => title.length))
  const lines = stages.map(({ title, stored }) => `  ${title.padEnd(column)}  ${stored ? 'stored' : 'to do'}`)
  return ['stages', ...lines].join('\n')
}
