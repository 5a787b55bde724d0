// Compressions for kafkajs, which itself has gzip alone.
import { promisify } from 'node:util'
import * as zlib from 'node:zlib'
import type kafkajs from 'kafkajs'
import type { Compression } from '../client.ts'

/** A batch that is larger when it is unpacked is not read: brokers take batches of a megabyte, and this is what those may hide. */
const MOST_BYTES = 256 * 1024 * 1024

const gzip = promisify(zlib.gzip)
const gunzip = promisify(zlib.gunzip)
const zstd = promisify(zlib.zstdCompress)
const unzstd = promisify(zlib.zstdDecompress)

interface Encoded {
  readonly buffer: Buffer
}
interface PackedBy {
  compress(encoder: Encoded): Promise<Buffer>
  decompress(bytes: Buffer): Promise<Buffer>
}

/** Gives kafkajs all compressions there are: a consumer gets what others have packed. */
export async function installCodecs({ CompressionCodecs, CompressionTypes }: typeof kafkajs): Promise<void> {
  const limit = { maxOutputLength: MOST_BYTES }
  const install = (type: Exclude<kafkajs.CompressionTypes, kafkajs.CompressionTypes.None>, codec: PackedBy) => {
    CompressionCodecs[type] = () => codec
  }
  const { compressFrame, decompressFrame } = await import('lz4-napi')
  const { default: snappy } = (await import('kafkajs-snappy')) as { default: () => PackedBy }
  install(CompressionTypes.GZIP, {
    compress: ({ buffer }) => gzip(buffer),
    decompress: bytes => gunzip(bytes, limit),
  })
  install(CompressionTypes.ZSTD, {
    compress: ({ buffer }) => zstd(buffer),
    decompress: bytes => unzstd(bytes, limit),
  })
  install(CompressionTypes.LZ4, {
    compress: ({ buffer }) => compressFrame(buffer),
    decompress: bytes => decompressFrame(bytes),
  })
  install(CompressionTypes.Snappy, snappy())
}

const NAMES = { none: 'None', gzip: 'GZIP', snappy: 'Snappy', lz4: 'LZ4', zstd: 'ZSTD' } as const

export function compressionType(types: typeof kafkajs.CompressionTypes, compression: Compression): kafkajs.CompressionTypes {
  return types[NAMES[compression]]
}
