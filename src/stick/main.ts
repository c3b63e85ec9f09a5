/**
 * Runs on the stick: `qjs --module main.js`, as root, once the host is up, until the host is shut down.
 */
import * as std from 'std'
import { boot } from './boot.js'
import { qjsMachine } from './qjs-machine.js'
import { openWatch, WATCH_EVERY } from './watch.js'

try {
  const { report, guests } = boot(qjsMachine)
  const look = openWatch(qjsMachine, report, guests)
  for (;;) {
    qjsMachine.sleep(WATCH_EVERY)
    attempt(look)
  }
} catch (error) {
  std.err.puts(`BUG: ${error instanceof Error ? `${error.message}\n${error.stack}` : error}\n`)
  std.exit(70)
}

/** A libvirt that is being updated, or a guest that is just ending, is no reason to stop watching. */
function attempt(action: () => void): void {
  try {
    action()
  } catch (error) {
    qjsMachine.print(`watch: ${error instanceof Error ? error.message : error}`)
  }
}
