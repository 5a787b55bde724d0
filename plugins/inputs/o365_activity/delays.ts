// How long after it happened a record can be read: measured, and told as quantiles.

/** Four buckets for each doubling, from a second on: a quantile is at most a fifth too high. */
const PER_DOUBLING = 4
const BUCKETS = 24 * PER_DOUBLING
/** Half of what was counted is forgotten at so many: what is told is of late. */
const MOST = 200_000

export class Delays {
  readonly #counts = new Float64Array(BUCKETS)
  #total = 0

  /** Milliseconds; what is negative counts as none. */
  add(ms: number): void {
    const seconds = Math.max(1, ms / 1000)
    const bucket = Math.min(BUCKETS - 1, Math.ceil(Math.log2(seconds) * PER_DOUBLING))
    this.#counts[bucket] = (this.#counts[bucket] as number) + 1
    if (++this.#total < MOST) return
    this.#total = 0
    this.#counts.forEach((count, index) => {
      this.#counts[index] = Math.floor(count / 2)
      this.#total += Math.floor(count / 2)
    })
  }

  /** Not longer than this for a share (0 to 1) of them; milliseconds. Undefined while nothing was measured. */
  quantile(share: number): number | undefined {
    if (this.#total === 0) return undefined
    let rest = share * this.#total
    for (let bucket = 0; bucket < BUCKETS; bucket++) {
      rest -= this.#counts[bucket] as number
      if (rest <= 1e-9) return Math.round(1000 * 2 ** (bucket / PER_DOUBLING))
    }
    return Math.round(1000 * 2 ** ((BUCKETS - 1) / PER_DOUBLING))
  }
}
