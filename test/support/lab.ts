/**
 * The lab's own tools in tests.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { silent } from '../../src/base/progress.js'
import type { ToolRunner } from '../../src/base/tool.js'
import { Store, storeFolder } from '../../src/store/store.js'
import { openLab } from '../../src/tools/lab-tools.js'
import { needTools } from './tools.js'

type Test = Parameters<typeof needTools>[0] & { setTimeout(milliseconds: number): unknown }

/** Fetched on first use, which may take minutes. Undefined when a tool that fetching takes is missing. */
export async function labTools(t: Test): Promise<ToolRunner | undefined> {
  if (!needTools(t, 'bwrap', 'mmdebstrap')) return undefined
  t.setTimeout(600_000)
  return openLab({ store: await Store.open(storeFolder()), progress: silent })
}

/** A new folder that sockets can be made in; tap's own keeps those of an earlier run. */
export function socketFolder(t: { teardown(action: () => unknown): unknown }): string {
  const folder = mkdtempSync(join(tmpdir(), 'keyvisor-test-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}
