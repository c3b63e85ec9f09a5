/**
 * Firmware that the hardware of PCs needs: what a profile can name, and the packages of Debian's non-free-firmware
 * that each name brings.
 *
 * Left out: graphics other than Intel's, sound and Bluetooth, whose drivers no host has; a package that is not here can
 * be named under host.packages where host.firmware names anything at all.
 */
import { ARCHITECTURES, USUAL_ARCHITECTURE } from '../arch/architecture.js'
import type { HardwareFirmware } from '../yaml/profile.gen.js'

/** Component of Debian's archive that has them. */
export const FIRMWARE_COMPONENT = 'non-free-firmware'

export interface FirmwareEntry {
  /** For people: the hardware that it is for. */
  title: string
  packages: readonly string[]
}

export const FIRMWARE: Readonly<Record<HardwareFirmware, FirmwareEntry>> = {
  // A processor's errata are any PC's: in the initrd, so that it is loaded before anything else runs.
  microcode: { title: 'Intel and AMD processors', packages: ARCHITECTURES[USUAL_ARCHITECTURE].microcode },
  // Wired network.
  bnx2: { title: 'Broadcom NetXtreme II, 1 Gbit/s', packages: ['firmware-bnx2'] },
  bnx2x: { title: 'Broadcom NetXtreme II, 10 Gbit/s', packages: ['firmware-bnx2x'] },
  realtek: { title: 'Realtek network and Wi-Fi', packages: ['firmware-realtek'] },
  misc: { title: 'various, Broadcom tg3 and Chelsio among them', packages: ['firmware-misc-nonfree'] },
  'intel-misc': { title: 'various of Intel, 100 Gbit/s among them', packages: ['firmware-intel-misc'] },
  cavium: { title: 'Cavium network', packages: ['firmware-cavium'] },
  myricom: { title: 'Myri-10G network', packages: ['firmware-myricom'] },
  netronome: { title: 'Netronome network', packages: ['firmware-netronome'] },
  netxen: { title: 'QLogic NX network', packages: ['firmware-netxen'] },
  qlogic: { title: 'QLogic storage and network', packages: ['firmware-qlogic'] },
  // Wi-Fi.
  'intel-wifi': { title: 'Intel Wi-Fi', packages: ['firmware-iwlwifi'] },
  atheros: { title: 'Qualcomm Atheros Wi-Fi', packages: ['firmware-atheros'] },
  'broadcom-wifi': { title: 'Broadcom Wi-Fi', packages: ['firmware-brcm80211'] },
  ipw2x00: { title: 'Intel Wi-Fi of 2003 to 2005', packages: ['firmware-ipw2x00'] },
  libertas: { title: 'Marvell Wi-Fi', packages: ['firmware-libertas'] },
  mediatek: { title: 'MediaTek and Ralink Wi-Fi', packages: ['firmware-mediatek'] },
  'ti-wifi': { title: 'Texas Instruments Wi-Fi', packages: ['firmware-ti-connectivity'] },
  zd1211: { title: 'ZyDAS USB Wi-Fi', packages: ['firmware-zd1211'] },
  // The screen of most notebooks.
  'intel-graphics': { title: 'Intel graphics', packages: ['firmware-intel-graphics'] },
}

/** The packages of some names, in their order. */
export function firmwarePackages(names: readonly HardwareFirmware[]): string[] {
  return names.flatMap((name) => FIRMWARE[name].packages)
}
