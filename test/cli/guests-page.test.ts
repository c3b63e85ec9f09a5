/** The steps of docs/guests.md, with disks as the programs that it names would make them. */
import { join } from 'node:path'
import t from 'tap'
import { packageFile } from '../../src/base/package.js'
import { systemTools } from '../../src/base/tool.js'
import { pageScript } from '../support/page.js'
import { needTools } from '../support/tools.js'

t.test('docs/guests.md', async (t) => {
  if (!needTools(t, 'qemu-img')) return
  const folder = t.testdir()
  const make = (name: string, driver: string, ...options: string[]) =>
    systemTools.run({
      tool: 'qemu-img',
      args: ['create', '-q', '-f', driver, ...options, join(folder, name), '64M'],
    })
  await make('shop.vdi', 'vdi')
  await make('shop.vmdk', 'vmdk', '-o', 'subformat=twoGbMaxExtentSparse')
  await make('data.vmdk', 'vmdk')
  await make('shop.vhdx', 'vhdx')
  const keyvisor = `keyvisor() { "${process.execPath}" "${packageFile('dist/cli/main.js')}" "$@"; }`
  const script = `set -eu; cd "$0"\n${keyvisor}\n${pageScript('docs/guests.md', ['step'])}`
  const { stdout } = await systemTools.run({ tool: 'sh', args: ['-c', script, folder] })
  for (const name of ['virtualbox', 'vmware', 'hyperv'])
    t.match(stdout, `${name}.yaml: valid`, `the profile of the section on ${name}`)
})
