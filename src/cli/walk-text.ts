/**
 * What `test --walk` says. Pure. Whoever prints this makes it safe first.
 */
import { type Machine, machineWords, type Walk } from '../index.js'
import { formatSeconds } from './progress.js'

/** Before a boot: `PC 2 of 8: office (…)`. */
export function machineText(machine: Machine, index: number, count: number): string {
  const what = [machine.description, machineWords(machine)].filter(Boolean).join('; ')
  return `\nPC ${index + 1} of ${count}: ${machine.name} (${what})`
}

/** The table of all PCs, and what failed on which. */
export function walkText({ passed, runs }: Walk): string {
  const width = Math.max(...runs.map(({ machine }) => machine.name.length))
  const rows = runs.map(({ machine, proof }) => {
    const verdict = proof.passed ? 'ok     ' : 'FAILED '
    const said = proof.passed ? `${proof.checks.length} checks` : failures(proof.checks)
    return `  ${verdict} ${machine.name.padEnd(width)}  ${formatSeconds(proof.seconds)}, ${said}`
  })
  const good = runs.filter(({ proof }) => proof.passed).length
  const verdict = `${passed ? 'passed' : 'FAILED'}: ${good} of ${runs.length} PCs`
  return ['', ...rows, verdict].join('\n')
}

function failures(checks: Walk['runs'][number]['proof']['checks']): string {
  return checks
    .filter(({ passed }) => !passed)
    .map(({ name, detail }) => `${name}: ${detail}`)
    .join('; ')
}
