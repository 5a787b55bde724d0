// One of node:zlib's decompressors, driven step by step: every byte it takes and gives is counted.
import zlib from 'node:zlib'
import { CHUNK_BYTES } from '../../../core/plugin/buffers.ts'

/** Pieces as large as chunks: half as much costs a third more CPU. */
const OUTPUT_BYTES = CHUNK_BYTES

/** A step costs as much time as decoding so many bytes. */
export const STEP_WORK_BYTES = 16 * 1024

/** The decompressor cannot go on: the bytes are damaged, or need more memory than it may take. */
export class BadData extends Error {}

/** A decompressor for one stream after the other, until it fails or ends. */
export interface Engine {
  /**
   * Decodes `input`; each piece belongs to the caller. `input` must stay as it is until the steps are through.
   * @throws BadData; the pieces of earlier calls were all given by then, those of this call perhaps not.
   */
  step(input: Uint8Array): AsyncGenerator<Buffer>
  /** Compressed bytes taken so far. Fewer than were given: the stream ended before them. */
  readonly taken: number
  /** Decoded bytes given so far. */
  readonly given: number
  /** The time that all steps took, as the bytes that could have been decoded in it. */
  readonly work: number
  close(): void
}

/** A raw deflate stream, or zstd frames, as an engine. */
export function createEngine(kind: 'deflate' | 'zstd'): Engine {
  const options = { chunkSize: OUTPUT_BYTES, readableHighWaterMark: OUTPUT_BYTES }
  const stream = kind === 'deflate' ? zlib.createInflateRaw(options) : zlib.createZstdDecompress(options)
  let wake = () => {}
  let failure: Error | undefined
  let ended = false
  let given = 0
  let steps = 0
  stream.on('readable', () => wake())
  stream.on('end', () => {
    ended = true
    wake()
  })
  stream.on('error', error => {
    failure = new BadData(error.message, { cause: error })
    wake()
  })

  return {
    get taken() {
      return stream.bytesWritten
    },
    get given() {
      return given
    },
    get work() {
      return stream.bytesWritten + given + steps * STEP_WORK_BYTES
    },
    async *step(input) {
      if (ended) return
      steps++
      let written = false
      stream.write(input, () => {
        written = true
        wake()
      })
      for (;;) {
        const piece: Buffer | null = stream.read()
        if (piece) {
          given += piece.length
          yield piece
        } else if (failure) throw failure
        else if (written || ended) return
        else {
          await new Promise<void>(resolve => {
            wake = resolve
          })
        }
      }
    },
    close() {
      stream.destroy()
    },
  }
}
