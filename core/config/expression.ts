// Expressions (CEL) over an event: `when`, and options with format `expression`.
import { asError, OptionError, PenstockError } from '../plugin/errors.ts'
import type { JsonObject } from '../plugin/json.ts'
import { type CelExpression, parseCel } from './expression-cel.ts'
import { ABSENT, closure, needed } from './expression-closures.ts'
import { CelProblem } from './expression-errors.ts'

interface Evaluated {
  readonly fields: JsonObject
  readonly meta: Readonly<JsonObject>
}

/** A compiled expression. An event that lacks a field it needs gives false; it never throws. */
export interface Expression {
  (event: Evaluated): boolean
  /** As it was written. */
  readonly text: string
}

/** An expression is wrong: `offset` is the place in its text, in UTF-16 units. */
export class ExpressionError extends OptionError {
  readonly offset: number

  constructor(path: string, reason: string, offset: number, options?: ErrorOptions) {
    super(path, reason, options)
    this.offset = offset
  }
}

/**
 * Compiles a CEL expression that gives true or false. Its variables are the event's own top-level fields, `doc` (all of them, for
 * `doc["@timestamp"]`) and `meta` (where the event comes from).
 * @param path the option that holds the expression, for the error's place
 * @param onError gets every evaluation error but the lack of a field; the result is false then
 * @throws ExpressionError for wrong syntax, unknown functions, types that do not fit, or a result that is no bool
 */
export function compileExpression(text: string, path = '', onError?: (error: Error) => void): Expression {
  const parsed = parse(text, path)
  const fast = closure(parsed.ast)
  const slow = byLibrary(parsed, onError)
  const paths = fast ? [] : needed(parsed.ast)
  const evaluate: (event: Evaluated) => boolean = fast
    ? event => {
        const value = fast(event.fields, event.meta)
        if (value === true) return true
        return value === false || value === ABSENT ? false : slow(event)
      }
    : event => {
        // A throw costs thirty times the answer, and most events lack something.
        for (const read of paths) if (read(event.fields, event.meta) === undefined) return false
        return slow(event)
      }
  return Object.assign(evaluate, { text })
}

function parse(text: string, path: string): CelExpression {
  try {
    return parseCel(text)
  } catch (error) {
    if (error instanceof CelProblem) throw new ExpressionError(path, error.reason, error.offset, { cause: error })
    throw error
  }
}

/** The expression as the library alone evaluates it. Exported for the test that compares the two. */
export function byLibrary(parsed: CelExpression, onError?: (error: Error) => void): (event: Evaluated) => boolean {
  return ({ fields, meta }) => {
    let value: unknown
    try {
      value = parsed.run(fields, meta)
    } catch (error) {
      onError?.(asError(error))
      return false
    }
    if (typeof value === 'boolean' || value === undefined) return value === true
    onError?.(new PenstockError('PEN_EXPRESSION', `the expression gave ${describe(value)}, not true or false`))
    return false
  }
}

function describe(value: unknown): string {
  if (value === null) return 'null'
  if (Array.isArray(value)) return 'a list'
  return typeof value === 'object' ? 'an object' : typeof value === 'string' ? 'text' : `a ${typeof value}`
}
