// One content on its way into chunks: frames it, and says with each chunk where to go on from.
import type { Chunk, Codec, Fault, Framer } from '../../../core/plugin/interfaces.ts'
import type { Json } from '../../../core/plugin/json.ts'
import type { Damage } from '../../lib/bytes/damage.ts'
import { lastBytes } from './content.ts'
import { type Found, HEAD_BYTES, type Position, type Print, print, TAIL_BYTES } from './position.ts'

const NO_BYTES = new Uint8Array(0)
const NO_ENDS = new Uint32Array(0)

export interface ReadingStart {
  readonly partition: string
  readonly file: Found
  readonly codec: Codec
  /** Bytes. */
  readonly maxEventBytes: number
  /** The first bytes of the text. */
  readonly head: Buffer
  /** Where in the text the first pushed byte lies. */
  readonly offset: number
  /** The bytes before it. */
  readonly tail?: Buffer
  readonly state?: Json | undefined
  /** Damages reported before; so many of the next ones (`reported`) are among them. */
  readonly damages?: number
  readonly reported?: number
}

/** A chunk without records: it carries a position, or the end of a partition. */
export function emptyChunk(partition: string, rest: Pick<Chunk, 'position' | 'last' | 'meta' | 'faults'>): Chunk {
  return { bytes: NO_BYTES, ends: NO_ENDS, count: 0, partition, ...rest }
}

/**
 * The last chunk is always held back until the next one, `flush` or `finish`: several chunks can come of one push, and only when the
 * framer has given them all is it known where to go on; and the last chunk of a file says that it is the last.
 */
export class Reading {
  readonly partition: string
  #file: Found
  readonly #start: ReadingStart
  #framer: Framer
  /** Offsets of the text: of the framer's first byte, and behind the last byte that was pushed. */
  #base: number
  #at: number
  #head: Buffer
  #headPrint: Print | undefined
  /** The bytes before `#at`, and the print of those before the place to go on from. */
  #recent: Buffer
  #tail: Print
  /** Damages before the place to go on from. */
  #damages: number
  #told = 0
  #reported: number
  #held: Chunk | undefined

  constructor(start: ReadingStart) {
    this.#start = start
    this.partition = start.partition
    this.#file = start.file
    this.#base = start.offset
    this.#at = start.offset
    this.#head = start.head
    this.#recent = start.tail ?? Buffer.alloc(0)
    this.#tail = print(this.#recent)
    this.#damages = start.damages ?? 0
    this.#reported = start.reported ?? 0
    this.#framer = this.#newFramer(start.state)
  }

  get file(): Found {
    return this.#file
  }

  /** Where the text goes on, in bytes. */
  get offset(): number {
    return this.#at
  }

  /** Damages that this reading has reported. */
  get told(): number {
    return this.#told
  }

  /** Bytes that were pushed and are no whole record yet. */
  get pending(): number {
    return this.#at - this.#base - this.#framer.consumed
  }

  /** The file was renamed, or its content lies in another file now. */
  moved(file: Found): void {
    this.#file = file
  }

  position(more: Pick<Position, 'seen' | 'gone'> = {}): Position {
    const { path, dev, ino, born } = this.#file
    this.#headPrint ??= print(this.#head)
    const { state } = this.#framer
    return {
      path,
      dev,
      ino,
      born,
      head: this.#headPrint,
      tail: this.#tail,
      offset: this.#base + this.#framer.consumed,
      ...(state === undefined ? undefined : { state }),
      ...(this.#damages > 0 ? { damages: this.#damages } : undefined),
      ...more,
    }
  }

  /** The next bytes of the text. */
  *push(bytes: Uint8Array): Generator<Chunk> {
    const from = this.#at
    this.#at += bytes.length
    if (this.#head.length < HEAD_BYTES && from <= this.#head.length) {
      const more = bytes.subarray(this.#head.length - from, HEAD_BYTES - from)
      this.#head = Buffer.concat([this.#head, more])
      this.#headPrint = undefined
    }
    const before = this.#held
    yield* this.#hold(this.#framer.push(bytes))
    if (this.#held !== before) {
      const end = this.#base + this.#framer.consumed - from
      if (end > 0) this.#tail = print(this.#before(bytes, end))
      this.#held = { ...this.#held!, position: this.position() }
    }
    this.#recent = lastBytes(this.#recent, bytes)
  }

  /** What could not be decoded at this place. */
  *damage({ reason, offset, length, bytes, sha256, gap, truncated }: Damage): Generator<Chunk> {
    if (this.#reported > 0) {
      this.#reported--
      return
    }
    if (gap) {
      yield* this.#end()
      if (this.#held) this.#held = { ...this.#held, position: this.position() }
    }
    this.#told++
    // The end is no place that is met again: more may follow there by then.
    if (!truncated) this.#damages++
    const fault: Fault = {
      reason: `${this.#file.path}: ${reason}`,
      code: truncated ? 'PEN_FILE_TRUNCATED' : 'PEN_FILE_DAMAGED',
      bytes,
      offset,
      length,
      ...(sha256 === undefined ? undefined : { sha256 }),
    }
    yield* this.flush()
    this.#held = emptyChunk(this.partition, { meta: { path: this.#file.path }, faults: [fault], position: this.position() })
  }

  /** Gives the chunk that is held back. */
  *flush(): Generator<Chunk> {
    const held = this.#held
    this.#held = undefined
    if (held) yield held
  }

  /** Nothing more will come: what is left is the last record, and its chunk says so. */
  *finish(more: Pick<Position, 'seen' | 'gone'>): Generator<Chunk> {
    yield* this.#end()
    const held = this.#held ?? emptyChunk(this.partition, {})
    this.#held = undefined
    yield { ...held, position: this.position(more) }
  }

  *#end(): Generator<Chunk> {
    yield* this.#hold(this.#framer.end())
    this.#tail = print(this.#recent)
    const { state } = this.#framer
    this.#base = this.#at
    this.#framer = this.#newFramer(state)
  }

  *#hold(chunks: Iterable<Chunk>): Generator<Chunk> {
    for (const chunk of chunks) {
      if (this.#held) yield this.#held
      this.#held = this.#place(chunk)
    }
  }

  /** A framer counts from its own first byte. */
  #place(chunk: Chunk): Chunk {
    const { partition } = this
    const base = this.#base
    if (base === 0) return { ...chunk, partition }
    const placed = { ...chunk, partition, offset: (chunk.offset ?? 0) + base }
    return chunk.faults ? { ...placed, faults: chunk.faults.map(fault => ({ ...fault, offset: fault.offset + base })) } : placed
  }

  /** The bytes before a place in `bytes`. */
  #before(bytes: Uint8Array, end: number): Uint8Array {
    return end >= TAIL_BYTES ? bytes.subarray(end - TAIL_BYTES, end) : lastBytes(this.#recent, bytes.subarray(0, end))
  }

  #newFramer(state: Json | undefined): Framer {
    const { codec, maxEventBytes } = this.#start
    return codec.framer({ path: this.#file.path }, { maxEventBytes, state })
  }
}
