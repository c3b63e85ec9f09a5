/**
 * A process that is killed with -9 at the very moment when it would call a function of node:fs/promises.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'

const STORE = new URL('../../src/store/store.ts', import.meta.url).href

/** Runs lines that may use the store's exports; rejects when they end in any other way than by the kill. */
export async function killedAt(name: 'rename' | 'link', lines: string): Promise<void> {
  const script = `
    import fs from 'node:fs/promises'
    import { syncBuiltinESMExports } from 'node:module'
    fs.${name} = () => process.kill(process.pid, 'SIGKILL')
    syncBuiltinESMExports()
    const { replaceFile, Store } = await import('${STORE}')
    ${lines}`
  const child = spawn(process.execPath, [...process.execArgv, '--input-type=module', '-e', script], {
    stdio: ['ignore', 'inherit', 'inherit'],
  })
  const [code, signal] = await once(child, 'exit')
  if (signal !== 'SIGKILL') throw new Error(`it ended with ${code ?? signal} before the kill`)
}
