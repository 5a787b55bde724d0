// The records of a chunk, one by one.
import type { Chunk } from '../../../core/plugin/interfaces.ts'

/** Views of the chunk's bytes: valid until it is handed over. */
export function recordsOf({ bytes, ends, starts, count = ends.length }: Chunk): Buffer[] {
  const all = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
  const records: Buffer[] = []
  let next = 0
  for (let index = 0; index < count; index++) {
    const end = ends[index] as number
    records.push(all.subarray(starts?.[index] ?? next, end))
    next = end + 1
  }
  return records
}
