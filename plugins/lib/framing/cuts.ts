// The records and faults that one push brought to light, as a chunk.
import type { Chunk, Fault } from '../../../core/plugin/interfaces.ts'
import type { JsonObject } from '../../../core/plugin/json.ts'
import type { Carry } from './carry.ts'

const NONE = new Uint8Array(0)

export class Cuts {
  readonly faults: Fault[] = []
  #starts = new Uint32Array(256)
  #ends = new Uint32Array(256)
  #count = 0
  #last = 0
  /** Every record starts one byte after the one before: then a chunk needs no starts. */
  #regular = true

  /** A record, as a range of the carry's bytes. */
  add(start: number, end: number): void {
    const index = this.#count++
    if (index === this.#ends.length) this.#grow()
    if (start !== (index === 0 ? 0 : this.#last + 1)) this.#regular = false
    this.#starts[index] = start
    this.#ends[index] = end
    this.#last = end
  }

  /** What there is as one chunk, or none; the carry keeps its bytes from `keep` on. */
  chunks(carry: Carry, keep: number, meta: Readonly<JsonObject>): Chunk[] {
    const { offset } = carry
    const count = this.#count
    const faults = this.faults.splice(0)
    let bytes: Uint8Array = NONE
    if (count > 0) bytes = carry.hand(this.#last, keep)
    else carry.drop(keep)
    if (count === 0 && faults.length === 0) return []
    const chunk: Chunk = {
      bytes,
      ends: this.#ends.slice(0, count),
      count,
      offset,
      meta,
      ...(this.#regular ? {} : { starts: this.#starts.slice(0, count) }),
      ...(faults.length > 0 ? { faults } : {}),
    }
    this.#count = 0
    this.#regular = true
    return [chunk]
  }

  #grow(): void {
    const [starts, ends] = [this.#starts, this.#ends]
    this.#starts = new Uint32Array(starts.length * 2)
    this.#ends = new Uint32Array(ends.length * 2)
    this.#starts.set(starts)
    this.#ends.set(ends)
  }
}
