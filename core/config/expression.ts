// Expressions (CEL) over an event: `when`, and options with format `expression`. The library is loaded at the first one only.
import { createRequire } from 'node:module'
import type { ASTNode, Environment, ParseResult } from '@marcbachmann/cel-js'
import { asError, PenstockError } from '../plugin/errors.ts'
import { getOwn, isObject, type JsonObject } from '../plugin/json.ts'
import { type CelFailure, expressionError } from './expression-errors.ts'

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

type Evaluate = (evaluator: unknown, node: CelNode, context: { getValue(name: string): unknown }) => unknown
/** A node of the library's syntax tree, with what its types do not tell: how a node is evaluated, and what takes its place. */
type CelNode = ASTNode & {
  readonly meta: { readonly alternate?: ASTNode; readonly macro?: object; readonly evaluate: Evaluate }
  readonly evaluate: Evaluate
  setMeta(key: 'alternate' | 'evaluate' | 'macro', value: unknown): CelNode
}

/** Bounds that no sensible expression reaches. */
const LIMITS = { maxAstNodes: 20_000, maxDepth: 100, maxListElements: 10_000 }

let environment: Environment | undefined

/** The library as it is set up here. Exported for the test that compares what is changed below with it. */
export function cel(): Environment {
  if (environment) return environment
  const library = createRequire(import.meta.url)('@marcbachmann/cel-js/evaluator') as typeof import('@marcbachmann/cel-js')
  environment = new library.Environment({ unlistedVariablesAreDyn: true, homogeneousAggregateLiterals: false, limits: LIMITS })
  environment.registerVariable('doc', 'map').registerVariable('meta', 'map')
  // Every number of a JSON record is a double here, and `RecordType % 2 == 0` or `size + 1` must not need 2.0 and 1.0.
  for (const [left, right] of [
    ['double', 'int'],
    ['int', 'double'],
  ]) {
    environment.registerOperator(`${left} + ${right}: double`, (a, b) => Number(a) + Number(b))
    environment.registerOperator(`${left} - ${right}: double`, (a, b) => Number(a) - Number(b))
    environment.registerOperator(`${left} * ${right}: double`, (a, b) => Number(a) * Number(b))
    environment.registerOperator(`${left} / ${right}: double`, (a, b) => Number(a) / Number(b))
    environment.registerOperator(`${left} % ${right}: double`, (a, b) => Number(a) % Number(b))
  }
  environment.registerOperator('double % double: double', (a, b) => Number(a) % Number(b))
  return environment
}

/** The variables of an expression: the event's own top-level fields, `doc` (all of them) and `meta`. */
class Variables extends Map<string, unknown> {
  fields: JsonObject = {}
  meta: Readonly<JsonObject> = {}

  override get(name: string): unknown {
    if (name === 'doc') return this.fields
    return name === 'meta' ? this.meta : getOwn(this.fields, name)
  }
}

const variables = new Variables()
const NOTHING: JsonObject = {}

/**
 * Compiles a CEL expression that gives true or false. Its variables are the event's own top-level fields, `doc` (all of them, for
 * `doc["@timestamp"]`) and `meta` (where the event comes from).
 * @param path the option that holds the expression, for the error's place
 * @param onError gets every evaluation error but the lack of a field; the result is false then
 * @throws ExpressionError for wrong syntax, unknown functions, types that do not fit, or a result that is no bool
 */
export function compileExpression(text: string, path = '', onError?: (error: Error) => void): Expression {
  const evaluateParsed = parse(text, path)
  const evaluate = ({ fields, meta }: Evaluated): boolean => {
    variables.fields = fields
    variables.meta = meta
    let value: unknown
    try {
      value = evaluateParsed(variables)
    } catch (error) {
      const { code } = error as CelFailure
      if (error !== LACK && code !== 'no_such_key' && code !== 'index_out_of_bounds') onError?.(asError(error))
      return false
    } finally {
      variables.fields = NOTHING
    }
    if (typeof value === 'boolean') return value
    onError?.(new PenstockError('PEN_EXPRESSION', `the expression gave ${describe(value)}, not true or false`))
    return false
  }
  return Object.assign(evaluate, { text })
}

function describe(value: unknown): string {
  if (value === null) return 'null'
  if (Array.isArray(value)) return 'a list'
  return typeof value === 'object' ? 'an object' : typeof value === 'string' ? 'text' : `a ${typeof value}`
}

function parse(text: string, path: string): ParseResult {
  let failure: CelFailure | undefined
  try {
    const parsed = cel().parse(text)
    adapt(parsed.ast as CelNode, [])
    const { type = '', error } = parsed.check()
    if (!error && (type === 'bool' || type === 'dyn')) return parsed
    failure = error ?? { code: 'result_type', summary: type }
  } catch (error) {
    failure = error as CelFailure
  }
  throw expressionError(path, text, failure, () =>
    cel()
      .getDefinitions()
      .functions.map(({ name }) => name),
  )
}

/** Puts Penstock's own meanings in before the check. `bound`: variables of the macros around the node. */
function adapt(node: CelNode, bound: readonly string[]): void {
  const { op, args, meta } = node
  if (op === 'id' && args === 'type' && !bound.includes('type')) {
    // CEL's `type` as a value is the type of types, which nobody needs; a field of that name is common.
    const field = cel().parse('doc.type').ast as CelNode
    node.setMeta('alternate', field.setMeta('evaluate', read))
  } else if (op === 'id' || keyOf(node) !== undefined) node.setMeta('evaluate', read)
  // has() is never an error: CEL's own throws where the object before the last field is missing, so that `!has(user.name)` is none.
  if (op === 'call' && args[0] === 'has' && meta.macro) {
    const evaluate: Evaluate = (evaluator, _, context) => lookUp(evaluator, args[1][0] as CelNode, context) !== undefined
    node.setMeta('macro', { ...meta.macro, evaluate })
  }
  if (op === 'rcall' && args[0] === 'matches') checkPattern(args[2][0])
  quicken(node)
  const [first, ...others] = children(node)
  if (!first) return
  adapt(first, bound)
  // What such a macro goes through comes first, and is outside of its variable's reach.
  const variable = op === 'rcall' && (meta.macro || meta.alternate) && others[0]?.op === 'id' ? [others[0].args] : []
  for (const other of others) adapt(other, [...bound, ...variable])
}

/** The nodes right below a node; beside them there are names of fields and functions, and the values of literals. */
function children({ args }: ASTNode): CelNode[] {
  const parts: unknown[] = Array.isArray(args) ? args.flat(2) : [args]
  return parts.filter((one): one is CelNode => isObject(one) && 'op' in one)
}

/** What a node reads of the node before it: `name` of `user.name` and `user["name"]`. */
function keyOf({ op, args }: ASTNode): string | undefined {
  if (op === '.') return args[1]
  return op === '[]' && args[1].op === 'value' && typeof args[1].args === 'string' ? args[1].args : undefined
}

/** What a path leads to; undefined where the event lacks it. Names that JavaScript's objects inherit are data or nothing. */
const lookUp: Evaluate = (evaluator, node, context) => {
  if (node.op === 'id') return context.getValue(node.args)
  const key = keyOf(node)
  if (key === undefined) return node.evaluate(evaluator, node, context)
  const value = lookUp(evaluator, (node.args as [CelNode, unknown])[0], context)
  return isObject(value) ? getOwn(value, key) : undefined
}

/** Thrown, always the same, for what an event lacks: most lack something, and the library's own errors cost ten times as much. */
const LACK = new Error('the event lacks a field')

/** Evaluates a path. */
const read: Evaluate = (evaluator, node, context) => {
  const value = lookUp(evaluator, node, context)
  if (value === undefined) throw LACK
  return value
}

/** A test of the value of a path, or undefined where the library must decide. */
type Test = (value: unknown) => boolean | undefined

/** Evaluates the commonest tests of a path against literals by itself: the library looks at the types of both sides each time. */
function quicken(node: CelNode): void {
  const [path, test] = testOf(node) ?? []
  if (!path || !test || (path.op !== 'id' && keyOf(path) === undefined)) return
  const byLibrary = node.meta.evaluate
  const evaluate: Evaluate = (evaluator, self, context) => {
    const value = lookUp(evaluator, path as CelNode, context)
    if (value === undefined) throw LACK
    return test(value) ?? byLibrary(evaluator, self, context)
  }
  node.setMeta('evaluate', evaluate)
}

function testOf({ op, args }: ASTNode): readonly [ASTNode, Test] | undefined {
  if (op === '==' || op === '!=' || (op === 'in' && args[1].op === 'list')) {
    const literals = (op === 'in' ? (args[1].args as ASTNode[]) : [args[1]]).map(literal)
    if (literals.includes(undefined)) return undefined
    // A variable of a macro may be a value of CEL's own. (No Set: it would hash every text once.)
    return [args[0], value => (isJson(value) ? literals.includes(value) === (op !== '!=') : undefined)]
  }
  const [wanted, word, path] =
    op === 'in' ? [literal(args[0]), op, args[1]] : op === 'rcall' ? [literal(args[2][0]), args[0], args[1]] : []
  if (typeof wanted !== 'string' || !path) return undefined
  if (word === 'in') return [path, value => (Array.isArray(value) ? value.includes(wanted) : undefined)]
  if (word === 'startsWith') return [path, value => (typeof value === 'string' ? value.startsWith(wanted) : undefined)]
  if (word === 'endsWith') return [path, value => (typeof value === 'string' ? value.endsWith(wanted) : undefined)]
  return undefined
}

function isJson(value: unknown): value is string | number | boolean | null {
  return value === null || typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean'
}

/** A literal as JSON has it: CEL's whole numbers are bigints. */
function literal(node: ASTNode | undefined): string | number | boolean | null | undefined {
  if (node?.op !== 'value') return undefined
  const { args } = node
  if (typeof args === 'bigint') return Number.isSafeInteger(Number(args)) ? Number(args) : undefined
  return typeof args === 'object' && args !== null ? undefined : args
}

function checkPattern(node: ASTNode | undefined): void {
  if (node?.op !== 'value' || typeof node.args !== 'string') return
  try {
    new RegExp(node.args)
  } catch (error) {
    const summary = (error as Error).message.replace(/^Invalid regular expression: /, '')
    throw { code: 'invalid_regular_expression', summary, range: node } satisfies CelFailure
  }
}
