// What differs between a template as the cluster has it and as it is wanted.
import { isObject, type JsonObject } from '../../../../core/plugin/json.ts'

/** How many differences are named. */
const NAMED = 5

/**
 * The differences, as words; none when the cluster has what is wanted. What only the cluster knows (when it was made, defaults that it
 * shows) is no difference: only what is wanted is compared, but all of the mappings, where a field too many is one.
 */
export function differences(found: JsonObject, wanted: JsonObject): string[] {
  const parts: string[] = []
  for (const key of Object.keys(wanted)) {
    if (key === 'template') continue
    if (!same(shown(key, found[key]), shown(key, wanted[key]))) parts.push(key === '_meta' || key === 'version' ? 'version' : key)
  }
  const [foundTemplate, wantedTemplate] = [object(found['template']), object(wanted['template'])]
  const settings = changed(leaves(foundTemplate['settings']), leaves(wantedTemplate['settings']))
  const mappings = changed(leaves(foundTemplate['mappings']), leaves(wantedTemplate['mappings']))
  if (settings.length > 0) parts.push(`settings: ${some(settings)}`)
  if (mappings.length > 0) parts.push(`mappings: ${some(mappings)}`)
  for (const key of ['lifecycle', 'data_stream_options']) {
    const [has, wants] = [leaves(foundTemplate[key]), leaves(wantedTemplate[key])]
    if (changed(has, wants).length > 0) parts.push(key.replaceAll('_', ' '))
  }
  return [...new Set(parts)]
}

/** `data_stream: {}` is shown with its defaults. */
function shown(key: string, value: unknown): unknown {
  return key === 'data_stream' ? isObject(value) : value
}

function same(a: unknown, b: unknown): boolean {
  return changed(leaves({ a }), leaves({ a: b })).length === 0
}

/** Other values first, then what is gone, then what is new. */
function changed(found: ReadonlyMap<string, string>, wanted: ReadonlyMap<string, string>): string[] {
  const others: string[] = []
  const added: string[] = []
  for (const [name, value] of wanted) {
    const had = found.get(name)
    if (had !== undefined) {
      if (had !== value) others.push(`${tidy(name)} ${cut(had)} → ${cut(value)}`)
      continue
    }
    // The other parameters of a field that is new say nothing more.
    const type = `${name.slice(0, name.lastIndexOf('.'))}.type`
    if (type === name || !wanted.has(type) || found.has(type)) added.push(`${tidy(name)} new`)
  }
  const gone = [...found.keys()].filter(name => !wanted.has(name)).map(name => `${tidy(name)} gone`)
  return [...others, ...gone, ...added]
}

function cut(value: string): string {
  return value.length > 40 ? `${value.slice(0, 37)}…` : value
}

/** Every value by its path, as text: Elasticsearch gives settings back as text, whatever they were. */
function leaves(value: unknown, path = '', into = new Map<string, string>()): Map<string, string> {
  if (isObject(value)) for (const key of Object.keys(value)) leaves(value[key], path === '' ? key : `${path}.${key}`, into)
  else if (value !== undefined) into.set(path, Array.isArray(value) ? JSON.stringify(value.map(sorted)) : String(value))
  return into
}

/** Elasticsearch gives the members of objects back in an order of its own. */
function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted)
  if (!isObject(value)) return value
  return Object.fromEntries(
    Object.keys(value)
      .sort()
      .map(key => [key, sorted(value[key])]),
  )
}

/** `properties.source.properties.ip.type` → `source.ip`. */
function tidy(name: string): string {
  return name.replace(/(^|\.)properties\./g, '$1').replace(/\.type$/, '')
}

function some(names: readonly string[]): string {
  return names.slice(0, NAMED).join(', ') + (names.length > NAMED ? ` and ${names.length - NAMED} more` : '')
}

function object(value: unknown): JsonObject {
  return isObject(value) ? value : {}
}
