// A file's content as a stream of UTF-8 pieces: decompressed, transcoded, and checked to be the same as when it was last read.
import { CHUNK_BYTES } from '../../../core/plugin/buffers.ts'
import { isDamage, Leftover, type Piece } from '../../lib/bytes/damage.ts'
import { decompress } from '../../lib/bytes/decompress.ts'
import { type Transcoder, utf16ToUtf8 } from '../../lib/bytes/encoding.ts'
import type { ByteSource } from '../../lib/bytes/source.ts'
import { type Form, isSeekable, lastLine, readFully, startOf } from './form.ts'
import { matchesHead, type Position, print, TAIL_BYTES } from './position.ts'

/** What plain files are read into, one file after the other; with a second buffer the next piece is read ahead. */
export type Buffers = readonly [Buffer, Buffer?]

export function createBuffers(count: 1 | 2): Buffers {
  const create = () => Buffer.allocUnsafeSlow(CHUNK_BYTES + TAIL_BYTES)
  return count === 1 ? [create()] : [create(), create()]
}

/** The file is not what it was a moment ago: it was cut off, and perhaps written anew. */
export class ContentChanged extends Error {}

/** A content, read from front to back. */
export interface Content {
  /** The next piece, valid until the next call of any content with the same buffers; may be empty. Undefined: there is no more yet. */
  next(): Promise<Piece | undefined>
  /** What is left when no more will come. */
  end(): Piece[]
  close(): Promise<void>
}

/** The content from its beginning, or `from` bytes behind it where that is one of the file's own bytes. */
export function openContent(source: ByteSource, form: Form, buffers: Buffers, from = 0): Content {
  return form.compression === 'none'
    ? plainContent(source, form, buffers, form.bom + from, Buffer.alloc(0))
    : compressedContent(source, form, form.compression)
}

/**
 * The content from its end on: of a plain UTF-8 file from the last line's beginning when this has no newline yet, so that it comes
 * whole. `first` are the first bytes of the text.
 */
export async function contentAtEnd(
  source: ByteSource,
  size: number,
  form: Form,
  buffers: Buffers,
): Promise<{ content: Content; offset: number; first: Buffer }> {
  if (isSeekable(form)) {
    const first = await readFully(source, Math.min(size, CHUNK_BYTES), 0)
    const offset = await lastLine(source, size, form.bom)
    return { content: plainContent(source, form, buffers, offset, Buffer.alloc(0)), offset, first: first.subarray(form.bom) }
  }
  const content = openContent(source, form, buffers)
  let first: Buffer | undefined
  let offset = startOf(form)
  for (;;) {
    const piece = await content.next()
    if (piece === undefined) return { content, offset, first: first ?? Buffer.alloc(0) }
    if (isDamage(piece)) continue
    first ??= Buffer.from(piece)
    offset += piece.length
  }
}

/** The content from a stored position on. */
export interface Resumed {
  readonly content: Content
  /** The bytes before that place. */
  readonly tail: Buffer
  /** The first bytes behind it, where they had to be decoded with those before; valid until `content.next`. */
  readonly rest: Uint8Array | undefined
  /** Damages behind that place which were reported before. */
  readonly reported: number
}

/** Undefined when the content is not the one that the position is of. `head` is what the text begins with. */
export async function resumeContent(
  source: ByteSource,
  form: Form,
  head: Buffer,
  position: Position,
  buffers: Buffers,
): Promise<Resumed | undefined> {
  if (!matchesHead(head, position.head)) return undefined
  const same = (tail: Uint8Array) => tail.length >= position.tail.length && matchesTail(tail, position)
  if (isSeekable(form)) {
    const length = Math.min(TAIL_BYTES, position.offset)
    const tail = await readFully(source, length, position.offset - length)
    if (!same(tail) || tail.length < length) return undefined
    return { content: plainContent(source, form, buffers, position.offset, tail), tail, rest: undefined, reported: 0 }
  }
  const content = openContent(source, form, buffers)
  const skipped = await skip(content, position.offset - startOf(form))
  if (skipped && same(skipped.tail)) return { content, ...skipped, reported: (position.damages ?? 0) - skipped.damages }
  await content.close()
  return undefined
}

function matchesTail(tail: Uint8Array, position: Position): boolean {
  const { length } = position.tail
  return length === 0 || print(tail.subarray(tail.length - length)).hash === position.tail.hash
}

/** Steps over so many bytes of text; undefined when there are not so many. */
async function skip(
  content: Content,
  bytes: number,
): Promise<{ rest: Uint8Array | undefined; tail: Buffer; damages: number } | undefined> {
  let tail: Buffer = Buffer.alloc(0)
  let damages = 0
  for (let left = bytes; left > 0; ) {
    const piece = await content.next()
    if (piece === undefined) return undefined
    if (isDamage(piece)) {
      damages++
      continue
    }
    tail = lastBytes(tail, piece.subarray(0, left))
    if (piece.length > left) return { rest: piece.subarray(left), tail, damages }
    left -= piece.length
  }
  return { rest: undefined, tail, damages }
}

/** The last bytes of what has passed by, with those that come now. */
export function lastBytes(before: Uint8Array, bytes: Uint8Array): Buffer {
  if (bytes.length >= TAIL_BYTES) return Buffer.from(bytes.subarray(bytes.length - TAIL_BYTES))
  const both = Buffer.concat([before, bytes])
  return both.subarray(Math.max(0, both.length - TAIL_BYTES))
}

/**
 * A plain file from byte `from` on. Each read begins with the bytes before (`tail`) again: when they are others now, the file was
 * cut off and written anew, which its size alone would not tell. With two buffers the next piece is read while this one is worked on.
 */
function plainContent(source: ByteSource, form: Form, buffers: Buffers, from: number, tail: Buffer): Content {
  const transcoder = transcoderOf(form)
  const [first, second] = buffers
  let current = first
  let at = from
  let before = tail
  let ahead: Promise<number> | undefined

  const read = (): Promise<number> => source.read(current.subarray(0, CHUNK_BYTES + before.length), at - before.length)

  return {
    async next() {
      const got = await (ahead ?? read())
      ahead = undefined
      const check = before.length
      if (got < check || current.compare(before, 0, check, 0, check) !== 0) throw new ContentChanged('the file was cut off')
      if (got === check) return undefined
      const fresh = current.subarray(check, got)
      at += fresh.length
      before = Buffer.from(current.subarray(Math.max(0, got - TAIL_BYTES), got))
      if (second && fresh.length === CHUNK_BYTES) {
        current = current === first ? second : first
        ahead = read()
        // A failure is met by the next call, if there is one.
        ahead.catch(() => {})
      }
      return transcoder ? transcoder.push(fresh) : fresh
    },
    end() {
      return transcoder ? endOf(transcoder, at) : []
    },
    async close() {
      // The buffers are not free before.
      await ahead?.catch(() => {})
    },
  }
}

function compressedContent(source: ByteSource, form: Form, compression: 'gzip' | 'zstd'): Content {
  const pieces = decompress(source, compression)
  let transcoder = transcoderOf(form)
  /** Bytes of the mark that were not stepped over yet. */
  let mark = form.bom
  let decoded = 0
  return {
    async next() {
      const { value, done } = await pieces.next()
      if (done) return undefined
      if (isDamage(value)) {
        // Half a unit before a gap has lost its other half to it.
        if (value.gap) transcoder = transcoderOf(form)
        return value
      }
      decoded += value.length
      const marked = Math.min(mark, value.length)
      mark -= marked
      const text = marked > 0 ? value.subarray(marked) : value
      return transcoder ? transcoder.push(text) : text
    },
    end() {
      return transcoder ? endOf(transcoder, decoded) : []
    },
    async close() {
      await pieces.return(undefined)
    },
  }
}

function transcoderOf({ encoding }: Form): Transcoder | undefined {
  return encoding === 'utf-8' ? undefined : utf16ToUtf8(encoding)
}

function endOf(transcoder: Transcoder, at: number): Piece[] {
  const { text, rest } = transcoder.end()
  const pieces: Piece[] = text.length > 0 ? [text] : []
  if (rest.length > 0) {
    const leftover = new Leftover(at - rest.length)
    leftover.add(rest)
    pieces.push(leftover.damage(`the UTF-16 text ends with half a character at byte ${at - 1}`, { gap: false, truncated: true }))
  }
  return pieces
}
