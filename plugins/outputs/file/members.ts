// Where the last whole gzip member or zstd frame of a file ends.
import { promisify } from 'node:util'
import { gunzip, zstdDecompress } from 'node:zlib'
import { GZIP_HEADER, LENGTH_AT, ZSTD_MAGIC } from '../../lib/export/packing.ts'
import type { Handle } from './disk.ts'

export type { Compression } from '../../lib/export/packing.ts'

/** How much of a file's end is unpacked to see that it is sound; only the last write can be torn, and it is shorter. Bytes. */
const VERIFIED = 16 * 1024 * 1024

/**
 * Where the last whole member ends, from `start` (the beginning of one) on. Members are walked by their lengths; those of the last
 * 16 MiB are unpacked too, because after a power cut a write may lack pages in its middle.
 */
export async function wholeMembers(handle: Handle, start: number, size: number, compression: 'gzip' | 'zstd'): Promise<number> {
  const next = compression === 'gzip' ? gzipEnd : zstdEnd
  const unpack = promisify(compression === 'gzip' ? gunzip : zstdDecompress)
  for (let at = start; ; ) {
    const end = at < size ? await next(handle, at) : undefined
    if (end === undefined || end > size) return at
    if (end > size - VERIFIED) {
      const member = await readAt(handle, at, end - at)
      const sound = await unpack(member).then(
        () => true,
        () => false,
      )
      if (!sound) return at
    }
    at = end
  }
}

async function gzipEnd(handle: Handle, at: number): Promise<number | undefined> {
  const header = await readAt(handle, at, GZIP_HEADER.length)
  const ours = header.length === GZIP_HEADER.length && header.compare(GZIP_HEADER, 0, LENGTH_AT, 0, LENGTH_AT) === 0
  const length = ours ? header.readUInt32LE(LENGTH_AT) : 0
  return length > GZIP_HEADER.length ? at + length : undefined
}

/** The end of a zstd frame by its block headers (RFC 8878, 3.1.1). */
async function zstdEnd(handle: Handle, start: number): Promise<number | undefined> {
  const head = await readAt(handle, start, 5)
  if (head.length < 5 || head.readUInt32LE(0) !== ZSTD_MAGIC) return undefined
  const flags = head[4] as number
  const single = (flags & 0x20) !== 0
  const contentSize = [single ? 1 : 0, 2, 4, 8][flags >> 6] as number
  const dictionary = [0, 1, 2, 4][flags & 3] as number
  let at = start + 5 + (single ? 0 : 1) + dictionary + contentSize
  for (;;) {
    const block = await readAt(handle, at, 3)
    if (block.length < 3) return undefined
    const header = block.readUIntLE(0, 3)
    const type = (header >> 1) & 3
    if (type === 3) return undefined
    at += 3 + (type === 1 ? 1 : header >> 3)
    if (header & 1) return at + (flags & 4 ? 4 : 0)
  }
}

/** Up to `length` bytes from `position`; fewer at the file's end. */
export async function readAt(handle: Handle, position: number, length: number): Promise<Buffer> {
  const buffer = Buffer.allocUnsafe(length)
  let filled = 0
  while (filled < length) {
    const { bytesRead } = await handle.read(buffer, filled, length - filled, position + filled)
    if (bytesRead === 0) break
    filled += bytesRead
  }
  return buffer.subarray(0, filled)
}
