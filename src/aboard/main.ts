/**
 * Runs on the stick, as root. `qjs --module main.js`: once the host is up, until it is shut down. `... main.js stop`: when
 * it is shut down.
 */
import * as std from 'std'
import { boot } from './boot.js'
import { tellStopped } from './last-boot.js'
import { qjsMachine } from './qjs-machine.js'
import { stopGuests } from './stop.js'
import { openWatch, WATCH_EVERY } from './watch.js'

try {
  if (scriptArgs[1] === 'stop') stop()
  else start()
} catch (error) {
  std.err.puts(`BUG: ${error instanceof Error ? `${error.message}\n${error.stack}` : error}\n`)
  std.exit(70)
}

function start(): never {
  const { report, guests } = boot(qjsMachine)
  const look = openWatch(qjsMachine, report, guests)
  for (;;) {
    qjsMachine.sleep(WATCH_EVERY)
    attempt('watch', look)
  }
}

/** A libvirt that is being updated, or a guest that is just ending, is no reason to stop watching. */
function attempt(what: string, action: () => void): void {
  try {
    action()
  } catch (error) {
    qjsMachine.print(`${what}: ${error instanceof Error ? error.message : error}`)
  }
}

function stop(): void {
  const unstopped = stopGuests(qjsMachine)
  for (const name of unstopped) qjsMachine.print(`guest ${name} did not shut down: its plug is pulled`)
  attempt('last-boot.txt', () => tellStopped(qjsMachine, unstopped))
}
