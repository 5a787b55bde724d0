// Checked options made complete: defaults put in, and paths made absolute.
import { resolve } from 'node:path'
import { copyJson, isObject, type JsonObject, setOwn } from '../plugin/json.ts'
import type { OptionSchema, OptionSchemas } from '../plugin/options.ts'

/** A copy with every default, also those inside of objects that are there, and paths that count from `folder` made absolute. */
export function complete(options: JsonObject, properties: OptionSchemas, folder: string): JsonObject {
  return completeValue(options, { type: 'object', properties }, folder) as JsonObject
}

function completeValue(value: unknown, schema: OptionSchema, folder: string): unknown {
  if (typeof value === 'string') return schema.format === 'path' && value !== '' ? resolve(folder, value) : value
  if (Array.isArray(value)) return value.map(item => completeValue(item, schema.items ?? {}, folder))
  if (!isObject(value)) return value
  const { properties = {}, additionalProperties } = schema
  const others = typeof additionalProperties === 'object' ? additionalProperties : {}
  const result: JsonObject = {}
  for (const key of Object.keys(value)) {
    setOwn(
      result,
      key,
      completeValue(value[key], Object.hasOwn(properties, key) ? (properties[key] as OptionSchema) : others, folder),
    )
  }
  for (const [name, option] of Object.entries(properties)) {
    if (option.default === undefined || Object.hasOwn(result, name)) continue
    result[name] = completeValue(copyJson(option.default), option, folder)
  }
  return result
}
