/**
 * `keyvisor init`: a commented starter profile.
 */
import { existsSync } from 'node:fs'
import { open, rm } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import type { Command } from 'commander'
import { errorHint, errorWords, KeyvisorError, SCHEMA_FILE, starterProfile } from '../../index.js'
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
  const opened = await open(file, 'wx').catch((cause) => {
    throw refusal(file, cause)
  })
  try {
    await opened.writeFile(starterProfile(schemaPath()))
  } catch (cause) {
    // Half of it would be in the way.
    await rm(file, { force: true }).catch(() => {})
    throw refusal(file, cause as NodeJS.ErrnoException)
  } finally {
    await opened.close()
  }
  terminal.out(`wrote ${file}: read it, change it, then run\n  ${terminal.program} validate ${file}`)
}

/** An editor needs a path that it can open: the schema of this installation. */
function schemaPath(): string {
  return fileURLToPath(SCHEMA_FILE)
}

function refusal(file: string, cause: NodeJS.ErrnoException): KeyvisorError {
  if (cause.code === 'EEXIST' && existsSync(file)) {
    return new KeyvisorError('file-exists', `${file} is there already, and is left as it is`, {
      hint: 'name another file',
      cause,
    })
  }
  return new KeyvisorError('cannot-write', `${file} cannot be written: ${errorWords(cause)}`, {
    hint: `name a file in a folder that you may write to; or ${errorHint(cause)}`,
    cause,
  })
}
