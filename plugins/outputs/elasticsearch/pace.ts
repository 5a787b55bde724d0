// How many requests are under way at once: fewer when Elasticsearch refuses some, more again when it takes them.

/** So many requests in a row that were taken whole let another one go beside them. */
const STEADY = 8

export class Pace {
  readonly #most: number
  #limit: number
  #busy = 0
  #steady = 0
  readonly #waiting: (() => void)[] = []

  constructor(most: number) {
    this.#most = most
    this.#limit = most
  }

  /** How many may be under way now. */
  get limit(): number {
    return this.#limit
  }

  /** Runs `work` when there is room for it. */
  async run<T>(work: () => Promise<T>): Promise<T> {
    while (this.#busy >= this.#limit) await new Promise<void>(resolve => this.#waiting.push(resolve))
    this.#busy++
    try {
      return await work()
    } finally {
      this.#busy--
      this.#wake()
    }
  }

  /** A request, or a part of it, was refused because there was too much. */
  slower(): void {
    this.#steady = 0
    this.#limit = Math.max(1, this.#limit >> 1)
  }

  /** A request was taken whole. */
  faster(): void {
    if (this.#limit >= this.#most || ++this.#steady < STEADY) return
    this.#steady = 0
    this.#limit++
    this.#wake()
  }

  #wake(): void {
    for (let room = this.#limit - this.#busy; room > 0; room--) this.#waiting.shift()?.()
  }
}
