// What a file's bytes are: compressed, encoded, beginning with a mark or with a hole; found out from its first bytes.
import type { FileHandle } from 'node:fs/promises'
import { CHUNK_BYTES } from '../../../core/plugin/buffers.ts'
import { isDamage } from '../../lib/bytes/damage.ts'
import { type Compression, decompress, detectCompression } from '../../lib/bytes/decompress.ts'
import { DETECT_BYTES, type Detected, detectEncoding, type Encoding, utf16ToUtf8 } from '../../lib/bytes/encoding.ts'
import type { ByteSource } from '../../lib/bytes/source.ts'
import { HEAD_BYTES } from './position.ts'

/** A text of ASCII takes two bytes a letter in UTF-16. */
const EXAMINED_BYTES = Math.max(DETECT_BYTES, 2 * HEAD_BYTES)

/** How a file's bytes become text. */
export interface Form extends Detected {
  readonly compression: Compression
}

export interface FormOptions {
  readonly compression: Compression | 'auto'
  readonly encoding: Encoding | 'auto'
}

/** A file's bytes up to `limit`. */
export function fileSource(handle: FileHandle, limit: number): ByteSource {
  return {
    async read(into, at) {
      const length = Math.min(into.length, limit - at)
      return length > 0 ? (await handle.read(into, 0, length, at)).bytesRead : 0
    },
  }
}

/** Looks at the first bytes: the form, and the first bytes of the text. */
export async function examine(source: ByteSource, options: FormOptions): Promise<{ form: Form; head: Buffer }> {
  let first = await readFully(source, EXAMINED_BYTES, 0)
  const compression = options.compression === 'auto' ? detectCompression(first) : options.compression
  if (compression !== 'none') first = await firstPieces(source, compression)
  const detected = detectEncoding(first, options.encoding === 'auto' ? undefined : options.encoding)
  const text = detected.encoding === 'utf-8' ? first : utf16ToUtf8(detected.encoding).push(first.subarray(detected.bom))
  return { form: { compression, ...detected }, head: Buffer.from(text.subarray(0, HEAD_BYTES)) }
}

/** So many bytes from a place on, or what there is of them. */
export async function readFully(source: ByteSource, bytes: number, at: number): Promise<Buffer> {
  const into = Buffer.alloc(bytes)
  let got = 0
  while (got < bytes) {
    const more = await source.read(into.subarray(got), at + got)
    if (more === 0) break
    got += more
  }
  return into.subarray(0, got)
}

async function firstPieces(source: ByteSource, compression: 'gzip' | 'zstd'): Promise<Buffer> {
  const pieces: Uint8Array[] = []
  let bytes = 0
  for await (const piece of decompress(source, compression)) {
    if (isDamage(piece)) break
    pieces.push(piece)
    bytes += piece.length
    if (bytes >= EXAMINED_BYTES) break
  }
  return Buffer.concat(pieces).subarray(0, EXAMINED_BYTES)
}

/** Where the text begins: behind the mark, which UTF-8 offsets count and UTF-16 ones, being of the transcoded text, do not. */
export function startOf(form: Form): number {
  return form.encoding === 'utf-8' ? form.bom : 0
}

/**
 * How many zero bytes a plain file begins with: a writer that goes on where it was after its file was cut off leaves a hole before,
 * which would make the first record unreadable.
 */
export async function leadingZeros(source: ByteSource, form: Form, buffer: Buffer): Promise<number> {
  if (!isSeekable(form) || form.bom > 0) return 0
  for (let at = 0; ; ) {
    const got = await source.read(buffer, at)
    const other = buffer.subarray(0, got).findIndex(byte => byte !== 0)
    if (got === 0 || other >= 0) return at + Math.max(0, other)
    at += got
  }
}

/** Where the line begins that the file's end stands in. */
export async function lastLine(source: ByteSource, size: number, start: number): Promise<number> {
  for (let to = size; to > start; ) {
    const from = Math.max(start, to - CHUNK_BYTES)
    const newline = (await readFully(source, to - from, from)).lastIndexOf(10)
    if (newline >= 0) return from + newline + 1
    to = from
  }
  return start
}

/** True where an offset of the text is one of the file: reading can begin anywhere. */
export function isSeekable(form: Form): boolean {
  return form.compression === 'none' && form.encoding === 'utf-8'
}
