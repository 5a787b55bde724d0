// Says yes to values that are as their schema wants them, without ajv: loading it and compiling its checks costs 0.1 s at every start.
import { isObject } from '../plugin/json.ts'
import type { OptionSchema, OptionType } from '../plugin/options.ts'

/** True only for a value that ajv accepts too (a test compares them). Anything else is ajv's to judge and to name. */
export function fits(value: unknown, schema: OptionSchema): boolean {
  const { type, enum: values } = schema
  if (type !== undefined && !(typeof type === 'string' ? [type] : type).some(one => isOf(value, one))) return false
  if (values && !values.includes(value as string)) return false
  if (Number.isFinite(value)) {
    const { minimum, maximum } = schema
    return (value as number) >= (minimum ?? -Infinity) && (value as number) <= (maximum ?? Infinity)
  }
  if (typeof value === 'string') {
    const { minLength = 0, pattern } = schema
    // JSON Schema counts code points.
    return (value.length >= 2 * minLength || [...value].length >= minLength) && (!pattern || new RegExp(pattern, 'u').test(value))
  }
  if (Array.isArray(value)) {
    const { items, minItems = 0 } = schema
    return value.length >= minItems && (!items || value.every(item => fits(item, items)))
  }
  return !isObject(value) || objectFits(value, schema)
}

function objectFits(value: Record<string, unknown>, { properties, additionalProperties }: OptionSchema): boolean {
  const others = additionalProperties ?? !properties
  for (const key of Object.keys(value)) {
    const own = properties && Object.hasOwn(properties, key) ? properties[key] : undefined
    if (own ? !fits(value[key], own) : others !== true && (others === false || !fits(value[key], others))) return false
  }
  for (const name in properties) if (properties[name]?.required && value[name] === undefined) return false
  return true
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
