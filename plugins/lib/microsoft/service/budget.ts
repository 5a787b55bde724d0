// How many requests a minute one tenant gets: evenly spaced, and fewer when the service says that it is too much.
import type { Clock } from '../../../../core/plugin/interfaces.ts'

const MINUTE_MS = 60_000
/** What is left for requests that bunch on their way: the service counts when they arrive. */
const USED_SHARE = 0.97
/** What a late timer has cost may be caught up with, up to so much. Milliseconds. */
const SLACK_MS = 500
/** The first wait after a refusal that names none, doubled with each further one before an answer. Milliseconds. */
const FIRST_PAUSE_MS = 5_000
const LONGEST_PAUSE_MS = 300_000
const LEAST_SHARE = 1 / 16
/** A quiet time after which the rate goes up again, by a share of the full one. */
const RECOVER_MS = 10_000
const RECOVER_SHARE = 1 / 8

export class Budget {
  readonly #clock: Clock
  readonly #perMinute: number
  /** When the next request may start; monotonic milliseconds. */
  #next = Number.NEGATIVE_INFINITY
  /** Nobody starts before this. */
  #pausedUntil = Number.NEGATIVE_INFINITY
  #share = 1
  #changed = 0
  #refusals = 0
  /** Whoever waits, in order: each waits for the one before it. */
  #queue: Promise<void> = Promise.resolve()

  constructor(perMinute: number, clock: Clock) {
    this.#perMinute = perMinute
    this.#clock = clock
  }

  /** The rate in force, requests a minute. */
  get rate(): number {
    return this.#perMinute * this.#share
  }

  /** Milliseconds until anybody may start, when the service has refused. */
  get pause(): number {
    return Math.max(0, this.#pausedUntil - this.#clock.monotonic())
  }

  /** Resolves when a request may start; rejects with an AbortError when `signal` aborts before. */
  take(signal: AbortSignal): Promise<void> {
    const turn = this.#queue.then(() => this.#wait(signal))
    this.#queue = turn.catch(() => {})
    return turn
  }

  /** The service refused: everybody waits, and the rate is halved. Gives the wait in milliseconds. */
  refused(after?: number): number {
    const now = this.#clock.monotonic()
    // Those that were under way together are one refusal.
    if (now >= this.#pausedUntil) {
      this.#refusals++
      this.#share = Math.max(LEAST_SHARE, this.#share / 2)
    }
    this.#changed = now
    const own = Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** (this.#refusals - 1))
    const pause = after ?? own * (0.5 + Math.random() / 2)
    this.#pausedUntil = Math.max(this.#pausedUntil, now + pause)
    return this.#pausedUntil - now
  }

  /** A request was answered. */
  answered(): void {
    if (this.#share === 1) return
    const now = this.#clock.monotonic()
    // Those that were under way when others were refused say nothing.
    if (now < this.#pausedUntil) return
    this.#refusals = 0
    if (now - this.#changed < RECOVER_MS) return
    this.#changed = now
    this.#share = Math.min(1, this.#share + RECOVER_SHARE)
  }

  async #wait(signal: AbortSignal): Promise<void> {
    for (;;) {
      signal.throwIfAborted()
      const now = this.#clock.monotonic()
      const due = Math.max(this.#next, this.#pausedUntil)
      if (now < due) {
        await this.#clock.sleep(due - now, signal)
        continue
      }
      this.#next = Math.max(this.#next, now - SLACK_MS) + MINUTE_MS / (this.rate * USED_SHARE)
      return
    }
  }
}
