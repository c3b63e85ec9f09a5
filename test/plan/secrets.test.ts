import t from 'tap'
import { Secret } from '../../src/base/secret.js'
import { hasSecrets, secretsDigest } from '../../src/plan/secrets.js'

const secrets = (hash: string | null, ...wifi: string[]) => ({
  passwordHash: hash === null ? null : new Secret(hash),
  wifi: wifi.map((text) => new Secret(text)),
})

t.test('no secrets, no digest', async (t) => {
  t.notOk(hasSecrets(secrets(null)))
  t.ok(hasSecrets(secrets('$6$a$b')) && hasSecrets(secrets(null, 'hunter22')))
  t.equal(secretsDigest(secrets(null), 'demo'), '')
})

t.test('the digest is another one for each change, and for each salt', async (t) => {
  const digests = [
    secretsDigest(secrets(null, 'hunter22'), 'demo'),
    secretsDigest(secrets(null, 'hunter22'), 'other'),
    secretsDigest(secrets('hunter22'), 'demo'),
    secretsDigest(secrets(null, 'hunter22', 'hunter23'), 'demo'),
    secretsDigest(secrets(null, 'hunter23', 'hunter22'), 'demo'),
  ]
  t.equal(new Set(digests).size, digests.length)
  t.equal(secretsDigest(secrets(null, 'hunter22'), 'demo'), digests[0])
})
