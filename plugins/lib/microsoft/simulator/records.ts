// The records of a simulated blob as they are served: made from their indices, some of them odd, and written as JSON.
import { hash } from 'node:crypto'
import type { JsonObject } from '../../../../core/plugin/json.ts'
import { withoutMatchedValues } from '../matched-values.ts'
import type { LongBody } from './reply.ts'

/** What is odd about one record: it has no Id, an empty one, or the Id of another record that says something else. */
export type RecordOddity = 'no_id' | 'empty_id' | 'same_id'

/** Bodies are made in pieces of about so many bytes. */
const PIECE_BYTES = 256 * 1024
/** How long a record is, about. Bytes. */
const RECORD_BYTES = 1_500

/** The record with its oddity. */
export function oddRecord(record: JsonObject, oddity: RecordOddity | undefined): JsonObject {
  if (oddity === undefined) return record
  if (oddity === 'empty_id') return { ...record, Id: '' }
  const { Id, ...others } = record
  if (oddity === 'no_id') return others
  // Another second: what says something else must say it in a field that nobody leaves out.
  const time = Date.parse(`${String(record['CreationTime'])}Z`)
  return { ...record, CreationTime: new Date(time + 1_000).toISOString().slice(0, 19) }
}

/** SHA-256, the first 32 hexadecimal digits. */
export function contentHash(bytes: string | Buffer): string {
  return hash('sha256', bytes).slice(0, 32)
}

/** A record as the simulator's ledger knows it: its `Id` where it has one, and the hash of its bytes. */
export function traceOf(record: JsonObject): { readonly id: string | undefined; readonly hash: string } {
  const id = record['Id']
  return { id: typeof id === 'string' ? id : undefined, hash: contentHash(JSON.stringify(record)) }
}

/** A JSON array of `count` records as a body. `redacted`: without the values that DLP rules matched. */
export function bodyOf(records: () => Iterable<JsonObject>, count: number, key: string, redacted: boolean): LongBody {
  return {
    key: redacted ? `${key} redacted` : key,
    bytes: count * RECORD_BYTES,
    *pieces() {
      let text = '['
      let first = true
      for (const record of records()) {
        const json = JSON.stringify(record)
        text += first ? '' : ','
        text += redacted ? (withoutMatchedValues(Buffer.from(json))?.toString() ?? json) : json
        first = false
        if (text.length < PIECE_BYTES) continue
        yield Buffer.from(text)
        text = ''
      }
      yield Buffer.from(`${text}]`)
    },
  }
}
