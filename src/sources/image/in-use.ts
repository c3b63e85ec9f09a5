/**
 * Whether somebody else's hypervisor writes to an image now: then what is read of it is no disk of any moment.
 *
 * QEMU locks bytes of an image while it has it open (docs/interop and block/file-posix.c: from byte 100 on what it may do,
 * byte 101 is writing), which proc_locks(5) shows; VMware keeps a folder `NAME.lck` beside the image. Left out: VirtualBox,
 * which leaves no sign; and machines that share a file system, whose locks are seen there alone.
 */
import { type BigIntStats, existsSync } from 'node:fs'
import { readFile, stat } from 'node:fs/promises'
import { KeyvisorError } from '../../base/errors.js'
import { ifThere } from '../../base/file-errors.js'

/** RAW_LOCK_PERM_BASE and the bit of BLK_PERM_WRITE. */
const WRITING = 101

/** Throws `image-in-use`. */
export async function refuseInUse(path: string): Promise<void> {
  const found = await ifThere(stat(path, { bigint: true }))
  if (!found) return
  if (existsSync(`${path}.lck`)) throw inUse(path, `there is ${path}.lck beside it`, LEFT)
  if (await isWritten(found)) throw inUse(path, 'a virtual machine has it open for writing', STOP)
}

const STOP = 'shut that machine down, and try again'
const LEFT = `${STOP}; remove that folder where no machine runs: VMware left it behind`

function inUse(path: string, why: string, hint: string): KeyvisorError {
  return new KeyvisorError('image-in-use', `${path} is in use: ${why}`, { hint })
}

/** Lines of `1: OFDLCK ADVISORY READ -1 fe:00:1234 101 101`: device in hexadecimal, inode, first and last byte. */
async function isWritten({ dev, ino }: BigIntStats): Promise<boolean> {
  const text = (await ifThere(readFile('/proc/locks', 'utf8'))) ?? ''
  const lines = text.matchAll(
    /^\d+: (?:OFDLCK|POSIX) +\S+ +\S+ +\S+ ([0-9a-f]+):([0-9a-f]+):(\d+) (\d+) (\d+|EOF)$/gm,
  )
  for (const [, major = '', minor = '', inode, first, last] of lines) {
    if (BigInt(inode as string) !== ino || deviceOf(dev) !== `${major}:${minor}`) continue
    if (Number(first) <= WRITING && (last === 'EOF' || Number(last) >= WRITING)) return true
  }
  return false
}

/** makedev(3), as Linux encodes it: 12 bits of the major number above 8 of the minor's, whose other bits are above those. */
function deviceOf(dev: bigint): string {
  const major = (dev >> 8n) & 0xfffn
  const minor = (dev & 0xffn) | ((dev >> 12n) & 0xfffff00n)
  return [major, minor].map((number) => number.toString(16).padStart(2, '0')).join(':')
}
