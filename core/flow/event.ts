// The event that filters and outputs see: fields, and where they came from.
import { hash } from 'node:crypto'
import type { Event } from '../plugin/interfaces.ts'
import { isObject, type JsonObject } from '../plugin/json.ts'

/** Ids that an event has beside the one in its fields. */
export interface EventIds {
  /** From its chunk: goes before all others. */
  readonly given?: string | undefined
  /** What the record had in the input's `idField`. */
  readonly own?: string | undefined
}

/** An event of a chunk. `bytes` from `start` to `end` is the record it was decoded from. */
export class ChunkEvent implements Event {
  fields: JsonObject
  readonly meta: Readonly<JsonObject>
  #bytes: Uint8Array
  #start: number
  #end: number
  /** Set for the parts of a split: the whole's own id, and the id to have without one of its own. */
  #whole: { readonly own: string | undefined; readonly id: string; readonly given: string | undefined } | undefined
  readonly #ids: EventIds | undefined

  constructor(fields: JsonObject, meta: Readonly<JsonObject>, bytes: Uint8Array, start: number, end: number, ids?: EventIds) {
    this.fields = fields
    this.meta = meta
    this.#bytes = bytes
    this.#start = start
    this.#end = end
    this.#ids = ids
  }

  get original(): Uint8Array {
    return this.#bytes.subarray(this.#start, this.#end)
  }

  get id(): string {
    if (this.#ids?.given !== undefined && !this.#whole) return this.#ids.given
    const own = ownId(this.fields)
    if (this.#whole) return own !== undefined && own !== this.#whole.own ? own : this.#whole.id
    return own ?? this.#ids?.own ?? hash('sha256', this.original, 'hex').slice(0, 32)
  }

  get recordId(): string | undefined {
    return this.#whole ? this.#whole.given : this.#ids?.given
  }

  /** True when the source bytes were replaced: what the chunk holds must not be used for a dead letter then. */
  redacted = false

  redact(original: Uint8Array): void {
    this.#bytes = original
    this.#start = 0
    this.#end = original.length
    this.redacted = true
  }

  split(parts: readonly JsonObject[]): ChunkEvent[] {
    const own = ownId(this.fields)
    const { id } = this
    return parts.map((fields, index) => {
      const part = new ChunkEvent(fields, this.meta, this.#bytes, this.#start, this.#end)
      part.#whole = { own, id: `${id}#${index + 1}`, given: this.recordId }
      part.redacted = this.redacted
      return part
    })
  }

  /** The same event with other fields: for an output's own filters. */
  copy(fields: JsonObject): ChunkEvent {
    const copy = new ChunkEvent(fields, this.meta, this.#bytes, this.#start, this.#end, this.#ids)
    copy.#whole = this.#whole
    copy.redacted = this.redacted
    return copy
  }
}

function ownId(fields: JsonObject): string | undefined {
  // A filter may have put anything there (`JSON.parse('null')`): its dead letter needs an id too.
  const event = isObject(fields) ? fields.event : undefined
  if (!isObject(event)) return undefined
  const { id } = event
  return typeof id === 'string' && id !== '' ? id : undefined
}
