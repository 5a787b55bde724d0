// Reads one blob as a stream: whole records go on as chunks, a body that broke is read again behind what went on before.
import { createHash } from 'node:crypto'
import type { Chunk, Clock, Codec, Fault } from '../../../core/plugin/interfaces.ts'
import { isObject, type Json, type JsonObject } from '../../../core/plugin/json.ts'
import { IN_ARRAY } from '../../lib/framing/json.ts'
import { HttpError, type HttpResponse } from '../../lib/http/client.ts'
import { ServiceError } from '../../lib/microsoft/service/failure.ts'
import { addedIds, NO_IDS } from './id-sum.ts'
import type { Blob, Fate, Progress } from './ledger-rows.ts'
import type { Words } from './record-key.ts'

export interface ReadingOptions {
  readonly blob: Blob
  readonly codec: Codec
  readonly maxEventBytes: number
  readonly meta: Readonly<JsonObject>
  /** The stored position of the blob, when an earlier run has read a part of it. */
  readonly resume: Json | undefined
  /** All of it was read before: only what is new matters, and no new thing is no loss. */
  readonly again: boolean
  readonly clock: Clock
  /** The service's time, milliseconds since 1970. */
  now(): number
  readonly signal: AbortSignal
  get(): Promise<HttpResponse>
  /** Takes a chunk of the blob on; resolves when there is room for another. */
  push(chunk: Chunk): Promise<void>
  /** Looks at the records of a chunk before it goes on: what is to be added to it, and the sum of their ids. */
  examine(chunk: Chunk): Examined
  /** The rows that close the blob, and what is to be counted. */
  close(fate: Fate): Chunk['rows']
  /** What went on before does not begin the body any more: it is read from its start, and so many records come again. */
  restarted(records: number): void
}

export interface Examined {
  readonly ids: Chunk['ids']
  readonly rows: NonNullable<Chunk['rows']>
  readonly sum: Words
}

const START: Progress = { at: 0, digest: '', state: null, records: 0, ids: NO_IDS }
/** A body is read so often before what cannot be read of it is given up. */
const MOST_TRIES = 3
const WAITS_MS = [1_000, 10_000]
/** Faults of the body as a whole; others are of a single record. */
const BROKEN = new Set(['PEN_JSON', 'PEN_CUT_OFF', 'PEN_NO_RECORDS'])
const NOTHING = new Uint8Array(0)

/** Something is wrong with the body itself. */
class BrokenBody extends Error {}

/** The reading of one blob, which may take several calls of `run`. */
export class BlobReading {
  readonly #options: ReadingOptions
  #progress: Progress
  /** What went on before goes on once more. */
  #repeats = false
  /** Held back until it is known whether another one follows. */
  #held: Chunk | undefined

  constructor(options: ReadingOptions) {
    this.#options = options
    this.#progress = progressOf(options.resume) ?? START
  }

  /**
   * Reads to the end of the blob; all of it was pushed when it resolves, the last chunk with the rows that close it. Rejects with a
   * ServiceError when the blob cannot be asked for now: another call goes on behind what was pushed.
   */
  async run(): Promise<void> {
    const { blob, clock, now, signal } = this.#options
    for (let tries = 1; ; ) {
      const before = this.#progress.at
      try {
        await this.#attempt(tries >= MOST_TRIES)
        return
      } catch (error) {
        signal.throwIfAborted()
        const gone = error instanceof ServiceError && error.kind === 'gone'
        const refused = error instanceof ServiceError && error.kind === 'refused'
        const broken = refused || error instanceof BrokenBody || error instanceof HttpError
        if (!gone && !broken) throw error
        const { message } = error as Error
        // Without a code it may be a page of something between here and the service.
        if (gone && error.service.startsWith('AF')) return this.#lose(message)
        if (this.#progress.at > before) tries = 1
        else tries++
        if (tries > MOST_TRIES) return this.#lose(`it was read ${MOST_TRIES} times and broke each time: ${message}`)
        if (now() > blob.expires) return this.#lose(`it expired before it could be read whole: ${message}`)
        await clock.sleep(WAITS_MS[Math.min(tries, WAITS_MS.length) - 1] as number, signal)
      }
    }
  }

  /** Reads the body once, from where the last try came to. `final`: what is wrong with it is dead-lettered, and that is the end. */
  async #attempt(final: boolean): Promise<void> {
    const { codec, maxEventBytes, meta, get, examine } = this.#options
    const from = this.#progress
    const answer = await get()
    const digest = createHash('sha256')
    const framer = codec.framer(meta, { maxEventBytes, state: from.state ?? undefined })
    let skip = from.at
    let length = 0
    /** Bytes pushed that no chunk covers yet: they are not in the digest. */
    const tail: Buffer[] = []
    let consumed = 0

    const emit = async (chunks: Iterable<Chunk>): Promise<void> => {
      const found = [...chunks]
      const wrong = found.flatMap(({ faults = [] }) => faults.filter(({ code }) => BROKEN.has(code)))[0]
      if (wrong && !final) throw new BrokenBody(wrong.reason)
      const end = endOf(found) ?? framer.consumed
      for (let left = end - consumed; left > 0; ) {
        const piece = tail.shift() as Buffer
        const part = piece.subarray(0, left)
        digest.update(part)
        if (part.length < piece.length) tail.unshift(piece.subarray(part.length))
        left -= part.length
      }
      consumed = end
      if (found.length === 0) return
      const records = found.reduce((sum, { ends, count = ends.length }) => sum + count, this.#progress.records)
      let { ids } = this.#progress
      const position = {
        ...{ at: from.at + consumed, digest: digest.copy().digest('base64url') },
        ...{ state: framer.state ?? IN_ARRAY, records },
      }
      for (const [index, chunk] of found.entries()) {
        const examined = examine(chunk)
        ids = addedIds(ids, examined.sum)
        await this.#send({
          ...chunk,
          offset: from.at + (chunk.offset ?? 0),
          ...(examined.ids && { ids: examined.ids }),
          rows: examined.rows,
          ...(index === found.length - 1 && { position: { ...position, ids } }),
        })
      }
      this.#progress = { ...position, ids }
    }

    for await (const bytes of answer.body) {
      let rest = bytes
      if (skip > 0) {
        rest = bytes.subarray(skip)
        digest.update(bytes.subarray(0, skip))
        skip -= bytes.length - rest.length
        if (skip === 0 && digest.copy().digest('base64url') !== from.digest) return this.#again(final)
      }
      if (rest.length === 0) continue
      if (length === 0 && from.at === 0 && !final && !beginsList(rest)) throw new BrokenBody('it is no list of records')
      length += rest.length
      tail.push(Buffer.from(rest))
      await emit(framer.push(rest))
    }
    // Shorter than what went on before: another body.
    if (skip > 0) return this.#again(final)
    if (length === 0 && from.at === 0) {
      if (!final) throw new BrokenBody('it is empty')
      return this.#lose('its body is empty')
    }
    await emit(framer.end())
    await this.#end(this.#progress)
  }

  /** The blob, or what is left of it, cannot be had: that becomes a dead letter, and the blob is closed. */
  async #lose(reason: string): Promise<void> {
    const { blob, again } = this.#options
    if (again) return this.#end(this.#progress)
    const { id, uri, contentType, created, expires } = blob
    const { at } = this.#progress
    const bytes = Buffer.from(
      JSON.stringify({
        ...{ contentType, contentId: id, contentUri: uri },
        ...{ contentCreated: new Date(created).toISOString(), contentExpiration: new Date(expires).toISOString(), readBytes: at },
      }),
    )
    const what = at === 0 ? 'This content cannot be had' : `The rest of this content, from byte ${at} on, cannot be had`
    const fault: Fault = { code: 'PEN_CONTENT_LOST', reason: `${what}: ${reason}`, bytes, offset: at, length: bytes.length }
    await this.#send({ bytes: NOTHING, ends: new Uint32Array(0), count: 0, offset: at, faults: [fault] })
    await this.#end({ lost: reason })
  }

  /** What went on before is not how the body begins: all of it is read again. Dedupe and ids know what repeats. */
  async #again(final: boolean): Promise<void> {
    this.#options.restarted(this.#progress.records)
    this.#repeats = true
    this.#progress = START
    await this.#attempt(final)
  }

  async #send(chunk: Chunk): Promise<void> {
    const before = this.#held
    this.#held = { ...chunk, again: this.#repeats || this.#options.blob.before === true }
    if (before) await this.#options.push(before)
  }

  async #end(fate: Fate): Promise<void> {
    const last = this.#held ?? { bytes: NOTHING, ends: new Uint32Array(0), count: 0 }
    this.#held = undefined
    const rows = [...(last.rows ?? []), ...(this.#options.close(fate) ?? [])]
    await this.#options.push({ ...last, last: true, rows })
  }
}

/** Where the last record of these chunks ends in the stream. What closes the list behind it is no part of what went on: it may grow. */
function endOf(chunks: readonly Chunk[]): number | undefined {
  for (const { offset = 0, ends, count = ends.length } of chunks.toReversed())
    if (count > 0) return offset + (ends[count - 1] as number)
  return undefined
}

/** The first byte that is no blank opens a list. */
function beginsList(bytes: Buffer): boolean {
  return /^\ufeff?\s*($|\[)/.test(bytes.toString('utf8', 0, 64))
}

function progressOf(position: Json | undefined): Progress | undefined {
  if (!isObject(position)) return undefined
  const { at, digest, state, records, ids } = position
  if (typeof at !== 'number' || typeof digest !== 'string') return undefined
  return { at, digest, state: (state ?? null) as Json, records: Number(records ?? 0), ids: String(ids ?? NO_IDS) }
}
