// Sets fields to fixed values, or to copies of other fields.
import { defineFilter } from '../../core/plugin/define.ts'
import { OptionError, PermanentError } from '../../core/plugin/errors.ts'
import { copyJson, type JsonObject } from '../../core/plugin/json.ts'
import { type FieldPath, fieldPath } from '../lib/field-path.ts'

export default defineFilter({
  summary: 'Sets fields to fixed values, or to copies of other fields',
  description:
    'What is missing on the way to a field becomes objects. Where something on the way is no object (`user.name` and `user` is text) ' +
    'the event goes to the dead letters.',
  options: {
    fields: { type: 'object', additionalProperties: true, description: 'Field → the value it gets, any JSON value' },
    copy: {
      type: 'object',
      additionalProperties: { type: 'string', format: 'field' },
      description: 'Field → the field whose value it gets; nothing is set where that one is missing',
    },
    overwrite: { type: 'boolean', default: true, description: 'Replace a value that is there already' },
  },
  examples: [
    { fields: { 'organization.name': 'Contoso', 'labels["cost.centre"]': 4711 } },
    { copy: { 'source.address': 'source.ip' }, overwrite: false },
  ],
  create({ fields = {}, copy = {}, overwrite }) {
    const values = Object.entries(fields).map(([to, value]) => ({
      to: fieldPath(to, at('fields', to)),
      value,
      deep: isDeep(value),
    }))
    const copies = Object.entries(copy).map(([to, from]) => ({
      to: fieldPath(to, at('copy', to)),
      from: fieldPath(from, at('copy', to)),
    }))
    if (values.length + copies.length === 0) throw new OptionError('', 'set needs fields or copy')
    return {
      apply(event) {
        for (const { to, value, deep } of values) {
          // Later filters may change the event: each gets a value of its own.
          if (overwrite || isFree(to, event.fields)) put(to, event.fields, deep ? copyJson(value) : value)
        }
        for (const { to, from } of copies) {
          const value = from.get(event.fields)
          if (value !== undefined && (overwrite || isFree(to, event.fields))) put(to, event.fields, copyJson(value))
        }
        return event
      },
    }
  },
})

/** Where an entry of an option lies: `fields["a.b"]`. */
function at(option: string, key: string): string {
  return `${option}[${JSON.stringify(key)}]`
}

function isDeep(value: unknown): boolean {
  return typeof value === 'object' && value !== null
}

function isFree(path: FieldPath, fields: JsonObject): boolean {
  const value = path.get(fields)
  return value === undefined || value === null
}

function put(path: FieldPath, fields: JsonObject, value: unknown): void {
  if (!path.set(fields, value))
    throw new PermanentError(`${path.text} cannot be set, because something on the way to it is no object`)
}
