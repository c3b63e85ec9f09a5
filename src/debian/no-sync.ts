/**
 * A filter under which nothing waits for a disk: calls that ask for durability say yes and do nothing.
 *
 * What is made in scratch is worthless after a crash, and the store syncs what it takes; but dpkg asks for thousands of
 * syncs (3,774 fsyncs before a host's essential packages were in, which took 31 s where others wrote to the disk, too).
 * On an idle fast disk they cost next to nothing. systemd-nspawn (`--suppress-sync`) and mkosi do the same.
 * Spec: seccomp(2); classic BPF, struct sock_filter in linux/filter.h; struct seccomp_data in linux/seccomp.h.
 * Left out: programs of other ABIs than x86-64 wait as ever, and files opened with O_SYNC.
 */

const AUDIT_ARCH_X86_64 = 0xc000003e // linux/audit.h
const LOAD = 0x20 // BPF_LD | BPF_W | BPF_ABS
const JUMP_EQUAL = 0x15 // BPF_JMP | BPF_JEQ | BPF_K
const RETURN = 0x06 // BPF_RET | BPF_K
const SUCCESS = 0x00050000 // SECCOMP_RET_ERRNO with errno 0
const ALLOW = 0x7fff0000 // SECCOMP_RET_ALLOW

/** Numbers of arch/x86/entry/syscalls/syscall_64.tbl. */
const SYNCS = { msync: 26, fsync: 74, fdatasync: 75, sync: 162, sync_file_range: 277, syncfs: 306 }

/** The filter as bwrap(1) reads it (`--seccomp`). */
export function noSyncFilter(): Uint8Array {
  const numbers = Object.values(SYNCS)
  return Buffer.concat([
    instruction(LOAD, 4), // seccomp_data.arch
    instruction(JUMP_EQUAL, AUDIT_ARCH_X86_64, 0, numbers.length + 1),
    instruction(LOAD, 0), // seccomp_data.nr
    ...numbers.map((number, at) => instruction(JUMP_EQUAL, number, numbers.length - at)),
    instruction(RETURN, ALLOW),
    instruction(RETURN, SUCCESS),
  ])
}

/** struct sock_filter: what to do, how many instructions to skip if true and if false, operand. */
function instruction(code: number, operand: number, ifTrue = 0, ifFalse = 0): Buffer {
  const bytes = Buffer.alloc(8)
  bytes.writeUInt16LE(code, 0) // code
  bytes.writeUInt8(ifTrue, 2) // jt
  bytes.writeUInt8(ifFalse, 3) // jf
  bytes.writeUInt32LE(operand, 4) // k
  return bytes
}
