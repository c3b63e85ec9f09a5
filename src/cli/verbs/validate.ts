/**
 * `keyvisor validate`: every problem of every profile named, at once.
 */
import type { Command } from 'commander'
import { EXIT, formatProblem, type Problem, validateProfile } from '../../index.js'
import { safe } from '../safe.js'
import type { Terminal } from '../terminal.js'

const HELP = `
Each problem is printed as FILE:LINE:COLUMN: error CODE: PLACE: what is wrong, and
what would mend it. Warnings alone do not fail. Exit code 2 when there is an error.

For example:
  $ keyvisor validate my-stick.yaml
  $ keyvisor validate --no-files profiles/*.yaml    in CI, without guest images`

export function add(program: Command, terminal: Terminal): void {
  program
    .command('validate')
    .argument('<profile...>', 'profiles to check')
    .description('Says everything that is wrong with a profile, without building anything.')
    .option('--no-files', 'do not look at the files that a profile names')
    .option('--json', 'print one JSON object: {"valid", "files": [{"file", "valid", "problems"}]}')
    .addHelpText('after', HELP)
    .action((files: string[], options: { files: boolean; json?: true }) => validate(files, options, terminal))
}

interface Checked {
  file: string
  valid: boolean
  problems: Problem[]
}

async function validate(
  files: string[],
  options: { files: boolean; json?: true },
  terminal: Terminal,
): Promise<void> {
  const checked: Checked[] = []
  for (const file of files) {
    const { problems } = await validateProfile(file, { files: options.files })
    checked.push({ file, valid: problems.every(({ severity }) => severity !== 'error'), problems })
  }
  const valid = checked.every((item) => item.valid)
  if (options.json) terminal.out(JSON.stringify({ valid, files: checked }, null, 2))
  else terminal.out(checked.map(checkedText).join('\n'))
  if (!valid) terminal.exit(EXIT.usage)
}

function checkedText({ file, valid, problems }: Checked): string {
  const count = (severity: Problem['severity']) =>
    problems.filter((item) => item.severity === severity).length
  const counts = [counted(count('error'), 'error'), counted(count('warning'), 'warning')].filter(Boolean)
  const verdict = `${file}: ${valid ? 'valid' : 'not valid'}${counts.length > 0 ? `, ${counts.join(', ')}` : ''}`
  return safe([...problems.map(formatProblem), verdict].join('\n'))
}

/** `1 error`, `2 errors`; empty for none. */
function counted(count: number, word: string): string {
  if (count === 0) return ''
  return `${count} ${word}${count === 1 ? '' : 's'}`
}
