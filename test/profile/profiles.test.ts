/** The profiles that ship are valid, and the demo's script counts. */
import { execFileSync } from 'node:child_process'
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { validateProfile } from '../../src/profile/validate.js'

const folder = fileURLToPath(new URL('../../profiles/', import.meta.url))
const names = readdirSync(folder).filter((name) => name.endsWith('.yaml'))

t.test('every profile is valid, its files included', async (t) => {
  t.ok(names.includes('demo.yaml') && names.includes('minimal.yaml'))
  for (const name of names) {
    const { problems, loaded } = await validateProfile(join(folder, name), { files: true })
    t.strictSame(
      problems.map(({ code }) => code),
      ['no-login'],
      name,
    )
    t.equal(`${loaded?.profile.name}.yaml`, name, 'a profile is named as its file is')
    t.match(
      readFileSync(join(folder, name), 'utf8'),
      /^# yaml-language-server: \$schema=\.\.\/schemas\/profile/,
    )
  }
})

t.test('the demo has guests that share their packages, one that keeps and one that forgets', async (t) => {
  const { loaded } = await validateProfile(join(folder, 'demo.yaml'), { files: true })
  const guests = loaded?.profile.guests ?? []
  t.strictSame(
    guests.map(({ name, changes }) => [name, changes]),
    [
      ['counter', 'keep'],
      ['forgetful', 'discard'],
    ],
  )
  const packages = guests.map(({ source }) => 'debian' in source && source.debian.packages)
  t.strictSame(packages[0], packages[1])
})

t.test('the counter counts, and says so on a line of its own', async (t) => {
  const root = t.testdir({})
  mkdirSync(`${root}/dev`)
  const script = readFileSync(join(folder, 'demo/count-start'), 'utf8')
  const moved = script.replaceAll(/\/(var|srv|dev\/ttyS0)/g, `${root}/$1`)
  const serial = `${root}/dev/ttyS0`
  writeFileSync(`${root}/count-start`, moved)
  const start = () => execFileSync('sh', [`${root}/count-start`], { stdio: 'pipe' })
  const page = () => readFileSync(`${root}/srv/www/index.html`, 'utf8')

  start()
  t.equal(readFileSync(serial, 'utf8'), '\nkeyvisor: start number 1\n')
  t.match(page(), /started <b>1<\/b> time</)
  start()
  t.equal(readFileSync(serial, 'utf8'), '\nkeyvisor: start number 2\n')
  t.match(page(), /started <b>2<\/b> times</)
  t.equal(readFileSync(`${root}/var/lib/counter/value`, 'utf8'), '2\n')
  t.strictSame(readdirSync(`${root}/var/lib/counter`), ['value'])

  const { loaded } = await validateProfile(join(folder, 'demo.yaml'), { files: true })
  const ready = loaded?.profile.guests?.[1]?.ready
  t.ok(typeof ready === 'object' && 'log' in ready && new RegExp(ready.log).test('keyvisor: start number 1'))
})
