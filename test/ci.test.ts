/**
 * What CI systems read: action.yml by GitHub's own parser, docs/ci/gitlab.yml by its shape, and both scripts by
 * shellcheck. That the commands in them work is shown by test/oracle/ci.test.ts, which runs the page's.
 */
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { JSONObjectReader } from '@actions/workflow-parser/templates/json-object-reader'
import { TemplateSchema } from '@actions/workflow-parser/templates/schema/index'
import {
  TemplateContext,
  TemplateValidationErrors,
} from '@actions/workflow-parser/templates/template-context'
import { readTemplate } from '@actions/workflow-parser/templates/template-reader'
import { NoOperationTraceWriter } from '@actions/workflow-parser/templates/trace-writer'
import { YamlObjectReader } from '@actions/workflow-parser/workflows/yaml-object-reader'
import t from 'tap'
import { parse, parseAllDocuments } from 'yaml'
import { packageFile } from '../src/base/package.js'
import { systemTools } from '../src/base/tool.js'
import { pageScript } from './support/page.js'
import { needTool } from './support/tools.js'

const read = (path: string) => readFileSync(packageFile(path), 'utf8')

/**
 * What GitHub's parser has against the text of an action.yml. The package's own entry imports its schema in a way that
 * Node refuses: the same steps, with the schema read from its file.
 */
function refusals(content: string): string[] {
  const schema = new JSONObjectReader(undefined, readFileSync(SCHEMA, 'utf8'))
  const errors = new TemplateValidationErrors()
  const context = new TemplateContext(errors, TemplateSchema.load(schema), new NoOperationTraceWriter())
  const file = context.getFileId('action.yml')
  const reader = new YamlObjectReader(file, content)
  if (reader.errors.length > 0) return reader.errors.map(({ message }) => message)
  readTemplate(context, 'action-root', reader, file)
  return errors.getErrors().map(({ message }) => message)
}

const PARSER = import.meta.resolve('@actions/workflow-parser/templates/schema/index')
const SCHEMA = fileURLToPath(new URL('../../action-v1.0.min.json', PARSER))

async function shellcheck(script: string, shell: 'bash' | 'sh'): Promise<void> {
  await systemTools.run({ tool: 'shellcheck', args: [`--shell=${shell}`, '-'], input: script })
}

t.test("GitHub's parser takes action.yml", (t) => {
  t.strictSame(refusals(read('action.yml')), [])
  const { inputs, outputs, runs } = parse(read('action.yml'))
  t.equal(runs.using, 'composite')
  t.strictSame(Object.keys(inputs), ['profile', 'artifacts', 'sign-key', 'test'])
  t.strictSame(Object.keys(outputs), ['image', 'manifest'])
  t.end()
})

t.test('and refuses what it should', (t) => {
  const text = read('action.yml')
  const broken = [
    text.replace('shell: bash', 'shel: bash'),
    text.replace('inputs.profile', 'input.profile'),
    text.replace('value: ', 'valu: '),
  ]
  for (const content of broken) t.not(refusals(content).length, 0)
  t.end()
})

t.test("the action's scripts", async (t) => {
  const { runs, inputs } = parse(read('action.yml'))
  const scripts = (runs.steps as { run?: string }[]).flatMap(({ run }) => run ?? [])
  for (const name of Object.keys(inputs)) t.match(read('action.yml'), `inputs.${name}`, `${name} is of use`)
  t.equal(scripts.length, 5)
  for (const script of scripts) t.notMatch(script, /\$\{\{/, 'nothing is written into a script')
  if (!needTool(t, 'shellcheck')) return
  for (const script of scripts) await t.resolves(shellcheck(script, 'bash'))
})

t.test("GitLab's template", async (t) => {
  const text = read('docs/ci/gitlab.yml')
  const [header, body] = parseAllDocuments(text).map((document) => document.toJS())
  const declared = Object.keys(header.spec.inputs)
  const used = new Set([...text.matchAll(/\$\[\[ inputs\.(\w+) \]\]/g)].map(([, name]) => name))
  t.strictSame([...used].sort(), declared.sort(), 'every input is declared, and of use')
  const { image, script, before_script, after_script, cache, artifacts } = body.keyvisor
  t.equal(typeof image, 'string')
  t.strictSame(cache.key.files, ['$[[ inputs.lock ]]'])
  t.equal(artifacts.reports.junit, 'out/report/junit.xml')
  const lines = [before_script, script, after_script].flat()
  t.ok(lines.length > 0 && lines.every((line) => typeof line === 'string'))
  if (!needTool(t, 'shellcheck')) return
  const filled = lines.join('\n').replace(/\$\[\[ inputs\.(\w+) \]\]/g, 'some-$1')
  await t.resolves(shellcheck(filled, 'bash'))
})

t.test('the shell steps of the page', async (t) => {
  const script = pageScript('docs/ci.md', ['step', 'boot'])
  t.match(script, /keyvisor build stick\.yaml --locked/)
  t.match(script, /keyvisor test out/)
  if (!needTool(t, 'shellcheck')) return
  await t.resolves(shellcheck(script, 'sh'))
})
