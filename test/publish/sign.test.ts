import { writeFileSync } from 'node:fs'
import { cp } from 'node:fs/promises'
import { join } from 'node:path'
import root, { type Test } from 'tap'
import { sha256File } from '../../src/base/digests.js'
import { silent } from '../../src/base/progress.js'
import { systemTools, type ToolCall, type ToolRunner } from '../../src/base/tool.js'
import { readSigner, signedFile } from '../../src/publish/sign.js'
import { Store } from '../../src/store/store.js'
import { cramped, needTools } from '../support/tools.js'

const PASSWORD = 'correct horse'

/** Keys whose passwords take seconds to be made and used, so that there is one of each. */
async function makeKeys(t: Test) {
  const folder = t.testdir()
  const place = (name: string) => join(folder, name)
  const minisign = (args: string[], input = '') => systemTools.run({ tool: 'minisign', args, input })
  await minisign(['-G', '-W', '-p', place('open.pub'), '-s', place('open.key')])
  await minisign(['-G', '-p', place('closed.pub'), '-s', place('closed.key')], `${PASSWORD}\n${PASSWORD}\n`)
  return folder
}

let keys: Promise<string> | undefined

async function scene(t: Test) {
  keys ??= makeKeys(root)
  const folder = t.testdir({
    store: {},
    SHA256SUMS: 'x  demo.img\n',
    password: `${PASSWORD}\n`,
    wrong: 'no\n',
  })
  const place = (name: string) => join(folder, name)
  await cp(await keys, folder, { recursive: true })
  const minisign = (args: string[]) => systemTools.run({ tool: 'minisign', args })
  const calls: ToolCall[] = []
  const tools = {
    argv: systemTools.argv,
    run: (call: ToolCall) => {
      calls.push(call)
      return systemTools.run(call)
    },
  }
  const run = { store: await Store.open(place('store')), progress: silent }
  const file = { path: place('SHA256SUMS'), ...(await sha256File(place('SHA256SUMS'))) }
  const sign = async (
    key: string,
    password?: { file: string } | { env: string },
    using: ToolRunner = tools,
  ) =>
    signedFile(
      file,
      'demo, of now',
      await readSigner({ key: place(key), ...(password ? { password } : {}) }),
      async () => using,
      run,
    )
  const verified = (key: string) => minisign(['-V', '-p', place(key), '-m', file.path])
  return { place, sign, verified, calls }
}

root.test('a signature that minisign takes', async (t) => {
  if (!needTools(t, 'minisign')) return
  const { place, sign, verified, calls } = await scene(t)
  await t.test('with a key without a password', async (t) => {
    const { path, sha256 } = await sign('open.key')
    t.equal(path, `${place('SHA256SUMS')}.minisig`)
    t.match((await verified('open.pub')).stdout, 'Trusted comment: demo, of now')
    t.equal((await sign('open.key')).sha256, sha256)
    t.equal(calls.length, 1, 'what is signed is not signed again')
    writeFileSync(path, 'touched')
    t.equal((await sign('open.key')).sha256, sha256, 'and the same bytes when it is')
  })
  await t.test('with a password from a file, or the environment', async (t) => {
    await sign('closed.key', { file: place('password') })
    await t.resolves(verified('closed.pub'))
    await t.rejects(verified('open.pub'))
    writeFileSync(`${place('SHA256SUMS')}.minisig`, 'touched')
    process.env['KEYVISOR_TEST_PASSWORD'] = PASSWORD
    await sign('closed.key', { env: 'KEYVISOR_TEST_PASSWORD' })
    await t.resolves(verified('closed.pub'))
  })
  t.notMatch(JSON.stringify(calls.map(({ args, env }) => ({ args, env }))), PASSWORD, 'on no command line')
})

root.test('what does not sign', async (t) => {
  if (!needTools(t, 'minisign')) return
  const { place, sign } = await scene(t)
  await t.rejects(sign('closed.key', { file: place('wrong') }), {
    code: 'not-signed',
    message: /a password was given/,
  })
  await t.rejects(sign('closed.key'), { code: 'not-signed', message: /no password was given/ })
  await t.rejects(sign('SHA256SUMS'), { code: 'not-signed' })
  // Not the key's fault.
  await t.rejects(sign('open.key', undefined, cramped(0)), { code: 'tool-failed', message: /File too large/ })
  await t.rejects(sign('none.key'), { code: 'key-unusable' })
  await t.rejects(sign('open.key', { file: place('none') }), { code: 'key-unusable', message: /password/ })
})
