import { existsSync } from 'node:fs'
import t from 'tap'
import { packageFile } from '../../src/base/package.js'

t.test('files beside the sources are found', async (t) => {
  for (const path of ['package.json', 'src/debian/tree.sh', 'src/host/overlay'])
    t.ok(existsSync(packageFile(path)))
})
