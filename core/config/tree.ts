// A YAML file's values with their places: what the rest of the configuration works on, so that every error has a position.

/** Offsets in the file's text, in UTF-16 units; `end` is exclusive. */
export interface Place {
  readonly start: number
  readonly end: number
}

export interface ScalarTree extends Place {
  readonly kind: 'scalar'
  readonly value: string | number | boolean | null
  /** How it was written. none: no value at all (`key:`). broken: what should stand here was reported. */
  readonly style: 'plain' | 'single' | 'double' | 'block' | 'none' | 'broken'
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

/** The tree as plain data, nothing filled in. */
export function plain(tree: Tree): unknown {
  if (tree.kind === 'scalar') return tree.value
  if (tree.kind === 'list') return tree.items.map(plain)
  return Object.fromEntries([...tree.entries].map(([key, { value }]) => [key, plain(value)]))
}

/** Follows keys and indices; gives up at the last tree that is there. */
export function follow(tree: Tree, path: readonly (string | number)[]): Tree {
  let at = tree
  for (const segment of path) {
    const next = at.kind === 'list' ? at.items[Number(segment)] : child(at, String(segment))
    if (!next) return at
    at = next
  }
  return at
}

/**
 * Follows a path as plugins write it in an OptionError (`networks.campus[0]`, `labels["a.b"]`); keys may hold dots. Undefined when
 * not even its first key is there.
 */
export function followText(tree: Tree, path: string): Tree | undefined {
  let at: Tree = tree
  let rest = path
  let moved = false
  while (rest !== '') {
    const [whole = '', index, quoted] = /^\[(?:(\d+)|"((?:[^"\\]|\\.)*)")\]/.exec(rest) ?? []
    let next: Tree | undefined
    if (whole) {
      next =
        index === undefined
          ? child(at, (quoted ?? '').replace(/\\(.)/g, '$1'))
          : at.kind === 'list'
            ? at.items[Number(index)]
            : undefined
      rest = rest.slice(whole.length)
    } else {
      const key = longestKey(at, rest)
      next = key === undefined ? undefined : child(at, key)
      rest = rest.slice((key ?? '').length)
    }
    if (!next) break
    at = next
    moved = true
    if (rest.startsWith('.')) rest = rest.slice(1)
  }
  return moved ? at : undefined
}

function longestKey(tree: Tree, rest: string): string | undefined {
  if (tree.kind !== 'map') return undefined
  let longest: string | undefined
  for (const key of tree.entries.keys()) {
    const fits = rest === key || (rest.startsWith(key) && (rest[key.length] === '.' || rest[key.length] === '['))
    if (fits && key !== '' && key.length > (longest?.length ?? 0)) longest = key
  }
  return longest
}

const ESCAPE = /\\(?:x[\da-fA-F]{2}|u[\da-fA-F]{4}|U[\da-fA-F]{8}|\r?\n[ \t]*|.)|./gs
const BLANK_ESCAPE = /^\\(?:[nrtLNP_ ]|\r?\n)/

/**
 * Where the character at `index` of a scalar's value stands in the file. Line folding, indentation and escapes are between the two;
 * blanks are what they change, so the other characters are counted.
 */
export function placeInScalar(text: string, scalar: ScalarTree, index: number): number {
  const { style, start, end } = scalar
  const value = String(scalar.value)
  const source = text.slice(start, end)
  if (style === 'plain' && source === value) return start + index
  if (typeof scalar.value !== 'string') return start
  let wanted = value.slice(0, index).replaceAll(/\s/g, '').length
  let at = style === 'block' ? source.indexOf('\n') + 1 : style === 'plain' ? 0 : 1
  while (at < source.length) {
    const token = nextToken(source, at, style)
    const blank = /^\s/.test(token) || (style === 'double' && BLANK_ESCAPE.test(token))
    if (!blank && wanted-- === 0) return start + at
    at += token.length
  }
  return end
}

function nextToken(source: string, at: number, style: ScalarTree['style']): string {
  if (style === 'single' && source.startsWith("''", at)) return "''"
  if (style !== 'double') return source[at] as string
  ESCAPE.lastIndex = at
  return ESCAPE.exec(source)?.[0] ?? (source[at] as string)
}
