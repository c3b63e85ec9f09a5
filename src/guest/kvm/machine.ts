/**
 * Machine types of QEMU: what of them matters to a guest.
 */

/** `pc-q35-10.0` and its kin; the others are i440fx (`pc-i440fx-…`, `pc`). */
const PCIE = /(^|-)q35(-|$)/

export function hasPcie(machine: string): boolean {
  return PCIE.test(machine)
}

/** Why a machine cannot guard the keys of Secure Boot; undefined where it can. i440fx has no SMM. */
export function refusesSecureBoot(machine: string): string | undefined {
  return hasPcie(machine) ? undefined : `uefi-secure needs a q35 machine, and this is ${machine}`
}
