/**
 * Drives by their numbers: what each of a guest's drives is called, in the lock, among the stages and on the stick.
 *
 * Free of `node:` imports: the stick runs this file under qjs. Left out: what a drive is (`definition.ts`).
 *
 * Disks and CDs are counted apart, each from 0: a CD more must not make another disk of one that a stick has.
 */

import type { Drive } from './definition.js'

export interface NumberedDrive<Item> {
  drive: Item
  isCdrom: boolean
  /** Among the guest's disks, or its CDs. */
  index: number
  /** `disk0`, `iso0`. */
  name: string
}

/** Numbers the drives of one guest, in their order. */
export function numberDrives<Item>(
  drives: readonly Item[],
  isCdrom: (drive: Item) => boolean,
): NumberedDrive<Item>[] {
  const count = { disk: 0, iso: 0 }
  return drives.map((drive) => {
    const kind = isCdrom(drive) ? 'iso' : 'disk'
    const index = count[kind]++
    return { drive, isCdrom: kind === 'iso', index, name: `${kind}${index}` }
  })
}

/** The same drive, with its base known in another way; an empty disk has none. */
export function onBase<From, To>(drive: Drive<From>, base: (from: From) => To): Drive<To> {
  return drive.kind === 'empty' ? drive : { ...drive, base: base(drive.base) }
}

/** The bases of some guests, in their order; one that several drives have stands as often. */
export function basesOf<Base>(guests: readonly { drives: readonly Drive<Base>[] }[]): Base[] {
  return guests.flatMap(({ drives }) =>
    drives.flatMap((drive) => (drive.kind === 'empty' ? [] : [drive.base])),
  )
}
