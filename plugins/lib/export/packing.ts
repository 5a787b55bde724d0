// Each batch as one whole gzip member or zstd frame, so that what was written before it can be read whatever becomes of it.
import { promisify } from 'node:util'
import { constants, crc32, deflateRaw, zstdCompress, zstdCompressSync } from 'node:zlib'
import { lengthOf } from '../slices.ts'

export type Compression = 'none' | 'gzip' | 'zstd'

const deflate = promisify(deflateRaw)
const toZstd = promisify(zstdCompress)
const ZSTD = { params: { [constants.ZSTD_c_checksumFlag]: 1 } }

/**
 * A gzip header with an extra field `PS` that holds the member's whole length (RFC 1952, 2.3.1.1; every reader skips it): a file's
 * members are then found without unpacking it.
 */
export const GZIP_HEADER = Buffer.from([0x1f, 0x8b, 8, 4, 0, 0, 0, 0, 0, 255, 8, 0, 0x50, 0x53, 4, 0, 0, 0, 0, 0])
export const LENGTH_AT = 16
export const ZSTD_MAGIC = 0xfd2fb528

/** The slices as one member or frame, itself a list of slices. */
export async function compress(slices: readonly Uint8Array[], compression: 'gzip' | 'zstd'): Promise<Uint8Array[]> {
  const plain = slices.length === 1 ? (slices[0] as Uint8Array) : Buffer.concat(slices)
  if (compression === 'zstd') return [await toZstd(plain, ZSTD)]
  return gzipMember(plain, [await deflate(plain)])
}

function gzipMember(plain: Uint8Array, body: readonly Uint8Array[]): Uint8Array[] {
  const header = Buffer.from(GZIP_HEADER)
  const trailer = Buffer.alloc(8)
  trailer.writeUInt32LE(crc32(plain), 0)
  trailer.writeUInt32LE(plain.byteLength % 2 ** 32, 4)
  const member = [header, ...body, trailer]
  header.writeUInt32LE(lengthOf(member), LENGTH_AT)
  return member
}

/** Bytes of one block that is stored as it is (RFC 1951, 3.2.4; RFC 8878, 3.1.1.2). */
const STORED = { gzip: 65_535, zstd: 128 * 1024 }

/**
 * A few bytes as a member that holds them as they are: the same bytes always give the same member, whatever version of a library runs,
 * so that it is found again by comparing.
 */
export function storedMember(plain: Uint8Array, compression: 'gzip' | 'zstd'): Buffer {
  const blocks: Buffer[] = []
  for (let at = 0; at < plain.length; at += STORED[compression]) {
    const piece = plain.subarray(at, at + STORED[compression])
    const last = at + piece.length === plain.length ? 1 : 0
    const head = Buffer.alloc(compression === 'gzip' ? 5 : 3)
    if (compression === 'gzip') {
      head[0] = last
      head.writeUInt16LE(piece.length, 1)
      head.writeUInt16LE(0xffff - piece.length, 3)
    } else head.writeUIntLE(last | (piece.length << 3), 0, 3)
    blocks.push(head, Buffer.from(piece))
  }
  if (compression === 'gzip') return Buffer.concat(gzipMember(plain, blocks))
  const header = Buffer.alloc(9)
  header.writeUInt32LE(ZSTD_MAGIC, 0)
  // One segment, its size in four bytes, a checksum and no dictionary (RFC 8878, 3.1.1.1.1).
  header[4] = 0b1010_0100
  header.writeUInt32LE(plain.length, 5)
  // Of the plain bytes alone. Without it a frame that is half written over another one could be taken for a third.
  const checksum = zstdCompressSync(plain, ZSTD).subarray(-4)
  return Buffer.concat([header, ...blocks, checksum])
}
