/**
 * Follows a text file that another process writes, line by line.
 *
 * By looking five times a second: a log's reader needs no more, and it works on every file system.
 */
import { type FileHandle, open } from 'node:fs/promises'

const LOOK_EVERY = 200 // milliseconds

/** Reads at most this at once. */
const CHUNK = 1 << 16

/** Calls `onLine` for each finished line. The answer stops it, after a last look. */
export function follow(path: string, onLine: (line: string) => void): () => Promise<void> {
  const decoder = new TextDecoder()
  let file: FileHandle | undefined
  let rest = ''
  const look = async () => {
    // The writer makes the file when it starts.
    file ??= await open(path, 'r').catch(() => undefined)
    if (!file) return
    const buffer = Buffer.alloc(CHUNK)
    for (;;) {
      const { bytesRead } = await file.read(buffer, 0, CHUNK, null)
      if (bytesRead === 0) return
      const lines = (rest + decoder.decode(buffer.subarray(0, bytesRead), { stream: true })).split('\n')
      rest = lines.pop() as string
      for (const line of lines) onLine(line)
    }
  }
  let looking = Promise.resolve()
  const timer = setInterval(() => {
    looking = looking.then(look)
  }, LOOK_EVERY)
  return async () => {
    clearInterval(timer)
    await looking.then(look)
    await file?.close()
    file = undefined
  }
}
