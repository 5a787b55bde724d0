// What must hold between the steps of a pipeline: ids, routes, and the http server.
import { isObject } from '../plugin/json.ts'
import { pluginName } from '../plugin/registry.ts'
import type { Report } from './problem.ts'
import { type Draft, stepName } from './step.ts'
import { didYouMean } from './suggest.ts'
import { child, type MapTree } from './tree.ts'

export interface Drafts {
  readonly inputs: readonly Draft[]
  readonly filters: readonly Draft[]
  readonly tables: readonly Draft[]
  readonly outputs: readonly Draft[]
}

/**
 * Gives every step its id: its own, else its plugin's name. Two steps of one kind must not share a name, since positions, metrics and
 * reload hang on it; an output that shares its plugin's name with an input becomes NAME_output.
 */
export function giveIds(report: Report, { inputs, filters, tables, outputs }: Drafts): void {
  const all = [...inputs, ...filters, ...tables, ...outputs, ...outputs.flatMap(output => output.filters)]
  const owners = new Map<string, Draft>()
  const place = (draft: Draft) => child(draft.tree, 'id') ?? child(draft.tree, 'type') ?? draft.tree
  const own = (draft: Draft, id: string, message: (first: Draft, line: number) => string) => {
    draft.id = id
    const first = owners.get(id)
    if (first) report.error(place(draft), message(first, report.line(place(first).start)))
    else owners.set(id, draft)
  }
  for (const draft of all.filter(hasOwnId).sort((a, b) => a.tree.start - b.tree.start)) {
    const { id } = draft.common
    if (typeof id === 'string') own(draft, id, (first, line) => `the id ${id} is taken by ${stepName(first)} in line ${line}`)
  }
  for (const draft of all.filter(one => !hasOwnId(one) && one.type !== '')) {
    const { kind, type } = draft
    const name = idOf(type)
    const owner = owners.get(name)
    const id = owner && (owner.kind !== kind || hasOwnId(owner)) ? `${name}_${kind}` : name
    const advice = `needs an id of its own (id: my_${name})`
    own(draft, id, (_, line) => `a second ${kind} of type ${type} ${advice}; the first is in line ${line}`)
  }
  for (const { codec, id } of inputs) if (codec) codec.id = `${id}.codec`
  const drop = outputs.find(({ id }) => id === 'drop')
  if (drop) report.error(place(drop), 'drop cannot be the id of an output: unmatched: drop means none')
}

function hasOwnId({ tree }: Draft): boolean {
  return tree.entries.has('id')
}

/** A plugin's name as an id. */
export function idOf(type: string): string {
  const name = pluginName(type)
    .toLowerCase()
    .replaceAll(/[^a-z0-9_-]/g, '_')
  return name.replace(/^[_-]+/, '') || 'step'
}

/** The output that a name means: its id, or the name of its plugin where that is not its id. */
export function outputNamed(name: string, outputs: readonly Draft[]): Draft | undefined {
  return outputs.find(({ id }) => id === name) ?? outputs.find(draft => !hasOwnId(draft) && idOf(draft.type) === name)
}

/** `there is no output x; did you mean …`. */
export function noSuch(what: string, name: string, names: readonly string[]): string {
  // A step whose id is wrong has none.
  const known = names.filter(Boolean)
  return `there is no ${what} ${name}${didYouMean(name, known) || `; there are ${known.join(', ')}`}`
}

/** True for an output that takes what no other took. */
function takesUnmatched({ common }: Draft): boolean {
  return typeof common.when === 'string' && common.when.trim() === 'unmatched'
}

/** What becomes of events that no `when` takes must be said. Gives the id that `unmatched` means, or `drop`. */
export function checkRoutes(report: Report, root: MapTree, unmatched: unknown, { filters, outputs }: Drafts): string | undefined {
  for (const filter of [...filters, ...outputs.flatMap(output => output.filters)].filter(takesUnmatched)) {
    report.error(child(filter.tree, 'when') ?? filter.tree, 'when: unmatched is for outputs; a filter takes an expression')
  }
  const rest = outputs.find(takesUnmatched)
  const all = outputs.find(({ tree }) => !tree.entries.has('when'))
  if (rest && all) {
    const reason = `${stepName(all)} takes every one, since it has no when`
    report.warn(child(rest.tree, 'when') ?? rest.tree, `${stepName(rest)} never gets an event: ${reason}`)
  }
  const entry = root.entries.get('unmatched')
  if (!entry) {
    if (outputs.length === 0 || rest || all) return undefined
    report.error(
      root.entries.get('outputs')?.key ?? root,
      'every output has a when, and an event that none of them takes would be lost unseen, for example behind a misspelt field; ' +
        'say where such events go: unmatched: with the id of an output, or unmatched: drop to drop and count them',
    )
    return undefined
  }
  if (rest) report.error(entry.key, `${stepName(rest)} has when: unmatched already; say it once`)
  else if (all) report.warn(entry.key, `unmatched has no effect: ${stepName(all)} takes every event, since it has no when`)
  if (typeof unmatched !== 'string' || unmatched === 'drop') return unmatched as 'drop' | undefined
  const output = outputNamed(unmatched, outputs)
  if (!output) report.error(entry.value, noSuch('output', unmatched, [...outputs.map(({ id }) => id), 'drop']))
  return output?.id
}

/** What only a disk queue has. */
export function checkQueues(report: Report, outputs: readonly Draft[]): void {
  for (const { tree, common } of outputs) {
    const size = child(child(tree, 'queue'), 'max_bytes')
    if (!size || !isObject(common.queue) || common.queue.type !== 'memory') continue
    report.error(
      size,
      'only a disk queue has a max_bytes: add type: disk to it, or set in_flight_bytes of the pipeline, which bounds what waits in memory',
    )
  }
}

/** A server that others can reach must know who asks, and must not be overheard. */
export function checkHttp(report: Report, root: MapTree, http: unknown): void {
  if (!isObject(http) || typeof http.host !== 'string') return
  if (/^(?:localhost|127(?:\.\d{1,3}){3}|\[?::1\]?)$/i.test(http.host)) return
  const at = child(root, 'http')
  const missing = [child(at, 'tls') ? '' : 'tls (cert and key)', child(at, 'token') ? '' : 'a token'].filter(Boolean)
  if (missing.length === 0) return
  report.error(
    child(at, 'host') ?? root,
    `a host that others can reach needs ${missing.join(' and ')}; without, listen on 127.0.0.1`,
  )
}
