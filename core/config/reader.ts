// Reads values by their schemas in one pass: filled in, checked, hidden where secret, completed with defaults, paths made absolute.
import { resolve } from 'node:path'
import { type JsonObject, setOwn } from '../plugin/json.ts'
import type { OptionSchema, OptionSchemas } from '../plugin/options.ts'
import { complaint, typesOf } from './complaint.ts'
import { compileExpression } from './expression.ts'
import { ExpressionError } from './expression-errors.ts'
import type { Filler } from './fill.ts'
import type { Report } from './problem.ts'
import { didYouMean, nearest } from './suggest.ts'
import { type MapTree, type Place, placeInScalar, type ScalarTree, type Tree, treeOf } from './tree.ts'

/** What reading a file needs everywhere. */
export interface Reading {
  readonly report: Report
  /** Undefined where nothing is filled in. */
  readonly filler?: Filler
  /** The pipeline's folder, absolute. */
  readonly folder: string
  /** Trees that are read on their own, such as the steps of a list. */
  readonly apart: Set<Tree>
}

/** What is read: for messages, and for what lies outside of it. */
export interface Subject {
  /** `the input file`, `the pipeline`. */
  readonly name: string
  /** Where something that is missing is reported. */
  readonly place: Place
  /** What paths count from. */
  readonly folder: string
  /** Keys that no schema knows are left alone: the plugin that would know them is not there. */
  readonly open?: boolean
}

export class ValueReader {
  readonly #reading: Reading
  readonly #report: Report
  readonly #subject: Subject
  /** False after the first value that is not as its schema wants it. */
  ok = true

  constructor(reading: Reading, subject: Subject) {
    this.#reading = reading
    this.#report = reading.report
    this.#subject = subject
  }

  /** The options of a map, complete. What is wrong is reported and undefined. */
  options(tree: MapTree, properties: OptionSchemas): JsonObject {
    return this.#map(tree, { properties }, '', false)
  }

  /** The value of a tree, complete; undefined where it is wrong, which is reported. `name` is its path, for messages. */
  value(tree: Tree, schema: OptionSchema, name: string, inSecret = false): unknown {
    if (this.#reading.apart.has(tree)) return null
    const secret = inSecret || schema.secret === true
    if (secret) this.#report.hide(tree)
    const value = tree.kind === 'scalar' ? this.#filled(tree, schema) : tree.kind === 'list' ? tree.items : {}
    if (value === undefined) {
      this.ok = false
      return undefined
    }
    if (tree.kind === 'scalar' && secret && value !== null) this.#report.secret(String(value))
    // A value from outside is not quoted: who knows what it holds.
    const quote = !secret && !(tree.kind === 'scalar' && value !== tree.value)
    const wrong = complaint(value, schema, name, quote)
    if (wrong) {
      this.#report.hideBelow(tree)
      return this.#wrong(tree, `${name} ${wrong}`)
    }
    if (tree.kind === 'map') return this.#map(tree, schema, name, secret)
    if (tree.kind === 'list') {
      return tree.items.map((item, index) => this.value(item, schema.items ?? {}, `${name}[${index}]`, secret))
    }
    if (schema.format === 'expression') this.#compile(tree, String(value))
    return schema.format === 'path' && value !== '' ? resolve(this.#subject.folder, String(value)) : value
  }

  #wrong(place: Place, message: string): undefined {
    this.ok = false
    this.#report.error(place, message)
  }

  #map(tree: MapTree, schema: OptionSchema, name: string, secret: boolean): JsonObject {
    const { properties = {}, additionalProperties: others = !schema.properties } = schema
    const about = name || this.#subject.name
    const pathOf = (key: string) => (name ? `${name}.${key}` : key)
    const result: JsonObject = {}
    const misspelt = new Set<string>()
    for (const [key, entry] of tree.entries) {
      const own = Object.hasOwn(properties, key) ? properties[key] : others === true ? {} : others
      if (own) {
        setOwn(result, key, this.value(entry.value, own, pathOf(key), secret))
        continue
      }
      this.#report.hideBelow({ ...tree, entries: new Map([[key, entry]]) })
      // A secret under a misspelt name is one all the same.
      if (properties[nearest(key, Object.keys(properties)) ?? '']?.secret) this.#report.hide(entry.value)
      if (!name && this.#subject.open) continue
      const names = Object.keys(properties).filter(one => !tree.entries.has(one))
      const guess = nearest(key, names)
      if (guess) misspelt.add(guess)
      const hint = guess ? didYouMean(key, names) : otherNames(about, names)
      this.#wrong(entry.key, `unknown option ${key}${hint}`)
    }
    for (const [key, option] of Object.entries(properties)) {
      if (tree.entries.has(key)) continue
      if (option.default !== undefined) result[key] = this.value(treeOf(option.default), option, pathOf(key))
      else if (option.required && !misspelt.has(key)) {
        const what = option.description ? `: ${option.description}` : ''
        this.#wrong(name ? tree : this.#subject.place, `${about} needs ${key}${what}`)
      }
    }
    return result
  }

  /** The value of a scalar, filled; undefined when that cannot be done. */
  #filled(tree: ScalarTree, schema: OptionSchema): unknown {
    const { value } = tree
    const { filler } = this.#reading
    if (typeof value !== 'string' || !value.includes('${') || !filler || schema.format === 'expression') return value
    const text = filler.fill(tree, value)
    return text === undefined ? undefined : coerced(text, schema)
  }

  #compile(tree: ScalarTree, text: string): void {
    if (/\$\{[A-Za-z_]/.test(text)) this.#report.warn(tree, 'environment variables are not filled into expressions')
    try {
      compileExpression(text)
    } catch (error) {
      if (!(error instanceof ExpressionError)) throw error
      this.#wrong(expressionPlace(this.#report, tree, error), error.reason)
    }
  }
}

/** Where in the file an expression is wrong. */
export function expressionPlace({ text }: Report, tree: Tree, { offset }: ExpressionError): Place {
  const start = tree.kind === 'scalar' ? placeInScalar(text, tree, offset) : tree.start
  return { start, end: start + 1 }
}

function otherNames(about: string, names: readonly string[]): string {
  if (names.length === 0) return `; ${about} has no others`
  return names.length <= 12 ? `; ${about} also takes ${names.join(', ')}` : ''
}

/** A value from outside is text; where the option takes none, it is read as the number or bool that it spells. */
function coerced(text: string, schema: OptionSchema): unknown {
  const types = typesOf(schema)
  if (types.length === 0 || types.includes('string')) return text
  const word = text.trim().toLowerCase()
  if (types.includes('boolean') && /^(?:true|false)$/.test(word)) return word === 'true'
  const numeric = types.includes('integer') || types.includes('number')
  return numeric && /^[-+]?(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?$/.test(word) ? Number(word) : text
}
