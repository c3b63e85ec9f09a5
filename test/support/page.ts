/**
 * Pages as scripts: a fenced block of a page that is marked, as "```sh step", is a test.
 */
import { readFileSync } from 'node:fs'
import { packageFile } from '../../src/base/package.js'

/** The blocks of a page with one of these marks, in order, as one script for sh(1). */
export function pageScript(page: string, marks: readonly string[]): string {
  const text = readFileSync(packageFile(page), 'utf8')
  const blocks = [...text.matchAll(/^```sh (\w+)\n([\s\S]*?)^```$/gm)]
  return blocks
    .filter(([, mark]) => marks.includes(mark as string))
    .map(([, , lines]) => lines)
    .join('')
}
