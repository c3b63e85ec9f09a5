/**
 * Our shell scripts and units, as shellcheck and systemd see them.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import t from 'tap'
import { packageFile } from '../../src/base/package.js'
import { systemTools } from '../../src/base/tool.js'
import { needTools } from '../support/tools.js'

/** All files below some folders of the package, by their path in it. */
function files(...folders: string[]): string[] {
  return folders.flatMap((folder) =>
    readdirSync(packageFile(folder), { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name)),
  )
}

const isScript = (path: string) =>
  path.endsWith('.sh') ||
  path.includes('/initramfs-tools/') ||
  /^#!\/bin\/(ba|da)?sh/.test(readFileSync(path, 'utf8'))

/**
 * Left out: variables that a caller sets (2154), sourced files that are not here (1091), and cd without a check (2164):
 * our scripts run under `sh -eu`. What initramfs-tools reads has variables for whoever reads it (2034).
 */
const EXCLUDED = 'SC2154,SC1091,SC2164'

for (const path of files('src', 'scripts', 'profiles').filter(isScript)) {
  t.test(`shellcheck takes ${path.slice(packageFile('').length)}`, async (t) => {
    if (!needTools(t, 'shellcheck')) return
    const excluded = path.includes('/initramfs-tools/') ? `${EXCLUDED},SC2034` : EXCLUDED
    const shell = readFileSync(path, 'utf8').startsWith('#!') ? [] : ['-s', 'sh']
    const args = [...shell, '-S', 'warning', '-e', excluded, path]
    await t.resolves(systemTools.run({ tool: 'shellcheck', args }))
  })
}

t.test('shellcheck can refuse', async (t) => {
  if (!needTools(t, 'shellcheck')) return
  const input = 'cd $1 && rm -rf "$1/"*; echo $(ls -l | cut -c1 && [ $x == 1 ])\n'
  await t.rejects(systemTools.run({ tool: 'shellcheck', args: ['-s', 'sh', '-'], input }), {
    code: 'tool-failed',
  })
})

const units = files('src/host/overlay', 'profiles').filter((path) => path.endsWith('.service'))

t.test('there are units', async (t) => {
  t.ok(units.length >= 3, units.join(' '))
})

/** Lines that are about this machine: programs that only the stick has, and keys that an older systemd does not know. */
async function expectedHere(): Promise<RegExp> {
  const { stdout } = await systemTools.run({ tool: 'systemd-analyze', args: ['--version'] })
  const version = Number(/^systemd (\d+)/.exec(stdout)?.[1])
  return version < STICK_SYSTEMD ? /command:|is not executable|Unknown key/ : /command:|is not executable/
}

/** The version of the stick's own systemd, in trixie. */
const STICK_SYSTEMD = 257

for (const path of units) {
  t.test(`systemd takes ${basename(path)}`, async (t) => {
    if (!needTools(t, 'systemd-analyze')) return
    const args = ['verify', '--man=no', '--recursive-errors=no', path]
    const { stderr } = await systemTools
      .run({ tool: 'systemd-analyze', args })
      .catch((error: Error) => ({ stderr: error.message }))
    const expected = await expectedHere()
    const lines = stderr.split('\n').filter((line) => line.includes(basename(path)))
    t.strictSame(
      lines.filter((line) => !expected.test(line)),
      [],
    )
  })
}
