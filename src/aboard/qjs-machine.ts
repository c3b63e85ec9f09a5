/**
 * The stick's system as QuickJS reaches it.
 */
// biome-ignore lint/style/useNodejsImportProtocol: QuickJS's module, not Node's
import * as os from 'os'
import * as std from 'std'
import type { Machine, Ran } from './machine.js'

/** O_NONBLOCK and O_NOCTTY of Linux (asm-generic/fcntl.h), which QuickJS does not name. */
const NONBLOCK = 0o4000
const NOCTTY = 0o400

/** A device that has taken nothing for this long, in milliseconds, has nobody at its other end. */
const SEND_PATIENCE = 500

const ENVIRONMENT = { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', LC_ALL: 'C.UTF-8', HOME: '/root' }

/** Where a program's standard error goes: a second pipe could fill while the first one is read. */
const STDERR = '/run/keyvisor/stderr'

export const qjsMachine: Machine = {
  run,
  readFile,
  writeFile,
  exists: (path) => os.stat(path)[1] === 0,
  send,
  print(line) {
    std.out.puts(`${line}\n`)
    std.out.flush()
  },
  now: os.now,
  sleep: os.sleep,
}

function run(argv: readonly string[]): Ran {
  const ends = os.pipe()
  if (!ends) throw new Error('no pipe can be made')
  const [from, to] = ends
  const stdin = os.open('/dev/null', os.O_RDWR)
  const stderr = os.open(STDERR, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
  const streams = { stdin, stdout: to, stderr: stderr < 0 ? stdin : stderr }
  const pid = os.exec([...argv], { block: false, env: ENVIRONMENT, ...streams })
  for (const fd of [to, stdin, stderr]) if (fd >= 0) os.close(fd)
  const output = std.fdopen(from, 'r')
  const stdout = output?.readAsString() ?? ''
  output?.close()
  const [, status] = os.waitpid(pid, 0)
  return { code: exitCode(status), stdout, stderr: readFile(STDERR) ?? '' }
}

/** WIFEXITED and WEXITSTATUS, WTERMSIG of Linux (wait(2)). */
function exitCode(status: number): number {
  const signal = status & 0x7f
  return signal === 0 ? (status >> 8) & 0xff : 128 + signal
}

/** Not `std.loadFile`: that asks for the size first, which is 0 for files of /proc. */
function readFile(path: string): string | undefined {
  const file = std.open(path, 'r')
  const text = file?.readAsString()
  file?.close()
  return text
}

function writeFile(path: string, text: string): void {
  const file = std.open(`${path}.new`, 'w')
  if (!file) throw new Error(`${path} cannot be written`)
  file.puts(text)
  file.close()
  if (os.rename(`${path}.new`, path) !== 0) throw new Error(`${path} cannot be replaced`)
}

/** A port that nobody listens to, or a serial port that is not there, must not hold the boot. */
function send(device: string, text: string): void {
  const fd = os.open(device, os.O_WRONLY | NONBLOCK | NOCTTY)
  if (fd < 0) return
  const bytes = Uint8Array.from(text, (character) => character.charCodeAt(0)).buffer
  const deadline = os.now() + SEND_PATIENCE
  for (let done = 0; done < bytes.byteLength && os.now() < deadline; ) {
    const written = os.write(fd, bytes, done, bytes.byteLength - done)
    if (written > 0) done += written
    else os.sleep(10)
  }
  os.close(fd)
}
