// The time of an event as a number.

const ISO_TIME = /^\d{4}-\d\d-\d\d(?:[Tt ]\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?([Zz]|[+-]\d\d:?\d\d)?)?$/

/** The text that was read last, and its time: one event's is asked for several times. */
let lastText = ''
let lastMillis: number | undefined

/** Milliseconds since 1970 of an ISO 8601 time (UTC where it names no zone) or of a number of them; undefined for anything else. */
export function millisOf(value: unknown): number | undefined {
  if (typeof value === 'number') return Number.isFinite(value) ? value : undefined
  if (typeof value !== 'string') return undefined
  if (value === lastText) return lastMillis
  lastText = value
  lastMillis = parsed(value)
  return lastMillis
}

function parsed(text: string): number | undefined {
  const found = ISO_TIME.exec(text)
  if (!found) return undefined
  const dotted = text.replace(',', '.')
  // A time without a zone would be one of this machine's.
  const zoned = found[1] !== undefined || text.length === 10
  const millis = Date.parse(zoned ? dotted : `${dotted}Z`)
  return Number.isNaN(millis) ? undefined : millis
}
