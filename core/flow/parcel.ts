// What a disk queue keeps of a slice: enough to deliver its items, and to make dead letters of them, without their chunk.
import type { Address } from '../plugin/interfaces.ts'
import type { JsonObject } from '../plugin/json.ts'
import { QueuedItem, type RecordSource, type Slice } from './queued-item.ts'

/** All but the bytes, as JSON. Lists are by item, those of `sources` by record, in the order of their items. */
interface Head {
  readonly input: string
  readonly meta: JsonObject
  readonly tries: number
  readonly again: boolean
  readonly ids: readonly string[]
  readonly lengths: readonly number[]
  readonly records: readonly number[]
  /** Each address once, and which of them an item has; absent where none has one. */
  readonly addresses?: readonly Address[]
  readonly to?: readonly number[]
  readonly sources: {
    /** Where each begins in the slice's source bytes, and how long it is there. */
    readonly from: readonly number[]
    readonly kept: readonly number[]
    readonly offsets?: readonly (number | null)[]
    /** By place: lengths of those that were cut, ids that the chunk gave. */
    readonly lengths?: Readonly<Record<string, number>>
    readonly ids?: Readonly<Record<string, string>>
  }
}

/** A slice for a queue's file. */
export interface Parcel {
  readonly head: string
  readonly items: readonly Uint8Array[]
  readonly source: readonly Uint8Array[]
}

const NO_ADDRESS: Address = {}

/** Wraps the items of a slice. `source` gives what a dead letter keeps of a record. */
export function wrap(items: readonly QueuedItem[], again: boolean, source: (record: number) => RecordSource): Parcel {
  const bytes = new Pieces(0)
  // Between two records lies a newline, mostly: it costs less than pieces of their own.
  const sources = new Pieces(1)
  const addresses: Address[] = []
  const known = new Map<Address, number>()
  const to: number[] = []
  const from: number[] = []
  const kept: number[] = []
  const offsets: (number | null)[] = []
  const lengths: Record<string, number> = {}
  const ids: Record<string, string> = {}
  let first: RecordSource | undefined
  let last = -1
  for (const { memory, start, end, address, record } of items) {
    bytes.add(memory, start, end)
    let place = known.get(address)
    if (place === undefined) {
      place = addresses.push(address) - 1
      known.set(address, place)
    }
    to.push(place)
    if (record === last) continue
    last = record
    const one = source(record)
    first ??= one
    const { bytes: own } = one
    if (own.length < one.length) lengths[from.length] = one.length
    if (one.id !== undefined) ids[from.length] = one.id
    offsets.push(one.offset ?? null)
    from.push(sources.add(own, 0, own.length))
    kept.push(own.length)
  }
  const { input = '', meta = {}, tries = 0 } = first ?? {}
  const hasAddresses = addresses.some(address => Object.keys(address).length > 0)
  const head: Head = {
    ...{ input, meta, tries, again },
    ids: items.map(({ id }) => id),
    lengths: items.map(({ size }) => size),
    records: items.map(({ record }) => record),
    ...(hasAddresses && { addresses, to }),
    sources: {
      ...{ from, kept },
      ...(offsets.some(offset => offset !== null) && { offsets }),
      ...(Object.keys(lengths).length > 0 && { lengths }),
      ...(Object.keys(ids).length > 0 && { ids }),
    },
  }
  return { head: JSON.stringify(head), items: bytes.pieces, source: sources.pieces }
}

/** The items of a stored slice. `sliceOf` is told whether they may have been sent before they came into the queue. */
export function unwrap(head: string, sliceOf: (again: boolean) => Slice): QueuedItem[] {
  const { again, ids, lengths, records, addresses, to } = JSON.parse(head) as Head
  const slice = sliceOf(again)
  let start = 0
  return ids.map((id, index) => {
    const end = start + (lengths[index] as number)
    const address = addresses?.[to?.[index] as number] ?? NO_ADDRESS
    const item = new QueuedItem(slice, start, end, id, address, records[index] as number, -1)
    start = end
    return item
  })
}

/** What dead letters keep of the records of a stored slice. */
export function sourcesOf(head: string, bytes: Uint8Array): (record: number) => RecordSource {
  const { input, meta, tries, records, sources } = JSON.parse(head) as Head
  const places = [...new Set(records)]
  return record => {
    const place = places.indexOf(record)
    const from = sources.from[place] as number
    const kept = bytes.subarray(from, from + (sources.kept[place] as number))
    const offset = sources.offsets?.[place] ?? undefined
    const id = sources.ids?.[place]
    return {
      ...{ input, meta, tries, bytes: kept, length: sources.lengths?.[place] ?? kept.length },
      ...(offset !== undefined && { offset }),
      ...(id !== undefined && { id }),
    }
  }
}

/** Ranges of bytes, joined where they follow each other in memory. */
class Pieces {
  readonly #gap: number
  readonly #done: Uint8Array[] = []
  #memory: ArrayBufferLike | undefined
  #start = 0
  #end = 0
  #length = 0

  /** Ranges that lie no more than `gap` bytes apart are joined, with what lies between them. */
  constructor(gap: number) {
    this.#gap = gap
  }

  /** Gives where the range begins in all that was added. */
  add(view: Uint8Array, start: number, end: number): number {
    const from = view.byteOffset + start
    const between = from - this.#end
    if (view.buffer !== this.#memory || between < 0 || between > this.#gap) {
      this.#cut()
      this.#memory = view.buffer
      this.#start = this.#end = from
    }
    const at = this.#length + (from - this.#start)
    this.#end = view.byteOffset + end
    return at
  }

  get pieces(): readonly Uint8Array[] {
    this.#cut()
    return this.#done
  }

  #cut(): void {
    if (this.#memory && this.#end > this.#start) {
      this.#done.push(new Uint8Array(this.#memory, this.#start, this.#end - this.#start))
      this.#length += this.#end - this.#start
    }
    this.#memory = undefined
  }
}
