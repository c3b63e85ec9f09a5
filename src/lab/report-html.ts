/**
 * `report.html`: which PCs a stick was tried on, and what each showed. Pure.
 *
 * One page that needs nothing else: pictures are in it, it runs no script, and its policy lets nothing leave it (Content
 * Security Policy, level 3). Whatever a stick said goes through {@link markup}. Left out: its looks (`report-style.ts`).
 */
import { basename } from 'node:path'
import { formatBytes } from '../base/units.js'
import type { GuestEvent } from '../guest/report.js'
import type { Evidence, Fact, Pictures, Run } from './evidence.js'
import { markup } from './markup.js'
import type { Check, Proof } from './prove.js'
import { STYLE } from './report-style.js'
import type { Screen } from './screens.js'
import type { Moment } from './timeline.js'

const POLICY =
  "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"

/** @param pictures of each run, in the order of the runs */
export function reportHtml(evidence: Evidence, pictures: readonly Pictures[]): string {
  const { image, date, runs } = evidence
  const title = `Boots of ${markup(basename(image))}`
  return `<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${POLICY}">
<meta name="referrer" content="no-referrer">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${verdictWord(passes(runs))}: ${title}</title>
<style>${STYLE}</style>
</head>
<body>
<header>
<h1>${title}</h1>
<p>${markup(image)}, ${markup(date)}</p>
${verdict(runs)}
</header>
<main>
<h2>PCs and checks</h2>
${overview(runs)}
${runs.map((run, index) => section(run, index, pictures[index] ?? new Map())).join('\n')}
</main>
</body>
</html>
`
}

// -------------------------------------------------------------------------------------------- at a glance

function passes(runs: readonly Run[]): boolean {
  return runs.length > 0 && runs.every(({ proof }) => proof.passed)
}

function verdictWord(passed: boolean): string {
  return passed ? 'passed' : 'FAILED'
}

function verdict(runs: readonly Run[]): string {
  const failed = runs.filter(({ proof }) => !proof.passed)
  const count = `${runs.length - failed.length} of ${runs.length} ${runs.length === 1 ? 'PC' : 'PCs'} passed`
  const names = failed.map(({ name }) => markup(name)).join(', ')
  const words = failed.length > 0 ? `${count}; failed: ${names}` : count
  return `<p class="verdict ${look(passes(runs))}"><strong>${verdictWord(passes(runs))}</strong> ${words}</p>`
}

function look(passed: boolean): string {
  return passed ? 'good' : 'bad'
}

function overview(runs: readonly Run[]): string {
  const columns = [...new Set(runs.flatMap(({ proof }) => proof.checks.map(columnOf)))]
  const head = ['PC', 'verdict', ...columns.map(markup)].map((name) => `<th scope="col">${name}</th>`)
  const rows = runs.map((run, index) => overviewRow(run, index, columns))
  return table(head.join(''), rows.join('\n'))
}

/** Problems share a column: a stick makes up their codes. */
function columnOf({ name }: Check): string {
  return name.startsWith('problem ') ? 'problems' : name
}

function overviewRow({ name, pc, proof }: Run, index: number, columns: readonly string[]): string {
  const cells = columns.map((column) => {
    const checks = proof.checks.filter((check) => columnOf(check) === column)
    if (checks.length === 0) return '<td class="none">–</td>'
    const passed = checks.every((check) => check.passed)
    return cell(passed, checks.map(({ detail }) => detail).join('; '))
  })
  const link = `<a href="#pc-${index + 1}">${markup(name)}</a>`
  const what = `<small>${pc.map(({ value }) => markup(value)).join(', ')}</small>`
  return `<tr><th scope="row">${link} ${what}</th>${cell(proof.passed, '', verdictWord(proof.passed))}${cells.join('')}</tr>`
}

/** In words: not everybody sees colours, and printers have none. */
function cell(passed: boolean, detail: string, word = passed ? 'ok' : 'FAILED'): string {
  return `<td class="${look(passed)}" title="${markup(detail)}">${word}</td>`
}

/** Wide tables scroll by themselves: the page does not. */
function table(head: string, rows: string): string {
  return `<div class="wide"><table><thead><tr>${head}</tr></thead>
<tbody>
${rows}
</tbody></table></div>`
}

function tableOf(columns: readonly string[], rows: readonly (readonly string[])[]): string {
  const cells = (row: readonly string[]) => `<tr>${row.map((text) => `<td>${text}</td>`).join('')}</tr>`
  return table(columns.map((name) => `<th scope="col">${name}</th>`).join(''), rows.map(cells).join('\n'))
}

// --------------------------------------------------------------------------------------------- each PC

function section({ name, pc, proof }: Run, index: number, pictures: Pictures): string {
  const badge = `<span class="badge ${look(proof.passed)}">${verdictWord(proof.passed)}</span>`
  return `<section id="pc-${index + 1}">
<h2>${markup(name)} ${badge}</h2>
${facts(pc)}
<h3>Checks</h3>
${checkTable(proof.checks)}
${serial(proof)}
<h3>Guests</h3>
${guestTable(proof)}
<h3>Timings</h3>
${timingTable(proof.timings)}
<h3>Screens</h3>
${screens(proof, pictures)}
</section>`
}

function facts(pc: readonly Fact[]): string {
  const rows = pc.map(({ label, value }) => `<div><dt>${markup(label)}</dt><dd>${markup(value)}</dd></div>`)
  return `<dl>${rows.join('')}</dl>`
}

function checkTable(checks: readonly Check[]): string {
  const rows = checks.map(
    ({ name, passed, detail }) =>
      `<tr><th scope="row">${markup(name)}</th>${cell(passed, '')}<td>${markup(detail)}</td></tr>`,
  )
  return table(
    '<th scope="col">check</th><th scope="col">verdict</th><th scope="col">what was seen</th>',
    rows.join('\n'),
  )
}

function serial({ passed, serialTail }: Proof): string {
  if (passed) return ''
  return `<h3>The last lines of its serial console</h3>
<pre>${serialTail.map(markup).join('\n') || '(it said nothing)'}</pre>`
}

const GUEST_COLUMNS = ['guest', 'state', 'accelerator', 'memory', 'CPUs', 'took', 'said', 'notes']

function guestTable({ events }: Proof): string {
  const told = events.filter((event): event is GuestEvent => event.event === 'guest')
  if (told.length === 0) return '<p>The stick said nothing of any guest.</p>'
  const rows = told.map(({ name, state, reason, accelerator, memory, cpus, seconds: took, said, note }) => [
    ...[name, state, accelerator].map(markup),
    bytes(memory),
    markup(cpus),
    seconds(took),
    markup(said),
    [reason, note].filter(Boolean).map(markup).join('; '),
  ])
  return tableOf(GUEST_COLUMNS, rows)
}

function timingTable(timings: readonly Moment[]): string {
  if (timings.length === 0) return '<p>Nothing was heard of the stick.</p>'
  const rows = timings.map(({ name, here, stick }) => [markup(name), seconds(here), seconds(stick)])
  return tableOf(['what', 'since power-on', "by the stick's clock, since its kernel"], rows)
}

function bytes(value: unknown): string {
  return Number.isSafeInteger(value) ? formatBytes(value as number) : '–'
}

function seconds(value: unknown): string {
  return typeof value === 'number' && Number.isFinite(value) ? `${value.toFixed(1)} s` : '–'
}

function screens(proof: Proof, pictures: Pictures): string {
  const shown = proof.screens.map((screen) => figure(screen, pictures.get(screen.file)))
  const unseen = proof.unseen.map((why) => `<li>${markup(why)}</li>`)
  const left = unseen.length > 0 ? `<p>Not pictured:</p><ul>${unseen.join('')}</ul>` : ''
  if (shown.length === 0 && left === '') return '<p>No pictures were taken.</p>'
  return `<div class="screens">${shown.join('\n')}</div>${left}`
}

function figure({ name, file }: Screen, png: string | undefined): string {
  if (png === undefined) return ''
  const caption = `<figcaption>${markup(name)} <small>${markup(file)}</small></figcaption>`
  return `<figure><img alt="screen: ${markup(name)}" src="data:image/png;base64,${png}">${caption}</figure>`
}
