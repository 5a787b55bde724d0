// A YAML file's values with their places: what the rest of the configuration works on, so that every error has a position.
import { isObject } from '../plugin/json.ts'

/** Offsets in the file's text, in UTF-16 units; `end` is exclusive. */
export interface Place {
  readonly start: number
  readonly end: number
}

export interface ScalarTree extends Place {
  readonly kind: 'scalar'
  /** Undefined: what should stand here was reported. */
  readonly value: string | number | boolean | null | undefined
  readonly style: 'plain' | 'single' | 'double' | 'block'
}
export interface MapTree extends Place {
  readonly kind: 'map'
  readonly entries: ReadonlyMap<string, Entry>
}
export interface ListTree extends Place {
  readonly kind: 'list'
  readonly items: readonly Tree[]
}
export type Tree = ScalarTree | MapTree | ListTree

export interface Entry {
  readonly key: Place
  readonly value: Tree
}

/** The value of a key, where the tree is a map that has it. */
export function child(tree: Tree | undefined, key: string): Tree | undefined {
  return tree?.kind === 'map' ? tree.entries.get(key)?.value : undefined
}

/** The entries of a list; none where the tree is something else. */
export function items(tree: Tree | undefined): readonly Tree[] {
  return tree?.kind === 'list' ? tree.items : []
}

/** A JSON value as a tree, for values that stand in no file. */
export function treeOf(value: unknown, place: Place = { start: 0, end: 0 }): Tree {
  if (Array.isArray(value)) return { ...place, kind: 'list', items: value.map(item => treeOf(item, place)) }
  if (!isObject(value)) return { ...place, kind: 'scalar', style: 'plain', value: value as ScalarTree['value'] }
  const entries = Object.entries(value).map(([key, one]) => [key, { key: place, value: treeOf(one, place) }] as const)
  return { ...place, kind: 'map', entries: new Map(entries) }
}

/**
 * Follows a path as plugins write it in an OptionError (`networks.campus[0]`, `labels["a.b"]`), as far as it goes. Undefined when not
 * even its first key is there.
 */
export function followPath(tree: Tree, path: string): Tree | undefined {
  const below: (readonly [string, Tree])[] = items(tree).map((item, index) => [`[${index}]`, item])
  if (tree.kind === 'map') {
    for (const [key, { value }] of tree.entries) below.push([key, value], [`[${JSON.stringify(key)}]`, value])
  }
  // Keys may hold dots: the longest that fits is meant.
  const fitting = below.filter(([key]) => key !== '' && path.startsWith(key) && /^(?:[.[]|$)/.test(path.slice(key.length)))
  const [key, value] = fitting.sort(([a], [b]) => b.length - a.length)[0] ?? []
  if (key === undefined || value === undefined) return undefined
  return followPath(value, path.slice(key.length).replace(/^\./, '')) ?? value
}

/** What one character of a value may be written as, by the style of its scalar. */
const TOKENS = {
  plain: /./gs,
  block: /./gs,
  single: /''|./gs,
  double: /\\(?:x[\da-f]{2}|u[\da-f]{4}|U[\da-f]{8}|\r?\n[ \t]*|.)|./gis,
}
const BLANK = { plain: /^\s/, block: /^\s/, single: /^\s/, double: /^(?:\s|\\(?:[nrtLNP_ ]|\r?\n))/ }

/**
 * Where the character at `index` of a scalar's value stands in the file. Line folding, indentation and escapes are between the two;
 * blanks are what they change, so the other characters are counted.
 */
export function placeInScalar(text: string, { style, start, end, value }: ScalarTree, index: number): number {
  if (typeof value !== 'string') return start
  if (text.slice(start, end) === value) return start + index
  const body = style === 'block' ? text.indexOf('\n', start) + 1 : style === 'plain' ? start : start + 1
  let left = value.slice(0, index).replaceAll(/\s/g, '').length
  for (const token of text.slice(body, end).matchAll(TOKENS[style])) {
    if (!BLANK[style].test(token[0]) && left-- === 0) return body + token.index
  }
  return end
}
