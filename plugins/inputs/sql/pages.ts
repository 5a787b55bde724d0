// Reads a source page by page, each behind the last row of the one before: never by counting rows, which others add and remove.
import { isObject, type Json } from '../../../core/plugin/json.ts'
import type { Dialect, Session } from '../../lib/sql/dialect.ts'
import { SqlFailure } from '../../lib/sql/failure.ts'
import type { KeyColumn, Ready } from './sources.ts'

/** A place in a source. Rows whose first key column is NULL come first: no comparison would ever find them. */
export interface Cursor {
  readonly nulls: boolean
  /** The key of the last row, as text; among `nulls` without its first column. */
  readonly at: readonly string[]
}

/** Where a page begins. */
export interface From {
  readonly nulls: boolean
  readonly after?: readonly string[] | undefined
  /** The least value of the first key column. */
  readonly least?: string | undefined
}

export interface Page {
  readonly rows: readonly (readonly unknown[])[]
  /** Of each row. */
  readonly keys: readonly (readonly string[])[]
  /** There are no more rows behind these, for now. */
  readonly last: boolean
}

/** @throws SqlFailure (configuration) when two rows have the same key, or one of them has none */
export async function readPage(session: Session, dialect: Dialect, ready: Ready, from: From, limit: number): Promise<Page> {
  const { source, key } = ready
  const columns = from.nulls ? key.slice(1) : key
  const [first] = key as readonly [KeyColumn]
  const values: string[] = []
  const conditions: string[] = []
  const name = (column: KeyColumn) => dialect.quote(column.found.name)
  const place = (column: KeyColumn, value: string) => dialect.comparable(dialect.place(values.push(value) - 1), column.found)

  if (first.found.nullable) conditions.push(`${name(first)} IS ${from.nulls ? '' : 'NOT '}NULL`)
  if (from.least !== undefined) conditions.push(`${name(first)} >= ${place(first, from.least)}`)
  if (from.after !== undefined) conditions.push(behind(columns, from.after, name, place))
  // Without a second column there is no order among rows without a key: one of them is enough to say so.
  const unordered = columns.length === 0
  const order = unordered ? name(first) : columns.map(name).join(', ')
  const text = dialect.page(ready.from, ready.select, conditions.join(' AND '), order, unordered ? 1 : limit + 1)
  const { rows } = await session.run(text, values)
  if (unordered && rows.length > 0) {
    throw new SqlFailure(
      'configuration',
      `${dialect.product}: ${source.name} has rows whose ${first.found.name} is NULL; add a second column to the key, such as the primary key`,
    )
  }
  const keys = rows.map(row => columns.map(column => keyText(row[column.at], column, ready, dialect)))
  if (rows.length > limit && same(keys[limit], keys[limit - 1])) throw twice(ready, keys[limit] ?? [], dialect)
  if (rows.length > 0 && from.after && same(keys[Math.min(limit, rows.length) - 1], from.after))
    throw twice(ready, from.after, dialect)
  return { rows: rows.slice(0, limit), keys: keys.slice(0, limit), last: rows.length <= limit }
}

/** `a >= ? AND (a > ? OR (a = ? AND b > ?))`: a form for which every database uses an index on (a, b). */
function behind(
  columns: readonly KeyColumn[],
  after: readonly string[],
  name: (column: KeyColumn) => string,
  place: (column: KeyColumn, value: string) => string,
): string {
  const [column, ...rest] = columns
  const [value, ...others] = after
  if (!column || value === undefined) return '1 = 1'
  const one = name(column)
  if (rest.length === 0) return `${one} > ${place(column, value)}`
  const least = `${one} >= ${place(column, value)}`
  const more = `${one} > ${place(column, value)}`
  const equal = `${one} = ${place(column, value)}`
  return `${least} AND (${more} OR (${equal} AND ${behind(rest, others, name, place)}))`
}

function keyText(value: unknown, { found }: KeyColumn, { source }: Ready, { product }: Dialect): string {
  // A driver writes one time with zeros behind it and without: as keys they must be the same.
  if (typeof value === 'string') return found.sort === 'time' ? value.replace(/(\.\d*?)0+$/, '$1').replace(/\.$/, '') : value
  if (typeof value === 'number' || typeof value === 'bigint' || typeof value === 'boolean') return String(value)
  if (value instanceof Date) return value.toISOString().replace('Z', '')
  const what = value === null ? 'NULL in a row' : 'no text, number or time'
  throw new SqlFailure('configuration', `${product}: the key ${found.name} of ${source.name} is ${what}; choose another column`)
}

function same(a: readonly string[] | undefined, b: readonly string[] | undefined): boolean {
  return a !== undefined && b !== undefined && a.every((one, index) => one === b[index])
}

function twice({ source, key }: Ready, at: readonly string[], { product }: Dialect): SqlFailure {
  const names = key.map(({ found }) => found.name).join(', ')
  const advice = 'one of them would be passed over; add a column to the key that tells them apart'
  return new SqlFailure(
    'configuration',
    `${product}: two rows of ${source.name} have the same ${names} (${at.join(', ')}): ${advice}`,
  )
}

/** What is stored: the cursor, the columns it is made of, and whether the end was reached there. */
export function positionOf(key: readonly string[], { nulls, at }: Cursor, end: boolean): Json {
  return { key: [...key], nulls, at: [...at], end }
}

/** A stored position, if it is one of this key. */
export function cursorOf(stored: Json | undefined, key: readonly string[]): (Cursor & { readonly end: boolean }) | undefined {
  if (!isObject(stored) || JSON.stringify(stored['key']) !== JSON.stringify(key) || !Array.isArray(stored['at'])) return undefined
  return { nulls: stored['nulls'] === true, at: stored['at'].map(String), end: stored['end'] === true }
}
