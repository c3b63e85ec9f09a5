/**
 * The one id mapping: whatever touches a root tree runs in a namespace of the same kind.
 *
 * As root there is no user namespace; as a user, uid 0 to 65535 of the tree are the user's subordinate ids (subuid(5)).
 * The namespace dies with the builder: `--kill-child` ends every process in it.
 */
import { KeyvisorError } from './errors.js'
import { namespaceRefused } from './sandbox.js'
import { systemTools, type ToolCall } from './tool.js'
import { lastWords, neverRan, ToolError } from './tool-errors.js'

/** unshare(1)'s arguments for the mapping. */
function namespaceArguments(): string[] {
  const mapping = process.getuid?.() === 0 ? [] : ['--map-auto', '--map-root-user']
  return [...mapping, '--mount-proc', '--pid', '--fork', '--kill-child', '--']
}

/** Removes scratch in which other owners' files may lie; quiet when it is gone already. */
export async function removeScratch(...folders: string[]): Promise<void> {
  if (folders.length > 0) await unshared(['rm', '-rf', '--', ...folders])
}

/** Runs a command in the namespace. Throws as `systemTools.run`, and `namespace-refused`. */
export async function unshared(argv: string[], rest: Partial<ToolCall> = {}): Promise<void> {
  const args = [...namespaceArguments(), ...argv]
  await systemTools.run({ ...rest, tool: 'unshare', args }).catch((error: KeyvisorError) => {
    throw refusal(error) ?? error
  })
}

/** What unshare's own words mean: that it could not start the script. Undefined when the script itself failed. */
export function refusal(error: KeyvisorError): KeyvisorError | undefined {
  if (error.code !== 'tool-failed') return undefined
  if (
    /no line matching user|you \(user \d+\) don't exist|newuidmap: .*not (found|allowed)/.test(error.message)
  ) {
    return new KeyvisorError('namespace-refused', 'this user has no subordinate ids', {
      hint: `add them: usermod --add-subuids 100000-165535 --add-subgids 100000-165535 "$USER", or build as root`,
      cause: error,
    })
  }
  if (
    /unshare: (unshare|write|cannot|mount|failed).*(Permission denied|No space left|Operation not permitted)/.test(
      error.message,
    )
  ) {
    return namespaceRefused(error)
  }
  // Its own words come first where nothing ran, such as "unshare: fork failed".
  const isOwn = error instanceof ToolError && lastWords(error)[0]?.startsWith('unshare: ')
  return isOwn ? neverRan(error) : undefined
}
