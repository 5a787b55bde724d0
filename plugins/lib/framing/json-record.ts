// One JSON record to its object: what is no object, or nests too deep, is refused.
import { PermanentError } from '../../../core/plugin/errors.ts'
import { isObject, type JsonObject } from '../../../core/plugin/json.ts'
import { recordText } from './record-text.ts'

/** Objects and arrays inside each other. JSON.stringify, and whatever else walks through a record, gives up at some thousands. */
const MAX_DEPTH = 64
/**
 * Shorter records are not asked: a thousand levels, which is all that they have room for, do no harm, and asking every record
 * would cost 9 % of parsing it (so it is under 2 %).
 */
const HARMLESS_BYTES = 2048

/**
 * Parses a record. Numbers beyond 2^53 lose digits and the last of equal names wins, as JSON.parse has it; `__proto__` is a name
 * like any other.
 * @param hint What to do about an array, for the error.
 * @throws PermanentError
 */
export function parseRecord(record: Uint8Array, invalid: 'dead_letter' | 'replace', hint = ''): JsonObject {
  const text = recordText(record, invalid)
  if (mayNestDeeper(text) && nestsDeeper(text))
    throw new PermanentError(`The record nests objects and arrays deeper than ${MAX_DEPTH} levels.`, { code: 'PEN_DEPTH' })
  const value = parse(text)
  if (isObject(value)) return value
  throw new PermanentError(`The record is ${kindOf(value)}, not an object${Array.isArray(value) ? hint : ''}.`, {
    code: 'PEN_JSON',
  })
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (error) {
    // The message may quote the record, which does not belong into a log.
    const reason = (error as Error).message.replace(/, (?:\.\.\.)?".*$/s, '').replace(/ in JSON\b/, '')
    throw new PermanentError(`The record is no valid JSON: ${reason}.`, { code: 'PEN_JSON' })
  }
}

function kindOf(value: unknown): string {
  if (value === null) return 'null'
  return Array.isArray(value) ? 'an array' : `a ${typeof value}`
}

/** Has more opening brackets than the depth that is allowed: few records have, and only they are walked through. */
function mayNestDeeper(text: string): boolean {
  if (text.length <= HARMLESS_BYTES) return false
  let count = 0
  for (let at = text.indexOf('['); at >= 0; at = text.indexOf('[', at + 1)) if (++count > MAX_DEPTH) return true
  for (let at = text.indexOf('{'); at >= 0; at = text.indexOf('{', at + 1)) if (++count > MAX_DEPTH) return true
  return false
}

function nestsDeeper(text: string): boolean {
  let depth = 0
  for (let i = 0; i < text.length; i++) {
    const char = text[i]
    if (char === '"') i = stringEnd(text, i)
    else if (char === '{' || char === '[') {
      if (++depth > MAX_DEPTH) return true
    } else if (char === '}' || char === ']') depth--
  }
  return false
}

/** The closing quote of the string that opens at `at`, or the text's end. */
function stringEnd(text: string, at: number): number {
  for (let i = at + 1; i < text.length; i++) {
    if (text[i] === '\\') i++
    else if (text[i] === '"') return i
  }
  return text.length
}
