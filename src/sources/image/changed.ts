/**
 * What is said of a file of the user's that is not what the lock names.
 */
import { KeyvisorError } from '../../base/errors.js'

export function imageChanged(path: string): KeyvisorError {
  return new KeyvisorError('image-changed', `${path} is not the image that the lock names`, {
    hint: 'take the change with --update',
  })
}
