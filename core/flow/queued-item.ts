// An item on its way to its output, and what is owed when it is settled.
import type { Address, Item } from '../plugin/interfaces.ts'
import type { TrackedChunk } from './tracked-chunk.ts'

/** What the items of one chunk for one output have in common. */
export interface Slice {
  readonly chunk: TrackedChunk
  readonly bytes: Uint8Array
  /** Called once for each item. */
  settled(): void
}

export class QueuedItem implements Item {
  readonly id: string
  readonly address: Address
  tries = 0
  /** The destination delivered something beside this item since it refused it first: only then a refusal counts as a try. */
  alive = false
  readonly start: number
  readonly end: number
  /** Index of the record in its chunk, and of the event among the gated ones (-1: none): for dead letters and gates. */
  readonly record: number
  readonly owner: number
  readonly slice: Slice

  constructor(slice: Slice, start: number, end: number, id: string, address: Address, record: number, owner: number) {
    this.slice = slice
    this.start = start
    this.end = end
    this.id = id
    this.address = address
    this.record = record
    this.owner = owner
  }

  get memory(): Uint8Array {
    return this.slice.bytes
  }

  get bytes(): Uint8Array {
    return this.slice.bytes.subarray(this.start, this.end)
  }

  get size(): number {
    return this.end - this.start
  }
}
