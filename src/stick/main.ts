/**
 * Runs on the stick: `qjs --module main.js`, as root, once the host is up.
 */
import * as std from 'std'
import { boot } from './boot.js'
import { qjsMachine } from './qjs-machine.js'

try {
  boot(qjsMachine)
} catch (error) {
  std.err.puts(`BUG: ${error instanceof Error ? `${error.message}\n${error.stack}` : error}\n`)
  std.exit(70)
}
