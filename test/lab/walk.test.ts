import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import type { ProgressEvent } from '../../src/base/progress.js'
import { Store } from '../../src/build/store.js'
import { loadMachines, MACHINES_FILE } from '../../src/lab/machines.js'
import { walkImage } from '../../src/lab/walk.js'

t.test('what is no image ends a walk before anything is fetched, made or started', async (t) => {
  const store = await Store.open(join(t.testdir(), 'store'))
  const heard: ProgressEvent[] = []
  const run = { store, progress: (event: ProgressEvent) => void heard.push(event) }
  const machines = await loadMachines(MACHINES_FILE)
  await t.rejects(walkImage('/nowhere.img', machines, {}, run), { code: 'no-such-file' })
  t.strictSame(heard, [])
  t.strictSame(readdirSync(join(store.folder, 'tmp')), [])
})
