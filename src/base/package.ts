/**
 * This package as it is installed: its files, and its version, which manifests and sticks name.
 */
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

/** Where this package keeps a file that stands beside the sources, such as a script. */
export function packageFile(path: string): string {
  return fileURLToPath(new URL(`../../${path}`, import.meta.url))
}

export function version(): string {
  return (JSON.parse(readFileSync(packageFile('package.json'), 'utf8')) as { version: string }).version
}
