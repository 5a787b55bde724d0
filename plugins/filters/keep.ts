// Keeps some fields of an event and nothing else.
import { defineFilter } from '../../core/plugin/define.ts'
import { OptionError } from '../../core/plugin/errors.ts'
import type { JsonObject } from '../../core/plugin/json.ts'
import { fieldPath } from '../lib/field-path.ts'

export default defineFilter({
  summary: 'Keeps the fields that are named and takes out all others',
  description: 'A field is kept with everything below it. Name `@timestamp` and `event.id` too where an output needs them.',
  options: {
    fields: {
      type: 'array',
      items: { type: 'string', format: 'field' },
      minItems: 1,
      required: true,
      description: 'Fields to keep',
    },
  },
  examples: [{ fields: ['@timestamp', 'event', 'user.name', 'source.ip'] }],
  create({ fields }) {
    const paths = fields.map((field, index) => {
      const path = fieldPath(field, `fields[${index}]`)
      if (path.segments.some(segment => typeof segment === 'number'))
        throw new OptionError(`fields[${index}]`, `"${field}" is part of a list, and a list is kept whole or not at all`)
      return path
    })
    // From the top down: below a field that is kept whole there is nothing left to do.
    const tops = paths.filter(path => !paths.some(other => other !== path && isAbove(other.segments, path.segments)))
    return {
      apply(event) {
        const kept: JsonObject = {}
        for (const path of tops) {
          const value = path.get(event.fields)
          if (value !== undefined) path.set(kept, value)
        }
        event.fields = kept
        return event
      },
    }
  },
})

function isAbove(upper: readonly unknown[], lower: readonly unknown[]): boolean {
  return upper.length < lower.length && upper.every((segment, index) => segment === lower[index])
}
