// The keys that dedupe remembers: in memory for the look-up, in rows of the store for the next start, in generations to be forgotten.
import { PenstockError } from '../../../core/plugin/errors.ts'
import type { Json } from '../../../core/plugin/json.ts'
import { FIRST, KEY_BYTES, KeySet, RESERVED } from './key-set.ts'

/** A key is remembered for the time that was asked for, and at most an eighth longer. */
const GENERATIONS = 8
/** Rows from this size on are left as they are; smaller ones are put together, so that their number stays small. */
const WHOLE_ROW_BYTES = 32 * 1024

export type Row = readonly [key: string, value: Json | Uint8Array | null]

/** Keys that came within a stretch of time. */
interface Generation {
  /** Begins its rows' keys. */
  readonly name: string
  readonly number: number
  /** Wall-clock time, milliseconds. */
  readonly start: number
  /** How many keys it has. */
  count: number
  /** Keys of its whole rows. */
  readonly rows: string[]
  /** Rows that are still small, the largest first. */
  readonly small: { readonly row: string; readonly bytes: Buffer }[]
}

export interface Limits {
  /** How long a key is remembered. Milliseconds. */
  readonly expire_ms: number
  /** How many keys are remembered at most. */
  readonly max_keys: number
}

export class Memory {
  readonly #set = new KeySet()
  readonly #generations: Generation[] = []
  readonly #limits: Limits
  readonly #evicted: (keys: number) => void
  #last = FIRST - 1
  #lastRow = 0
  #size = 0
  /** Rows of forgotten generations, to be deleted with the next commit. */
  #obsolete: string[] = []

  /** `evicted` is told how many keys were forgotten before their time, because there were too many. */
  constructor(limits: Limits, evicted: (keys: number) => void) {
    this.#limits = limits
    this.#evicted = evicted
  }

  /** How many keys are remembered. */
  get size(): number {
    return this.#size
  }

  /** Bytes of the table in memory. */
  get bytes(): number {
    return this.#set.bytes
  }

  /**
   * Takes in the rows of an earlier run, in the order of their keys; gives the changes that delete those whose time is over.
   * @throws PenstockError (PEN_STATE) for a row that is none of its own.
   */
  load(rows: readonly (readonly [key: string, value: Json | Uint8Array])[], now: number): Row[] {
    const bytes = rows.reduce((sum, [, value]) => sum + (value instanceof Uint8Array ? value.length : 0), 0)
    this.#set.reserve(Math.min(bytes / KEY_BYTES, this.#limits.max_keys))
    for (const [row, value] of rows) {
      const [, name, number] = /^(\d{15})\.(\d{10})$/.exec(row) ?? []
      if (!name || !(value instanceof Uint8Array) || value.length % KEY_BYTES !== 0)
        throw new PenstockError('PEN_STATE', `the stored row ${row} holds no keys of dedupe; reset the state of this step`)
      this.#lastRow = Math.max(this.#lastRow, Number(number))
      let generation = this.#generations.at(-1)
      // A clock that was ahead must not make keys that never expire.
      if (generation?.name !== name) generation = this.#begin(name, Math.min(Number(name), now))
      if (value.length >= WHOLE_ROW_BYTES) generation.rows.push(row)
      else generation.small.push({ row, bytes: Buffer.from(value) })
      for (let at = 0; at < value.length; at += KEY_BYTES)
        this.#count(generation, this.#set.addFrom(value, at, generation.number))
    }
    this.expire(now)
    this.#makeRoom()
    return this.#deletions()
  }

  /** Forgets the keys whose time is over. */
  expire(now: number): void {
    for (;;) {
      const first = this.#generations[0]
      if (!first) return
      // Nothing was added to it after its eighth of the time.
      if (now < first.start + this.#limits.expire_ms * (1 + 1 / GENERATIONS)) return
      this.#forget()
    }
  }

  /** Reserves a key that is new; says what it was before. A reserved key is not remembered yet. */
  reserve(key: string): 'new' | 'reserved' | 'kept' {
    const generation = this.#set.add(key, RESERVED)
    return generation === 0 ? 'new' : generation === RESERVED ? 'reserved' : 'kept'
  }

  /** Takes a reservation back. */
  free(key: string): void {
    this.#set.remove(key)
  }

  /** Remembers reserved keys, and gives the rows that make it last. */
  keep(keys: readonly string[], now: number): Row[] {
    this.expire(now)
    const changes: Row[] = []
    const generation = this.#current(now)
    for (const key of keys) this.#count(generation, this.#set.move(key, generation.number))
    let bytes = Buffer.from(keys.join(''), 'latin1')
    // As a binary counter does: a key is written again each time its row doubles, and few small rows are left.
    for (let top = generation.small.at(-1); top && top.bytes.length <= bytes.length * 2; top = generation.small.at(-1)) {
      generation.small.pop()
      bytes = Buffer.concat([top.bytes, bytes])
      changes.push([top.row, null])
    }
    const row = `${generation.name}.${String(++this.#lastRow).padStart(10, '0')}`
    changes.push([row, bytes])
    if (bytes.length >= WHOLE_ROW_BYTES) generation.rows.push(row)
    else generation.small.push({ row, bytes })
    this.#makeRoom()
    changes.push(...this.#deletions())
    return changes
  }

  #current(now: number): Generation {
    const last = this.#generations.at(-1)
    const { expire_ms, max_keys } = this.#limits
    // By number too, so that the keys that make room for others are an eighth of all, however many come in a short time.
    if (last && now - last.start < expire_ms / GENERATIONS && last.count < max_keys / GENERATIONS) return last
    const start = Math.max(now, Number(last?.name ?? 0) + 1)
    return this.#begin(String(start).padStart(15, '0'), Math.min(start, now))
  }

  #begin(name: string, start: number): Generation {
    const generation: Generation = { name, number: ++this.#last, start, count: 0, rows: [], small: [] }
    this.#generations.push(generation)
    return generation
  }

  /** `before`: the generation that the key had, if any. */
  #count(generation: Generation, before: number): void {
    if (before !== 0 && before !== RESERVED) return
    generation.count++
    this.#size++
  }

  #makeRoom(): void {
    while (this.#size > this.#limits.max_keys && this.#generations.length > 1) this.#evicted(this.#forget())
  }

  /** Forgets the oldest generation; gives how many keys it had. */
  #forget(): number {
    const { count, rows, small } = this.#generations.shift() as Generation
    this.#set.forget(this.#generations[0]?.number ?? this.#last + 1)
    this.#size -= count
    this.#obsolete.push(...rows, ...small.map(({ row }) => row))
    return count
  }

  #deletions(): Row[] {
    const rows = this.#obsolete
    this.#obsolete = []
    return rows.map(row => [row, null])
  }
}
