/**
 * Compressed images. The bytes depend on the tools' versions, which the lock pins, and not on the machine's cores.
 */
import { open } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import { PassThrough } from 'node:stream'
import type { ToolRunner } from '../base/tool.js'
import type { Bytes } from '../base/units.js'
import { writeWhole } from '../store/whole-file.js'
import type { Reader } from './read-once.js'

export type Compression = 'zst' | 'xz'

/** More would take memory: each has blocks of its own. */
const THREADS = Math.min(availableParallelism(), 4)

/**
 * What decides the bytes. Low levels: a stick's payloads are compressed already, and higher ones gain less than 1 %
 * (measured on the demo: zstd 429.4 MiB at level 3, and 426.8 at 9 in five times the time; xz takes minutes anyway).
 */
const SETTINGS: Record<Compression, { tool: string; args: string[] }> = {
  zst: { tool: 'zstd', args: ['-3'] },
  xz: { tool: 'xz', args: ['-0', '--block-size=8MiB'] },
}

/** How many work on it, of which the bytes are independent: `+` has xz cut blocks also where it is one. */
const WORKERS: Record<Compression, string> = { zst: `--threads=${THREADS}`, xz: `--threads=+${THREADS}` }

/** What goes into the key of a compressed image, beside the tools and the image. */
export function compressionSettings(form: Compression): string[] {
  return SETTINGS[form].args
}

export interface CompressRequest {
  form: Compression
  /** Where the compressed image goes. */
  path: string
  imageSize: Bytes
  /** Permission bits. */
  mode: number
}

/** Starts compressing what the reader takes. `done` resolves when the file is there, and rejects when it will not be. */
export function compressing(
  { form, path, imageSize, mode }: CompressRequest,
  tools: ToolRunner,
  signal: AbortSignal,
): Reader & { done: Promise<void> } {
  const { tool, args } = SETTINGS[form]
  // Told beforehand, the size stands in the frame's header, where unpackers look for it.
  const known = form === 'zst' ? [`--stream-size=${imageSize}`] : []
  const input = new PassThrough()
  const done = writeWhole(path, async (temporary) => {
    const output = await open(temporary, 'wx', mode)
    try {
      await tools.run({
        tool,
        args: ['--quiet', '--stdout', ...args, ...known, WORKERS[form]],
        input,
        output,
        signal,
      })
    } finally {
      await output.close()
    }
  })
  const write = (chunk: Buffer) =>
    new Promise<void>((resolve, reject) => {
      input.write(chunk, (error) => (error ? reject(error) : resolve()))
    })
  return {
    async take(chunk) {
      try {
        await write(chunk)
      } catch (error) {
        // A tool that ended takes no more: why it ended says more than that.
        await done
        throw error
      }
    },
    end: () => void input.end(),
    done,
  }
}
