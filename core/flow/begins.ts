// What an earlier run may have sent without storing so: no more of each partition than may be on its way at once.

export class Begins {
  readonly #cap: number
  /** By input and partition: bytes of this run. */
  readonly #bytes = new Map<string, number>()

  /** @param cap What a run holds unsettled at most, one chunk aside. Bytes. */
  constructor(cap: number) {
    this.#cap = cap
  }

  /** Counts the next chunk of a partition, of so many bytes. True while it belongs to what the partition begins with. */
  has(input: number, partition: string, bytes: number, last: boolean): boolean {
    const key = `${input}/${partition}`
    const before = this.#bytes.get(key) ?? 0
    if (last) this.#bytes.delete(key)
    else if (before <= this.#cap) this.#bytes.set(key, before + bytes)
    return before <= this.#cap
  }
}
