/**
 * What the gates of image formats say alike.
 */
import { KeyvisorError } from '../base/errors.js'

/** @param what the field that cannot be, or what is missing */
export function damagedImage(name: string, kind: string, what: string): KeyvisorError {
  const hint = 'take another copy of the image: this one is damaged, or was not copied to its end'
  return new KeyvisorError('disk-damaged', `${name} is a damaged ${kind}: ${what}`, { hint })
}

/** Of an image that is only a part of a disk: whoever opens it opens other files, or reads wrong data. */
export function needsOtherFile(name: string, kind: string, what: string): KeyvisorError {
  const hint =
    'make one file of it where all its parts are: with the program that made it, or qemu-img convert'
  return new KeyvisorError(
    'image-needs-file',
    `${name} is ${what} (${kind}): its data is in other files, too`,
    {
      hint,
    },
  )
}
