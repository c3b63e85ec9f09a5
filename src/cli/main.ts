#!/usr/bin/env node
/**
 * The program. Who asks for the version alone gets it before anything else is loaded.
 */
import { writeSync } from 'node:fs'
import { version } from '../base/package.js'

const argv = process.argv.slice(2)

/** False where it cannot be written: then the rest of the program says why. */
function saidVersion(): boolean {
  if (argv.length !== 1 || argv[0] !== '--version') return false
  try {
    writeSync(process.stdout.fd, `${version()}\n`)
    return true
  } catch {
    return false
  }
}

if (!saidVersion()) {
  const { main, openTerminal } = await import('./program.js')
  await main(argv, openTerminal())
}
