/**
 * A secret: a text that gets into no JSON, log or error by accident. Only {@link Secret.reveal} tells it.
 */
export class Secret {
  readonly #text: string

  constructor(text: string) {
    this.#text = text
  }

  /** The text itself, for the one place where it is used. */
  reveal(): string {
    return this.#text
  }
}
