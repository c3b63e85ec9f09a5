/**
 * `keyvisor init`: a commented starter profile.
 */
import { existsSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import type { Command } from 'commander'
import { KeyvisorError, starterProfile } from '../../index.js'
import type { Terminal } from '../terminal.js'

const USUAL_FILE = 'my-stick.yaml'

export function add(program: Command, terminal: Terminal): void {
  program
    .command('init')
    .argument('[file]', 'the profile to write', USUAL_FILE)
    .description(
      'Writes a commented starter profile. It is valid as it stands; a file that is there is left alone.',
    )
    .addHelpText('after', `\nFor example:\n  $ keyvisor init office.yaml\n  $ keyvisor validate office.yaml`)
    .action((file: string) => init(file, terminal))
}

async function init(file: string, terminal: Terminal): Promise<void> {
  await writeFile(file, starterProfile(schemaPath()), { flag: 'wx' }).catch(
    (cause: NodeJS.ErrnoException) => {
      throw refusal(file, cause)
    },
  )
  terminal.out(`wrote ${file}: read it, change it, then run\n  ${terminal.program} validate ${file}`)
}

/** An editor needs a path that it can open: the schema of this installation. */
function schemaPath(): string {
  return fileURLToPath(new URL('../../../schemas/profile.schema.json', import.meta.url))
}

function refusal(file: string, cause: NodeJS.ErrnoException): KeyvisorError {
  if (cause.code === 'EEXIST' && existsSync(file)) {
    return new KeyvisorError('file-exists', `${file} is there already, and is left as it is`, {
      hint: 'name another file',
      cause,
    })
  }
  return new KeyvisorError('cannot-write', `${file} cannot be written: ${cause.message}`, {
    hint: 'name a file in a folder that you may write to',
    cause,
  })
}
