// CEL by the library: parsing, type check, evaluation, and what Penstock changes in it. Loaded at the first expression only.
import { createRequire } from 'node:module'
import { getOwn, isObject, type JsonObject } from '../plugin/json.ts'
import { type CelFailure, celSentence } from './expression-errors.ts'

/** A node of the library's syntax tree, as far as it is used here. */
export interface CelNode {
  readonly op: string
  readonly args: unknown
  readonly start: number
  readonly end: number
  /** The node that stands in for this one (a macro written out, a constant), or the macro that evaluates it. */
  readonly meta: { readonly alternate?: CelNode; readonly macro?: CelMacro }
  setMeta(key: string, value: unknown): CelNode
}
interface CelMacro {
  /** For has(): from the selected field to the identifier. */
  macroHasProps?: readonly CelNode[]
}
interface CelParsed {
  (context: Map<string, unknown>): unknown
  readonly ast: CelNode
  check(): { readonly valid: boolean; readonly type?: string; readonly error?: CelFailure }
}
interface CelEnvironment {
  parse(text: string): CelParsed
  registerVariable(name: string, type: string): CelEnvironment
  registerOperator(signature: string, handler: (a: number | bigint, b: number | bigint) => number): CelEnvironment
  getDefinitions(): { readonly functions: readonly { readonly name: string }[] }
}

/** An expression as the library runs it. */
export interface CelExpression {
  readonly ast: CelNode
  /** Undefined when the event lacks a field that the result hangs on. Throws any other evaluation error. */
  run(fields: JsonObject, meta: Readonly<JsonObject>): unknown
}

/** What an event's lack of a field shows as. */
const ABSENT = new Set(['unknown_variable', 'no_such_key', 'index_out_of_bounds'])
/** Bounds that no sensible expression reaches. */
const LIMITS = { maxAstNodes: 20_000, maxDepth: 100, maxListElements: 10_000 }

/** The variables of an expression: the event's own top-level fields, `doc` and `meta`. */
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
let environment: CelEnvironment | undefined

function cel(): CelEnvironment {
  if (environment) return environment
  const { Environment } = createRequire(import.meta.url)('@marcbachmann/cel-js/evaluator') as {
    Environment: new (options: object) => CelEnvironment
  }
  const env = new Environment({ unlistedVariablesAreDyn: true, homogeneousAggregateLiterals: false, limits: LIMITS })
  env.registerVariable('doc', 'map').registerVariable('meta', 'map')
  // Every number of a JSON record is a double here, and `RecordType % 2 == 0` or `size + 1` must not need 2.0 and 1.0.
  for (const types of ['double OP int', 'int OP double']) {
    env.registerOperator(`${types.replace('OP', '+')}: double`, (a, b) => Number(a) + Number(b))
    env.registerOperator(`${types.replace('OP', '-')}: double`, (a, b) => Number(a) - Number(b))
    env.registerOperator(`${types.replace('OP', '*')}: double`, (a, b) => Number(a) * Number(b))
    env.registerOperator(`${types.replace('OP', '/')}: double`, (a, b) => Number(a) / Number(b))
  }
  for (const types of ['double % int', 'int % double', 'double % double']) {
    env.registerOperator(`${types}: double`, (a, b) => Number(a) % Number(b))
  }
  environment = env
  return env
}

/**
 * Parses and type-checks an expression that must give true or false.
 * @throws CelProblem with the place in the text.
 */
export function parseCel(text: string): CelExpression {
  const env = cel()
  const names = () => new Set(env.getDefinitions().functions.map(({ name }) => name))
  let parsed: CelParsed
  try {
    parsed = env.parse(text)
  } catch (error) {
    throw celSentence(text, error as CelFailure, names)
  }
  adapt(parsed.ast, [], env)
  const { type, error } = parsed.check()
  if (error) throw celSentence(text, error, names)
  if (type !== 'bool' && type !== 'dyn') throw celSentence(text, { code: 'result_type', summary: String(type) }, names)
  return {
    ast: parsed.ast,
    run(fields, meta) {
      variables.fields = fields
      variables.meta = meta
      try {
        return parsed(variables)
      } catch (error) {
        if (ABSENT.has((error as CelFailure).code ?? '')) return undefined
        throw error
      } finally {
        variables.fields = NOTHING
      }
    },
  }
}

/** The nodes right below a node, as they were written. */
export function children({ op, args }: CelNode): readonly CelNode[] {
  switch (op) {
    case 'value':
    case 'id':
      return []
    case '.':
    case '.?':
      return [(args as [CelNode])[0]]
    case 'call':
      return (args as [string, CelNode[]])[1]
    case 'rcall':
      return [(args as [string, CelNode])[1], ...(args as [string, CelNode, CelNode[]])[2]]
    case 'map':
      return (args as CelNode[][]).flat()
    case '!_':
    case '-_':
      return [args as CelNode]
    default:
      return args as CelNode[]
  }
}

/** Puts Penstock's own meanings in before the check. `bound`: variables of the macros around the node. */
function adapt(node: CelNode, bound: readonly string[], env: CelEnvironment): void {
  const { op, args } = node
  if (op === 'id') {
    // CEL's `type` as a value is the type of types, which nobody needs; a field of that name is common.
    if (args === 'type' && !bound.includes('type')) node.setMeta('alternate', env.parse('doc.type').ast)
    return
  }
  if (op === 'call' && (args as [string])[0] === 'has' && node.meta.macro) {
    node.setMeta('macro', { ...node.meta.macro, evaluate: has })
  }
  if (op === 'rcall' && (args as [string])[0] === 'matches') {
    const [pattern] = (args as [string, CelNode, CelNode[]])[2]
    if (pattern?.op === 'value' && typeof pattern.args === 'string') checkPattern(pattern)
  }
  const variable = iterationVariable(node)
  const inner = variable === undefined ? bound : [...bound, variable]
  // The first child of such a call is what it goes through: outside of the variable's reach.
  for (const [index, child] of children(node).entries()) adapt(child, index === 0 ? bound : inner, env)
}

function iterationVariable({ op, args, meta }: CelNode): string | undefined {
  const first = op === 'rcall' && (meta.macro || meta.alternate) ? (args as [string, CelNode, CelNode[]])[2][0] : undefined
  return first?.op === 'id' ? (first.args as string) : undefined
}

/** has() is never an error: CEL's own throws where the object before the last field is missing, so that `!has(user.name)` is none. */
function has(_evaluator: unknown, macro: CelMacro, context: { getValue(name: string): unknown }): boolean {
  const nodes = macro.macroHasProps ?? []
  let value: unknown
  for (const [index, { args }] of [...nodes].reverse().entries()) {
    if (index === 0) value = context.getValue(args as string)
    else value = isObject(value) ? getOwn(value, (args as [CelNode, string])[1]) : undefined
    if (value === undefined) return false
  }
  return true
}

function checkPattern(node: CelNode): void {
  try {
    new RegExp(node.args as string)
  } catch (error) {
    const summary = (error as Error).message.replace(/^Invalid regular expression: /, '')
    throw celSentence('', { code: 'invalid_regular_expression', summary, range: node }, () => new Set())
  }
}
