/**
 * Secrets: what a profile names and only the host's root may hold. They travel beside the Plan, from where they are
 * read to where the root is made, and never in it: a Plan is printed, and keys are made of it.
 */
import { canonicalJson, stretchedDigest } from '../base/digests.js'
import type { Secret } from '../base/secret.js'

export interface Secrets {
  /** Hash of the admin's password, as crypt(5) has it; null for none. */
  passwordHash: Secret | null
  /** Passphrases of the plan's Wi-Fi networks, in their order. */
  wifi: Secret[]
}

export function hasSecrets({ passwordHash, wifi }: Secrets): boolean {
  return passwordHash !== null || wifi.length > 0
}

/**
 * What may stand for the secrets where everybody reads, as in a stage's key, which plans and manifests show: another
 * one for each change of them. Empty where there are none.
 */
export function secretsDigest(secrets: Secrets, salt: string): string {
  if (!hasSecrets(secrets)) return ''
  const { passwordHash, wifi } = secrets
  const texts = [passwordHash?.reveal() ?? null, ...wifi.map((secret) => secret.reveal())]
  return stretchedDigest(canonicalJson(texts), `keyvisor ${salt}`)
}
