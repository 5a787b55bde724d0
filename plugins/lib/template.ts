// Text with places for an event's values: `out/%{event.dataset}/%{+yyyy-MM-dd}.ndjson`. What a value may do is confined by rules.
import { OptionError, PermanentError } from '../../core/plugin/errors.ts'
import type { JsonObject } from '../../core/plugin/json.ts'
import { type FieldPath, fieldPath } from './field-path.ts'

/** What the texts of one kind (paths; later topics and index names) must look like, whatever the event's values are. */
export interface TemplateRules {
  /** Why the literal text before the first place confines nothing, or undefined. `values`: events fill in text, not only times. */
  prefix(literalPrefix: string, values: boolean): string | undefined
  /** Why one value is refused, or undefined. */
  value(value: string, literalPrefix: string): string | undefined
  /** Why a whole text is refused, or undefined. */
  rendered(text: string, literalPrefix: string): string | undefined
  /** The code of the PermanentError for a text that is refused. */
  readonly code: string
}

export interface Template {
  /** As it was written. */
  readonly text: string
  /** What stands before the first place; the whole text when there is none. */
  readonly literalPrefix: string
  /** Paths of the fields it needs, each once; empty for a text without places. */
  readonly fields: readonly string[]
  /** The text for an event. The same text is the same string object, mostly. Throws a PermanentError: a field is missing, or refused. */
  render(fields: JsonObject): string
}

/** Texts whose check is remembered; more are forgotten all at once. */
const REMEMBERED = 1024

type Piece = string | { read(fields: JsonObject): string }

/**
 * Compiles a template. Places are `%{field.path}`, `%{field.path:FORMAT}` for a time, `%{+FORMAT}` for @timestamp, each with
 * `:-text` at its end for events without the field. Times are UTC.
 * @throws OptionError at `option` for a place that cannot be read, and for what the rules refuse whatever the event is.
 */
export function compile(text: string, option: string, rules: TemplateRules): Template {
  const pieces: Piece[] = []
  const names = new Set<string>()
  let values = false
  let sample = ''
  let literalPrefix = ''
  const literal = (part: string) => {
    if (part) pieces.push(part)
    sample += part
  }

  let at = 0
  for (let start = text.indexOf('%{'); start >= 0; start = text.indexOf('%{', at)) {
    literal(text.slice(at, start))
    if (names.size === 0) literalPrefix = sample
    const end = closing(text, start + 2)
    if (end < 0) throw new OptionError(option, `"${text}": %{ at character ${start + 1} has no closing }`)
    const place = parsePlace(text.slice(start + 2, end), option)
    names.add(place.field.text)
    values ||= !place.format
    if (place.fallback !== undefined) {
      const refused = rules.value(place.fallback, literalPrefix)
      if (refused) throw new OptionError(option, `"${text}": the default "${place.fallback}" ${refused}`)
    }
    sample += place.format ? place.format.render(Date.UTC(2026, 11, 28)) : (place.fallback ?? 'x')
    pieces.push({ read: reader(place, rules, option, literalPrefix) })
    at = end + 1
  }
  literal(text.slice(at))
  if (names.size === 0) literalPrefix = text
  const refused = rules.prefix(literalPrefix, values) ?? (names.size > 0 ? rules.rendered(sample, literalPrefix) : undefined)
  if (refused) throw new OptionError(option, `"${text}" ${refused}`)

  return {
    text,
    literalPrefix,
    fields: [...names],
    render: names.size === 0 ? () => text : renderer(pieces, rules, option, literalPrefix),
  }
}

function renderer(pieces: readonly Piece[], rules: TemplateRules, option: string, literalPrefix: string): Template['render'] {
  const readers = pieces.filter(piece => typeof piece !== 'string')
  const last: (string | undefined)[] = readers.map(() => undefined)
  const checked = new Map<string, string>()
  // Events of one kind come in rows: the text of the event before is right for most, and comparing its values is all that it costs.
  let text: string | undefined
  return fields => {
    for (let i = 0; i < readers.length; i++) {
      const value = readers[i]!.read(fields)
      if (value !== last[i]) {
        text = undefined
        last[i] = value
      }
    }
    if (text !== undefined) return text
    let rendered = ''
    let i = 0
    for (const piece of pieces) rendered += typeof piece === 'string' ? piece : last[i++]
    text = checked.get(rendered)
    if (text !== undefined) return text
    const refused = rules.rendered(rendered, literalPrefix)
    if (refused) throw new PermanentError(`${option} ${shown(rendered)} ${refused}`, { code: rules.code })
    if (checked.size >= REMEMBERED) checked.clear()
    checked.set(rendered, rendered)
    text = rendered
    return text
  }
}

interface Place {
  readonly field: FieldPath
  readonly format?: TimeFormat
  readonly fallback?: string
}

function reader(
  { field, format, fallback }: Place,
  rules: TemplateRules,
  option: string,
  literalPrefix: string,
): (fields: JsonObject) => string {
  const hint = `give the template a default: %{${field.text}:-unknown}`
  return fields => {
    let value = field.get(fields)
    if (Array.isArray(value) && value.length <= 1) value = value[0]
    if (value === undefined || value === null || value === '') {
      if (fallback !== undefined) return fallback
      throw new PermanentError(`${option}: the event has no field "${field.text}"; ${hint}`, { code: rules.code })
    }
    if (format) {
      const text = format.of(value)
      if (text !== undefined) return text
      throw new PermanentError(`${option}: "${field.text}" is no time: ${shown(value)}`, { code: rules.code })
    }
    if (typeof value === 'object') {
      const found = Array.isArray(value) ? `a list of ${value.length} values` : 'an object'
      throw new PermanentError(`${option}: "${field.text}" is ${found}, where one value is needed`, { code: rules.code })
    }
    const text = String(value)
    const refused = rules.value(text, literalPrefix)
    if (refused) throw new PermanentError(`${option}: "${field.text}" is ${shown(text)}, which ${refused}`, { code: rules.code })
    return text
  }
}

/** A value for an error message: quoted, escaped, and cut where it is long. */
function shown(value: unknown): string {
  if (typeof value === 'object') return 'an object'
  const text = String(value)
  return JSON.stringify(text.length > 200 ? `${text.slice(0, 200)}…` : text)
}

/** Where the `}` of a place is: one in the quotes of a field path does not count. */
function closing(text: string, from: number): number {
  for (let at = from, quote = ''; at < text.length; at++) {
    const char = text[at] as string
    if (quote) {
      if (char === '\\') at++
      else if (char === quote) quote = ''
    } else if ((char === '"' || char === "'") && text[at - 1] === '[') quote = char
    else if (char === '}') return at
  }
  return -1
}

const PLACE = /^((?:\[(?:"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|\d+)\]|[^[:])*)(?::(?!-)(.*?))?(?::-(.*))?$/s

function parsePlace(place: string, option: string): Place {
  if (/^\[[^\]"'\d]/.test(place)) {
    const dotted = place.replace(/^\[|\](?=$|:)/g, '').replaceAll('][', '.')
    throw new OptionError(option, `"%{${place}}": write the field's path with dots: %{${dotted}}`)
  }
  const [, name, format, fallback] = PLACE.exec(place.startsWith('+') ? `@timestamp:${place.slice(1)}` : place) ?? []
  if (!name) throw new OptionError(option, `"%{${place}}" names no field; write it like %{event.dataset} or %{+yyyy-MM-dd}`)
  return {
    field: fieldPath(name, option),
    ...(format !== undefined && { format: timeFormat(format, option) }),
    ...(fallback !== undefined && { fallback }),
  }
}

interface TimeFormat {
  /** The text of an event's time (ISO 8601, UTC where it names no zone; or milliseconds since 1970); undefined when it is none. */
  of(value: unknown): string | undefined
  /** Milliseconds since 1970 to text; undefined outside of the years 0 to 9999. */
  render(time: number): string | undefined
}

const two = (number: number) => String(number).padStart(2, '0')
const DAY = 86_400_000
/** Each pattern's text, and how many characters of an ISO 8601 time decide it. */
const PATTERNS: Readonly<Record<string, readonly [decides: number, text: (date: Date) => string]>> = {
  yyyy: [10, date => date.toISOString().slice(0, 4)],
  // Logstash's users write it so.
  YYYY: [10, date => date.toISOString().slice(0, 4)],
  yy: [10, date => date.toISOString().slice(2, 4)],
  MM: [10, date => two(date.getUTCMonth() + 1)],
  dd: [10, date => two(date.getUTCDate())],
  DDD: [10, date => String(Math.floor((+date - Date.UTC(date.getUTCFullYear(), 0, 1)) / DAY) + 1).padStart(3, '0')],
  xxxx: [10, date => thursday(date).toISOString().slice(0, 4)],
  ww: [10, date => two(Math.floor((+thursday(date) - Date.UTC(thursday(date).getUTCFullYear(), 0, 1)) / (7 * DAY)) + 1)],
  HH: [13, date => two(date.getUTCHours())],
  mm: [16, date => two(date.getUTCMinutes())],
  ss: [19, date => two(date.getUTCSeconds())],
  SSS: [23, date => date.toISOString().slice(20, 23)],
}

/** The Thursday of a date's ISO week: its year is the week's year. */
function thursday(date: Date): Date {
  return new Date(Math.floor(+date / DAY) * DAY + (3 - ((date.getUTCDay() + 6) % 7)) * DAY)
}

function timeFormat(format: string, option: string): TimeFormat {
  const pieces: (string | ((date: Date) => string))[] = []
  // The whole date always: a month that is none makes no time.
  let decides = 10
  for (const [whole, quoted, letter] of format.matchAll(/'((?:[^']|'')*)'|([A-Za-z])\2*|[^A-Za-z']+|'/g)) {
    const pattern = letter && Object.hasOwn(PATTERNS, whole) ? PATTERNS[whole] : undefined
    if (pattern) {
      decides = Math.max(decides, pattern[0])
      pieces.push(pattern[1])
    } else if (letter || whole === "'") {
      const known = Object.keys(PATTERNS).join(' ')
      throw new OptionError(
        option,
        `"${format}": ${whole} is no pattern of a time; there are ${known}, and other letters go between '…'`,
      )
    } else pieces.push(quoted?.replaceAll("''", "'") ?? whole)
  }
  if (!pieces.some(piece => typeof piece !== 'string'))
    throw new OptionError(option, `"${format}" is no format of a time; write it like yyyy-MM-dd`)

  const render = (time: number) => {
    const date = new Date(time)
    const year = date.getUTCFullYear()
    if (!(year >= 1 && year <= 9998)) return undefined
    return pieces.map(piece => (typeof piece === 'string' ? piece : piece(date))).join('')
  }
  const known = new Map<string, string | undefined>()
  let lastStart = '-'
  let last: string | undefined
  return {
    render,
    of(value) {
      if (typeof value === 'number') return render(value)
      if (typeof value !== 'string') return undefined
      if (value.length < decides || !isUtc(value)) return render(parseTime(value))
      // Only the characters down to the format's finest pattern decide, so that a day's events share one answer.
      if (value.startsWith(lastStart)) return last
      const start = value.slice(0, decides)
      last = known.get(start) ?? render(parseTime(start + '1970-01-01T00:00:00.000Z'.slice(decides)))
      if (known.size >= REMEMBERED) known.clear()
      known.set(start, last)
      lastStart = start
      return last
    },
  }
}

const [LETTER_T, LETTER_Z, COLON] = [0x54, 0x5a, 0x3a]

/** A time of the usual shape that ends in Z or, with 19 characters, without a zone: Microsoft's times are UTC then. */
function isUtc(time: string): boolean {
  const end = time.length - 1
  return time.charCodeAt(10) === LETTER_T && (time.charCodeAt(end) === LETTER_Z || (end === 18 && time.charCodeAt(16) === COLON))
}

const ISO_TIME = /^(\d{4}-\d\d-\d\d)(?:[Tt ](\d\d:\d\d(?::\d\d)?)([.,]\d+)?([Zz]|[+-]\d\d(?::?\d\d)?)?)?$/

/** Milliseconds since 1970, or NaN. */
function parseTime(text: string): number {
  const [, date, time = '00:00', fraction = '', zone = 'Z'] = ISO_TIME.exec(text) ?? []
  if (!date) return Number.NaN
  const offset = zone.toUpperCase().replace(/^([+-]\d\d):?(\d\d)?$/, (_, hours, minutes = '00') => `${hours}:${minutes}`)
  return Date.parse(`${date}T${time}${time.length > 5 ? fraction.replace(',', '.') : ''}${offset}`)
}
