/**
 * What `test --walk` says. Pure. Whoever prints this makes it safe first.
 */
import { type Machine, machineWords, type Proof, type Walk } from '../index.js'
import { formatSeconds } from './progress.js'
import { failureText, verdictText } from './trial-text.js'

/** Before a boot: `PC 2 of 8: office (…)`. */
export function machineText(machine: Machine, index: number, count: number): string {
  const what = [machine.description, machineWords(machine)].filter(Boolean).join('; ')
  return `\nPC ${index + 1} of ${count}: ${machine.name} (${what})`
}

/** After a boot: its verdict, by the PC's name. What helps where it is a bad one comes at the walk's end. */
export function stopText({ name }: Machine, proof: Proof): string {
  return `${name}: ${verdictText(proof)}`
}

/** The table of all PCs and what failed on which; then, for each failure, what helps to understand it. */
export function walkText({ passed, runs }: Walk): string {
  const width = Math.max(...runs.map(({ machine }) => machine.name.length))
  const rows = runs.map(({ machine, proof }) => {
    const verdict = proof.passed ? 'ok     ' : 'FAILED '
    const said = proof.passed ? `${proof.checks.length} checks` : failures(proof.checks)
    return `  ${verdict} ${machine.name.padEnd(width)}  ${formatSeconds(proof.seconds)}, ${said}`
  })
  const failed = runs.filter(({ proof }) => !proof.passed)
  const verdict = `${passed ? 'passed' : 'FAILED'}: ${runs.length - failed.length} of ${runs.length} PCs`
  const details = failed.flatMap(({ machine, proof }) => ['', `${machine.name}: ${failureText(proof)}`])
  return ['', ...rows, verdict, ...details].join('\n')
}

function failures(checks: Proof['checks']): string {
  return checks
    .filter(({ passed }) => !passed)
    .map(({ name, detail }) => `${name}: ${detail}`)
    .join('; ')
}
