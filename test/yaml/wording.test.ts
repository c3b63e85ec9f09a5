import t from 'tap'
import { parseBytes } from '../../src/base/units.js'
import { formatPath, formatProblem, sortProblems } from '../../src/yaml/problems.js'
import { checkSchema } from '../../src/yaml/schema.js'
import { closest, sizeHint } from '../../src/yaml/wording.js'

t.test('sizes as people write them', async (t) => {
  const meant: Record<string, string> = {
    '4G': 'write 4GiB',
    '4GB': 'write 4GiB',
    '512 mb': 'write 512MiB',
    '1tib': 'write 1TiB',
    '64k': 'write 64KiB',
    '1.5GiB': 'write 1536MiB',
    '0.25g': 'write 256MiB',
  }
  for (const [text, hint] of Object.entries(meant)) {
    t.equal(sizeHint(text), hint)
    t.ok(parseBytes(hint.slice('write '.length)), `${hint} is a size`)
  }
  for (const text of ['large', '', '4', '-4GiB', '4GiBB']) t.equal(sizeHint(text), undefined, text)
})

t.test('the word that was meant', async (t) => {
  const keys = ['version', 'name', 'stick', 'host', 'guests']
  t.equal(closest('nmae', keys), 'name')
  t.equal(closest('Host', keys), 'host')
  t.equal(closest('guest', keys), 'guests')
  t.equal(closest('minimumSiz', ['minimumMemory', 'minimumSize']), 'minimumSize')
  t.equal(closest('colour', keys), undefined)
  t.equal(closest('ab', ['cd']), undefined, 'two other letters are another word')
})

t.test('paths as the user would say them', async (t) => {
  t.equal(formatPath([]), '')
  t.equal(formatPath(['guests', 0, 'memory', 'min']), 'guests[0].memory.min')
  t.equal(formatPath([0, 'a b', 'c']), '[0]["a b"].c')
})

t.test('a problem as it is printed', async (t) => {
  const problem = {
    code: 'bad-size',
    severity: 'error' as const,
    file: 'p.yaml',
    position: { line: 4, column: 16 },
    path: 'stick.minimumSize',
    message: '"4G" is not a size',
    hint: 'write 4GiB',
  }
  t.equal(
    formatProblem(problem),
    'p.yaml:4:16: error bad-size: stick.minimumSize: "4G" is not a size\n  hint: write 4GiB',
  )
  const bare = { code: 'no-file', severity: 'error' as const, file: 'p.yaml', path: '', message: 'none' }
  t.equal(formatProblem(bare), 'p.yaml: error no-file: none')
  t.strictSame(sortProblems([problem, bare]), [bare, problem], 'what has no place comes first')
})

/** The one finding of a profile whose guest is this. */
function guest(fields: object) {
  const findings = checkSchema({
    version: 1,
    name: 'x',
    guests: [{ name: 'g', source: { debian: {} }, ...fields }],
  })
  return findings.map(({ code, path, message, hint }) => ({ code, path: path.slice(2), message, hint }))
}

t.test('a union says what a person would, once', async (t) => {
  t.strictSame(guest({ ready: 'agnt' }), [
    {
      code: 'not-one-of',
      path: ['ready'],
      message: '"agnt" is not agent, none, or an object with tcp, or an object with log',
      hint: 'did you mean agent?',
    },
  ])
  t.strictSame(guest({ memory: 512 })[0]?.hint, 'write a unit, such as 512MiB')
  t.strictSame(guest({ memory: '512M' })[0]?.hint, 'write 512MiB')
  t.strictSame(guest({ cpus: '2' })[0]?.hint, 'write the number without quotes')
  t.strictSame(guest({ ready: { tpc: 80 } }), [
    {
      code: 'unknown-key',
      path: ['ready', 'tpc'],
      message: 'there is no key tpc here',
      hint: 'did you mean tcp?',
    },
  ])
  t.strictSame(guest({ source: { format: 'raw' } }), [
    {
      code: 'missing-key',
      path: ['source', 'image'],
      message: 'the key image is missing',
      hint: undefined,
    },
  ])
  t.strictSame(guest({ source: {} })[0]?.message, 'this needs debian, or image')
  t.strictSame(guest({ autostart: true })[0]?.message, 'true is not false, or an object with order')
})

t.test('a key that is misspelt is not missing too', async (t) => {
  const [finding, ...others] = checkSchema({ version: 1, nmae: 'x' })
  t.strictSame(others, [])
  t.equal(finding?.hint, 'did you mean name?')
})

t.test('a number where text belongs', async (t) => {
  const file = { source: 'a', target: '/a', mode: 644 }
  const [finding] = checkSchema({ version: 1, name: 'x', host: { files: [file] } })
  t.equal(finding?.code, 'wrong-type')
  t.equal(finding?.hint, 'put the value in quotes')
})
