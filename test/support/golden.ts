/**
 * Goldens: what was checked by hand once and stands in `fixtures/plan/`. `UPDATE_GOLDENS=1` writes them anew, to
 * be read before they are committed.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

/** Absolute path of a fixture of this room. */
export function fixture(name: string): string {
  return fileURLToPath(new URL(`../../fixtures/plan/${name}`, import.meta.url))
}

/** Compares `actual` with the golden of this name. */
export function golden(
  t: { equal(found: string, wanted: string, message: string): unknown },
  name: string,
  actual: string,
): void {
  if (process.env['UPDATE_GOLDENS'] === '1') writeFileSync(fixture(name), actual)
  t.equal(actual, readFileSync(fixture(name), 'utf8'), name)
}

/** As {@link golden}, for JSON: the formatting of the golden is Biome's. */
export function goldenJson(
  t: { strictSame(found: unknown, wanted: unknown, message: string): unknown },
  name: string,
  actual: unknown,
): void {
  if (process.env['UPDATE_GOLDENS'] === '1')
    writeFileSync(fixture(name), `${JSON.stringify(actual, null, 2)}\n`)
  t.strictSame(JSON.parse(JSON.stringify(actual)), JSON.parse(readFileSync(fixture(name), 'utf8')), name)
}
