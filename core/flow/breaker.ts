// Stops mass dead-lettering: a destination that suddenly refuses most of what it gets is broken, not the events.
import type { Clock } from '../plugin/interfaces.ts'

/** Opens when at least so many items were refused for good within the window, and more than half of all. */
const LEAST_REFUSED = 50
const WINDOW_MS = 60_000
/** While open, one batch is sent this often. Milliseconds. */
export const PROBE_MS = 30_000

export class Breaker {
  readonly #clock: Clock
  #results: { at: number; delivered: number; refused: number }[] = []
  #open = false

  constructor(clock: Clock) {
    this.#clock = clock
  }

  get open(): boolean {
    return this.#open
  }

  /** The outcome of a batch. True: the refused items must not become dead letters now. */
  judge(delivered: number, refused: number): boolean {
    if (this.#open) {
      // A probe counts by itself: what made the breaker open is over or it is not.
      this.#open = refused > delivered
      if (!this.#open) this.#results = []
      return this.#open
    }
    const at = this.#clock.monotonic()
    this.#results = this.#results.filter(result => result.at > at - WINDOW_MS)
    this.#results.push({ at, delivered, refused })
    let all = 0
    let bad = 0
    for (const result of this.#results) {
      all += result.delivered + result.refused
      bad += result.refused
    }
    this.#open = refused > 0 && bad >= LEAST_REFUSED && bad * 2 > all
    return this.#open
  }
}
