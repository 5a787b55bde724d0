// What must hold between the steps of a pipeline: ids, conditions, routes, and the http server.
import type { JsonObject } from '../plugin/json.ts'
import { pluginName } from '../plugin/registry.ts'
import { compileExpression, ExpressionError } from './expression.ts'
import type { Report } from './problem.ts'
import { type Draft, type Reading, stepName } from './step.ts'
import { didYouMean } from './suggest.ts'
import { child, type MapTree, placeInScalar, type Tree } from './tree.ts'

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
export function giveIds({ report }: Reading, { inputs, filters, tables, outputs }: Drafts): void {
  const all = [...inputs, ...filters, ...tables, ...outputs, ...outputs.flatMap(output => output.filters)]
  const owners = new Map<string, Draft>()
  const own = (draft: Draft) => (typeof draft.common.id === 'string' ? draft.common.id : undefined)
  const line = (draft: Draft) => report.line((child(draft.tree, 'id') ?? child(draft.tree, 'type') ?? draft.tree).start)
  for (const draft of inFileOrder(all)) {
    const id = own(draft)
    if (id === undefined) continue
    const first = owners.get(id)
    if (first)
      report.error(child(draft.tree, 'id') ?? draft.tree, `the id ${id} is taken by ${stepName(first)} in line ${line(first)}`)
    else owners.set(id, draft)
    draft.id = id
  }
  for (const draft of all) {
    if (own(draft) !== undefined || draft.type === '') continue
    const name = idOf(draft.type)
    const first = owners.get(name)
    const id = first && (first.kind !== draft.kind || own(first) !== undefined) ? `${name}_${draft.kind}` : name
    const taken = owners.get(id)
    draft.id = id
    if (taken) {
      report.error(
        child(draft.tree, 'type') ?? draft.tree,
        `a second ${draft.kind} of type ${draft.type} needs an id of its own (id: my_${name}); the first is in line ${line(taken)}`,
      )
    } else owners.set(id, draft)
  }
  for (const { codec, id } of inputs) if (codec) codec.id = `${id}.codec`
  for (const output of outputs) {
    if (output.id === 'drop')
      report.error(child(output.tree, 'id') ?? output.tree, 'drop cannot be the id of an output: unmatched: drop means none')
  }
}

function inFileOrder(drafts: readonly Draft[]): Draft[] {
  return [...drafts].sort((a, b) => a.tree.start - b.tree.start)
}

/** A plugin's name as an id. */
export function idOf(type: string): string {
  return (
    pluginName(type)
      .toLowerCase()
      .replaceAll(/[^a-z0-9_-]/g, '_')
      .replace(/^[_-]+/, '') || 'step'
  )
}

/** Compiles every `when`. */
export function checkConditions({ report, filler }: Reading, { filters, outputs }: Drafts): void {
  for (const draft of [...filters, ...outputs, ...outputs.flatMap(output => output.filters)]) {
    const at = child(draft.tree, 'when')
    const { when } = draft.common
    if (!at || typeof when !== 'string' || filler.broken.has(at)) continue
    if (when.trim() === 'unmatched') {
      if (draft.kind === 'filter') report.error(at, 'when: unmatched is for outputs; a filter takes an expression')
    } else checkExpression(report, at, when)
  }
}

/** Compiles an expression and reports what is wrong at its place in the file. */
export function checkExpression(report: Report, at: Tree, text: string): boolean {
  if (/\$\{[A-Za-z_]/.test(text)) report.warn(at, 'environment variables are not filled into expressions')
  try {
    compileExpression(text)
    return true
  } catch (error) {
    if (!(error instanceof ExpressionError)) throw error
    reportExpression(report, at, error)
    return false
  }
}

export function reportExpression(report: Report, at: Tree, { offset, reason }: ExpressionError): void {
  const start = at.kind === 'scalar' ? placeInScalar(report.text, at, offset) : at.start
  report.error({ start, end: start + 1 }, reason)
}

/** True for an output that takes what no other took. */
function takesUnmatched({ common }: Draft): boolean {
  return typeof common.when === 'string' && common.when.trim() === 'unmatched'
}

/** The output that a name means: its id, or the name of its plugin where that is not its id. */
export function outputNamed(name: string, outputs: readonly Draft[]): Draft | undefined {
  return (
    outputs.find(({ id }) => id === name) ?? outputs.find(draft => draft.common.id === undefined && idOf(draft.type) === name)
  )
}

/** What becomes of events that no `when` takes must be said. Gives the id that `unmatched` means, or `drop`. */
export function checkRoutes(
  { report }: Reading,
  root: MapTree,
  unmatched: unknown,
  outputs: readonly Draft[],
): string | undefined {
  const at = root.entries.get('unmatched')
  const rest = outputs.find(takesUnmatched)
  const all = outputs.find(({ tree }) => !tree.entries.has('when'))
  if (rest && all) {
    report.warn(
      child(rest.tree, 'when') ?? rest.tree,
      `${stepName(rest)} never gets an event: ${stepName(all)} takes every one, since it has no when`,
    )
  }
  if (!at) {
    if (outputs.length === 0 || rest || all) return undefined
    const key = root.entries.get('outputs')?.key ?? root
    report.error(
      key,
      'every output has a when, and an event that none of them takes would be lost unseen, for example behind a misspelt field; ' +
        'say where such events go: unmatched: with the id of an output, or unmatched: drop to drop and count them',
    )
    return undefined
  }
  if (typeof unmatched !== 'string') return undefined
  if (rest) report.error(at.key, `${stepName(rest)} has when: unmatched already; say it once`)
  else if (all) report.warn(at.key, `unmatched has no effect: ${stepName(all)} takes every event, since it has no when`)
  if (unmatched === 'drop') return 'drop'
  const output = outputNamed(unmatched, outputs)
  if (output) return output.id
  const ids = outputs.map(({ id }) => id)
  report.error(
    at.value,
    `there is no output ${unmatched}${didYouMean(unmatched, [...ids, 'drop']) || `; there are ${ids.join(', ')}, and drop`}`,
  )
  return undefined
}

/** A server that others can reach must know who asks, and must not be overheard. */
export function checkHttp({ report }: Reading, root: MapTree, http: JsonObject | undefined): void {
  const at = child(root, 'http')
  if (!http || !at || typeof http.host !== 'string') return
  if (/^(?:localhost|127(?:\.\d{1,3}){3}|\[?::1\]?)$/i.test(http.host)) return
  const missing = [http.tls ? '' : 'tls (cert and key)', http.token ? '' : 'a token'].filter(Boolean)
  if (missing.length === 0) return
  const place = child(at, 'host') ?? at
  report.error(place, `a host that others can reach needs ${missing.join(' and ')}; without, listen on 127.0.0.1`)
}
