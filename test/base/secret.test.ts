import { inspect } from 'node:util'
import t from 'tap'
import { canonicalJson, type Json } from '../../src/base/digests.js'
import { Secret } from '../../src/base/secret.js'

t.test('a secret is told when it is asked for, and nowhere else', async (t) => {
  const secret = new Secret('hunter22')
  const around = { secret, list: [secret] }
  t.equal(secret.reveal(), 'hunter22')
  const texts = [
    JSON.stringify(around),
    canonicalJson(around as unknown as Json),
    inspect(around, { depth: 9, showHidden: true }),
    String(secret),
    `${new Error('failed', { cause: around }).stack}`,
    JSON.stringify(structuredClone(around)),
  ]
  for (const text of texts) t.notMatch(text, 'hunter22')
})
