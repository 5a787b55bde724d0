// Parses JSON text that lies in a field.
import { defineFilter } from '../../core/plugin/define.ts'
import { PermanentError } from '../../core/plugin/errors.ts'
import { fieldPath } from '../lib/field-path.ts'

export default defineFilter({
  summary: 'Parses JSON text in a field',
  description:
    'A field that an event lacks, and a value that is no text (it was parsed before), are left alone. Text that is no JSON, too long ' +
    'or nested too deeply sends the event to the dead letters, or stays as it is with `on_error: keep`.',
  options: {
    field: { type: 'string', format: 'field', required: true, description: 'Field that holds the text' },
    target: { type: 'string', format: 'field', description: 'Field that gets the value; the same field when absent' },
    on_error: {
      type: 'string',
      enum: ['dead_letter', 'keep'],
      default: 'dead_letter',
      description: 'What becomes of an event whose text cannot be parsed',
    },
    max_bytes: {
      type: 'integer',
      minimum: 2,
      maximum: 67_108_864,
      default: 1_048_576,
      description: 'Longest text that is parsed, in bytes of UTF-8',
    },
    max_depth: {
      type: 'integer',
      minimum: 1,
      maximum: 1000,
      default: 64,
      description: 'Deepest nesting of objects and lists that is accepted',
    },
  },
  examples: [{ field: 'o365.audit.AdditionalInfo' }, { field: 'message', target: 'app', on_error: 'keep' }],
  create({ field, target, on_error, max_bytes, max_depth }) {
    const from = fieldPath(field, 'field')
    const to = target === undefined ? from : fieldPath(target, 'target')

    /** Throws with a reason. */
    const parse = (text: string): unknown => {
      // A UTF-16 unit takes one to three bytes: counting them is seldom needed.
      if (text.length > max_bytes || (text.length * 3 > max_bytes && Buffer.byteLength(text) > max_bytes))
        throw new PermanentError(`${field} holds more than ${max_bytes} bytes of text`)
      let value: unknown
      try {
        value = JSON.parse(text)
      } catch (error) {
        // The message of JSON.parse quotes the text, which is not for logs.
        throw new PermanentError(`${field} holds no JSON${/ at position \d+/.exec((error as Error).message)?.[0] ?? ''}`)
      }
      // Each level takes two characters at least.
      if (text.length > max_depth * 2 && isDeeper(value, max_depth))
        throw new PermanentError(`${field} holds JSON nested deeper than ${max_depth} levels`)
      return value
    }

    return {
      apply(event) {
        const text = from.get(event.fields)
        if (typeof text !== 'string') return event
        let value: unknown
        try {
          value = parse(text)
        } catch (error) {
          if (on_error === 'keep') return event
          throw error
        }
        if (!to.set(event.fields, value) && on_error !== 'keep')
          throw new PermanentError(`${to.text} cannot be set, because something on the way to it is no object`)
        return event
      },
    }
  },
})

/** True when the value has more than `levels` levels of objects and lists. */
function isDeeper(value: unknown, levels: number): boolean {
  if (typeof value !== 'object' || value === null) return false
  if (levels === 0) return true
  if (Array.isArray(value)) {
    for (const one of value) if (isDeeper(one, levels - 1)) return true
    return false
  }
  for (const key in value) if (isDeeper((value as Record<string, unknown>)[key], levels - 1)) return true
  return false
}
