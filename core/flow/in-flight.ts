// The cap on unsettled work: what the pipeline holds in memory, in bytes.

export class InFlight {
  readonly #cap: number
  readonly #reached: () => void
  #bytes = 0
  #stopped = false
  #waiting: (() => void)[] = []

  /** `reached` is called when somebody has to wait: the outputs then send what they have. */
  constructor(cap: number, reached: () => void) {
    this.#cap = cap
    this.#reached = reached
  }

  get bytes(): number {
    return this.#bytes
  }

  /** Resolves to true when `bytes` more fit (one chunk is always allowed, however large), to false once nothing more is admitted. */
  async admit(bytes: number): Promise<boolean> {
    while (!this.#stopped && this.#bytes > 0 && this.#bytes + bytes > this.#cap) {
      this.#reached()
      await new Promise<void>(resolve => this.#waiting.push(resolve))
    }
    if (this.#stopped) return false
    this.#bytes += bytes
    return true
  }

  /** More work came out of what was admitted. */
  add(bytes: number): void {
    this.#bytes += bytes
  }

  /** Work has come to the outputs: while somebody waits for room, it must not wait for a full batch. */
  arrived(): void {
    if (this.#waiting.length > 0) this.#reached()
  }

  remove(bytes: number): void {
    this.#bytes -= bytes
    this.#wake()
  }

  /** Admits nothing more; whoever waits is told so. */
  stop(): void {
    this.#stopped = true
    this.#wake()
  }

  #wake(): void {
    const waiting = this.#waiting
    this.#waiting = []
    for (const go of waiting) go()
  }
}
