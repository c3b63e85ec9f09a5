/**
 * The shell steps of docs/ci.md, run in a folder of their own against profiles/minimal.yaml.
 *
 * They prune their store: it is a copy of the shared one, beside it and of links, so that it costs no bytes.
 */
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import type { Test } from 'tap'
import { packageFile } from '../../src/base/package.js'
import { systemTools } from '../../src/base/tool.js'
import { storeFolder } from '../../src/store/store.js'
import { built } from './built.js'
import { pageScript } from './page.js'
import { needTools } from './tools.js'

/** Runs the steps that have one of the marks. The set-up is not among them: what runs the tests has run it. */
export async function runPage(t: Test, marks: readonly string[]): Promise<void> {
  if (!needTools(t, 'mmdebstrap', 'bwrap', 'unshare')) return
  await built('minimal')
  const folder = mkdtempSync(`${storeFolder()}-ci-`)
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  mkdirSync(join(folder, 'store'))
  const parts = ['objects', 'records', 'trees'].map((name) => join(storeFolder(), name))
  await systemTools.run({ tool: 'cp', args: ['-al', ...parts, join(folder, 'store')] })
  cpSync(packageFile('profiles/minimal.yaml'), join(folder, 'stick.yaml'))
  const env = {
    KEYVISOR: packageFile('.'),
    KEYVISOR_STORE: join(folder, 'store'),
    PATH: process.env['PATH'] ?? '',
    HOME: process.env['HOME'] ?? '',
  }
  const script = `set -eu; cd "$0"\n${pageScript('docs/ci.md', marks)}`
  await systemTools.run({ tool: 'sh', args: ['-c', script, folder], env })
  t.ok(existsSync(join(folder, 'stick.lock.json')), 'there is a lock to commit')
  t.ok(existsSync(join(folder, 'out/minimal.img')), 'there is an image')
  t.ok(readdirSync(join(folder, 'out')).length > 2, 'and what is published beside it')
}
