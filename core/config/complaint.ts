// Says what is wrong with a value by its schema, and what was probably meant. The inside of maps and lists is looked at elsewhere.
import { isObject } from '../plugin/json.ts'
import type { OptionSchema, OptionType } from '../plugin/options.ts'
import { NAME } from './skeleton.ts'
import { didYouMean } from './suggest.ts'

const TYPES: Readonly<Record<OptionType, string>> = {
  string: 'text',
  integer: 'a whole number',
  number: 'a number',
  boolean: 'true or false',
  object: 'a map (key: value)',
  array: 'a list',
  null: 'null',
}
const TIMES = { ms: 1, s: 1000, sec: 1000, m: 60_000, min: 60_000, h: 3_600_000, d: 86_400_000 }
const SIZES = { b: 1, k: 1000, kb: 1000, kib: 1024, m: 1e6, mb: 1e6, mib: 1024 ** 2, g: 1e9, gb: 1e9, gib: 1024 ** 3 }
/** By the end of an option's name: its unit, and how others are written in it. */
const UNITS: readonly (readonly [suffix: RegExp, unit: string, factors: Readonly<Record<string, number>>])[] = [
  [/_ms\b/, 'milliseconds', TIMES],
  [/_bytes\b/, 'bytes', SIZES],
  [/_s\b/, 'seconds', {}],
]

/** The types that a schema allows; none: any. */
export function typesOf({ type }: OptionSchema): readonly OptionType[] {
  return type === undefined ? [] : typeof type === 'string' ? [type] : type
}

/** `must be …`, or undefined when the value is right. `quote` false: the value is not to be shown. */
export function complaint(value: unknown, schema: OptionSchema, name: string, quote: boolean): string | undefined {
  const [, unit = '', factors = {}] = UNITS.find(([suffix]) => suffix.test(name)) ?? []
  const not = quote ? `, not ${given(value)}` : ''
  const types = typesOf(schema)
  if (types.length > 0 && !types.some(type => isOf(value, type))) {
    const wanted = types.map(type => TYPES[type] + (unit && /^(?:integer|number)$/.test(type) ? ` of ${unit}` : ''))
    const hint = quote ? meant(value, types, factors) : types.includes('string') && isScalar(value) ? '; put it in quotes' : ''
    return `must be ${wanted.join(' or ')}${not}${hint}`
  }
  if (schema.enum && !schema.enum.includes(value as string)) {
    const values = schema.enum.map(String)
    const guess = quote && typeof value === 'string' ? didYouMean(value, values) : ''
    return `must be ${values.length > 1 ? 'one of ' : ''}${values.join(', ')}${not}${guess}`
  }
  if (typeof value === 'number') return outOfBounds(value, schema, `${unit && ` ${unit}`}${not}`)
  if (typeof value === 'string') return wrongText(value, schema, not)
  const { minItems = 0 } = schema
  if (!Array.isArray(value) || value.length >= minItems) return undefined
  return minItems === 1 ? 'must have at least one entry' : `must have at least ${minItems} entries`
}

function outOfBounds(value: number, { minimum, maximum }: OptionSchema, after: string): string | undefined {
  if (!Number.isFinite(value) || (value >= (minimum ?? -Infinity) && value <= (maximum ?? Infinity))) return undefined
  if (minimum === undefined || maximum === undefined) {
    return `must be ${minimum === undefined ? `at most ${maximum}` : `at least ${minimum}`}${after}`
  }
  return `must be from ${minimum} to ${maximum}${after}`
}

function wrongText(value: string, { minLength = 0, pattern }: OptionSchema, not: string): string | undefined {
  if ([...value].length < minLength) return minLength === 1 ? 'must not be empty' : `must have at least ${minLength} characters`
  if (pattern === undefined || new RegExp(pattern, 'u').test(value)) return undefined
  if (pattern !== NAME) return `must match ${pattern}${not}`
  return `takes the characters a-z, 0-9, _ and -, and begins with a letter or digit${not}`
}

function isScalar(value: unknown): boolean {
  return value !== null && typeof value !== 'object'
}

function isOf(value: unknown, type: OptionType): boolean {
  switch (type) {
    case 'array':
      return Array.isArray(value)
    case 'object':
      return isObject(value)
    case 'null':
      return value === null
    case 'integer':
      return Number.isInteger(value)
    case 'number':
      return Number.isFinite(value)
    default:
      return typeof value === type
  }
}

/** What a value is. Long text is cut. */
function given(value: unknown): string {
  if (value === null) return 'nothing'
  if (typeof value === 'object') return Array.isArray(value) ? 'a list' : 'a map'
  if (typeof value !== 'string') return typeof value === 'number' ? `the number ${value}` : String(value)
  return JSON.stringify(value.length > 60 ? `${value.slice(0, 60)}…` : value)
}

/** What to write instead, where a value of the wrong type shows what was meant; else nothing. */
function meant(value: unknown, wanted: readonly OptionType[], factors: Readonly<Record<string, number>>): string {
  const list = wanted.includes('array')
  if (isObject(value)) return list ? '; put "- " before each entry' : ''
  if (typeof value === 'number' || typeof value === 'boolean') {
    if (wanted.includes('string')) return `; put it in quotes: "${value}"`
    return list ? `; write [${value}]` : ''
  }
  if (typeof value !== 'string') return ''
  if (wanted.includes('boolean') && /^(?:yes|on|true|no|off|false)$/i.test(value)) {
    return `; write ${/^(?:yes|on|true)$/i.test(value)}`
  }
  if (wanted.includes('integer') || wanted.includes('number')) {
    const [, digits, suffix = ''] = /^(\d[\d_]*(?:\.\d+)?)\s*([a-z]*)$/i.exec(value.trim()) ?? []
    const number = Number(digits?.replaceAll('_', '')) * (suffix ? (factors[suffix.toLowerCase()] ?? Number.NaN) : 1)
    if (String(number) === value) return '; write it without quotes'
    if (Number.isFinite(number)) return `; write ${suffix ? Math.round(number) : number}`
  }
  return list ? `; write [${/^[\w./*-]+$/.test(value) ? value : JSON.stringify(value)}]` : ''
}
