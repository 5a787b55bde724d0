// Reads YAML into a tree with places. Bounded in depth and aliases; no tags, one document, keys once.
import {
  Composer,
  type CST,
  type Document,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  Lexer,
  type ParsedNode,
  Parser,
  type Scalar,
  type YAMLError,
  type YAMLMap,
} from 'yaml'
import type { Report } from './problem.ts'
import { didYouMean } from './suggest.ts'
import type { Entry, Place, ScalarTree, Tree } from './tree.ts'

/** Collections inside each other. */
export const MAX_DEPTH = 64
/** Values that aliases may repeat in one file: a bomb reaches millions. */
const MAX_REPEATED = 10_000

/** The tree of a file's text; undefined when it cannot be read. Every error is reported. */
export function parseYaml(report: Report): Tree | undefined {
  const { text } = report
  const tokens = lex(text, report)
  if (!tokens) return undefined
  const composer = new Composer({
    version: '1.2',
    schema: 'core',
    merge: true,
    stringKeys: true,
    resolveKnownTags: false,
    // Compares each key with all before it; `Reader` needs no such square.
    uniqueKeys: false,
    prettyErrors: false,
  })
  const [document, second] = [...composer.compose(tokens, true, text.length)] as Document.Parsed[]
  if (second)
    report.error(at(second.range[0], text), 'a pipeline file holds one document; put what follows --- into a file of its own')
  if (!document) return undefined
  // One mistake often gives several errors: the first of its line says it best, and what is left over at the end says nothing.
  const errors = new Map<number, YAMLError>()
  for (const error of document.errors) {
    const line = report.line(error.pos[0])
    const before = errors.get(line)
    if (errors.size > 0 && / in YAML stream/.test(error.message)) continue
    if (!before || (error.code === 'MULTILINE_IMPLICIT_KEY' && before.pos[0] === error.pos[0])) errors.set(line, error)
  }
  for (const error of errors.values()) {
    const quote = /closing .quote/i.test(error.message)
      ? openQuote(document.contents as ParsedNode | null, error.pos[0])
      : undefined
    report.error(quote === undefined ? at(error.pos[0], text, error.pos[1]) : at(quote, text), sentence(error, text))
  }
  if (errors.size > 0 || second) return undefined
  for (const { pos } of document.warnings)
    report.error(at(pos[0], text, pos[1]), 'tags have no meaning here; write the value without it')
  if (!document.contents) {
    report.error(at(0, text), 'the file is empty; a pipeline has at least inputs: and outputs:')
    return undefined
  }
  return new Reader(report).read(document.contents as ParsedNode)
}

/** The tokens, unless the text is nested too deeply: what comes next is recursive. */
function lex(text: string, report: Report): CST.Token[] | undefined {
  const parser = new Parser()
  const tokens: CST.Token[] = []
  for (const lexeme of new Lexer().lex(text)) {
    for (const token of parser.next(lexeme)) tokens.push(token)
    if (parser.stack.length <= MAX_DEPTH) continue
    const depth = parser.stack.filter(({ type }) => /^(?:block-(?:map|seq)|flow-collection)$/.test(type)).length
    if (depth > MAX_DEPTH) {
      report.error(at(parser.offset - lexeme.length, text), `more than ${MAX_DEPTH} levels inside each other`)
      return undefined
    }
  }
  return [...tokens, ...parser.end()]
}

interface Anchor {
  /** Undefined while it is being read: an alias to it then would contain itself. */
  tree: Tree | undefined
}

class Reader {
  readonly #report: Report
  readonly #anchors = new Map<string, Anchor>()
  readonly #sizes = new WeakMap<Tree, number>()
  #repeated = 0

  constructor(report: Report) {
    this.#report = report
  }

  read(node: ParsedNode): Tree {
    const anchor: Anchor = { tree: undefined }
    if (!isAlias(node) && node.anchor) this.#anchors.set(node.anchor, anchor)
    const tree = this.#convert(node)
    anchor.tree = tree
    return tree
  }

  #convert(node: ParsedNode): Tree {
    const [start, end] = node.range
    if (isAlias(node)) return this.#alias(node.source, { start, end })
    if (isMap(node)) return this.#map(node as YAMLMap.Parsed, { start, end })
    if (isSeq(node)) {
      const items = node.items.map(item => this.read(item as ParsedNode))
      return this.#sized({ kind: 'list', items, start, end }, items)
    }
    return scalar(node as Scalar.Parsed, { start, end })
  }

  #alias(name: string, place: Place): Tree {
    const anchor = this.#anchors.get(name)
    const nothing: Tree = { kind: 'scalar', value: null, style: 'broken', ...place }
    if (!anchor) {
      this.#report.error(place, `there is no anchor &${name} before this alias${didYouMean(name, this.#anchors.keys())}`)
      return nothing
    }
    if (!anchor.tree) {
      this.#report.error(place, `the alias *${name} stands inside of what it repeats`)
      return nothing
    }
    const before = this.#repeated
    this.#repeated += this.#sizes.get(anchor.tree) ?? 1
    if (this.#repeated <= MAX_REPEATED) return anchor.tree
    if (before <= MAX_REPEATED) this.#report.error(place, `aliases repeat more than ${MAX_REPEATED} values`)
    return nothing
  }

  #map(node: YAMLMap.Parsed, place: Place): Tree {
    const entries = new Map<string, Entry>()
    const merged: Tree[] = []
    for (const { key, value } of node.items) {
      if (!isScalar(key)) {
        this.#report.error(key ? { start: key.range[0], end: key.range[1] } : place, 'a key must be a plain name')
        continue
      }
      const where = { start: key.range[0], end: key.range[1] }
      const tree: Tree = value
        ? this.read(value)
        : { kind: 'scalar', value: null, style: 'none', start: where.end, end: where.end }
      if (isMergeKey(key)) {
        merged.push(tree)
        continue
      }
      const name = String(key.value)
      const first = entries.get(name)
      if (name === '__proto__') this.#report.error(where, '__proto__ is never a key')
      else if (first)
        this.#report.error(where, `${name} is given twice; the first is in line ${this.#report.line(first.key.start)}`)
      else entries.set(name, { key: where, value: tree })
    }
    for (const tree of merged) this.#merge(entries, tree)
    return this.#sized(
      { kind: 'map', entries, ...place },
      [...entries.values()].map(({ value }) => value),
    )
  }

  /** `<<`: keys of the map itself come first, then those of the maps in their order. */
  #merge(entries: Map<string, Entry>, tree: Tree): void {
    for (const one of tree.kind === 'list' ? tree.items : [tree]) {
      if (one.kind !== 'map') this.#report.error(one, '<< takes a map or a list of maps, mostly an alias such as *defaults')
      else for (const [name, entry] of one.entries) if (!entries.has(name)) entries.set(name, entry)
    }
  }

  #sized<T extends Tree>(tree: T, below: readonly Tree[]): T {
    this.#sizes.set(
      tree,
      below.reduce((sum, one) => sum + (this.#sizes.get(one) ?? 1), 1),
    )
    return tree
  }
}

/** Where the quoted text begins that goes up to `end`: an open quote is noticed at the end of the file only. */
function openQuote(node: ParsedNode | null, end: number): number | undefined {
  if (isScalar(node)) {
    const [start, , last] = node.range
    return /^QUOTE/.test(node.type ?? '') && start < end && end <= last ? start : undefined
  }
  const below: unknown[] = isSeq(node) ? node.items : isMap(node) ? node.items.flatMap(({ key, value }) => [key, value]) : []
  for (const one of below) {
    const found = one ? openQuote(one as ParsedNode, end) : undefined
    if (found !== undefined) return found
  }
  return undefined
}

function isMergeKey(key: Scalar): boolean {
  return key.type === 'PLAIN' && (key.value === '<<' || (typeof key.value === 'symbol' && key.value.description === '<<'))
}

const STYLES: Readonly<Record<string, ScalarTree['style']>> = {
  PLAIN: 'plain',
  QUOTE_SINGLE: 'single',
  QUOTE_DOUBLE: 'double',
  BLOCK_LITERAL: 'block',
  BLOCK_FOLDED: 'block',
}

function scalar({ value, type, source }: Scalar.Parsed, place: Place): ScalarTree {
  const style = (type && STYLES[type]) || 'plain'
  return {
    kind: 'scalar',
    value: value as ScalarTree['value'],
    style: style === 'plain' && source === '' ? 'none' : style,
    ...place,
  }
}

function at(start: number, text: string, end: number = start + 1): Place {
  return { start: Math.min(start, text.length), end: Math.min(Math.max(end, start + 1), text.length) }
}

/** YAML's own errors as sentences that say what to do. */
function sentence({ code, message, pos }: YAMLError, text: string): string {
  const before = text.slice(text.lastIndexOf('\n', pos[0] - 1) + 1, pos[0] + 1)
  if (/[[{].*\$\{[^}]*$/.test(before)) return `inside of [ ] and { } a variable must be in quotes: "\${NAME}"`
  switch (code) {
    case 'TAB_AS_INDENT':
      return 'YAML takes no tabs as indentation; use spaces'
    case 'BLOCK_AS_IMPLICIT_KEY':
      return 'a second ": " in one line; put the value in quotes, or the map below on lines of its own'
    case 'MULTILINE_IMPLICIT_KEY':
      return 'a key must stand on one line: its ":" is missing, or the line below is indented too far'
    case 'BAD_SCALAR_START':
      return `a value cannot begin with ${text[pos[0]]}; put it in quotes`
    case 'NON_STRING_KEY':
      return 'a key must be a plain name'
    case 'MISSING_CHAR':
      if (/quote/.test(message)) return 'the closing quote is missing'
      if (/map values/.test(message)) return 'a ":" is missing after this key'
      break
    case 'BAD_INDENT': {
      const bracket = /end with a ([\]}])/.exec(message)?.[1]
      if (bracket) return `the closing ${bracket} is missing, or what is inside is not indented`
      break
    }
    case 'UNEXPECTED_TOKEN':
      if (/at node end/.test(message)) return 'something follows the end of this value; put all of it in quotes'
  }
  return message.charAt(0).toLowerCase() + message.slice(1)
}
