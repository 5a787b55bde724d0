// Our options' schemas as the JSON Schema that editors read.
import type { JsonObject } from '../core/plugin/json.ts'
import type { OptionSchema, OptionSchemas } from '../core/plugin/options.ts'

/** Types whose values may be written as `${NAME}`. */
const FILLED: readonly string[] = ['integer', 'number', 'boolean']
const PLACE = '^\\$\\{.+\\}$'

/** An object with these properties and no others, unless `open`. */
export function toJsonSchema(properties: OptionSchemas, open = false): JsonObject {
  return convert({ type: 'object', properties, additionalProperties: open })
}

/** One option. `required` goes up to the object; `secret` becomes `writeOnly`; formats are Penstock's own and stay out. */
function convert(schema: OptionSchema): JsonObject {
  const { required: _, secret, format: __, properties, additionalProperties, items, ...rest } = schema
  const result: JsonObject = { ...rest }
  if (secret) result.writeOnly = true
  // A number may come from the environment: the pipeline's file holds text then.
  if (schema.enum === undefined && typeof schema.type === 'string' && FILLED.includes(schema.type)) {
    result.type = [schema.type, 'string']
    result.pattern = PLACE
  }
  if (items) result.items = convert(items)
  if (properties) {
    result.properties = Object.fromEntries(Object.entries(properties).map(([name, option]) => [name, convert(option)]))
    const needed = Object.keys(properties).filter(name => properties[name]?.required)
    if (needed.length > 0) result.required = needed
    result.additionalProperties = false
  }
  if (additionalProperties !== undefined) {
    result.additionalProperties = typeof additionalProperties === 'boolean' ? additionalProperties : convert(additionalProperties)
  }
  return result
}
