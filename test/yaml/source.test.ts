import t from 'tap'
import { parseSource, readSource } from '../../src/yaml/source.js'

const parse = (text: string) => parseSource(Buffer.from(text))

t.test('places of keys and values', async (t) => {
  const { source } = parse(
    '# head\nversion: 1\nhost:\n  admin: {name: ada, sshKeys: [a, bb]}\nguests:\n  - name: x\n',
  )
  t.ok(source)
  const at = source?.positionOf as NonNullable<typeof source>['positionOf']
  t.strictSame(at(['version']), { line: 2, column: 10 })
  t.strictSame(at(['version'], 'key'), { line: 2, column: 1 })
  t.strictSame(at(['host', 'admin', 'sshKeys', 1]), { line: 4, column: 35 })
  t.strictSame(at(['host', 'admin', 'name'], 'key'), { line: 4, column: 11 })
  t.strictSame(at(['guests', 0, 'name']), { line: 6, column: 11 })
  t.strictSame(at([]), { line: 2, column: 1 }, 'the root begins at its first key')
  t.strictSame(
    at(['host', 'network', 'uplink']),
    { line: 4, column: 3 },
    'what is missing is where it should be',
  )
  t.strictSame(at(['guests', 7]), { line: 6, column: 3 })
})

t.test('a key without a value stands for it', async (t) => {
  const { source } = parse('version: 1\nhost:\nname: x\n')
  t.strictSame(source?.positionOf(['host']), { line: 2, column: 1 })
})

t.test('aliases lead to what they stand for', async (t) => {
  const { source } = parse('a: &x {b: 1}\nc: *x\n')
  t.strictSame(source?.value, { a: { b: 1 }, c: { b: 1 } })
  t.strictSame(source?.positionOf(['c', 'b']), { line: 1, column: 11 })
})

t.test('JSON, with tabs and Windows line ends too', async (t) => {
  const { source, findings } = parse('{\r\n\t"version": 1,\r\n\t"name": "x"\r\n}\r\n')
  t.strictSame(findings, [])
  t.strictSame(source?.value, { version: 1, name: 'x' })
  t.strictSame(source?.positionOf(['name']), { line: 3, column: 10 })
})

t.test('YAML 1.2: yes and 0o17 are what they are there', async (t) => {
  t.strictSame(parse('a: yes\nb: 0o17\nc: 0644\nd: 2024-01-01\n').source?.value, {
    a: 'yes',
    b: 15,
    c: 644,
    d: '2024-01-01',
  })
})

t.test('one finding for brackets that never end', async (t) => {
  for (const text of ['['.repeat(20000), '{a: '.repeat(20000), '- '.repeat(20000)]) {
    const { findings } = parse(text)
    t.equal(findings.length, 1)
    t.equal(findings[0]?.code, 'bad-syntax')
  }
})

t.test('a name that JavaScript knows is an ordinary key', async (t) => {
  const { source } = parse('__proto__: {version: 1}\nconstructor: 2\n')
  t.strictSame(Object.keys(source?.value as object), ['__proto__', 'constructor'])
})

t.test('what cannot be read', async (t) => {
  const folder = t.testdir({ folder: {} })
  t.equal((await readSource(`${folder}/none.yaml`)).findings[0]?.code, 'no-file')
  t.equal((await readSource(`${folder}/folder`)).findings[0]?.code, 'not-a-file')
})
