/**
 * What a partition is for, as its type GUID says. Left out: everything that no disk of ours has.
 */

/** Partition type GUIDs, lower case. */
export const PARTITION_TYPE = {
  /** GRUB manual, section "BIOS installation". */
  biosBoot: '21686148-6449-6e6f-744e-656564454649',
  /** UEFI 2.10, section 5.3.3, table 5.7. */
  esp: 'c12a7328-f81f-11d2-ba4b-00a0c93ec93b',
  /** Microsoft, "CREATE_PARTITION_PARAMETERS": a partition that Windows and macOS show. */
  basicData: 'ebd0a0a2-b9e5-4433-87c0-68b6b72699c7',
  /**
   * Our own. Of the known types none fits: systemd-gpt-auto-generator would mount some, and systemd-repart, which
   * makes data (linux-generic) on first boot, takes the first partition of a type for the one that it should make.
   */
  library: '9a3c5c1e-6e0f-4a57-8f0b-5d1f3c7e2b64',
} as const
