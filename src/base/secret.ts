/**
 * Secrets: texts that get into no JSON, log or error by accident, and where they are read from.
 */
import { resolve } from 'node:path'
import { readUserText } from './user-file.js'

/** Only {@link Secret.reveal} tells the text. */
export class Secret {
  readonly #text: string

  constructor(text: string) {
    this.#text = text
  }

  /** The text itself, for the one place where it is used. */
  reveal(): string {
    return this.#text
  }
}

/** Where a secret is kept. */
export type SecretSource = { file: string } | { env: string }

/**
 * Reads a secret, or takes one that stands in the profile. A variable that is not set is an empty one; of a file the
 * last line's end is no part of it.
 */
export async function readSecret(source: string | SecretSource, folder: string): Promise<Secret> {
  if (typeof source === 'string') return new Secret(source)
  if ('env' in source) return new Secret(process.env[source.env] ?? '')
  return new Secret((await readUserText(resolve(folder, source.file))).replace(/\r?\n$/, ''))
}
