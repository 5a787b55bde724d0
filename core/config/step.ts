// Reads one step of a pipeline: its plugin, its options, and the keys that every step of its kind may have.
import type { BatchLimits, Kind, Plugin } from '../plugin/define.ts'
import { asError } from '../plugin/errors.ts'
import type { JsonObject } from '../plugin/json.ts'
import type { OptionSchemas } from '../plugin/options.ts'
import { loadPlugin, pluginName, pluginNames } from '../plugin/registry.ts'
import { complete } from './complete.ts'
import type { Filler } from './fill.ts'
import type { Report } from './problem.ts'
import { BATCH, CODEC, STEP } from './skeleton.ts'
import { child, type Entry, type MapTree, type Place, type Tree } from './tree.ts'
import type { StepConfig } from './types.ts'
import { validate } from './validate.ts'

/** What reading a file needs everywhere. */
export interface Reading {
  readonly report: Report
  readonly filler: Filler
  /** The pipeline's folder, absolute. */
  readonly folder: string
}

/** A step that was read; `plugin` and `url` are there when it is `ok`. */
export interface Draft {
  readonly kind: Kind
  readonly tree: MapTree
  readonly type: string
  readonly plugin: Plugin | undefined
  readonly url: string
  /** The plugin's options, complete. */
  readonly options: JsonObject
  /** The keys that are not the plugin's, complete. */
  readonly common: JsonObject
  /** What relative paths count from. */
  readonly folder: string
  /** Nothing is wrong in it so far. */
  readonly ok: boolean
  readonly codec?: Draft | undefined
  readonly filters: readonly Draft[]
  /** Set by the rules. */
  id: string
}

/** `the input file`: how messages name a step. */
export function stepName({ kind, type }: { readonly kind: Kind; readonly type: string }): string {
  return `the ${kind} ${pluginName(type) || type}`
}

/** The steps of a list, in order; entries that are no steps are reported and left out. */
export async function readSteps(reading: Reading, kind: Kind, list: Tree | undefined): Promise<Draft[]> {
  if (list?.kind !== 'list') return []
  const drafts = await Promise.all(
    list.items.map(item => {
      if (item.kind === 'map') return readStep(reading, kind, item)
      const hint = item.kind === 'scalar' && typeof item.value === 'string' ? `; write - type: ${item.value}` : ''
      reading.report.error(item, `${kind === 'input' || kind === 'output' ? 'an' : 'a'} ${kind} must be a map with a type${hint}`)
      return undefined
    }),
  )
  return drafts.filter(draft => draft !== undefined)
}

/** Reads a step. `type` is given where the tree does not say it (the default codec). */
async function readStep(reading: Reading, kind: Kind, tree: MapTree, type?: string): Promise<Draft> {
  const { report, filler, folder } = reading
  const name = type ?? (await readType(reading, kind, tree))
  const found = name === undefined ? undefined : await findPlugin(reading, kind, name, child(tree, 'type') ?? tree)
  const schemas = schemasOf(kind, found?.plugin)
  // Nobody knows the options of a plugin that is not there: only the common keys are checked then.
  const value = filler.value(ownPart(kind, tree), { properties: schemas }) as JsonObject
  const given = type === undefined ? value : { type, ...value }
  const subject = { name: stepName({ kind, type: name ?? '' }), place: headOf(tree) }
  const valid = name !== undefined && (await validate(report, filler, tree, given, schemas, subject, !found))
  const at = kind === 'output' ? process.cwd() : folder
  const all = valid ? complete(given, schemas, at) : given
  const common: JsonObject = {}
  const options: JsonObject = {}
  for (const [key, option] of Object.entries(all)) (Object.hasOwn(STEP[kind], key) ? common : options)[key] = option
  return {
    kind,
    tree,
    type: name ?? '',
    plugin: found?.plugin,
    url: found?.url ?? '',
    options,
    common,
    folder: at,
    ok: found !== undefined && valid && !broken(filler, tree),
    codec: kind === 'input' ? await readCodec(reading, tree, found?.plugin) : undefined,
    filters: kind === 'output' ? await readSteps(reading, 'filter', child(tree, 'filters')) : [],
    id: '',
  }
}

async function readType({ report, filler }: Reading, kind: Kind, tree: MapTree): Promise<string | undefined> {
  const at = child(tree, 'type')
  if (!at) {
    const names = await pluginNames(kind)
    const which = names.length > 0 && names.length <= 20 ? `: ${names.join(', ')}` : ''
    report.error(headOf(tree), `${kind === 'input' || kind === 'output' ? 'an' : 'a'} ${kind} needs a type${which}`)
    return undefined
  }
  const value = filler.value(at, STEP[kind].type)
  if (typeof value === 'string' && value !== '') return value
  if (!filler.broken.has(at)) report.error(at, `type must be the name of a plugin, a path or a package`)
  return undefined
}

async function findPlugin({ report, folder }: Reading, kind: Kind, type: string, at: Place) {
  try {
    const found = await loadPlugin(kind, type, folder)
    const taken = Object.keys(found.plugin.options).filter(name => Object.hasOwn(STEP[kind], name))
    if (taken.length === 0) return found
    report.error(
      at,
      `the plugin ${type} has an option ${taken.join(', ')}, which every ${kind} has already; the plugin must rename it`,
    )
  } catch (error) {
    report.error(at, asError(error).message)
  }
  return undefined
}

/** Options and common keys in one: so that each unknown key is compared with all that are known. */
const merged = new WeakMap<object, OptionSchemas>()
function schemasOf(kind: Kind, plugin: Plugin | undefined): OptionSchemas {
  const key = plugin ?? STEP[kind]
  let schemas = merged.get(key)
  if (!schemas) {
    schemas = { ...STEP[kind], ...plugin?.options }
    merged.set(key, schemas)
  }
  return schemas
}

/** Without the steps inside of the step: they are read on their own. */
function ownPart(kind: Kind, tree: MapTree): MapTree {
  const apart = (key: string, { value }: Entry) =>
    (kind === 'output' && key === 'filters' && value.kind === 'list') ||
    (kind === 'input' && key === 'codec' && value.kind === 'map')
  return { ...tree, entries: new Map([...tree.entries].filter(([key, entry]) => !apart(key, entry))) }
}

async function readCodec(reading: Reading, input: MapTree, plugin: Plugin | undefined): Promise<Draft | undefined> {
  const at = child(input, 'codec')
  if (at?.kind === 'map') return readStep(reading, 'codec', at)
  if (at?.kind === 'scalar' && typeof at.value === 'string') {
    const { start, end } = at
    return readStep(reading, 'codec', {
      kind: 'map',
      entries: new Map([['type', { key: { start, end }, value: at }]]),
      start,
      end,
    })
  }
  // Without a plugin nobody can say what its codec would be; anything else was reported.
  if (at || !plugin) return undefined
  return readStep(reading, 'codec', { ...headOf(input), kind: 'map', entries: new Map() }, plugin.codec ?? CODEC)
}

/** Where a step as a whole is reported: its type, else its begin. */
function headOf(tree: MapTree): Place {
  const type = tree.entries.get('type')
  return { start: tree.start, end: type && type.key.start === tree.start ? type.value.end : Math.min(tree.start + 1, tree.end) }
}

function broken(filler: Filler, tree: Tree): boolean {
  if (filler.broken.has(tree)) return true
  if (tree.kind === 'scalar') return false
  const below = tree.kind === 'list' ? tree.items : [...tree.entries.values()].map(({ value }) => value)
  return below.some(one => broken(filler, one))
}

/** The step as the engine runs it. */
export function stepConfig(draft: Draft): StepConfig {
  const { id, type, url, plugin, options, folder } = draft
  return { id, type, url, plugin: plugin as Plugin, options, folder }
}

/** The limits of an output's batches: the pipeline's, else the plugin's, else the common ones. */
export function batchOf({ common, plugin }: Draft): BatchLimits {
  return { ...BATCH, ...plugin?.batch, ...(common.batch as Partial<BatchLimits> | undefined) }
}
