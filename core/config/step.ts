// Reads one step of a pipeline: its plugin, its options, and the keys that every step of its kind may have.
import type { Kind, Plugin } from '../plugin/define.ts'
import { asError } from '../plugin/errors.ts'
import type { JsonObject } from '../plugin/json.ts'
import { type LoadedPlugin, loadPlugin, pluginName } from '../plugin/registry.ts'
import { type Reading, ValueReader } from './reader.ts'
import { CODEC, STEP } from './skeleton.ts'
import { child, items, type MapTree, type Place, type Tree, treeOf } from './tree.ts'
import type { StepConfig } from './types.ts'

/** A step that was read. */
export interface Draft {
  readonly kind: Kind
  readonly tree: MapTree
  readonly type: string
  /** Undefined when it was not found, which is reported. */
  readonly found: LoadedPlugin | undefined
  /** The plugin's options, complete. */
  readonly options: JsonObject
  /** The keys that are not the plugin's, complete. */
  readonly common: JsonObject
  /** What relative paths count from. */
  readonly folder: string
  readonly secretFiles: ReadonlyMap<string, string>
  /** Nothing is wrong in it so far. */
  readonly ok: boolean
  readonly codec: Draft | undefined
  readonly filters: readonly Draft[]
  /** Set by the rules. */
  id: string
}

/** `the input file`: how messages name a step. */
export function stepName({ kind, type }: Pick<Draft, 'kind' | 'type'>): string {
  return `the ${kind} ${pluginName(type)}`.trimEnd()
}

/** The steps of a list, in order; entries that are no steps are reported and left out. */
export async function readSteps(reading: Reading, kind: Kind, list: Tree | undefined): Promise<Draft[]> {
  const drafts = await Promise.all(
    items(list).map(item => {
      reading.apart.add(item)
      if (item.kind === 'map') return readStep(reading, kind, item)
      reading.report.hideBelow(item)
      const hint = item.kind === 'scalar' && typeof item.value === 'string' ? `; write - type: ${item.value}` : ''
      reading.report.error(item, `${kind === 'input' || kind === 'output' ? 'an' : 'a'} ${kind} must be a map with a type${hint}`)
      return undefined
    }),
  )
  return drafts.filter(draft => draft !== undefined)
}

async function readStep(reading: Reading, kind: Kind, tree: MapTree): Promise<Draft> {
  const type = typeOf(reading, child(tree, 'type'))
  const found = type ? await findPlugin(reading, kind, type, child(tree, 'type') ?? tree) : undefined
  const codec = kind === 'input' ? await readCodec(reading, tree, found?.plugin) : undefined
  const filters = kind === 'output' ? await readSteps(reading, 'filter', child(tree, 'filters')) : []
  const folder = kind === 'output' ? process.cwd() : reading.folder
  const subject = { name: stepName({ kind, type }), place: headOf(tree), folder, open: !found }
  const reader = new ValueReader(reading, subject)
  const common: JsonObject = {}
  const options: JsonObject = {}
  for (const [key, value] of Object.entries(reader.options(tree, { ...STEP[kind], ...found?.plugin.options }))) {
    const own = Object.hasOwn(STEP[kind], key) ? common : options
    own[key] = value
  }
  const ok = found !== undefined && reader.ok
  const secretFiles = reading.filler?.secretFiles ?? new Map<string, string>()
  return { kind, tree, type, found, options, common, folder, secretFiles, ok, codec, filters, id: '' }
}

/** The type that a step names; '' where it is none, which is reported with the other keys. */
function typeOf({ filler }: Reading, tree: Tree | undefined): string {
  if (tree?.kind !== 'scalar' || typeof tree.value !== 'string') return ''
  return (filler ? filler.fill(tree, tree.value) : tree.value) ?? ''
}

async function findPlugin(reading: Reading, kind: Kind, type: string, at: Place): Promise<LoadedPlugin | undefined> {
  try {
    const found = await loadPlugin(kind, type, reading.folder)
    const taken = Object.keys(found.plugin.options).filter(name => Object.hasOwn(STEP[kind], name))
    if (taken.length === 0) return found as LoadedPlugin
    const reason = `which every ${kind} has already; the plugin must rename it`
    reading.report.error(at, `the plugin ${type} has an option ${taken.join(', ')}, ${reason}`)
  } catch (error) {
    reading.report.error(at, asError(error).message)
  }
  return undefined
}

async function readCodec(reading: Reading, input: MapTree, plugin: Plugin | undefined): Promise<Draft | undefined> {
  const at = child(input, 'codec')
  if (at?.kind === 'map') {
    reading.apart.add(at)
    return readStep(reading, 'codec', at)
  }
  if (at) return at.kind === 'scalar' && typeof at.value === 'string' ? readStep(reading, 'codec', codecNamed(at)) : undefined
  // Without a plugin nobody can say what its codec would be.
  return plugin && readStep(reading, 'codec', codecNamed(treeOf(plugin.codec ?? CODEC, headOf(input))))
}

/** A codec of which the type alone is known, as a step. */
function codecNamed(type: Tree): MapTree {
  const { start, end } = type
  return { kind: 'map', entries: new Map([['type', { key: { start, end }, value: type }]]), start, end }
}

/** Where a step as a whole is reported: its type, else its begin. */
function headOf(tree: MapTree): Place {
  const type = tree.entries.get('type')
  return { start: tree.start, end: type && type.key.start === tree.start ? type.value.end : tree.start + 1 }
}

/** The step as the engine runs it. */
export function stepConfig({ id, type, found, options, folder, secretFiles }: Draft): StepConfig {
  const { plugin, url } = found as LoadedPlugin
  return { id, type, url, plugin, options, folder, secretFiles }
}
