/**
 * `junit.xml`: the form in which CI systems take test results. Pure.
 *
 * Nobody specified it; this keeps to what the schemas of Ant's and of Jenkins's reports (`junit-10.xsd` of its xUnit
 * plugin) have in common. A suite is a PC, a case is a check of its boot.
 */
import { basename } from 'node:path'
import type { Evidence, Run } from './evidence.js'
import { markup } from './markup.js'
import type { Check, Proof } from './prove.js'

export function junitXml({ image, date, runs }: Evidence): string {
  const all = runs.flatMap(({ proof }) => proof.checks)
  const seconds = runs.reduce((sum, { proof }) => sum + proof.seconds, 0)
  const attributes = `name="${markup(`boots of ${basename(image)}`)}" ${counts(all)} time="${seconds.toFixed(1)}"`
  return `<?xml version="1.0" encoding="UTF-8"?>
<testsuites ${attributes}>
${runs.map((run) => suite(run, date)).join('\n')}
</testsuites>
`
}

function counts(checks: readonly Check[]): string {
  const failures = checks.filter(({ passed }) => !passed).length
  return `tests="${checks.length}" failures="${failures}" errors="0"`
}

function suite({ name, pc, proof }: Run, date: string): string {
  const facts = pc.map(({ label, value }) => `<property name="${markup(label)}" value="${markup(value)}"/>`)
  const started = `timestamp="${markup(date)}" time="${proof.seconds.toFixed(1)}"`
  return `<testsuite name="${markup(name)}" ${counts(proof.checks)} skipped="0" ${started}>
<properties>
${facts.join('\n')}
</properties>
${proof.checks.map((check) => testCase(check, name, proof)).join('\n')}
</testsuite>`
}

function testCase(check: Check, pc: string, proof: Proof): string {
  const seconds = proof.timings.find(({ name }) => name === check.name)?.here ?? 0
  const opened = `<testcase classname="${markup(pc)}" name="${markup(check.name)}" time="${seconds.toFixed(1)}"`
  if (check.passed) return `${opened}/>`
  const message = markup(check.detail)
  return `${opened}>
<failure type="${markup(check.name)}" message="${message}">${message}
${serial(proof)}</failure>
</testcase>`
}

function serial({ serialTail, screens }: Proof): string {
  const last = screens.at(-1)
  return [
    'The last lines of its serial console:',
    ...serialTail.map((line) => `| ${markup(line)}`),
    ...(last ? [`The last picture of its screen: ${markup(last.file)}`] : []),
    '',
  ].join('\n')
}
