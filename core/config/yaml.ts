// Reads YAML into a tree with places. Bounded in depth and aliases; no tags, one document, keys once.
import {
  isAlias,
  isMap,
  isScalar,
  isSeq,
  type ParsedNode,
  parseDocument,
  type Scalar,
  visit,
  type YAMLError,
  type YAMLMap,
} from 'yaml'
import { BEGIN, type Report } from './problem.ts'
import { didYouMean } from './suggest.ts'
import type { Entry, Place, ScalarTree, Tree } from './tree.ts'

/** Collections inside each other. */
const MAX_DEPTH = 64
/** Values in a file, those that aliases repeat included: a bomb of aliases reaches millions. */
const MAX_VALUES = 100_000
const TOO_DEEP = `more than ${MAX_DEPTH} levels inside each other`

/** The tree of a file's text; undefined when it cannot be read. Every error is reported. */
export function parseYaml(report: Report): Tree | undefined {
  // uniqueKeys compares each key with all before it; `Reader` needs no such square.
  const document = parseDocument(report.text, {
    stringKeys: true,
    resolveKnownTags: false,
    uniqueKeys: false,
    prettyErrors: false,
  })
  const errors = firstOfLines(document.errors, report)
  for (const error of errors) {
    let [start, end] = error.pos
    if (/closing .quote/i.test(error.message)) {
      // It is noticed at the end of the file only, and missing where the text began.
      visit(document, (_, node) => {
        if (isScalar(node) && node.range && node.range[0] < start && start <= node.range[1]) [start, end] = node.range
      })
      end = start
    }
    report.error({ start, end }, sentence(error, report.text))
  }
  if (errors.length > 0) return undefined
  for (const { pos } of document.warnings) {
    report.error({ start: pos[0], end: pos[1] }, 'tags have no meaning here; write the value without it')
  }
  if (document.contents) return new Reader(report).read(document.contents as ParsedNode)
  report.error(BEGIN, 'the file is empty; a pipeline has at least inputs: and outputs:')
  return undefined
}

/** One mistake often gives several errors: the first of its line says it best, and what is left over at the end says nothing. */
function firstOfLines(errors: readonly YAMLError[], report: Report): YAMLError[] {
  const deep = errors.find(({ code }) => code === 'RESOURCE_EXHAUSTION')
  if (deep) return [deep]
  const lines = new Map<number, YAMLError>()
  for (const error of errors.slice(0, 1000)) {
    const line = report.line(error.pos[0])
    const first = lines.get(line)
    const better = first?.pos[0] === error.pos[0] && error.code === 'MULTILINE_IMPLICIT_KEY'
    if (better || (!first && !(lines.size > 0 && / in YAML stream/.test(error.message)))) lines.set(line, error)
  }
  return [...lines.values()]
}

class Reader {
  readonly #report: Report
  readonly #anchors = new Map<string, ParsedNode>()
  #values = 0

  constructor(report: Report) {
    this.#report = report
  }

  /** `place` is that of an alias where the node is what it repeats. */
  read(node: ParsedNode, depth = 0, place: Place = { start: node.range[0], end: node.range[1] }): Tree {
    if (isAlias(node)) return this.#repeated(node.source, depth, place)
    if (node.anchor) this.#anchors.set(node.anchor, node)
    if (depth > MAX_DEPTH) return this.#broken(place, TOO_DEEP)
    if (++this.#values > MAX_VALUES) {
      return this.#broken(BEGIN, `the file has more than ${MAX_VALUES} values, with those that aliases repeat`)
    }
    if (isMap(node)) return this.#map(node as YAMLMap.Parsed, depth + 1, place)
    if (isSeq(node)) return { kind: 'list', items: node.items.map(item => this.read(item as ParsedNode, depth + 1)), ...place }
    const { value, type = 'PLAIN', source = '' } = node as Scalar.Parsed
    if (typeof value === 'number' && isInexact(value, source))
      this.#report.warn(place, 'this number cannot be kept as it is written; put it in quotes to have it as text')
    return { kind: 'scalar', value: value as ScalarTree['value'], style: STYLES[type] ?? 'plain', ...place }
  }

  #repeated(name: string, depth: number, place: Place): Tree {
    const node = this.#anchors.get(name)
    if (!node) {
      const guess = this.#report.crowded ? '' : didYouMean(name, this.#anchors.keys())
      return this.#broken(place, `there is no anchor &${name} before this alias${guess}`)
    }
    const inside = node.range[0] <= place.start && place.end <= node.range[1]
    return inside ? this.#broken(place, `the alias *${name} stands inside of what it repeats`) : this.read(node, depth)
  }

  #map(node: YAMLMap.Parsed, depth: number, place: Place): Tree {
    const entries = new Map<string, Entry>()
    const merged: Tree[] = []
    for (const { key, value } of node.items) {
      if (!isScalar(key)) {
        this.#broken(key ? { start: key.range[0], end: key.range[1] } : place, 'a key must be a plain name')
        continue
      }
      const [start, end] = key.range
      const name = String(key.value)
      const first = entries.get(name)
      const tree: Tree = value ? this.read(value, depth) : { kind: 'scalar', value: null, style: 'plain', start: end, end }
      if (name === '<<' && key.type === 'PLAIN') merged.push(...(tree.kind === 'list' ? tree.items : [tree]))
      else if (name === '__proto__') this.#broken({ start, end }, '__proto__ is never a key')
      else if (first) {
        // No schema sees this one: whether it is a secret, nobody says.
        this.#report.hide(tree)
        this.#broken({ start, end }, `${name} is given twice; the first is in line ${this.#report.line(first.key.start)}`)
      } else entries.set(name, { key: { start, end }, value: tree })
    }
    // Keys of the map itself come first, then those of the maps in their order.
    for (const one of merged) {
      if (one.kind !== 'map') this.#broken(one, '<< takes a map or a list of maps, mostly an alias such as *defaults')
      else for (const [name, entry] of one.entries) if (!entries.has(name)) entries.set(name, entry)
    }
    return { kind: 'map', entries, ...place }
  }

  /** What stands where nothing could be read. */
  #broken(place: Place, message: string): ScalarTree {
    this.#report.error(place, message)
    return { kind: 'scalar', value: undefined, style: 'plain', ...place }
  }
}

/** A number that loses digits, or for which JSON has no word. */
function isInexact(value: number, source: string): boolean {
  return !Number.isFinite(value) || (!Number.isSafeInteger(value) && /^[-+]?(?:\d+|0x[\da-f]+|0o[0-7]+)$/i.test(source))
}

const STYLES: Readonly<Record<string, ScalarTree['style']>> = {
  QUOTE_SINGLE: 'single',
  QUOTE_DOUBLE: 'double',
  BLOCK_LITERAL: 'block',
  BLOCK_FOLDED: 'block',
}

const SENTENCES: Readonly<Partial<Record<YAMLError['code'], string>>> = {
  MULTIPLE_DOCS: 'a pipeline file holds one document; put what follows --- into a file of its own',
  RESOURCE_EXHAUSTION: TOO_DEEP,
  TAB_AS_INDENT: 'YAML takes no tabs as indentation; use spaces',
  BLOCK_AS_IMPLICIT_KEY: 'a second ": " in one line; put the value in quotes, or the map below on lines of its own',
  MULTILINE_IMPLICIT_KEY: 'a key must stand on one line: its ":" is missing, or the line below is indented too far',
  NON_STRING_KEY: 'a key must be a plain name',
}

/** YAML's own errors as sentences that say what to do. */
function sentence({ code, message, pos }: YAMLError, text: string): string {
  const before = text.slice(text.lastIndexOf('\n', pos[0] - 1) + 1, pos[0] + 1)
  const open = before.lastIndexOf('${')
  if (open > 0 && !before.includes('}', open) && /[[{]/.test(before.slice(0, open)))
    return `inside of [ ] and { } a variable must be in quotes: "\${NAME}"`
  const bracket = /end with a ([\]}])/.exec(message)?.[1]
  if (bracket) return `the closing ${bracket} is missing, or what is inside is not indented`
  if (code === 'BAD_SCALAR_START') return `a value cannot begin with ${text[pos[0]]}; put it in quotes`
  if (/closing .quote/i.test(message)) return 'the closing quote is missing'
  if (code === 'MISSING_CHAR' && /map values/.test(message)) return 'a ":" is missing after this key'
  if (/at node end/.test(message)) return 'something follows the end of this value; put all of it in quotes'
  return SENTENCES[code] ?? message.charAt(0).toLowerCase() + message.slice(1)
}
