// What the framers' tests share: a stream cut in pieces of any size, and what came of it.
import type { Chunk, Fault, Framer } from '../../core/plugin/interfaces.ts'

export interface Cut {
  /** Place in the stream and text of each record. */
  readonly records: readonly (readonly [offset: number, text: string])[]
  readonly faults: readonly Omit<Fault, 'bytes'>[]
  /** The text of each fault, or of its head. */
  readonly pieces: readonly string[]
  readonly consumed: number
  readonly state: unknown
}

/** Cuts a stream; `sizes` are those of its pieces, over and over. Without them it comes whole. */
export function cut(framer: Framer, stream: Uint8Array, sizes: readonly number[] = [stream.length || 1]): Cut {
  const chunks: Chunk[] = []
  let pushes = 0
  for (let at = 0; at < stream.length; ) {
    const size = sizes[pushes++ % sizes.length] as number
    // The caller's buffer is used again: what a chunk holds must be a copy.
    const piece = Uint8Array.from(stream.subarray(at, at + size))
    chunks.push(...framer.push(piece))
    piece.fill(0x23)
    at += size
  }
  chunks.push(...framer.end())
  const records = chunks.flatMap(recordsOf)
  const faults = chunks.flatMap(chunk => chunk.faults ?? [])
  return {
    records,
    faults: faults.map(({ bytes: _, ...rest }) => rest),
    pieces: faults.map(({ bytes }) => textOf(bytes)),
    consumed: framer.consumed,
    state: framer.state,
  }
}

export function recordsOf(chunk: Chunk): [offset: number, text: string][] {
  const { bytes, ends, starts, count = ends.length, offset = 0 } = chunk
  const records: [number, string][] = []
  for (let i = 0; i < count; i++) {
    const start = starts ? (starts[i] as number) : i === 0 ? 0 : (ends[i - 1] as number) + 1
    records.push([offset + start, textOf(bytes.subarray(start, ends[i]))])
  }
  return records
}

/** Byte for byte, so that the length is the same. */
function textOf(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('latin1')
}
