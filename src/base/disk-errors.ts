/**
 * A full or failing disk, in words: wherever it shows, in our own writes or in a tool's.
 */
import { KeyvisorError } from './errors.js'

/** errno(3) and strerror(3), as node and tools tell it; apt-get(8) looks for room by itself, and has its own words. */
const FAILURES = [
  {
    ...{ code: 'no-space', words: 'the disk got full', errno: ['ENOSPC', 'EDQUOT'] },
    said: /No space left on device|Disk quota exceeded|You don't have enough free space/,
    hint: 'make room (see "keyvisor store prune --help"), and build again: it goes on from there',
  },
  {
    ...{ code: 'disk-failed', words: 'the disk failed', errno: ['EIO', 'EROFS'] },
    said: /Input\/output error|Read-only file system/,
    hint: "look into the kernel's log (dmesg), or set KEYVISOR_STORE to a folder on another disk",
  },
]

/** Does some work. Throws `no-space` or `disk-failed` where the disk was the reason, and says what was being done. */
export async function onDisk<T>(doing: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    throw diskError(error, doing) ?? error
  }
}

/** What a full or failing disk did to this work; undefined when it was something else. */
export function diskError(error: unknown, doing: string): KeyvisorError | undefined {
  if (!(error instanceof Error)) return undefined
  const { message } = error
  // Not of one that never started: the kernel says ENOSPC of namespaces, and bubblewrap EROFS of its own mounts.
  const isTool = error instanceof KeyvisorError && ['tool-failed', 'tool-killed'].includes(error.code)
  const errno = (error as NodeJS.ErrnoException).code ?? ''
  const found = FAILURES.find(({ said, ...failure }) =>
    isTool ? said.test(message) : failure.errno.includes(errno),
  )
  if (!found) return undefined
  return new KeyvisorError(found.code, `${found.words}, at this: ${doing}\n${message}`, {
    hint: found.hint,
    cause: error,
  })
}
