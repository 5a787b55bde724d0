// Takes the texts that a DLP rule matched out of a record before anything else sees it: card numbers, secrets and the like.
import { PermanentError } from '../../../core/plugin/errors.ts'
import type { Event } from '../../../core/plugin/interfaces.ts'
import { isObject } from '../../../core/plugin/json.ts'

const KEY = 'DetectedValues'
const NEEDLE = Buffer.from(KEY)
/** With one of its letters escaped the key is another text, and the same key. */
const ESCAPE = '\\u00'
const ESCAPED_LETTER = /\\u00[4-7]/
const ESCAPE_BYTES = Buffer.from(ESCAPE)
/** Above this, the record is one of many in the event's source bytes, and looking at it costs less than looking through them. */
const SEARCHED_BYTES = 64 * 1024
const REMOVED = 'removed: held values that a DLP rule matched'

/**
 * Removes every `DetectedValues`, at any depth and in JSON texts inside the record, from the event's fields. Where it did, the
 * redacted record takes the place of the event's source bytes, so that no dead letter and no event.original holds them.
 */
export function redactMatchedValues(event: Event): void {
  const { original } = event
  if (original.length <= SEARCHED_BYTES && find.call(original, NEEDLE) < 0 && find.call(original, ESCAPE_BYTES) < 0) return
  try {
    if (removeFrom(event.fields)) event.redact(Buffer.from(JSON.stringify(event.fields)))
  } catch (cause) {
    event.redact(Buffer.from(JSON.stringify({ [KEY]: REMOVED })))
    throw new PermanentError('This record holds matched values, and is nested too deeply to take them out.', { cause })
  }
}

/**
 * A record's bytes without matched values; undefined where it has none, or is no JSON. For whoever cuts records and does not decode
 * them.
 */
export function withoutMatchedValues(record: Buffer): Buffer | undefined {
  if (record.indexOf(NEEDLE) < 0 && record.indexOf(ESCAPE_BYTES) < 0) return undefined
  let value: unknown
  try {
    value = JSON.parse(record.utf8Slice())
  } catch {
    return undefined
  }
  if (typeof value !== 'object' || value === null) return undefined
  try {
    return removeFrom(value) ? Buffer.from(JSON.stringify(value)) : undefined
  } catch {
    return Buffer.from(JSON.stringify({ [KEY]: REMOVED }))
  }
}

/** Whether bytes of many records may hold such values: when not, none of them needs to be looked at. */
export function mayHoldMatchedValues(bytes: Buffer): boolean {
  return bytes.indexOf(NEEDLE) >= 0 || bytes.indexOf(ESCAPE_BYTES) >= 0
}

/** Searches bytes for bytes, and is much faster than what a plain Uint8Array has. */
const find = Buffer.prototype.indexOf as (this: Uint8Array, value: Uint8Array) => number

/** True when something was removed. */
function removeFrom(holder: object): boolean {
  let removed = false
  const entries = holder as Record<string, unknown>
  for (const key of Object.keys(entries)) {
    const value = entries[key]
    if (key === KEY) {
      delete entries[key]
      removed = true
    } else if (typeof value === 'object' && value !== null) {
      if (removeFrom(value)) removed = true
    } else if (typeof value === 'string' && (value.includes(KEY) || (value.includes(ESCAPE) && ESCAPED_LETTER.test(value)))) {
      const clean = redactText(value)
      if (clean === value) continue
      entries[key] = clean
      removed = true
    }
  }
  return removed
}

/** A JSON text without matched values. A text that only looks like one (cut off, say) goes as a whole. */
function redactText(text: string): string {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return text.includes(`${KEY}"`) || text.includes(`${KEY}\\`) ? REMOVED : text
  }
  if (typeof value === 'string') {
    const clean = redactText(value)
    return clean === value ? text : JSON.stringify(clean)
  }
  return (isObject(value) || Array.isArray(value)) && removeFrom(value) ? JSON.stringify(value) : text
}
