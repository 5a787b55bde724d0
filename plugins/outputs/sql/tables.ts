// From the options to tables, and from events to their rows. Pure: workers do it.
import { OptionError, PermanentError } from '../../../core/plugin/errors.ts'
import type { Event, Site } from '../../../core/plugin/interfaces.ts'
import { isObject, type JsonObject } from '../../../core/plugin/json.ts'
import { fieldPath } from '../../lib/field-path.ts'
import { mayHoldMatchedValues, withoutMatchedValues } from '../../lib/microsoft/matched-values.ts'
import { recordType } from '../../lib/microsoft/record-types.ts'
import type { Column, ColumnType, Dialect, SqlValue, TableShape } from '../../lib/sql/dialect.ts'
import { dialectOf } from '../../lib/sql/dialects.ts'
import { layoutTables, recordOfEcs, tableOf, WHOLE_RECORD } from '../../lib/sql/layout.ts'
import { converter } from '../../lib/sql/values.ts'
import type { Options, TableOptions } from './options.ts'

export interface Rows {
  readonly tables: readonly TableShape[]
  /** The table and the row of an event. Throws a PermanentError for one that fits nowhere. */
  of(event: Event): { readonly table: string; readonly row: readonly SqlValue[] }
}

/** @throws OptionError */
export function rowsOf(options: Options, site: Pick<Site, 'expression'>): Rows {
  const { layout, tables, record_column, record } = options
  if ((layout === undefined) === (tables === undefined))
    throw new OptionError(layout ? 'tables' : '', 'give either layout or tables')
  if (record_column !== undefined && layout === undefined)
    throw new OptionError('record_column', 'is for layout; among tables, write a column with field: "."')
  if (options.keep_matched_values && layout === undefined) throw new OptionError('keep_matched_values', 'is for layout')
  const find = recordFinder(record, layout !== undefined)
  return layout ? layoutRows(options, find) : ownRows(tables ?? [], find, dialectOf(options.dialect), site)
}

type Find = (event: Event) => JsonObject

function recordFinder(record: string, layout: boolean): Find {
  if (record === '.') return ({ fields }) => fields
  if (record === 'auto') return ({ fields }) => (layout ? (recordOfEcs(fields) ?? wrapped(fields)) : fields)
  if (record === 'original') return ({ original }) => wrapped(parsed(original))
  const path = fieldPath(record, 'record')
  return ({ fields }) => {
    const found = path.get(fields)
    if (isObject(found)) return found
    throw new PermanentError(`record: the event has no record at ${record}`, { code: 'PEN_SQL_VALUE' })
  }
}

function parsed(bytes: Uint8Array): JsonObject {
  let value: unknown
  try {
    value = JSON.parse(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).utf8Slice())
  } catch (cause) {
    throw new PermanentError('record: the bytes that were read are no JSON; take record: auto', { code: 'PEN_SQL_VALUE', cause })
  }
  if (isObject(value)) return value
  throw new PermanentError('record: the bytes that were read are JSON, but no object', { code: 'PEN_SQL_VALUE' })
}

/** Rows of audit searches and of auditgeneral have the record as text in one of their columns. */
function wrapped(row: JsonObject): JsonObject {
  const inner = row[WHOLE_RECORD]
  if (isObject(inner)) return inner
  if (typeof inner !== 'string') return row
  try {
    const value: unknown = JSON.parse(inner)
    return isObject(value) ? value : row
  } catch {
    return row
  }
}

/** Without what a DLP rule matched. The event itself stays as it is: it belongs to the other outputs too. */
function redacted(record: JsonObject, { original }: Event): JsonObject {
  if (!mayHoldMatchedValues(Buffer.from(original.buffer, original.byteOffset, original.byteLength))) return record
  const clean = withoutMatchedValues(Buffer.from(JSON.stringify(record)))
  return clean ? (JSON.parse(clean.utf8Slice()) as JsonObject) : record
}

type Make = (record: JsonObject, event: Event) => SqlValue

function layoutRows({ dialect: name, record_column, keep_matched_values }: Options, find: Find): Rows {
  const dialect = dialectOf(name)
  if (record_column !== undefined) checkName(record_column, 'record_column', dialect)
  const tables = layoutTables(record_column)
  const makers = new Map(
    tables.map(({ name, columns }) => [
      name,
      columns.map(column => layoutMaker(column, `${name}.${column.name}`, dialect, record_column)),
    ]),
  )
  return {
    tables,
    of(event) {
      const found = find(event)
      const record = keep_matched_values ? found : redacted(found, event)
      const table = tableOf(record['RecordType'], record['Workload'])
      return { table, row: (makers.get(table) as Make[]).map(make => make(record, event)) }
    },
  }
}

function layoutMaker({ name, type }: Column, place: string, dialect: Dialect, recordColumn: string | undefined): Make {
  const convert = converter(type, place, dialect)
  if (name === recordColumn || name === WHOLE_RECORD) return record => convert(record)
  // A record without an id of its own has that of the event, which is the same whenever it is read.
  if (name === 'Id') return (record, event) => convert(keyValue(record['Id'] ?? event.id, place))
  if (name !== 'RecordType') return record => convert(record[name])
  return record => {
    const { number } = recordType(record['RecordType'])
    return convert(number >= 0 ? number : record['RecordType'])
  }
}

function ownRows(options: readonly TableOptions[], find: Find, dialect: Dialect, site: Pick<Site, 'expression'>): Rows {
  const seen = new Set<string>()
  const own = options.map((one, index) => {
    const at = `tables[${index}]`
    for (const part of one.table.split('.')) checkName(part, `${at}.table`, dialect)
    const name = one.table.toLowerCase()
    if (seen.has(name)) throw new OptionError(`${at}.table`, `${one.table} is there already; write one when for both`)
    seen.add(name)
    return ownTable(one, at, dialect, one.when === undefined ? undefined : site.expression(one.when, `${at}.when`))
  })
  own.forEach(({ when, shape }, index) => {
    if (!when && index < own.length - 1)
      throw new OptionError(`tables[${index + 1}]`, `gets no event: ${shape.name} before it takes all, since it has no when`)
  })
  return {
    tables: own.map(({ shape }) => shape),
    of(event) {
      const table = own.find(({ when }) => !when || when(event))
      if (!table)
        throw new PermanentError('tables: no table takes this event (no when is true for it)', { code: 'PEN_SQL_TABLE' })
      const record = find(event)
      return { table: table.shape.name, row: table.makers.map(make => make(record, event)) }
    },
  }
}

function ownTable(
  { table, columns, key }: TableOptions,
  at: string,
  dialect: Dialect,
  when: ((event: Event) => boolean) | undefined,
) {
  const keys = typeof key === 'string' ? [key] : key
  const makers: Make[] = []
  const shapes: Column[] = []
  const seen = new Set<string>()
  for (const [name, given] of Object.entries(columns)) {
    const path = `${at}.columns.${name}`
    checkName(name, path, dialect)
    if (seen.has(name.toLowerCase())) throw new OptionError(path, `the column ${name} is there already`)
    seen.add(name.toLowerCase())
    const spec = typeof given === 'string' ? { field: given, type: 'text' } : given
    const type = typeOf(spec.type, `${path}.type`)
    shapes.push({ name, type })
    makers.push(ownMaker(spec, type, { path, place: `${table}.${name}`, isKey: keys.includes(name), dialect }))
  }
  if (shapes.length === 0) throw new OptionError(`${at}.columns`, 'names no column')
  if (keys.length === 0) throw new OptionError(`${at}.key`, 'names no column')
  keys.forEach((name, index) => {
    const path = typeof key === 'string' ? `${at}.key` : `${at}.key[${index}]`
    const column = shapes.find(shape => shape.name === name)
    if (!column)
      throw new OptionError(path, `there is no column ${name}; there are ${shapes.map(shape => shape.name).join(', ')}`)
    if (!['string', 'integer', 'bigint', 'time'].includes(column.type.name))
      throw new OptionError(path, `${name} is ${column.type.name}, which no key can be; give it the type string(64), say`)
  })
  return { shape: { name: table, columns: shapes, key: keys } satisfies TableShape, makers, when }
}

interface Place {
  readonly path: string
  readonly place: string
  readonly isKey: boolean
  readonly dialect: Dialect
}

function ownMaker(
  { field, meta }: { readonly field?: string; readonly meta?: string },
  type: ColumnType,
  { path, place, isKey, dialect }: Place,
): Make {
  const read = reader(field, meta, path)
  const convert = converter(type, place, dialect)
  return isKey
    ? (record, event) => convert(keyValue(read(record, event), place))
    : (record, event) => convert(read(record, event))
}

function reader(
  field: string | undefined,
  meta: string | undefined,
  path: string,
): (record: JsonObject, event: Event) => unknown {
  if ((field === undefined) === (meta === undefined)) throw new OptionError(path, 'needs either field or meta')
  if (meta !== undefined) {
    const found = fieldPath(meta, `${path}.meta`)
    return (_, event) => found.get(event.meta)
  }
  if (field === '.') return record => record
  const found = fieldPath(field as string, path)
  // The event's id is always there, also where no field holds it.
  if (field === 'event.id') return (_, event) => found.get(event.fields) ?? event.id
  return record => found.get(record)
}

/** What tells rows apart must be there, and be told apart by every database. */
function keyValue(value: unknown, place: string): unknown {
  if (value === undefined || value === null || value === '')
    throw new PermanentError(`${place}: the event has no value for this key`, { code: 'PEN_SQL_VALUE' })
  if (typeof value === 'string' && value.endsWith(' '))
    throw new PermanentError(`${place}: "${value.slice(0, 100)}" ends with a blank, and databases compare keys without it`, {
      code: 'PEN_SQL_VALUE',
    })
  return value
}

const TYPE_NAMES = ['text', 'integer', 'bigint', 'double', 'boolean', 'time', 'json'] as const

function typeOf(text: string, path: string): ColumnType {
  const [, length] = /^string\((\d{1,5})\)$/.exec(text) ?? []
  if (length !== undefined && Number(length) > 0) return { name: 'string', length: Number(length) }
  const name = TYPE_NAMES.find(one => one === text)
  if (name) return { name }
  throw new OptionError(path, `"${text}" is no type; there are string(N), ${TYPE_NAMES.join(', ')}`)
}

function checkName(name: string, path: string, { maxName, product }: Dialect): void {
  if (name === '' || name.includes('\0')) throw new OptionError(path, `"${name}" is no name`)
  if (Buffer.byteLength(name) > maxName)
    throw new OptionError(path, `"${name}" is longer than ${maxName}, and ${product} would cut it`)
}
