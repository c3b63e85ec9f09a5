/**
 * Secrets: reading what a profile keeps elsewhere, and saying what is wrong with it without showing it.
 *
 * Left out: whether a file can be read at all (files.ts).
 */
import { resolve } from 'node:path'
import { readSecret, type SecretSource } from '../base/secret.js'
import type { Finding } from '../yaml/problems.js'
import type { Profile } from '../yaml/profile.gen.js'
import { entries, type Placed, type Sound } from '../yaml/sound.js'

/** What a secret must look like: a form, and words that follow "is not". */
interface SecretForm {
  pattern: RegExp
  words: string
}

/** IEEE 802.11, annex J.4.1: characters 32 to 126. */
const PASSPHRASE: SecretForm = {
  pattern: /^[ -~]{8,63}$/,
  words: 'a passphrase of 8 to 63 printable ASCII characters',
}

/** As the schema has it for one that stands in the profile. */
const PASSWORD_HASH: SecretForm = {
  pattern: /^\$[0-9a-z]+\$[^:\s]+$/,
  words: 'one hash of crypt(5), which begins with $',
}

/** A place outside the profile, and the profile's place that names it. */
export interface PlacedSecret extends Placed<SecretSource> {
  form: SecretForm
}

/** Where each secret is kept that does not stand in the profile itself. */
export function secretSources({ host }: Sound<Profile>): PlacedSecret[] {
  const hash = {
    value: host?.admin?.passwordHash,
    path: ['host', 'admin', 'passwordHash'],
    form: PASSWORD_HASH,
  }
  const networks = entries(host?.network?.wifi, ['host', 'network', 'wifi'])
  const passphrases = networks.map(({ value, path }) => ({
    value: value.passphrase,
    path: [...path, 'passphrase'],
    form: PASSPHRASE,
  }))
  return [hash, ...passphrases].flatMap(({ value, ...rest }) => {
    const source = wholeSource(value)
    return source ? [{ value: source, ...rest }] : []
  })
}

/** A source that the schema allows; undefined for a part of one, and for a secret that stands there itself. */
function wholeSource(value: string | Sound<SecretSource> | undefined): SecretSource | undefined {
  if (typeof value !== 'object') return undefined
  if ('file' in value && value.file !== undefined) return { file: value.file }
  return 'env' in value && value.env !== undefined ? { env: value.env } : undefined
}

/** What is wrong with a secret, in words that do not show it; undefined when it is of its form. */
export async function secretFinding(
  source: SecretSource,
  form: SecretForm,
  folder: string,
): Promise<Omit<Finding, 'path'> | undefined> {
  const place = 'env' in source ? `the environment variable ${source.env}` : resolve(folder, source.file)
  const secret = await readSecret(source, folder)
  if (form.pattern.test(secret.reveal())) return undefined
  if ('env' in source && secret.reveal() === '') {
    return { code: 'no-variable', message: `${place} is not set`, hint: 'set and export it' }
  }
  return { code: 'bad-secret', message: `what ${place} holds is not ${form.words}` }
}
