import t from 'tap'
import { PARTITIONS, partitionNumber, partitionNumbers, partitionRow } from '../../src/stick/partitions.js'

t.test('numbers never change: sticks and their updates go by them', async (t) => {
  t.equal(partitionNumbers(), 'BIOS_BOOT=1\nESP=2\nROOT_A=3\nROOT_B=4\nSETTINGS=5\nLIBRARY=6\nDATA=7\n')
  t.equal(partitionNumber('data'), PARTITIONS.length + 1)
})

t.test('names of a foreign disk have no row', async (t) => {
  t.equal(partitionRow('library')?.payload, 'library')
  for (const name of ['', 'data', 'constructor', 'Library']) t.equal(partitionRow(name), undefined, name)
})
