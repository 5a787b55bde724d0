// An entry of a vault: one source record, and where it came from, as a line of JSON.
import type { Event } from '../../../core/plugin/interfaces.ts'
import { isObject, type JsonObject } from '../../../core/plugin/json.ts'

export interface Entry {
  /** The input's id: its codec decodes the record again. */
  readonly input: string
  readonly meta: JsonObject
  readonly record: Buffer
  /** What the chunk gave the record as its id, if it did. */
  readonly id: string | undefined
  /** `@timestamp` of the event that it became; milliseconds since 1970, NaN where there is none. */
  readonly time: number
}

const decoder = new TextDecoder('utf-8', { fatal: true })

/** The line for an event. Bytes that are no UTF-8 are kept as base64. */
export function entryOf({ fields, meta, original, recordId }: Event): JsonObject {
  const time = isObject(fields) ? fields['@timestamp'] : undefined
  const { input, ...others } = meta
  let record: JsonObject
  try {
    record = { record: decoder.decode(original) }
    // The decoder takes a byte order mark away.
    if (original[0] === 0xef) record = { base64: Buffer.from(original).toString('base64') }
  } catch {
    record = { base64: Buffer.from(original).toString('base64') }
  }
  return {
    ...(typeof time === 'string' && !Number.isNaN(Date.parse(time)) && { '@timestamp': time }),
    input: String(input ?? ''),
    ...(Object.keys(others).length > 0 && { meta: others }),
    ...(recordId !== undefined && { id: recordId }),
    ...record,
  }
}

/** The entry of a line; undefined where it is none. */
export function parseEntry(line: string): Entry | undefined {
  let value: unknown
  try {
    value = JSON.parse(line)
  } catch {
    return undefined
  }
  if (!isObject(value)) return undefined
  const { input, meta, id, record, base64 } = value
  if (typeof input !== 'string') return undefined
  const bytes =
    typeof record === 'string' ? Buffer.from(record) : typeof base64 === 'string' ? Buffer.from(base64, 'base64') : undefined
  if (!bytes) return undefined
  return {
    input,
    meta: { ...(isObject(meta) ? meta : {}), input },
    record: bytes,
    id: typeof id === 'string' ? id : undefined,
    time: Date.parse(String(value['@timestamp'] ?? '')),
  }
}
