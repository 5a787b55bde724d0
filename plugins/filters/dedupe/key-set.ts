// A set of 16-byte keys in typed arrays, each with the number of its generation: a Map of strings would take four times the memory.

export const KEY_BYTES = 16
/** The first number of a generation. */
export const FIRST = 2
/** Instead of a generation: the key is reserved, and never forgotten by its age. */
export const RESERVED = 0xffffffff
const REMOVED = 1
/** Shards are rebuilt one by one: no rebuild takes long, or needs much memory beside the old one. */
const SHARDS = 64
const FIRST_SLOTS = 32
/** Words of a slot: the key's four, and its generation (0: the slot is free). */
const SLOT_WORDS = 5
/** A shard is rebuilt when it is this full, with room for that many times its keys. */
const FULL = 0.75
const ROOM = 1.8

interface Shard {
  words: Uint32Array
  slots: number
  /** Slots that are not free, those of forgotten generations too. */
  taken: number
}

/** Keys must be evenly distributed, as hashes are: their own bits choose their place. */
export class KeySet {
  readonly #shards: Shard[] = Array.from({ length: SHARDS }, () => shardOf(FIRST_SLOTS))
  #oldest = FIRST
  // The key at hand.
  #a = 0
  #b = 0
  #c = 0
  #d = 0

  /** Memory of the table in bytes. */
  get bytes(): number {
    return this.#shards.reduce((sum, shard) => sum + shard.words.byteLength, 0)
  }

  /** Keys of generations before this one are no longer there; their room is used again. */
  forget(before: number): void {
    this.#oldest = before
  }

  /** Makes room for that many keys at once, so that adding them needs no rebuild. */
  reserve(keys: number): void {
    const slots = Math.ceil((keys / SHARDS) * ROOM)
    for (const shard of this.#shards) if (shard.slots < slots) this.#rebuild(shard, slots)
  }

  /**
   * Adds a key, 16 characters of Latin-1, if it is not there. `generation`: a number from the first on, or `RESERVED`.
   * Gives the generation that it has already, or 0 when it was added.
   */
  add(key: string, generation: number): number {
    this.#take(key)
    return this.#put(generation, false)
  }

  /** Adds a key, or puts it into another generation; gives the one that it had, or 0. */
  move(key: string, generation: number): number {
    this.#take(key)
    return this.#put(generation, true)
  }

  /** `add` of the key that lies at `at` in `bytes`. */
  addFrom(bytes: Uint8Array, at: number, generation: number): number {
    this.#a = word(bytes, at)
    this.#b = word(bytes, at + 4)
    this.#c = word(bytes, at + 8)
    this.#d = word(bytes, at + 12)
    return this.#put(generation, false)
  }

  remove(key: string): void {
    this.#take(key)
    const shard = this.#shard()
    const at = this.#find(shard)
    // A free slot would end the way to the keys behind it.
    if (shard.words[at + 4] !== 0) shard.words[at + 4] = REMOVED
  }

  /** The slot of the key at hand gets the generation, if it is new or may `move`; gives the one it had, or 0. */
  #put(generation: number, move: boolean): number {
    const shard = this.#shard()
    const { words } = shard
    const at = this.#find(shard)
    const before = words[at + 4] as number
    if (before >= this.#oldest) {
      if (move) words[at + 4] = generation
      return before
    }
    words[at] = this.#a
    words[at + 1] = this.#b
    words[at + 2] = this.#c
    words[at + 3] = this.#d
    words[at + 4] = generation
    if (before === 0 && ++shard.taken > shard.slots * FULL) this.#rebuild(shard)
    return 0
  }

  /** Where the key at hand lies; else where it can be put: in the first slot on its way that is free or forgotten. */
  #find({ words, slots }: Shard): number {
    const end = slots * SLOT_WORDS
    let reusable = -1
    for (let at = Math.floor(this.#b * (slots / 2 ** 32)) * SLOT_WORDS; ; at += SLOT_WORDS) {
      if (at === end) at = 0
      const generation = words[at + 4] as number
      if (generation === 0) return reusable < 0 ? at : reusable
      if (generation < this.#oldest) {
        if (reusable < 0) reusable = at
      } else if (words[at] === this.#a && words[at + 1] === this.#b && words[at + 2] === this.#c && words[at + 3] === this.#d)
        return at
    }
  }

  #rebuild(shard: Shard, least = FIRST_SLOTS): void {
    const { words: old } = shard
    let live = 0
    for (let at = 4; at < old.length; at += SLOT_WORDS) if ((old[at] as number) >= this.#oldest) live++
    Object.assign(shard, shardOf(Math.max(least, Math.ceil(live * ROOM))))
    const { words, slots } = shard
    const end = words.length
    for (let from = 0; from < old.length; from += SLOT_WORDS) {
      if ((old[from + 4] as number) < this.#oldest) continue
      let at = Math.floor((old[from + 1] as number) * (slots / 2 ** 32)) * SLOT_WORDS
      while (words[at + 4] !== 0) {
        at += SLOT_WORDS
        if (at === end) at = 0
      }
      for (let i = 0; i < SLOT_WORDS; i++) words[at + i] = old[from + i] as number
      shard.taken++
    }
  }

  #shard(): Shard {
    return this.#shards[this.#a % SHARDS] as Shard
  }

  #take(key: string): void {
    this.#a = wordOf(key, 0)
    this.#b = wordOf(key, 4)
    this.#c = wordOf(key, 8)
    this.#d = wordOf(key, 12)
  }
}

function shardOf(slots: number): Shard {
  return { words: new Uint32Array(slots * SLOT_WORDS), slots, taken: 0 }
}

function wordOf(key: string, at: number): number {
  return (
    (key.charCodeAt(at) | (key.charCodeAt(at + 1) << 8) | (key.charCodeAt(at + 2) << 16) | (key.charCodeAt(at + 3) << 24)) >>> 0
  )
}

function word(bytes: Uint8Array, at: number): number {
  return (
    ((bytes[at] as number) |
      ((bytes[at + 1] as number) << 8) |
      ((bytes[at + 2] as number) << 16) |
      ((bytes[at + 3] as number) << 24)) >>>
    0
  )
}
