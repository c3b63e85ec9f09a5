/**
 * SSH keys: whether a line is an OpenSSH public key (sshd(8), "AUTHORIZED_KEYS FILE FORMAT", without options; the
 * blob is that of RFC 4253, section 6.6).
 */
import type { Finding } from '../yaml/problems.js'

/** Key types that OpenSSH 10 takes by default. DSA went with 10.0. */
const TYPES = [
  'ssh-ed25519',
  'ssh-rsa',
  'ecdsa-sha2-nistp256',
  'ecdsa-sha2-nistp384',
  'ecdsa-sha2-nistp521',
  'sk-ssh-ed25519@openssh.com',
  'sk-ecdsa-sha2-nistp256@openssh.com',
]

/** Undefined when the text is one public key. */
export function keyFinding(text: string): Omit<Finding, 'path'> | undefined {
  if (/PRIVATE KEY/.test(text)) return privateKey()
  const wrong = whatIsWrong(text)
  if (wrong === undefined) return undefined
  const hint = 'give the one line of a .pub file, such as ~/.ssh/id_ed25519.pub'
  return { code: 'bad-ssh-key', message: `this is not an OpenSSH public key: ${wrong}`, hint }
}

/** The lines of a file of public keys, each checked; the first that is wrong is reported. */
export function keysFinding(text: string): Omit<Finding, 'path'> | undefined {
  if (/PRIVATE KEY/.test(text)) return privateKey()
  const lines = text.split('\n').map((line) => line.trim())
  const keys = lines.filter((line) => line !== '' && !line.startsWith('#'))
  if (keys.length === 0) return { code: 'bad-ssh-key', message: 'there is no key in this file' }
  return keys.map(keyFinding).find((finding) => finding !== undefined)
}

function privateKey(): Omit<Finding, 'path'> {
  return {
    code: 'private-key',
    message: 'THIS IS A PRIVATE KEY: whoever reads it can log in as you wherever its public key is trusted',
    hint: 'take it out, replace that key if anybody else could read this file, and give the .pub file instead',
  }
}

function whatIsWrong(text: string): string | undefined {
  if (/[\r\n]/.test(text.trim())) return 'it has more than one line'
  const [type = '', blob = ''] = text.trim().split(/\s+/)
  if (!TYPES.includes(type))
    return `it does not begin with ${TYPES.slice(0, 2).join(', ')} or another key type`
  if (!/^[A-Za-z0-9+/]+={0,2}$/.test(blob)) return 'its second word is not base64'
  const fields = strings(Buffer.from(blob, 'base64'))
  if (fields === undefined) return 'it is cut short'
  return fields[0]?.toString('latin1') === type ? undefined : 'its first word is not the type of the key'
}

/** The length-prefixed strings that a blob consists of (RFC 4251, section 5); undefined when they do not fill it. */
function strings(blob: Buffer): Buffer[] | undefined {
  const found: Buffer[] = []
  let at = 0
  while (at < blob.length) {
    if (at + 4 > blob.length) return undefined
    const end = at + 4 + blob.readUInt32BE(at)
    if (end > blob.length) return undefined
    found.push(blob.subarray(at + 4, end))
    at = end
  }
  return found.length > 1 ? found : undefined
}
