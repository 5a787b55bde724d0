// The type of an option in words, for pages and the terminal.
import type { OptionSchema } from './options.ts'

/** `string`, `list of string`, `one of a, b`, `names to number`. */
export function typeText(schema: OptionSchema): string {
  if (schema.enum) return `one of ${schema.enum.join(', ')}`
  if (schema.format === 'expression') return 'CEL expression'
  if (schema.format === 'field') return 'field path'
  const types = Array.isArray(schema.type) ? schema.type : [schema.type ?? 'any value']
  return types
    .map(type => {
      if (type === 'string' && schema.format) return schema.format
      if (type === 'array') return schema.items ? `list of ${typeText(schema.items)}` : 'list'
      if (type === 'object' && typeof schema.additionalProperties === 'object')
        return `names to ${typeText(schema.additionalProperties)}`
      return type
    })
    .join(' or ')
}
