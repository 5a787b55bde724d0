// Decompression by name, and what bytes say of themselves by their magic.
import type { Piece } from './damage.ts'
import { GZIP_MAGIC, gunzip } from './gzip.ts'
import type { ByteSource } from './source.ts'
import { unzstd, ZSTD_MAGIC } from './zstd.ts'

export type Compression = 'none' | 'gzip' | 'zstd'

/** The first bytes that `detectCompression` wants to see. */
const MAGIC_BYTES = 4

/** Names the compression that the first bytes are the magic of. */
export function detectCompression(first: Uint8Array): Compression {
  const bytes = Buffer.from(first.buffer, first.byteOffset, Math.min(first.length, MAGIC_BYTES))
  if (bytes.subarray(0, GZIP_MAGIC.length).equals(GZIP_MAGIC)) return 'gzip'
  // A skippable frame may come first (pzstd writes such files).
  const skippable = bytes.length === MAGIC_BYTES && bytes.readUInt32LE(0) >>> 4 === 0x184d2a5
  return bytes.equals(ZSTD_MAGIC) || skippable ? 'zstd' : 'none'
}

/**
 * Decodes a whole source, streaming: gzip members or zstd frames, one after the other. What cannot be decoded is a Damage in its
 * place; decoding goes on behind it. Pieces (128 KiB at most) belong to the caller.
 */
export function decompress(source: ByteSource, compression: 'gzip' | 'zstd'): AsyncGenerator<Piece> {
  return compression === 'gzip' ? gunzip(source) : unzstd(source)
}
