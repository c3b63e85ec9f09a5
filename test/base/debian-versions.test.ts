/** Versions in order, and the same order as dpkg's. */

import fc from 'fast-check'
import t from 'tap'
import { compareVersions } from '../../src/base/debian-versions.js'
import { systemTools } from '../../src/base/tool.js'
import { holds } from '../support/property.js'
import { needTools } from '../support/tools.js'

/** From the earliest to the latest; `=` is the same version as the one before (deb-version(7)). */
const ORDERED = [
  '0~~',
  '0~~a',
  '0~',
  '0',
  '=0-0',
  '=0:0',
  '0a',
  '0+',
  '0.1',
  '1',
  '=01',
  '1-1',
  '1.0~rc1-1',
  '1.0-1~bpo12+1',
  '1.0-1',
  '1.0-1+b1',
  '1.0-1+deb13u1',
  '1.0-2',
  '1.0-10',
  '1.0a',
  '1.0.1',
  '2-1-1',
  '2024.05.20',
  '20240520120000123456788',
  '20240520120000123456789',
  '1:0.1',
]

t.test('versions in order', async (t) => {
  const levels: string[][] = []
  for (const word of ORDERED) {
    if (word.startsWith('=')) levels.at(-1)?.push(word.slice(1))
    else levels.push([word])
  }
  for (const [at, some] of levels.entries()) {
    for (const [other, versions] of levels.entries()) {
      for (const a of some)
        for (const b of versions)
          t.equal(Math.sign(compareVersions(a, b)), Math.sign(at - other), `${a} and ${b}`)
    }
  }
})

t.test('any two versions stand as dpkg has them', async (t) => {
  if (!needTools(t, 'dpkg')) return
  const version = fc.stringMatching(/^[0-8][019a~+.]{1,4}(-[01a~+]{1,4})?$/)
  const asDpkg = async (a: string, b: string) => {
    const order = compareVersions(a, b)
    const relation = order === 0 ? 'eq' : order < 0 ? 'lt' : 'gt'
    await systemTools.run({ tool: 'dpkg', args: ['--compare-versions', a, relation, b] })
  }
  await holds(t, 60, fc.asyncProperty(version, version, asDpkg))
})
