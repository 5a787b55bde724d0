// Times on their way into a database and out of it: `2026-05-01T09:12:33.5+02:00` and `2026-05-01 07:12:33.5`.

const ISO = /^(\d{4})-(\d\d)-(\d\d)(?:[Tt ](\d\d):(\d\d)(?::(\d\d)(?:[.,](\d{1,9}))?)?\s?([Zz]|[+-]\d\d(?::?\d\d)?)?)?$/
const DIGITS = 6

/**
 * A time as databases take it, in UTC, with at most six digits of a second; one without a zone is UTC, as Microsoft's are. Also
 * milliseconds since 1970. Undefined for what is no time.
 */
export function sqlTime(value: unknown): string | undefined {
  if (typeof value === 'number')
    return fromMs(value, Number.isNaN(new Date(value).getTime()) ? '' : new Date(value).toISOString().slice(-4, -1))
  if (typeof value !== 'string') return undefined
  const [, year, month, day, hour = '00', minute = '00', second = '00', fraction = '', zone = 'Z'] = ISO.exec(value) ?? []
  if (year === undefined) return undefined
  const offset = zone.toUpperCase().replace(/^([+-]\d\d):?(\d\d)?$/, (_, hours, minutes = '00') => `${hours}:${minutes}`)
  const ms = Date.parse(`${year}-${month}-${day}T${hour}:${minute}:${second}${offset}`)
  // JavaScript takes 31 February for the 3rd of March.
  if (Number.isNaN(ms) || new Date(Date.UTC(Number(year), Number(month) - 1, Number(day))).getUTCDate() !== Number(day))
    return undefined
  return fromMs(ms, fraction)
}

function fromMs(ms: number, fraction: string): string | undefined {
  const date = new Date(ms)
  const year = date.getUTCFullYear()
  if (!(year >= 1 && year <= 9999)) return undefined
  const digits = fraction.slice(0, DIGITS).replace(/0+$/, '')
  return `${date.toISOString().slice(0, 19).replace('T', ' ')}${digits === '' ? '' : `.${digits}`}`
}

const FOUND = /^(\d{4}-\d\d-\d\d)[ T](\d\d:\d\d:\d\d)(?:\.(\d+))?(?:\s?(?:Z|[+-]00(?::?00)?))?$/

/** A time of a database whose session is in UTC as ISO 8601: `2026-05-01T09:12:33Z`. What is none (infinity, say) stays as it is. */
export function isoTime(text: string): string {
  const [, date, time, fraction = ''] = FOUND.exec(text) ?? []
  if (date === undefined) return text
  const digits = fraction.replace(/0+$/, '')
  return `${date}T${time}${digits === '' ? '' : `.${digits}`}Z`
}

/** The same time so many milliseconds earlier; the text itself where it is no time. */
export function earlier(text: string, ms: number): string {
  const iso = isoTime(text)
  const [, whole, fraction = ''] = /^(.{19})(?:\.(\d+))?Z$/.exec(iso) ?? []
  if (whole === undefined) return text
  return fromMs(Date.parse(`${whole}Z`) - Math.ceil(ms / 1000) * 1000, fraction) ?? text
}
