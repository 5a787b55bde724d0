// Adds what a table knows about a field's value.
import { defineFilter } from '../../core/plugin/define.ts'
import { OptionError, PermanentError } from '../../core/plugin/errors.ts'
import type { TableHandle } from '../../core/plugin/interfaces.ts'
import { copyJson, getOwn, isObject, type JsonObject, setOwn } from '../../core/plugin/json.ts'
import { type FieldPath, fieldPath } from '../lib/field-path.ts'

export default defineFilter({
  summary: 'Adds what a table knows about the value of a field',
  description:
    'The value of `field` is looked up in a table of the pipeline (`tables:`), and the row is merged into the object at `target`: ' +
    'objects field by field, everything else as a whole. What the event holds already stays unless `overwrite` is true. A list of ' +
    'values counts as the first of them that the table knows.',
  options: {
    table: { type: 'string', required: true, description: 'Id of the table' },
    field: { type: 'string', format: 'field', required: true, description: 'Field whose value is the key, text or a number' },
    target: { type: 'string', format: 'field', description: 'Object that the row goes into; the whole event when absent' },
    fields: {
      type: 'object',
      additionalProperties: { type: 'string', format: 'field' },
      description: 'Column → the field below target that gets it; all columns under their own names when absent',
    },
    overwrite: { type: 'boolean', default: false, description: 'Replace what the event holds already' },
    default: { type: 'object', additionalProperties: true, description: 'Row for a value that the table does not know' },
  },
  examples: [
    { table: 'owners', field: 'user.email', target: 'user' },
    {
      table: 'owners',
      field: 'user.email',
      target: 'user',
      fields: { 'Display Name': 'full_name', Team: 'group.name' },
      default: { Team: 'unknown' },
    },
  ],
  create({ table, field, target, fields, overwrite, default: fallback }, site) {
    const key = fieldPath(field, 'field')
    const into = target === undefined ? undefined : fieldPath(target, 'target')
    const columns =
      fields && Object.entries(fields).map(([from, to]) => ({ from, to: fieldPath(to, `fields[${JSON.stringify(from)}]`) }))
    if (columns?.length === 0) throw new OptionError('fields', 'names no column')
    const rows = site.table(table, 'table')

    const add = (event: JsonObject, row: JsonObject): void => {
      const object = into ? objectAt(event, into) : event
      if (!columns) {
        merge(object, row, overwrite)
        return
      }
      for (const { from, to } of columns) {
        const value = getOwn(row, from)
        if (value === undefined || (!overwrite && !isNothing(to.get(object)))) continue
        // The row is the table's own: what later filters may change must be a copy.
        if (!to.set(object, copyJson(value))) throw blocked(into ? `${into.text}.${to.text}` : to.text)
      }
    }

    return {
      apply(event) {
        const value = key.get(event.fields)
        if (isNothing(value)) return event
        const row = find(rows, value) ?? fallback
        if (row) add(event.fields, row)
        return event
      },
    }
  },
})

function find(rows: TableHandle, value: unknown): JsonObject | undefined {
  if (typeof value === 'string') return rows.lookup(value)
  if (typeof value === 'number') return rows.lookup(String(value))
  if (!Array.isArray(value)) return undefined
  for (const one of value) {
    const row = Array.isArray(one) ? undefined : find(rows, one)
    if (row) return row
  }
  return undefined
}

/** The object at a path, made where there is none. */
function objectAt(fields: JsonObject, path: FieldPath): JsonObject {
  const found = path.get(fields)
  if (isObject(found)) return found
  const made: JsonObject = {}
  if (!isNothing(found) || !path.set(fields, made)) throw blocked(path.text)
  return made
}

/** Adds a copy of each of the row's fields; objects on both sides are merged. */
function merge(target: JsonObject, row: JsonObject, overwrite: boolean): void {
  for (const name of Object.keys(row)) {
    const value = row[name]
    const there = getOwn(target, name)
    if (isObject(value) && isObject(there)) merge(there, value, overwrite)
    else if (overwrite || isNothing(there)) setOwn(target, name, copyJson(value))
  }
}

function isNothing(value: unknown): boolean {
  return value === undefined || value === null
}

function blocked(path: string): PermanentError {
  return new PermanentError(`${path} cannot be set, because it or something on the way to it is no object`)
}
