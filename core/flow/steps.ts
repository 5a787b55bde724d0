// Builds a pipeline's plugins and opens them: outputs first, inputs last; closes them the other way round.
import { completeOptions } from '../config/creation.ts'
import type { PipelineConfig, StepConfig } from '../config/types.ts'
import type { Plugin, PluginOf } from '../plugin/define.ts'
import { asError, PenstockError } from '../plugin/errors.ts'
import type { Codec, Filter, Gate, Input, Output, Summary, Table } from '../plugin/interfaces.ts'
import type { Json } from '../plugin/json.ts'
import { loadPlugin } from '../plugin/registry.ts'
import type { QueueFile } from '../state/types.ts'
import { type ContextParts, contextOf } from './context.ts'
import type { StepSpec, TransformSpec } from './packed.ts'
import type { PipelineParts } from './pipeline.ts'
import { siteOf } from './site.ts'
import { type LoadTable, Tables } from './tables.ts'
import { buildTransform } from './transform.ts'
import { inlineTransformer, type Transformer } from './transformer.ts'
import { bootWorker, workerPool } from './worker-pool.ts'

export interface Steps {
  readonly inputs: readonly { readonly id: string; readonly input: Input }[]
  /** By input: the stored positions. */
  readonly positions: readonly Map<string, Json>[]
  readonly outputs: readonly Output[]
  /** By output: its disk queue; undefined where it has none. */
  readonly queues: readonly (QueueFile | undefined)[]
  readonly gates: readonly { readonly id: string; readonly gate: Gate }[]
  readonly transformer: Transformer
  summaries(): Summary[]
  close(): Promise<void>
}

type Opened = Pick<Input | Output | Filter | Table, 'open' | 'close' | 'summary'>

export async function openSteps(config: PipelineConfig, parts: PipelineParts, signal: AbortSignal): Promise<Steps> {
  const opened: { id: string; instance: Opened }[] = []
  const closing: (() => Promise<void>)[] = []
  const contextParts: Omit<ContextParts, 'log'> = {
    pipeline: config.name,
    store: parts.store,
    clock: parts.clock,
    metrics: parts.metrics,
    health: parts.health,
    maxEventBytes: config.max_event_bytes,
  }
  const close = async () => {
    const errors: Error[] = []
    for (const end of closing.reverse()) {
      try {
        await end()
      } catch (error) {
        errors.push(asError(error))
      }
    }
    if (errors.length > 0)
      throw errors.length === 1 ? (errors[0] as Error) : new AggregateError(errors, errors.map(e => e.message).join('; '))
  }
  const tables = new Tables(config.tables.map(specOf))
  const open = async (id: string, instance: Opened, codec?: Codec) => {
    const log = parts.log(config.name, id)
    opened.push({ id, instance })
    closing.push(async () => instance.close?.())
    try {
      await instance.open?.(contextOf(id, log, { ...contextParts, log }, codec))
    } catch (thrown) {
      const error = asError(thrown)
      throw new PenstockError((error as { code?: string }).code ?? 'PEN_OPEN', `${id}: ${error.message}`, { cause: error })
    }
  }

  // They load while the rest is opened.
  const workers = Array.from({ length: config.workers }, bootWorker)
  closing.push(async () => void (await Promise.all(workers.map(worker => worker.terminate()))))
  try {
    const outputs: Output[] = []
    const queues: (QueueFile | undefined)[] = []
    for (const step of config.outputs) {
      const output = step.plugin.create(step.options, siteOf(step, tables))
      outputs.push(output)
      await open(step.id, output)
      const queue =
        step.queue && (await parts.store.openQueue(config.name, step.id, step.queue.max_bytes, config.in_flight_bytes))
      queues.push(queue)
      if (queue) closing.push(() => queue.close())
    }

    // These instances judge, remember and report; the transform has instances of its own that work on the events.
    const filters: { id: string; filter: Filter }[] = []
    for (const step of [...config.filters, ...config.outputs.flatMap(({ filters }) => filters)]) {
      filters.push({ id: step.id, filter: step.plugin.create(step.options, siteOf(step, tables)) })
    }
    const main = filters.slice(0, config.filters.length)
    const gates = main.flatMap(({ id, filter }) => (filter.gate ? [{ id, gate: filter.gate }] : []))

    const spec = transformSpec(config)
    const load = pluginLoader(config)
    closing.push(() => tables.close())
    const transform = config.workers > 0 ? undefined : await buildTransform(spec, load, tables)
    await tables.open(tableLoader(load), signal)
    for (const { id, filter } of filters) await open(id, filter)
    const transformer = transform
      ? inlineTransformer(transform)
      : await workerPool({
          workers,
          spec,
          tables,
          timeout: config.worker_timeout_ms,
          clock: parts.clock,
          log: parts.log(config.name, 'workers'),
        })
    closing.push(() => transformer.close())
    tables.watch(parts.clock, parts.log(config.name, 'tables'), (key, image) => transformer.swap(key, image))

    const inputs: { id: string; input: Input }[] = []
    const positions: Map<string, Json>[] = []
    for (const step of config.inputs) {
      const input = step.plugin.create(step.options, siteOf(step, tables))
      positions.push(await parts.store.positions(config.name, step.id))
      await open(step.id, input, step.codec.plugin.create(step.codec.options, siteOf(step.codec, tables)))
      inputs.push({ id: step.id, input })
    }
    const summaries = () => opened.flatMap(({ instance }) => instance.summary?.() ?? [])
    return { inputs, positions, outputs, queues, gates, transformer, summaries, close }
  } catch (error) {
    await close().catch(() => {}) // the first error is the one to tell
    throw error
  }
}

/** Finds the plugin of a step among those that the pipeline was loaded with. */
export function pluginLoader(config: PipelineConfig): (step: StepSpec) => Promise<Plugin> {
  const plugins = new Map<string, Plugin>(allSteps(config).map(step => [step.url, step.plugin]))
  return async ({ id, url }) => {
    const plugin = plugins.get(url)
    if (!plugin) throw new PenstockError('PEN_PLUGIN', `step ${id} has no plugin`)
    return plugin
  }
}

/** Finds the plugin of a table: a declared one has it; what a filter asks for by type and options is found and checked now. */
export function tableLoader(load: (step: StepSpec) => Promise<Plugin>): LoadTable {
  return async (step, type) => {
    if (type === undefined) return { plugin: (await load(step)) as PluginOf<'table'>, url: step.url }
    const { plugin, url } = await loadPlugin('table', type, step.folder)
    return { plugin, url, options: await completeOptions(plugin, step.options, step.folder) }
  }
}

/** The pipeline as plain data, for the transform. */
export function transformSpec(config: PipelineConfig): TransformSpec {
  const withWhen = <T extends StepSpec>(spec: T, when: string | undefined) => ({ ...spec, ...(when !== undefined && { when }) })
  const { unmatched } = config
  return {
    inputs: config.inputs.map(step => ({ id: step.id, codec: specOf(step.codec), idField: step.plugin.idField })),
    filters: config.filters.map(step => withWhen(specOf(step), step.when)),
    outputs: config.outputs.map(step =>
      withWhen({ ...specOf(step), filters: step.filters.map(own => withWhen(specOf(own), own.when)) }, step.when),
    ),
    tables: config.tables.map(specOf),
    unmatched:
      unmatched === undefined || unmatched === 'drop' ? unmatched : config.outputs.findIndex(({ id }) => id === unmatched),
  }
}

export function specOf({ id, url, options, folder }: StepConfig): StepSpec {
  return { id, url, options, folder }
}

function allSteps(config: PipelineConfig): StepConfig[] {
  const { inputs, filters, tables, outputs } = config
  return [
    ...inputs,
    ...inputs.map(({ codec }) => codec),
    ...filters,
    ...tables,
    ...outputs,
    ...outputs.flatMap(output => output.filters),
  ]
}
