/**
 * docs/boot.md names every file of /run/keyvisor that the stick's own code names, and no other.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { packageFile } from '../../src/base/package.js'

const text = (path: string) => readFileSync(packageFile(path), 'utf8')

const found = (text: string, pattern: RegExp) => [...text.matchAll(pattern)].map(([, name]) => name as string)

t.test('the page knows what is in /run/keyvisor', async (t) => {
  const initrd = text('src/host/overlay/etc/initramfs-tools/scripts/keyvisor')
  const units = 'src/host/overlay/etc/systemd/system'
  const sources = [units, 'src/aboard'].flatMap((folder) =>
    readdirSync(packageFile(folder))
      .filter((name) => /\.(ts|service)$/.test(name))
      .map((name) => text(join(folder, name))),
  )
  const named = [
    ...found(initrd, /\$state\/([\w.-]+)/g),
    ...sources.flatMap((source) => found(source, /\/run\/keyvisor\/([\w.-]+)/g)),
  ]
  const page = text('docs/boot.md')
  const table = page.slice(page.indexOf('Below `/run/keyvisor`'), page.indexOf('| elsewhere |'))
  const firstCells = found(table, /^\| (`[^|]*) \|/gm).flatMap((cell) => found(cell, /`([^`]+)`/g))
  t.ok(firstCells.length > 10)
  t.strictSame(firstCells.sort(), [...new Set(named)].sort())
})
