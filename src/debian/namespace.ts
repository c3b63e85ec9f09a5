/**
 * The one id mapping: every script that touches a root tree runs in a namespace of the same kind.
 *
 * As root there is no user namespace; as a user, uid 0 to 65535 of the tree are the user's subordinate ids
 * (subuid(5)). What is packed inside has the owners and file capabilities of the tree as the stick sees them,
 * whoever builds. The namespace dies with the builder: `--kill-child` ends every process in it.
 */
import { fileURLToPath } from 'node:url'
import { KeyvisorError } from '../base/errors.js'
import { systemTools, type ToolCall } from '../base/tool.js'

export interface Script {
  /** The script, run by sh(1); its name stands in errors. */
  path: string
  env: Record<string, string>
  onLine?: (line: string) => void
  signal?: AbortSignal
}

/** Where this package keeps a file that stands beside the sources, such as a script. */
export function packageFile(path: string): string {
  return fileURLToPath(new URL(`../../${path}`, import.meta.url))
}

/** unshare(1)'s arguments for the mapping. */
export function namespaceArguments(): string[] {
  const mapping = process.getuid?.() === 0 ? [] : ['--map-auto', '--map-root-user']
  return [...mapping, '--mount-proc', '--pid', '--fork', '--kill-child', '--']
}

/** Runs a script in the namespace. Throws `namespace-refused`, with what to do, where the machine forbids it. */
export async function runInNamespace({ path, ...rest }: Script): Promise<void> {
  // Modes of what a script makes must not depend on the builder's habits.
  await unshared(['sh', '-euc', 'umask 022; . "$0"', path], rest)
}

/** Removes scratch in which other owners' files may lie; quiet when it is gone already. */
export async function removeScratch(...folders: string[]): Promise<void> {
  if (folders.length > 0) await unshared(['rm', '-rf', '--', ...folders])
}

async function unshared(argv: string[], rest: Partial<ToolCall> = {}): Promise<void> {
  const args = [...namespaceArguments(), ...argv]
  await systemTools.run({ ...rest, tool: 'unshare', args }).catch((error: KeyvisorError) => {
    throw refusal(error) ?? error
  })
}

/** The AppArmor profile that lets bubblewrap and unshare make user namespaces where Ubuntu restricts them. */
export const APPARMOR_PROFILE = `abi <abi/4.0>,
include <tunables/global>
profile keyvisor-unshare /usr/bin/unshare flags=(unconfined) {
  userns,
}
profile keyvisor-bwrap /usr/bin/bwrap flags=(unconfined) {
  userns,
}`

/** What unshare's own words mean for the user; undefined when the script itself failed. */
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
    return new KeyvisorError('namespace-refused', 'this machine does not let users make namespaces', {
      hint: `build as root, or save this as /etc/apparmor.d/keyvisor and run "apparmor_parser -r /etc/apparmor.d/keyvisor":\n${APPARMOR_PROFILE}`,
      cause: error,
    })
  }
  return undefined
}
