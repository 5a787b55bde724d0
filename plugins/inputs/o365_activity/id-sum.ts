// The sum of hashes of ids: equal for the same ids in whatever order, and it can be gone on with.
import { hash } from 'node:crypto'
import type { Chunk } from '../../../core/plugin/interfaces.ts'
import { headOf } from './record-head.ts'
import { recordsOf } from './records-of.ts'

/** Two sums of 32 bits, each modulo 2^32. */
export type IdSum = readonly [number, number]

/** The sum of no ids, as text. */
export const NO_IDS = '0.0'

/** Of the records of a chunk. */
export function idSumOf(chunk: Chunk): IdSum {
  return idSum(recordsOf(chunk).map(bytes => ({ id: headOf(bytes).id, bytes })))
}

/** What has no id counts all the same: its bytes are what it is known by. */
export function idSum(records: Iterable<{ readonly id: string | undefined; readonly bytes: Uint8Array }>): IdSum {
  let low = 0
  let high = 0
  for (const { id, bytes: record } of records) {
    const bytes = hash('sha256', id ?? record, 'buffer')
    low = (low + bytes.readUInt32LE(0)) >>> 0
    high = (high + bytes.readUInt32LE(4)) >>> 0
  }
  return [low, high]
}

/** A sum as text, with another one added. */
export function addedIds(text: string, [low, high]: IdSum): string {
  const [a = 0, b = 0] = text.split('.').map(part => Number.parseInt(part, 36))
  return `${((a + low) >>> 0).toString(36)}.${((b + high) >>> 0).toString(36)}`
}
