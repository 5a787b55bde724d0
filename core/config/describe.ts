// Words for types, values and units in the errors of a pipeline file, and the value that was probably meant.
import type { OptionSchema, OptionType } from '../plugin/options.ts'
import type { Tree } from './tree.ts'

const UNITS: Readonly<Record<string, string>> = { _ms: 'milliseconds', _bytes: 'bytes', _s: 'seconds' }
const SIZES: Readonly<Record<string, number>> = {
  k: 1000,
  kb: 1000,
  kib: 1024,
  m: 1e6,
  mb: 1e6,
  mib: 1024 ** 2,
  g: 1e9,
  gb: 1e9,
  gib: 1024 ** 3,
  b: 1,
}
const TIMES: Readonly<Record<string, number>> = { ms: 1, s: 1000, sec: 1000, m: 60_000, min: 60_000, h: 3_600_000, d: 86_400_000 }
const NAMES: Readonly<Record<OptionType, string>> = {
  string: 'text',
  integer: 'a whole number',
  number: 'a number',
  boolean: 'true or false',
  object: 'a map (key: value)',
  array: 'a list',
  null: 'null',
}

/** The unit in an option's name, such as milliseconds for `grace_ms`. */
export function unitOf(path: readonly string[]): string | undefined {
  const name = path.findLast(part => !/^\d+$/.test(part)) ?? ''
  return UNITS[Object.keys(UNITS).find(suffix => name.endsWith(suffix)) ?? '']
}

function types({ type }: OptionSchema): readonly OptionType[] {
  return type === undefined ? [] : typeof type === 'string' ? [type] : type
}

/** What a value must be. */
export function expected(schema: OptionSchema, unit: string | undefined): string {
  return types(schema)
    .map(type => NAMES[type] + (unit && (type === 'integer' || type === 'number') ? ` of ${unit}` : ''))
    .join(' or ')
}

/** What a value is. Long text is cut. */
export function given(tree: Tree): string {
  if (tree.kind !== 'scalar') return tree.kind === 'map' ? 'a map' : 'a list'
  const { value, style } = tree
  if (value === null) return style === 'none' ? 'nothing' : 'null'
  if (typeof value !== 'string') return typeof value === 'number' ? `the number ${value}` : String(value)
  return JSON.stringify(value.length > 60 ? `${value.slice(0, 60)}…` : value)
}

/** What to write instead, where a value of the wrong type shows what was meant; else nothing. `secret`: without the value. */
export function rightly(tree: Tree, schema: OptionSchema, unit: string | undefined, secret: boolean): string {
  const wanted = new Set(types(schema))
  if (secret) return wanted.has('string') && tree.kind === 'scalar' && tree.value !== null ? '; put it in quotes' : ''
  if (tree.kind !== 'scalar') return tree.kind === 'map' && wanted.has('array') ? '; put "- " before each entry' : ''
  const { value } = tree
  if (typeof value === 'number' || typeof value === 'boolean') {
    if (wanted.has('string')) return `; put it in quotes: "${value}"`
    return wanted.has('array') ? `; write [${value}]` : ''
  }
  if (typeof value !== 'string') return ''
  if (wanted.has('boolean')) {
    if (/^(?:yes|on|true)$/i.test(value)) return '; write true'
    if (/^(?:no|off|false)$/i.test(value)) return '; write false'
  }
  if (wanted.has('integer') || wanted.has('number')) {
    const number = numberOf(value, unit)
    if (number !== undefined) return String(number) === value ? '; write it without quotes' : `; write ${number}`
  }
  if (wanted.has('array')) return `; write [${/^[\w./*-]+$/.test(value) ? value : JSON.stringify(value)}]`
  return ''
}

function numberOf(text: string, unit: string | undefined): number | undefined {
  const [, digits = '', suffix = ''] = /^(\d[\d_]*(?:\.\d+)?)\s*([a-z]*)$/i.exec(text.trim()) ?? []
  if (digits === '') return undefined
  const number = Number(digits.replaceAll('_', ''))
  if (suffix === '') return number
  const factors = unit === 'bytes' ? SIZES : unit === 'milliseconds' ? TIMES : {}
  const factor = factors[suffix.toLowerCase()]
  return factor === undefined ? undefined : Math.round(number * factor)
}
