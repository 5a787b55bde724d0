// The common forms of an expression as closures: a quarter of the library's time, and no throw where a field is absent.
import { isObject, type JsonObject } from '../plugin/json.ts'
import { type CelNode, children } from './expression-cel.ts'

/** Evaluates a node: a value of the event, a bool, ABSENT, or ODD. */
export type Closure = (fields: JsonObject, meta: Readonly<JsonObject>) => unknown

/** The event lacks what the node needs. */
export const ABSENT = undefined
/** Not a case for closures (a number where text is expected, …): the library decides. */
export const ODD = Symbol('odd')

type Read = Closure

/** Names that every object inherits: only an own property counts there. */
const INHERITED = new Set(Object.getOwnPropertyNames(Object.prototype))
const WORD_CALLS = new Set(['startsWith', 'endsWith', 'contains', 'matches'])

/** The node as a closure, or undefined when it is none of the common forms. */
export function closure(node: CelNode): Closure | undefined {
  const { op, args } = node
  switch (op) {
    case '&&':
      return logical(node, false)
    case '||':
      return logical(node, true)
    case '!_':
      return not(args as CelNode)
    case '==':
    case '!=':
      return equality(args as [CelNode, CelNode], op === '==')
    case '<':
    case '<=':
    case '>':
    case '>=':
      return order(args as [CelNode, CelNode], op)
    case 'in':
      return membership(args as [CelNode, CelNode])
    case 'call':
      return has(node)
    case 'rcall':
      return call(args as [string, CelNode, CelNode[]])
    default:
      return text(node)
  }
}

/** A chain of plain names and literal keys from a variable of the event, as a reader; undefined for anything else. */
export function path(node: CelNode): Read | undefined {
  const keys: string[] = []
  let at = node
  while (at.op === '.' || at.op === '[]') {
    const [of, key] = at.args as [CelNode, string | CelNode]
    const name = typeof key === 'string' ? key : key.op === 'value' ? key.args : undefined
    if (typeof name !== 'string') return undefined
    keys.unshift(name)
    at = of
  }
  if (at.op !== 'id') return undefined
  const { alternate } = at.meta
  // Constants of the library (its type names) stand in as values; the field named `type` does as doc.type.
  if (alternate && alternate.op !== '.') return undefined
  const name = alternate ? 'type' : (at.args as string)
  if (name === 'meta') return reader(keys, true)
  return reader(name === 'doc' ? keys : [name, ...keys], false)
}

function reader(keys: readonly string[], inMeta: boolean): Read {
  const [first, second] = keys
  if (first === undefined) return inMeta ? (_fields, meta) => meta : fields => fields
  if (inMeta || keys.some(key => INHERITED.has(key))) {
    return (fields, meta) => {
      let value: unknown = inMeta ? meta : fields
      for (const key of keys) {
        if (!isObject(value) || !Object.hasOwn(value, key)) return ABSENT
        value = value[key]
      }
      return value
    }
  }
  if (second === undefined) return fields => fields[first]
  if (keys.length === 2) {
    return fields => {
      const value = fields[first]
      return isObject(value) ? value[second] : ABSENT
    }
  }
  return fields => {
    let value: unknown = fields
    for (const key of keys) {
      if (!isObject(value)) return ABSENT
      value = value[key]
    }
    return value
  }
}

/** CEL's && and ||: `decisive` on either side is the result, whatever the other side lacks. */
function logical(node: CelNode, decisive: boolean): Closure | undefined {
  const [left, right] = (node.args as [CelNode, CelNode]).map(closure) as [Closure?, Closure?]
  if (!left || !right) return undefined
  return (fields, meta) => {
    const a = left(fields, meta)
    if (a === decisive) return decisive
    const b = right(fields, meta)
    if (b === decisive) return decisive
    if (a === !decisive && b === !decisive) return !decisive
    return (a === ABSENT || typeof a === 'boolean') && (b === ABSENT || typeof b === 'boolean') ? ABSENT : ODD
  }
}

function not(node: CelNode): Closure | undefined {
  const inner = closure(node)
  return (
    inner &&
    ((fields, meta) => {
      const value = inner(fields, meta)
      if (value === true) return false
      if (value === false) return true
      return value === ABSENT ? ABSENT : ODD
    })
  )
}

/** A literal that JSON can hold, integers as numbers; undefined for anything else. */
function literal(node: CelNode): string | number | boolean | null | undefined {
  if (node.op === '-_') {
    const value = literal(node.args as CelNode)
    return typeof value === 'number' ? -value : undefined
  }
  if (node.op !== 'value') return undefined
  const value = node.args
  if (typeof value === 'bigint') return Number.isSafeInteger(Number(value)) ? Number(value) : undefined
  return typeof value === 'object' && value !== null ? undefined : (value as string | number | boolean | null)
}

/** What may stand on a side of a comparison: a path, or text made of one. */
function text(node: CelNode): Closure | undefined {
  if (node.op !== 'rcall') return path(node)
  const [name, receiver, args] = node.args as [string, CelNode, CelNode[]]
  if (args.length > 0 || (name !== 'lowerAscii' && name !== 'upperAscii')) return undefined
  const read = text(receiver)
  const change = name === 'lowerAscii' ? (value: string) => value.toLowerCase() : (value: string) => value.toUpperCase()
  return (
    read &&
    ((fields, meta) => {
      const value = read(fields, meta)
      if (typeof value === 'string') return change(value)
      return value === ABSENT ? ABSENT : ODD
    })
  )
}

function equality([left, right]: [CelNode, CelNode], equal: boolean): Closure | undefined {
  const turned = literal(left) !== undefined
  const value = literal(turned ? left : right)
  const read = text(turned ? right : left)
  if (!read) return undefined
  if (value !== undefined) {
    return (fields, meta) => {
      const found = read(fields, meta)
      if (found === ABSENT || found === ODD) return found
      return (found === value) === equal
    }
  }
  const other = text(right)
  return (
    other &&
    ((fields, meta) => {
      const a = read(fields, meta)
      const b = other(fields, meta)
      if (a === ODD || b === ODD) return ODD
      if (a === ABSENT || b === ABSENT) return ABSENT
      // Lists and objects are compared in depth.
      if (typeof a === 'object' && a !== null && typeof b === 'object' && b !== null) return ODD
      return (a === b) === equal
    })
  )
}

function order([left, right]: [CelNode, CelNode], op: string): Closure | undefined {
  const turned = literal(left) !== undefined
  const value = literal(turned ? left : right)
  const read = text(turned ? right : left)
  const type = typeof value
  if (!read || (type !== 'number' && type !== 'string')) return undefined
  const limit = value as number
  const compare = COMPARE[turned ? (TURNED[op] ?? op) : op] as (a: number, b: number) => boolean
  return (fields, meta) => {
    const found = read(fields, meta)
    if (typeof found === type) return compare(found as number, limit)
    return found === ABSENT ? ABSENT : ODD
  }
}
const COMPARE: Readonly<Record<string, (a: number, b: number) => boolean>> = {
  '<': (a, b) => a < b,
  '<=': (a, b) => a <= b,
  '>': (a, b) => a > b,
  '>=': (a, b) => a >= b,
}
const TURNED: Readonly<Record<string, string>> = { '<': '>', '<=': '>=', '>': '<', '>=': '<=' }

function membership([left, right]: [CelNode, CelNode]): Closure | undefined {
  if (right.op === 'list') {
    const values = (right.args as CelNode[]).map(literal)
    const read = text(left)
    if (!read || values.includes(undefined)) return undefined
    const set = new Set<unknown>(values)
    return (fields, meta) => {
      const found = read(fields, meta)
      return found === ABSENT || found === ODD ? found : set.has(found)
    }
  }
  const value = literal(left)
  const read = path(right)
  if (!read || typeof value !== 'string') return undefined
  return (fields, meta) => {
    const found = read(fields, meta)
    if (Array.isArray(found)) return found.includes(value)
    if (isObject(found)) return Object.hasOwn(found, value) && found[value] !== undefined
    return found === ABSENT ? ABSENT : ODD
  }
}

function has(node: CelNode): Closure | undefined {
  const [name, [field]] = node.args as [string, CelNode[]]
  const read = name === 'has' && field ? path(field) : undefined
  return read && ((fields, meta) => read(fields, meta) !== ABSENT)
}

function call([name, receiver, args]: [string, CelNode, CelNode[]]): Closure | undefined {
  const read = text(receiver)
  const value = args.length === 1 ? literal(args[0] as CelNode) : undefined
  if (!read || typeof value !== 'string' || !WORD_CALLS.has(name)) return undefined
  const pattern = name === 'matches' ? new RegExp(value) : undefined
  const test = pattern
    ? (found: string) => pattern.test(found)
    : name === 'startsWith'
      ? (found: string) => found.startsWith(value)
      : name === 'endsWith'
        ? (found: string) => found.endsWith(value)
        : (found: string) => found.includes(value)
  return (fields, meta) => {
    const found = read(fields, meta)
    if (typeof found === 'string') return test(found)
    return found === ABSENT ? ABSENT : ODD
  }
}

/** The paths that the event must have for the expression to be true: those on the spine of its &&, as far as nothing absorbs a lack. */
export function needed(node: CelNode): Read[] {
  return node.op === '&&' ? (node.args as CelNode[]).flatMap(needed) : strict(node)
}

/** The paths whose lack makes the node an error: not those behind a logical operator, which may absorb it, or in has(). */
function strict(node: CelNode): Read[] {
  const { op, meta } = node
  if (op === '&&' || op === '||' || (op === 'call' && meta.macro)) return []
  const read = path(node)
  if (read) return [read]
  const below = children(node)
  // Of a condition, and of a macro over a list, only what comes first is needed in any case.
  return (op === '?:' || meta.macro || meta.alternate ? below.slice(0, 1) : below).flatMap(strict)
}
