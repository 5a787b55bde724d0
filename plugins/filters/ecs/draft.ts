// A document in the making, and the small readings that every data set needs.
import { isObject, type JsonObject } from '../../../core/plugin/json.ts'

/** What a record type's own rules fill in. */
export interface Draft {
  readonly doc: JsonObject
  /** `event` of the document. */
  readonly event: JsonObject
  /** `user` of the document; empty so far where the record names nobody. */
  readonly user: JsonObject
  /** The record below o365.audit. */
  readonly audit: JsonObject
  /** Becomes related.user. */
  readonly users: string[]
  /** Becomes related.ip. */
  readonly ips: string[]
}

/** Text with something in it; a number as text; undefined for all else. */
export function text(value: unknown): string | undefined {
  if (typeof value === 'string') return value === '' ? undefined : value
  return typeof value === 'number' ? String(value) : undefined
}

/** What tells records apart: text, or a number as text. Not one beyond 2^53, which has lost digits: other records would have it too. */
export function idText(value: unknown): string | undefined {
  return typeof value === 'number' && !Number.isSafeInteger(value) ? undefined : text(value)
}

/** The texts of a list, or one text as a list of one. */
export function texts(value: unknown): string[] {
  if (!Array.isArray(value)) {
    const one = text(value)
    return one === undefined ? [] : [one]
  }
  const found: string[] = []
  for (const item of value) {
    const one = text(item)
    if (one !== undefined) found.push(one)
  }
  return found
}

/** The objects of a list, or one object as a list of one. */
export function objects(value: unknown): JsonObject[] {
  if (Array.isArray(value)) return value.filter(isObject)
  return isObject(value) ? [value] : []
}

/** Adds what is not there yet. */
export function addNew(list: string[], value: string | undefined): void {
  if (value !== undefined && !list.includes(value)) list.push(value)
}

/** A whole number from a number or a text such as `1000.0`; undefined for all else. */
export function wholeNumber(value: unknown): number | undefined {
  if (typeof value === 'string' && value.trim() === '') return undefined
  const number = typeof value === 'number' || typeof value === 'string' ? Number(value) : Number.NaN
  return Number.isFinite(number) && Math.abs(number) <= Number.MAX_SAFE_INTEGER ? Math.trunc(number) : undefined
}

/** Where the name in `name@domain` ends; -1 where the text is no such address. */
export function atSign(address: string): number {
  const at = address.lastIndexOf('@')
  return at > 0 && at < address.length - 1 ? at : -1
}

/** Fields of the object at `key`, made when it is not there. */
export function under(doc: JsonObject, key: string): JsonObject {
  const held = doc[key]
  if (isObject(held)) return held
  const made: JsonObject = {}
  doc[key] = made
  return made
}

/** The object without the fields that are undefined; undefined when none is left. */
export function given(fields: JsonObject): JsonObject | undefined {
  let some: JsonObject | undefined
  for (const key in fields) {
    if (fields[key] === undefined) continue
    some ??= {}
    some[key] = fields[key]
  }
  return some
}
