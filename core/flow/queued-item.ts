// An item on its way to its output, and what is owed when it is settled.
import type { Address, Item } from '../plugin/interfaces.ts'
import type { JsonObject } from '../plugin/json.ts'

/** What a dead letter keeps of a record and of where it came from. */
export interface RecordSource {
  /** The input's id. */
  readonly input: string
  readonly meta: JsonObject
  /** How often the record was replayed. */
  readonly tries: number
  /** The id that its chunk gave it. */
  readonly id?: string
  readonly offset?: number
  /** Perhaps its beginning only: `length` is that of the whole. */
  readonly bytes: Uint8Array
  readonly length: number
}

/** What the items of one chunk for one output have in common. */
export interface Slice {
  readonly bytes: Uint8Array
  /** They may be there already. */
  readonly again: boolean
  /** Called once for each item. */
  settled(): void
  /** The source of a record, for its dead letter. Its bytes are valid until the slice is settled. */
  source(record: number): RecordSource | Promise<RecordSource>
  /** The event with this owner became a dead letter. */
  fail(owner: number): void
}

export class QueuedItem implements Item {
  readonly id: string
  readonly address: Address
  tries = 0
  /** The destination delivered something beside this item since it refused it first: only then a refusal counts as a try. */
  alive = false
  /** A write with it threw: the destination may have it. */
  unsure = false
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

  get again(): boolean {
    return this.unsure || this.slice.again
  }

  get size(): number {
    return this.end - this.start
  }
}
