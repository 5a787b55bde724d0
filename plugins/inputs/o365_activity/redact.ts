// Takes what DLP rules matched out of a chunk's records before anybody else sees them.
import { buffers } from '../../../core/plugin/buffers.ts'
import type { Chunk } from '../../../core/plugin/interfaces.ts'
import { mayHoldMatchedValues, withoutMatchedValues } from '../../lib/microsoft/matched-values.ts'
import { recordsOf } from './records-of.ts'

/** The same chunk, or one in whose records no matched values are left. The bytes of the one given are given back then. */
export function redactedChunk(chunk: Chunk): Chunk {
  const { ends, count = ends.length } = chunk
  const bytes = Buffer.from(chunk.bytes.buffer, chunk.bytes.byteOffset, chunk.bytes.length)
  if (!mayHoldMatchedValues(bytes.subarray(0, count === 0 ? 0 : ends[count - 1]))) return chunk
  let changed = false
  const records = recordsOf(chunk).map(record => {
    const clean = withoutMatchedValues(record)
    changed ||= clean !== undefined
    return clean ?? record
  })
  if (!changed) return chunk
  const newStarts = new Uint32Array(count)
  const newEnds = new Uint32Array(count)
  const length = records.reduce((sum, record) => sum + record.length + 1, 0)
  const memory = buffers.take(length)
  let at = 0
  records.forEach((record, index) => {
    newStarts[index] = at
    buffers.copy(record, memory, at)
    at += record.length
    newEnds[index] = at
    memory[at++] = 10
  })
  buffers.recycle(chunk.bytes)
  // Where a record lay in the source cannot be told from its place in here.
  const { offset: _, ...rest } = chunk
  return { ...rest, bytes: memory.subarray(0, length), starts: newStarts, ends: newEnds, count }
}
