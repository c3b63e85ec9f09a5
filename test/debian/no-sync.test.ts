import t from 'tap'
import { noSyncFilter } from '../../src/debian/no-sync.js'

t.test('what a call is answered with', (t) => {
  const x64 = 0xc000003e
  const i386 = 0x40000003
  const answer = (arch: number, number: number) => run(Buffer.from(noSyncFilter()), { 0: number, 4: arch })
  for (const number of [26, 74, 75, 162, 277, 306]) {
    t.equal(answer(x64, number), 0x50000, `${number} succeeds and does nothing`)
    t.equal(answer(i386, number), 0x7fff0000, `${number} is another call of another ABI`)
  }
  for (const number of [0, 1, 25, 27, 73, 76, 161, 163, 276, 278, 305, 307])
    t.equal(answer(x64, number), 0x7fff0000)
  t.end()
})

/** The three instructions that the filter uses, as linux/bpf_common.h has them. */
function run(filter: Buffer, call: Record<number, number>): number {
  let accumulator = 0
  for (let at = 0; ; at++) {
    const [code, operand] = [filter.readUInt16LE(at * 8), filter.readUInt32LE(at * 8 + 4)]
    if (code === 0x20) accumulator = call[operand] as number
    else if (code === 0x06) return operand
    else if (code === 0x15) at += filter.readUInt8(at * 8 + (accumulator === operand ? 2 : 3))
    else throw new Error(`no such instruction: ${code}`)
  }
}
