// Makes chunks of messages: a message is a record, or holds several.
import { buffers, CHUNK_BYTES, POOLED_BYTES } from '../../../core/plugin/buffers.ts'
import type { Chunk, Codec, FramerStart } from '../../../core/plugin/interfaces.ts'
import type { JsonObject } from '../../../core/plugin/json.ts'
import type { InBatch, InMessage } from '../../lib/kafka/client.ts'
import { unwrapped } from './unwrap.ts'

export interface CuttingOptions {
  readonly codec: Codec
  readonly maxEventBytes: number
  readonly unwrap: string | undefined
  /** Each message gets a chunk of its own, and its key, time and headers into meta. */
  readonly decorate: boolean
  readonly idHeader: string
}

/** A chunk without position and partition, and the offset behind what it holds. */
export interface Cut {
  readonly chunk: Chunk
  readonly end: bigint
  /** Messages without a value up to here. */
  readonly tombstones: number
}

/** Up to here a copy that shares a buffer with others is cheaper than half a megabyte of the pool. */
const SMALL_BYTES = 64 * 1024
/** In the place of meta that is not known before a chunk is full. */
const LATER: Readonly<JsonObject> = {}

/** The chunks of a batch, in order. The last one reaches to the batch's end, also where nothing but tombstones is left. */
export function* cutBatch(batch: InBatch, options: CuttingOptions): Generator<Cut> {
  const gathered = new Gathered(batch.topic)
  try {
    yield* cutWith(gathered, batch, options)
  } finally {
    gathered.drop()
  }
}

function* cutWith(gathered: Gathered, batch: InBatch, options: CuttingOptions): Generator<Cut> {
  let tombstones = 0
  const cut = (chunk: Chunk, end: bigint): Cut => {
    const before = tombstones
    tombstones = 0
    return { chunk, end, tombstones: before }
  }
  const batchEnd = BigInt(batch.end)
  const last = batch.messages.at(-1)
  for (const message of batch.messages) {
    const offset = BigInt(message.offset)
    const end = message === last ? batchEnd : offset + 1n
    if (message.value === null) {
      tombstones++
      continue
    }
    const pieces = framed(message.value, options)
    const id = options.idHeader === '' ? undefined : message.headers[options.idHeader]
    const [only] = pieces
    if (only && pieces.length === 1 && !options.decorate && !only.faults && only.meta === LATER) {
      if (!gathered.fits(only) && gathered.count > 0) yield cut(gathered.chunk(), offset)
      if (gathered.fits(only)) {
        gathered.take(only, message.offset, id)
        if (gathered.used >= CHUNK_BYTES) yield cut(gathered.chunk(), end)
        continue
      }
    }
    if (gathered.count > 0) yield cut(gathered.chunk(), offset)
    const meta = metaOf(batch, message, options.decorate)
    if (pieces.length === 0) yield cut(nothing(meta), end)
    for (const piece of pieces) {
      // Only the last piece says that the message is read: what comes before it is read again with it.
      yield cut({ ...piece, meta: { ...piece.meta, ...meta }, ...idsOf(piece, id) }, piece === pieces.at(-1) ? end : offset)
    }
  }
  if (gathered.count > 0) yield cut(gathered.chunk(), batchEnd)
  else if (last?.value === null) yield cut(nothing({ topic: batch.topic, offset: last.offset }), batchEnd)
}

/** Holds nothing, and says how far it was read. */
function nothing(meta: JsonObject): Chunk {
  return { bytes: new Uint8Array(0), ends: new Uint32Array(0), meta }
}

function framed(value: Uint8Array, { codec, unwrap, maxEventBytes }: CuttingOptions): Chunk[] {
  const start: FramerStart = { maxEventBytes }
  if (unwrap !== undefined) return [...unwrapped(value, unwrap, LATER, start)]
  const framer = codec.framer(LATER, start)
  return [...framer.push(value), ...framer.end()]
}

function metaOf({ topic }: InBatch, { offset, key, timestamp, headers }: InMessage, decorate: boolean): JsonObject {
  if (!decorate) return { topic, offset }
  return {
    ...{ topic, offset, timestamp: Number(timestamp), headers: { ...headers } },
    ...(key && { key: Buffer.from(key.buffer, key.byteOffset, key.length).toString('utf8') }),
  }
}

/** The id that its sender gave a message; the records of one that holds several get numbers behind it. */
function idsOf({ ends, count = ends.length }: Chunk, id: string | undefined): { ids?: Map<number, string> } {
  if (id === undefined || id === '' || count === 0) return {}
  if (count === 1) return { ids: new Map([[0, id]]) }
  return { ids: new Map(Array.from({ length: count }, (_, index) => [index, `${id}#${index + 1}`])) }
}

/** Records of many messages for one chunk: a chunk for each would cost more than all the rest. */
class Gathered {
  readonly #topic: string
  #buffer: Buffer | undefined
  #ends: number[] = []
  #ids = new Map<number, string>()
  #first = ''
  #last = ''
  used = 0

  constructor(topic: string) {
    this.#topic = topic
  }

  get count(): number {
    return this.#ends.length
  }

  fits(piece: Chunk): boolean {
    return this.used + sizeOf(piece) <= POOLED_BYTES
  }

  /** Copies the records of a message, and gives its chunk's memory back to the pool. */
  take(piece: Chunk, offset: string, id: string | undefined): void {
    const { bytes, ends, starts, count = ends.length } = piece
    this.#buffer ??= buffers.take()
    const given = idsOf(piece, id).ids
    let from = 0
    for (let record = 0; record < count; record++) {
      if (starts) from = starts[record] as number
      const to = ends[record] as number
      buffers.copy(bytes.subarray(from, to), this.#buffer, this.used)
      this.used += to - from
      const own = given?.get(record)
      if (own !== undefined) this.#ids.set(this.#ends.length, own)
      this.#ends.push(this.used)
      // Where a newline would be: a record starts one byte after the end of the one before.
      this.#buffer[this.used++] = 10
      from = to + 1
    }
    if (this.#first === '') this.#first = offset
    this.#last = offset
    buffers.recycle(bytes)
  }

  chunk(): Chunk {
    const buffer = this.#buffer as Buffer
    const filled = buffer.subarray(0, this.used)
    let bytes: Buffer = filled
    if (this.used <= SMALL_BYTES) bytes = buffers.store(filled)
    else this.#buffer = undefined
    const chunk: Chunk = {
      bytes,
      ends: Uint32Array.from(this.#ends),
      meta: { topic: this.#topic, offset: this.#first, ...(this.#last !== this.#first && { last_offset: this.#last }) },
      ...(this.#ids.size > 0 && { ids: this.#ids }),
    }
    this.#ends = []
    this.#ids = new Map()
    this.#first = ''
    this.used = 0
    return chunk
  }

  /** Gives the memory back that no chunk has taken. */
  drop(): void {
    if (this.#buffer) buffers.recycle(this.#buffer)
    this.#buffer = undefined
  }
}

/** Bytes of a chunk's records and of a newline behind each. */
function sizeOf({ ends, count = ends.length }: Chunk): number {
  return count === 0 ? 0 : (ends[count - 1] as number) + count
}
