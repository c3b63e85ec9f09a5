/**
 * The signature: minisign's, with the user's own key, of the checksums, which vouch for every other file.
 *
 * The key's password goes to minisign's stdin, and to no argument or environment, which are everybody's to read.
 */

import { readFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { sha256File } from '../base/digests.js'
import { KeyvisorError } from '../base/errors.js'
import { errorWords, fileError } from '../base/file-errors.js'
import { step } from '../base/progress.js'
import type { Secret } from '../base/secret.js'
import { readSecret, type SecretSource } from '../base/secret.js'
import type { ToolRunner } from '../base/tool.js'
import { readUserFile } from '../base/user-file.js'
import { replaceFile } from '../store/store.js'
import type { Workplace } from '../store/workplace.js'
import { type Artifact, keptArtifact, rememberArtifact } from './reuse.js'

export interface SignRequest {
  /** Path of minisign's secret key. */
  key: string
  /** Where the key's password is kept; none for a key without one. */
  password?: SecretSource
}

/** A key and its password, as they were when the build began. */
export interface Signer {
  key: string
  password: Secret | null
}

/** Reads what signing takes. Throws `key-unusable` before any work is done. */
export async function readSigner({ key, password }: SignRequest): Promise<Signer> {
  const path = resolve(key)
  const unusable = (what: string, cause: Error) => {
    const hint = 'name a secret key that `minisign -G` made, and a file that holds its password'
    return new KeyvisorError('key-unusable', `${what} cannot be read: ${errorWords(cause)}`, { hint, cause })
  }
  await readUserFile(path).catch((cause) => {
    throw unusable(`the key ${key}`, cause)
  })
  if (!password) return { key: path, password: null }
  const secret = await readSecret(password, '.').catch((cause) => {
    throw unusable("the key's password", cause)
  })
  return { key: path, password: secret }
}

/** Signs a file as `FILE.minisig`. `comment` is signed too. Throws `not-signed`. */
export async function signedFile(
  file: Artifact,
  comment: string,
  signer: Signer,
  tools: () => Promise<ToolRunner>,
  place: Workplace,
): Promise<Artifact> {
  const path = `${file.path}.minisig`
  const inputs = { file: file.sha256, comment, key: (await sha256File(signer.key)).sha256 }
  const kept = await keptArtifact(path, inputs, place.store)
  if (kept) return kept
  const stage = 'sign'
  await step(place.progress, { stage, title: 'sign the checksums' }, () =>
    place.store.inScratch(stage, async (scratch) => {
      const signature = join(scratch, 'signature')
      await sign(file.path, signature, comment, signer, scratch, await tools())
      await replaceFile(path, await readFile(signature, 'utf8'))
    }),
  )
  return rememberArtifact(path, inputs, place.store)
}

async function sign(
  file: string,
  signature: string,
  comment: string,
  { key, password }: Signer,
  scratch: string,
  tools: ToolRunner,
): Promise<void> {
  const comments = ['-c', 'signature made with keyvisor build', '-t', comment]
  await tools
    .run({
      tool: 'minisign',
      args: ['-S', '-s', key, '-m', file, '-x', signature, ...comments],
      binds: [{ path: key }, { path: file }, { path: scratch, write: true }],
      input: `${password?.reveal() ?? ''}\n`,
    })
    .catch((cause: KeyvisorError) => {
      if (cause.code !== 'tool-failed' || fileError(cause)) throw cause
      const given = password === null ? 'no password was given' : 'a password was given'
      throw new KeyvisorError(
        'not-signed',
        `minisign does not sign with ${key}; ${given}\n${cause.message}`,
        {
          hint: 'check the key and its password',
          cause,
        },
      )
    })
}
