/** Keys as OpenSSH makes them today, and what is left of them when they are damaged. */
import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import t from 'tap'
import { keyFinding, keysFinding } from '../../src/profile/ssh.js'

const KEYGEN = '/usr/bin/ssh-keygen'
const isMissing = !existsSync(KEYGEN) && process.env['CI'] !== 'true'

const KINDS = ['ed25519', 'rsa', 'ecdsa']

t.test('keys of ssh-keygen', { skip: isMissing && 'ssh-keygen is not here (openssh-client)' }, async (t) => {
  const folder = t.testdir({})
  for (const kind of KINDS) {
    const file = `${folder}/${kind}`
    execFileSync(KEYGEN, ['-q', '-t', kind, '-N', '', '-C', 'a comment', '-f', file])
    const key = readFileSync(`${file}.pub`, 'utf8')
    t.equal(keyFinding(key), undefined, kind)
    t.equal(keysFinding(`# mine\n\n${key}${key}`), undefined)
    const [type, blob] = key.split(' ') as [string, string]
    t.equal(keyFinding(`${type} ${blob.slice(0, 40)}`)?.code, 'bad-ssh-key', 'cut short')
    t.equal(keyFinding(`${type === 'ssh-rsa' ? 'ssh-ed25519' : 'ssh-rsa'} ${blob}`)?.code, 'bad-ssh-key')
    t.equal(keyFinding(blob)?.code, 'bad-ssh-key', 'without its type')
    t.equal(keyFinding(`${key}${key}`)?.code, 'bad-ssh-key', 'two in one')
    t.equal(keyFinding(readFileSync(file, 'utf8'))?.code, 'private-key')
    t.equal(keysFinding(readFileSync(file, 'utf8'))?.code, 'private-key')
  }
})

t.test('what is no key', async (t) => {
  for (const text of [
    '',
    ' ',
    'ssh-ed25519',
    'ssh-dss AAAA',
    'from="*" ssh-ed25519 AAAA',
    'ssh-ed25519 AAAA',
  ]) {
    t.equal(keyFinding(text)?.code, 'bad-ssh-key', JSON.stringify(text))
  }
  t.equal(keysFinding('# nothing\n')?.code, 'bad-ssh-key')
})
