/**
 * junit.xml as xmllint reads it.
 */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { systemTools } from '../../src/base/tool.js'
import { junitXml } from '../../src/lab/junit.js'
import { needTool } from '../support/tools.js'
import { FAILED, NAMES, WALK } from '../support/walk.js'

/** Asks one document; what xmllint cannot read, it throws of. */
function asker(t: Test, xml: string): (xpath: string) => Promise<string> {
  const file = join(t.testdir(), 'junit.xml')
  writeFileSync(file, xml)
  return async (xpath) => {
    const args = ['--nonet', '--xpath', xpath, file]
    return (await systemTools.run({ tool: 'xmllint', args })).stdout.trimEnd()
  }
}

t.test('a suite for each PC, a case for each check', async (t) => {
  if (!needTool(t, 'xmllint')) return
  const ask = asker(t, junitXml(WALK))
  t.equal(await ask('name(/*)'), 'testsuites')
  t.equal(await ask('count(/testsuites/testsuite)'), '8')
  t.equal(await ask('count(/testsuites/testsuite/testcase)'), `${7 * 3 + 2}`)
  t.equal(await ask('concat(/testsuites/@tests, " ", /testsuites/@failures)'), '23 2')
  t.equal(await ask('count(//testsuite[@tests != count(testcase)])'), '0')
  t.equal(await ask('count(//testsuite[@failures != count(testcase/failure)])'), '0')
  t.equal(await ask('count(//testcase[not(@name and @classname and @time)])'), '0')
  t.equal(await ask('string(//testsuite[1]/@name)'), NAMES[0])
  t.equal(await ask('string(//testsuite[1]/properties/property[@name="memory"]/@value)'), '2GiB')
  t.equal(await ask('string(//testsuite[1]/testcase[@name="guest counter"]/@time)'), '59.5')
})

t.test('what failed, with the last serial lines and the last picture', async (t) => {
  if (!needTool(t, 'xmllint')) return
  const ask = asker(t, junitXml(WALK))
  const failure = `//testsuite[@name="${FAILED}"]/testcase[@name="host"]/failure`
  t.equal(await ask(`string(${failure}/@message)`), 'it did not say that it is up within 40 s')
  t.match(
    await ask(`string(${failure})`),
    /^it did not say .*^\| Kernel panic - not syncing$.*: screen\.png$/ms,
  )
  t.equal(await ask('count(//testsuite[failure or testcase/failure])'), '1')
})

t.test('what a stick says is no markup, and no XML is broken by it', async (t) => {
  if (!needTool(t, 'xmllint')) return
  const ask = asker(t, junitXml(WALK))
  t.equal(await ask('count(//script | //img | //iframe | //comment())'), '0')
  t.match(await ask('string(//testsuite[8]/@name)'), /^hostile <script .* \]\]><!-- --> &amp; &#0; \ufffd/)
  const raw = asker(t, junitXml(WALK).replace('&#60;script', '<script'))
  await t.rejects(raw('name(/*)'), { code: 'tool-failed' }, 'and xmllint can refuse')
})
