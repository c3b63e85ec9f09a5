/**
 * The version of Keyvisor, which manifests and sticks name.
 */
import { readFileSync } from 'node:fs'
import { packageFile } from '../debian/namespace.js'

export function version(): string {
  return (JSON.parse(readFileSync(packageFile('package.json'), 'utf8')) as { version: string }).version
}
