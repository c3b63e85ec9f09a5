/**
 * A disk that tells which firmware starts it: by BIOS it counts its starts, as `counter.raw` does; by UEFI it has a program
 * that ends at once, and that no Secure Boot lets in, since nobody signed it.
 *
 * Spec: UEFI 2.10, sections 5.2.1 (MBR) and 3.5.1.1 (the program's path); PE format, "Optional Header".
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { systemTools } from '../../src/base/tool.js'
import { MiB, SECTOR } from '../../src/base/units.js'

const ESP = { at: MiB, size: 6 * MiB }
const ESP_TYPE = 0xef

/** Writes the disk to `starter.raw` in a folder, where `counter.raw` is. */
export async function makeStarter(folder: string): Promise<void> {
  const [esp, program] = [join(folder, 'esp.fat'), join(folder, 'bootx64.efi')]
  writeFileSync(program, efiProgram())
  writeFileSync(esp, Buffer.alloc(ESP.size))
  // The same bytes in each run: a lock pins them.
  const run = (tool: string, ...args: string[]) =>
    systemTools.run({ tool, args, env: { SOURCE_DATE_EPOCH: '1' } })
  await run('mkfs.vfat', '--invariant', '-i', '12345678', esp)
  await run('mmd', '-i', esp, '::/EFI', '::/EFI/BOOT')
  await run('mcopy', '-i', esp, program, '::/EFI/BOOT/BOOTX64.EFI')
  const disk = Buffer.alloc(ESP.at + ESP.size + MiB)
  readFileSync(join(folder, 'counter.raw')).copy(disk, 0, 0, 440)
  const record = 446
  disk[record + 4] = ESP_TYPE
  disk.writeUInt32LE(ESP.at / SECTOR, record + 8)
  disk.writeUInt32LE(ESP.size / SECTOR, record + 12)
  disk.writeUInt16LE(0xaa55, 510)
  readFileSync(esp).copy(disk, ESP.at)
  writeFileSync(join(folder, 'starter.raw'), disk)
}

/** `xor eax, eax; ret`: EFI_SUCCESS. */
const CODE = Buffer.from([0x31, 0xc0, 0xc3])
const [FILE_ALIGNMENT, PAGE] = [0x200, 0x1000]

/** A PE32+ application of one section. */
function efiProgram(): Buffer {
  const file = Buffer.alloc(2 * FILE_ALIGNMENT)
  file.write('MZ')
  const pe = 0x40
  file.writeUInt32LE(pe, 0x3c)
  file.write('PE', pe)
  const coff = pe + 4
  file.writeUInt16LE(0x8664, coff) // x86-64
  file.writeUInt16LE(1, coff + 2) // sections
  file.writeUInt16LE(240, coff + 16) // size of the optional header
  file.writeUInt16LE(0x22, coff + 18) // executable, large addresses
  const optional = coff + 20
  file.writeUInt16LE(0x20b, optional) // PE32+
  file.writeUInt32LE(FILE_ALIGNMENT, optional + 4) // size of code
  file.writeUInt32LE(PAGE, optional + 16) // entry point
  file.writeUInt32LE(PAGE, optional + 20) // base of code
  file.writeUInt32LE(PAGE, optional + 32) // section alignment
  file.writeUInt32LE(FILE_ALIGNMENT, optional + 36)
  file.writeUInt32LE(2 * PAGE, optional + 56) // size of image
  file.writeUInt32LE(FILE_ALIGNMENT, optional + 60) // size of headers
  file.writeUInt16LE(10, optional + 68) // EFI application
  file.writeUInt32LE(16, optional + 108) // data directories, all empty
  const section = optional + 240
  file.write('.text', section)
  for (const [value, at] of [
    [CODE.length, 8], // virtual size
    [PAGE, 12], // address
    [FILE_ALIGNMENT, 16], // size in the file
    [FILE_ALIGNMENT, 20], // place in the file
    [0x60000020, 36], // code, executable, readable
  ] as const)
    file.writeUInt32LE(value, section + at)
  CODE.copy(file, FILE_ALIGNMENT)
  return file
}
