// Times as Microsoft's records and exports write them, to ISO 8601 in UTC with milliseconds.
import { cut, join } from '../../lib/flat-text.ts'

const ISO = /^(\d{4})-(\d\d)-(\d\d)[T ](\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:?\d\d)?$/
const NET_JSON = /^\/Date\((-?\d{1,14})(?:[+-]\d{4})?\)\/$/
const LOCAL = /^(\d{1,2})\/(\d{1,2})\/(\d{4}),? (\d{1,2}):(\d\d)(?::(\d\d))?(?: ?([AaPp])\.?[Mm]\.?)?$/

/**
 * Reads a time: `2026-05-01T09:12:33` with or without fraction (digits beyond milliseconds are cut) and zone (none is UTC),
 * `/Date(1777626753000)/`, and `5/1/2026 9:12:33 AM` (month first, unless it can only be the day). Gives
 * `2026-05-01T09:12:33.000Z`; undefined for anything else, and for years before 1970, which mean "never" in these records.
 */
export function isoTime(value: unknown): string | undefined {
  if (typeof value !== 'string') return undefined
  if (value.length === 19 && isPlain(value)) return join(value, '.000Z')
  return other(value.trim())
}

function other(text: string): string | undefined {
  const iso = ISO.exec(text)
  if (iso) {
    const [, year, month, day, hour, minute, second, fraction = '', zone = 'Z'] = iso
    if (Number(day) > daysIn(Number(year), Number(month))) return undefined
    const offset = zone.length === 5 ? `${zone.slice(0, 3)}:${zone.slice(3)}` : zone
    return fromMs(
      Date.parse(`${year}-${month}-${day}T${hour}:${minute}:${second}.${fraction.slice(0, 3).padEnd(3, '0')}${offset}`),
    )
  }
  const net = NET_JSON.exec(text)
  if (net) return fromMs(Number(net[1]))
  const local = LOCAL.exec(text)
  if (!local) return undefined
  const [first = 0, second = 0, year = 0, clock = 0, minute = 0, seconds = 0] = local.slice(1, 7).map(part => Number(part ?? 0))
  const [month, day] = first > 12 ? [second, first] : [first, second]
  const half = local[7]?.toLowerCase()
  if (half !== undefined && (clock < 1 || clock > 12)) return undefined
  const hour = half === undefined ? clock : (clock % 12) + (half === 'p' ? 12 : 0)
  if (month < 1 || month > 12 || day < 1 || day > daysIn(year, month) || hour > 23 || minute > 59 || seconds > 59)
    return undefined
  return fromMs(Date.UTC(year, month - 1, day, hour, minute, seconds))
}

function fromMs(ms: number): string | undefined {
  return ms >= 0 && ms < 253_402_300_800_000 ? new Date(ms).toISOString() : undefined
}

/** `yyyy-MM-ddTHH:mm:` of the last record: most records have that of the one before. */
let lastMinute = '1970-01-01T00:00:'

/** `yyyy-MM-ddTHH:mm:ss` with a day that exists: the form of nearly every record, so it is read without a regular expression. */
function isPlain(text: string): boolean {
  // NaN, from what is no digit, fails every comparison.
  if (!(two(text, 17) <= 59)) return false
  if (text.startsWith(lastMinute)) return true
  if (text.charCodeAt(10) !== 84 || text.charCodeAt(13) !== 58 || text.charCodeAt(16) !== 58) return false
  if (!(two(text, 11) <= 23 && two(text, 14) <= 59) || !isDay(text)) return false
  lastMinute = cut(text, 0, 17)
  return true
}

/** True when the text begins with `yyyy-MM-dd`. */
function isDay(text: string): boolean {
  if (text.charCodeAt(4) !== 45 || text.charCodeAt(7) !== 45) return false
  const year = two(text, 0) * 100 + two(text, 2)
  const month = two(text, 5)
  const day = two(text, 8)
  return year >= 1970 && month >= 1 && month <= 12 && day >= 1 && day <= daysIn(year, month)
}

function two(text: string, at: number): number {
  const tens = text.charCodeAt(at) - 48
  const ones = text.charCodeAt(at + 1) - 48
  return tens >= 0 && tens <= 9 && ones >= 0 && ones <= 9 ? tens * 10 + ones : Number.NaN
}

function daysIn(year: number, month: number): number {
  if (month !== 2) return month === 4 || month === 6 || month === 9 || month === 11 ? 30 : 31
  return year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0) ? 29 : 28
}
