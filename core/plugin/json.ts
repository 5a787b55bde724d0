// JSON values as types, and the copies and look-ups that are safe on data from outside.

export type Json = string | number | boolean | null | readonly Json[] | { readonly [key: string]: Json }
export interface JsonObject {
  [key: string]: unknown
}

/** True for a plain JSON object: neither null nor an array. */
export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/**
 * Sets an own property. An assignment to `__proto__` would set the prototype instead, so that one name is defined.
 */
export function setOwn(target: JsonObject, key: string, value: unknown): void {
  if (key === '__proto__') Object.defineProperty(target, key, { value, enumerable: true, configurable: true, writable: true })
  else target[key] = value
}

/** Reads an own property: data named `constructor` or `toString` is data, and what was inherited is absent. */
export function getOwn(target: JsonObject, key: string): unknown {
  return Object.hasOwn(target, key) ? target[key] : undefined
}

/** A deep copy of a JSON value; `__proto__` keys stay data. */
export function copyJson<T>(value: T): T {
  if (Array.isArray(value)) return value.map(copyJson) as T
  if (!isObject(value)) return value
  const copy: JsonObject = {}
  for (const key of Object.keys(value)) setOwn(copy, key, copyJson(value[key]))
  return copy as T
}
