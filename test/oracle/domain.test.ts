/**
 * Other people's checkers: libvirt's schemas take our domains and network, nft takes our rules.
 */
import t from 'tap'
import { systemTools } from '../../src/base/tool.js'
import { fixture } from '../support/golden.js'
import { needTools } from '../support/tools.js'

for (const name of ['counter.kvm.xml', 'counter.tcg.xml', 'old.tcg.xml', 'locked.kvm.xml', 'bench.kvm.xml']) {
  t.test(`libvirt's schema takes ${name}`, async (t) => {
    if (!needTools(t, 'virt-xml-validate', 'xmllint')) return
    const { stderr } = await systemTools.run({ tool: 'virt-xml-validate', args: [fixture(name), 'domain'] })
    t.match(stderr, 'validates')
  })
}

t.test("libvirt's schema takes network.xml", async (t) => {
  if (!needTools(t, 'virt-xml-validate', 'xmllint')) return
  const { stderr } = await systemTools.run({
    tool: 'virt-xml-validate',
    args: [fixture('network.xml'), 'network'],
  })
  t.match(stderr, 'validates')
})

t.test('the checker refuses what is wrong', async (t) => {
  if (!needTools(t, 'virt-xml-validate', 'xmllint')) return
  const call = { tool: 'virt-xml-validate', args: [fixture('network.xml'), 'domain'] }
  await t.rejects(systemTools.run(call), { code: 'tool-failed' })
})

t.test('nft takes the rules, in a network of their own', async (t) => {
  if (!needTools(t, 'nft', 'unshare')) return
  // nft asks the kernel even when it only checks. A namespace gives an ordinary user a network to be root of.
  const namespace = process.getuid?.() === 0 ? ['--net'] : ['--net', '--map-root-user']
  const nft = (rules: string, input: string) =>
    systemTools.run({ tool: 'unshare', args: [...namespace, 'nft', '-c', '-f', rules], input })
  await nft(fixture('rules.nft'), '')
  await t.rejects(nft('-', 'table inet keyvisor { chain input { tcp dport nowhere accept } }'), {
    code: 'tool-failed',
  })
})
