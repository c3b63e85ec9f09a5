/**
 * A small file is written whole or not at all, and an error says which it was.
 */
import { execFileSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { fileError } from '../../src/base/file-errors.js'
import { packageFile } from '../../src/base/package.js'
import { writeFile } from '../../src/base/write-file.js'

t.test('a disk that has no room: the path, and nothing is left', async (t) => {
  const full = join(t.testdir(), 'full')
  symlinkSync('/dev/full', full)
  const error = await writeFile(full, 'x').catch((error) => error)
  t.match(fileError(error)?.message, `${full} cannot be written: the disk got full`)
  t.notOk(existsSync(full))
})

t.test('a limit in the middle of the file leaves no half', async (t) => {
  const path = join(t.testdir(), 'half')
  const module = packageFile('dist/base/write-file.js')
  const program = `import { writeFile } from '${module}'
    process.on('SIGXFSZ', () => {})
    await writeFile('${path}', Buffer.alloc(4096)).catch(({ code, path }) => console.log(code, path))`
  const script = 'ulimit -f 1 && exec "$0" --input-type=module --eval "$1"'
  const said = execFileSync('bash', ['-c', script, process.execPath, program], { encoding: 'utf8' })
  t.equal(said, `EFBIG ${path}\n`)
  t.notOk(existsSync(path))
})

t.test('what is there and may not be written stays', async (t) => {
  const path = join(t.testdir({ there: 'as it was' }), 'there')
  await t.rejects(writeFile(path, 'x', { flag: 'wx' }), { code: 'EEXIST', path })
  t.equal(readFileSync(path, 'utf8'), 'as it was')
})

t.test('Node’s own is not used beside it', (t) => {
  const sources = readdirSync(packageFile('src'), { recursive: true, encoding: 'utf8' })
  const users = sources.filter((name) => {
    if (!name.endsWith('.ts')) return false
    const [names = ''] = /import \{[^}]*\} from 'node:fs\/promises'/.exec(
      readFileSync(packageFile(`src/${name}`), 'utf8'),
    ) ?? ['']
    return /\bwriteFile\b/.test(names)
  })
  // The store names the file that was to be replaced, and not the temporary one.
  t.strictSame(users.sort(), ['base/write-file.ts', 'store/store.ts'])
  t.end()
})
