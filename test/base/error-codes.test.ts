/** Every code that an error can have is in one of the two tables, and each of the tables' is one that somebody throws. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import ts from 'typescript'
import { CODES } from '../../src/base/codes.js'
import { ERROR_CODES } from '../../src/base/error-codes.js'
import { packageFile } from '../../src/base/package.js'

const TABLES = ['base/codes.ts', 'base/error-codes.ts']
const src = packageFile('src')
const files = readdirSync(src, { recursive: true, encoding: 'utf8' }).filter(
  (path) => path.endsWith('.ts') && !path.endsWith('.gen.ts') && !TABLES.includes(path),
)

/** First arguments of errors that are written out; those that are put together are below. */
function thrown(text: string): string[] {
  const found: string[] = []
  const visit = (node: ts.Node): void => {
    if (ts.isNewExpression(node) && /^(KeyvisorError|ToolError)$/.test(node.expression.getText())) {
      const [code] = node.arguments ?? []
      if (code && ts.isStringLiteral(code)) found.push(code.text)
    }
    ts.forEachChild(node, visit)
  }
  visit(ts.createSourceFile('x.ts', text, ts.ScriptTarget.ES2022, true))
  return found
}

const texts = files.map((path) => readFileSync(join(src, path), 'utf8'))
const codes = new Set(texts.flatMap(thrown))

t.test('what is thrown is in a table', async (t) => {
  t.ok(codes.size > 50, `${codes.size} codes`)
  t.strictSame(
    [...codes].filter((code) => !Object.hasOwn(ERROR_CODES, code) && !Object.hasOwn(CODES, code)),
    [],
  )
})

/** Put together from a payload's name (`stick/layout.ts`). */
const TOO_LARGE = ['bios-boot', 'esp', 'root', 'settings', 'library'].map((name) => `${name}-too-large`)

t.test('what is in the table is told by somebody', async (t) => {
  const all = texts.join('\n')
  t.strictSame(
    Object.keys(ERROR_CODES).filter((code) => !all.includes(`'${code}'`) && !TOO_LARGE.includes(code)),
    [],
  )
})
