/**
 * A value that stands in keys and printed JSON as something else: a file by its digest and not its path, a secret by a
 * digest that cost time. Who works with it gets the value; `JSON.stringify` gets the key.
 */
import type { Json } from './digests.js'

export class Keyed<T> {
  readonly value: T
  readonly #key: Json

  constructor(value: T, key: Json) {
    this.value = value
    this.#key = key
  }

  toJSON(): Json {
    return this.#key
  }
}
