// A table from the hash of an id to the hash of what came with it, in typed arrays: a Map would take six times the memory.

const SLOT_WORDS = 4
const FIRST_SLOTS = 256
const FULL = 0.7

/** Entries since the last change of generations; the words of a slot are those of the key and those of the value. */
interface Generation {
  words: Uint32Array
  slots: number
  taken: number
}

/** Holds at least the last `limit` entries, and at most twice as many. A key of two zero words is none. */
export class IdTable {
  readonly #limit: number
  #young: Generation = generation(FIRST_SLOTS)
  #old: Generation | undefined

  constructor(limit: number) {
    this.#limit = limit
  }

  /** Memory in bytes. */
  get bytes(): number {
    return this.#young.words.byteLength + (this.#old?.words.byteLength ?? 0)
  }

  /** The value of a key, as its two words; undefined when it is not there, or was forgotten. */
  get(a: number, b: number): readonly [number, number] | undefined {
    for (const { words, slots } of this.#old ? [this.#young, this.#old] : [this.#young]) {
      const at = find(words, slots, a, b)
      if (words[at] !== 0 || words[at + 1] !== 0) return [words[at + 2] as number, words[at + 3] as number]
    }
    return undefined
  }

  set(a: number, b: number, c: number, d: number): void {
    if (this.#young.taken >= this.#limit) {
      this.#old = this.#young
      this.#young = generation(FIRST_SLOTS)
    }
    if (this.#young.taken >= this.#young.slots * FULL) this.#grow()
    const young = this.#young
    const at = find(young.words, young.slots, a, b)
    if (young.words[at] === 0 && young.words[at + 1] === 0) young.taken++
    young.words.set([a, b, c, d], at)
  }

  #grow(): void {
    const { words } = this.#young
    const larger = generation(this.#young.slots * 2)
    for (let from = 0; from < words.length; from += SLOT_WORDS) {
      const a = words[from] as number
      const b = words[from + 1] as number
      if (a === 0 && b === 0) continue
      larger.words.set(words.subarray(from, from + SLOT_WORDS), find(larger.words, larger.slots, a, b))
      larger.taken++
    }
    this.#young = larger
  }
}

function generation(slots: number): Generation {
  return { words: new Uint32Array(slots * SLOT_WORDS), slots, taken: 0 }
}

/** Where a key lies, or may be put. */
function find(words: Uint32Array, slots: number, a: number, b: number): number {
  const end = slots * SLOT_WORDS
  for (let at = (a % slots) * SLOT_WORDS; ; at += SLOT_WORDS) {
    if (at === end) at = 0
    if ((words[at] === a && words[at + 1] === b) || (words[at] === 0 && words[at + 1] === 0)) return at
  }
}
