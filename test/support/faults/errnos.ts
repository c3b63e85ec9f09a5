/**
 * Which system calls are made to fail, and how: every errno(3) of issue reports that the call's manual page (man-pages
 * 6.03) allows. EFBIG of open(2) is for programs without large files; a write may fail with EPERM where a file is sealed.
 */

/** A call of a family, such as `openat` and `open`. */
export interface Fault {
  call: string
  errno: string
}

const PATH = ['EACCES', 'EPERM', 'ENOTDIR', 'ELOOP', 'ENAMETOOLONG', 'EROFS']
const NEW_NAME = [...PATH, 'EEXIST', 'ENOSPC', 'EDQUOT']
const WRITE = ['EDQUOT', 'EFBIG', 'EIO', 'ENOSPC', 'EPERM']

/** By the call's name in strace(1). */
export const ERRNOS: Record<string, readonly string[]> = {
  openat: [...NEW_NAME, 'EMFILE'], // open(2)
  mkdir: NEW_NAME, // mkdir(2)
  rename: [...NEW_NAME, 'EXDEV'], // rename(2)
  renameat2: [...NEW_NAME, 'EXDEV'], // rename(2)
  link: [...NEW_NAME, 'EIO', 'EXDEV'], // link(2)
  linkat: [...NEW_NAME, 'EIO', 'EXDEV'], // link(2)
  write: WRITE, // write(2)
  pwrite64: WRITE, // pwrite(2): as write(2)
  ftruncate: ['EFBIG', 'EIO', 'EPERM'], // truncate(2)
  fsync: ['EIO', 'ENOSPC', 'EDQUOT', 'EROFS'], // fsync(2)
  unlink: [...PATH, 'EIO'], // unlink(2)
}
