// Index templates that would take the place of Penstock's for some of its data streams.
import { isObject, type JsonObject } from '../../../../core/plugin/json.ts'
import type { Template } from './templates.ts'

/** An index template as the cluster has it. */
export interface FoundTemplate {
  readonly name: string
  readonly body: JsonObject
}

export interface Clash {
  /** Of Penstock. */
  readonly name: string
  readonly pattern: string
  readonly priority: number
  readonly other: { readonly name: string; readonly pattern: string; readonly priority: number }
}

/**
 * The templates of the cluster that match names which a template of `ours` matches, with the same priority (Elasticsearch then refuses
 * ours) or a higher one (then theirs is used, and ours has no effect there). Ours themselves never clash with what takes their place.
 */
export function findClashes(ours: readonly Template[], theirs: readonly FoundTemplate[]): Clash[] {
  const own = ours.filter(({ kind }) => kind === 'index template')
  const names = new Set(own.map(({ name }) => name))
  const others = theirs.filter(({ name }) => !names.has(name))
  return own.flatMap(({ name, body }, index) => {
    const priority = priorityOf(body)
    // Those of ours too: a data set of the user's own may lie within another one.
    return [...others, ...own.slice(index + 1)].flatMap(rival => {
      const otherPriority = priorityOf(rival.body)
      if (otherPriority < priority) return []
      for (const pattern of patternsOf(body))
        for (const other of patternsOf(rival.body))
          if (overlap(pattern, other))
            return [{ name, pattern, priority, other: { name: rival.name, pattern: other, priority: otherPriority } }]
      return []
    })
  })
}

/** The clash as a sentence that says what to do. */
export function sayClash({ name, pattern, priority, other }: Clash): string {
  const theirs = `the index template ${other.name} (${other.pattern}, priority ${other.priority})`
  const remedy = `--priority ${other.priority + 1} puts Penstock's above it, or change the other one`
  return other.priority === priority
    ? `${theirs} matches names of ${name} (${pattern}) with the same priority, and Elasticsearch takes only one of them: ${remedy}.`
    : `${theirs} has a higher priority than ${name} (${pattern}, ${priority}), which would have no effect: ${remedy}.`
}

/** A template without a priority has the lowest. */
function priorityOf(body: JsonObject): number {
  return typeof body['priority'] === 'number' ? body['priority'] : 0
}

function patternsOf(body: JsonObject): string[] {
  const patterns = body['index_patterns']
  return Array.isArray(patterns) ? patterns.filter(pattern => typeof pattern === 'string') : []
}

/** True when some name matches both patterns; `*` stands for any text. */
export function overlap(a: string, b: string): boolean {
  const seen = new Map<number, boolean>()
  const from = (i: number, j: number): boolean => {
    const key = i * (b.length + 1) + j
    const known = seen.get(key)
    if (known !== undefined) return known
    const found =
      i === a.length && j === b.length
        ? true
        : a[i] === '*'
          ? from(i + 1, j) || (j < b.length && from(i, j + 1))
          : b[j] === '*'
            ? from(i, j + 1) || (i < a.length && from(i + 1, j))
            : i < a.length && a[i] === b[j] && from(i + 1, j + 1)
    seen.set(key, found)
    return found
  }
  return from(0, 0)
}

/** The index templates in the answer to `GET /_index_template`. */
export function readTemplates(answer: unknown): FoundTemplate[] {
  const list = isObject(answer) && Array.isArray(answer['index_templates']) ? answer['index_templates'] : []
  return list.flatMap((item: unknown) =>
    isObject(item) && typeof item['name'] === 'string' && isObject(item['index_template'])
      ? [{ name: item['name'], body: item['index_template'] }]
      : [],
  )
}
