// Paths to fields of an event: `source.ip`, `items[0].name`, `labels["a.b"]`.
import { OptionError } from '../../core/plugin/errors.ts'
import { getOwn, isObject, type JsonObject, setOwn } from '../../core/plugin/json.ts'

export interface FieldPath {
  /** As it was written. */
  readonly text: string
  /** Object keys as text, list indices as numbers. */
  readonly segments: readonly (string | number)[]
  /** The value, or undefined where there is none. */
  get(fields: JsonObject): unknown
  /** Sets the value; what is missing on the way becomes objects. False, and nothing done, where something on the way is no object. */
  set(fields: JsonObject, value: unknown): boolean
  /** Takes the field out and gives its value. An object on the way stays, even when it is empty then. */
  remove(fields: JsonObject): unknown
}

const SEGMENT = /\[(?:(\d+)|"((?:[^"\\]|\\.)*)"|'((?:[^'\\]|\\.)*)')\]|([^.[\]"']+)/y
const NEVER = new Set(['__proto__', 'constructor', 'prototype'])

/**
 * Compiles a field path. `option` is the option that holds it, for the error's place.
 * @throws OptionError when it is no path, or leads through a name that belongs to JavaScript's own objects.
 */
export function fieldPath(text: string, option = ''): FieldPath {
  const segments = parse(text, option)
  const first = segments[0] as string
  const tail = segments[segments.length - 1] as string | number

  const parent = (fields: JsonObject): JsonObject | undefined => {
    let at: unknown = fields
    for (let i = 0; i < segments.length - 1; i++) at = step(at, segments[i] as string | number)
    return typeof at === 'object' && at !== null ? (at as JsonObject) : undefined
  }

  return {
    text,
    segments,
    get:
      segments.length === 1
        ? fields => getOwn(fields, first)
        : fields => {
            let at: unknown = fields
            for (const segment of segments) {
              at = step(at, segment)
              if (at === undefined) return undefined
            }
            return at
          },
    set(fields, value) {
      let at: JsonObject = fields
      for (let i = 0; i < segments.length - 1; i++) {
        const segment = segments[i] as string | number
        let next = step(at, segment)
        if (next === undefined || next === null) {
          next = {}
          setOwn(at, String(segment), next)
        }
        if (typeof next !== 'object') return false
        at = next as JsonObject
      }
      if (Array.isArray(at) && typeof tail !== 'number') return false
      setOwn(at, String(tail), value)
      return true
    },
    remove(fields) {
      const holder = parent(fields)
      if (!holder) return undefined
      if (Array.isArray(holder)) return typeof tail === 'number' ? holder.splice(tail, 1)[0] : undefined
      const value = getOwn(holder, String(tail))
      if (value !== undefined) delete holder[tail]
      return value
    },
  }
}

function step(at: unknown, segment: string | number): unknown {
  if (Array.isArray(at)) return typeof segment === 'number' ? at[segment] : undefined
  return isObject(at) ? getOwn(at, String(segment)) : undefined
}

function parse(text: string, option: string): (string | number)[] {
  const segments: (string | number)[] = []
  let at = 0
  while (at < text.length) {
    SEGMENT.lastIndex = at
    const found = SEGMENT.exec(text)
    if (!found) throw new OptionError(option, `"${text}" is no field path; write it like source.ip or labels["a.b"]`)
    const [whole, index, double, single, plain] = found
    const name = index ?? plain ?? (double ?? single ?? '').replace(/\\(.)/g, '$1')
    if (NEVER.has(name)) throw new OptionError(option, `"${text}": ${name} is never part of a field path`)
    segments.push(index === undefined ? name : Number(index))
    at += whole.length
    if (text[at] === '.' && at + 1 < text.length) at++
    else if (at < text.length && text[at] !== '[')
      throw new OptionError(option, `"${text}" is no field path; write it like source.ip or labels["a.b"]`)
  }
  if (typeof segments[0] !== 'string')
    throw new OptionError(option, text ? `"${text}" must begin with a field's name` : 'a field path must not be empty')
  return segments
}
