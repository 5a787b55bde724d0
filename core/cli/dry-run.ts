// Runs records through a pipeline's codec, filters, gates and routes without opening its inputs and outputs: for `penstock test`.
import type { PipelineConfig } from '../config/types.ts'
import { contextOf } from '../flow/context.ts'
import type { Packed, StepSpec } from '../flow/packed.ts'
import { siteOf } from '../flow/site.ts'
import { pluginLoader, specOf, tableLoader, transformSpec } from '../flow/steps.ts'
import { Tables } from '../flow/tables.ts'
import { buildTransform } from '../flow/transform.ts'
import { systemClock } from '../observe/clock.ts'
import { Health } from '../observe/health.ts'
import { MetricsStore } from '../observe/metrics.ts'
import type { Plugin } from '../plugin/define.ts'
import { PenstockError } from '../plugin/errors.ts'
import type { Chunk, Codec, Gate, Log } from '../plugin/interfaces.ts'
import { copyJson, type JsonObject } from '../plugin/json.ts'
import { loadPlugin } from '../plugin/registry.ts'
import { memoryStore } from './memory-store.ts'

export interface DryResult {
  /** Events behind the last filter, in order, with the outputs that take them. */
  readonly events: readonly { readonly fields: JsonObject; readonly outputs: readonly string[] }[]
  /** Errors of what became a dead letter, in order. */
  readonly deadLetters: readonly string[]
  readonly duplicates: number
}

export interface DryRun {
  /** Objects as they are, text through the codec of the input `inputId` (default: the first). Gates begin empty each time. */
  run(records: readonly (JsonObject | string)[], inputId?: string, meta?: JsonObject): Promise<DryResult>
  close(): Promise<void>
}

const quiet: Log = { debug() {}, info() {}, warn() {}, error() {} }

export async function openDryRun(config: PipelineConfig): Promise<DryRun> {
  const { plugin: objects, url } = await loadPlugin('codec', 'ndjson', config.folder)
  const own = pluginLoader(config)
  const load = async (step: StepSpec): Promise<Plugin> => (step.url === url ? objects : own(step))
  const tables = new Tables(config.tables.map(specOf))
  const spec = transformSpec(config)
  /** Objects enter through a codec of their own, behind those of the inputs. */
  const withObjects = {
    ...spec,
    inputs: [...spec.inputs, { id: 'test', codec: { id: 'test', url, options: {}, folder: config.folder } }],
  }
  let traced: { fields: JsonObject; outputs: readonly string[]; owner: number }[] = []
  const transform = await buildTransform(withObjects, load, tables, (event, outputs, owner) => {
    traced.push({ fields: copyJson(event.fields), outputs, owner })
  })
  await tables.open(tableLoader(load), new AbortController().signal)

  async function openGates(): Promise<Gate[]> {
    const gates: Gate[] = []
    const store = memoryStore()
    for (const step of config.filters) {
      const filter = step.plugin.create(step.options, siteOf(step, tables))
      if (!filter.gate) continue
      const parts = {
        pipeline: config.name,
        store,
        clock: systemClock,
        log: quiet,
        metrics: new MetricsStore(),
        health: new Health(),
      }
      await filter.open?.(contextOf(step.id, quiet, { ...parts, maxEventBytes: config.max_event_bytes }))
      gates.push(filter.gate)
    }
    return gates
  }

  function chunksOf(record: JsonObject | string, input: number): { input: number; chunks: Chunk[] } {
    if (typeof record !== 'string') {
      const bytes = Buffer.from(JSON.stringify(record))
      return { input: spec.inputs.length, chunks: [{ bytes, ends: Uint32Array.of(bytes.length) }] }
    }
    const step = config.inputs[input] as PipelineConfig['inputs'][number]
    const codec: Codec = step.codec.plugin.create(step.codec.options, siteOf(step.codec, tables))
    const framer = codec.framer({}, { maxEventBytes: config.max_event_bytes })
    return { input, chunks: [...framer.push(Buffer.from(record)), ...framer.end()] }
  }

  return {
    async run(records, inputId, given = {}) {
      const input = inputId === undefined ? 0 : config.inputs.findIndex(({ id }) => id === inputId)
      const id = config.inputs[input]?.id
      if (id === undefined) throw new PenstockError('PEN_CONFIG', `the pipeline has no input ${inputId}`)
      const gates = await openGates()
      const events: DryResult['events'][number][] = []
      const deadLetters: string[] = []
      let duplicates = 0
      for (const record of records) {
        const { input: from, chunks } = chunksOf(record, input)
        for (const { bytes, ends, starts, count, meta, faults } of chunks) {
          traced = []
          const job = {
            input: from,
            bytes,
            ends,
            ...(starts && { starts }),
            count: count ?? ends.length,
            meta: { input: id, ...meta, ...given },
          }
          const packed = transform(job)
          const admitted = judge(gates, packed)
          duplicates += packed.gated.filter(({ fate }, owner) => fate !== 'split' && !admitted[owner]).length
          for (const { fields, outputs, owner } of traced) if (owner < 0 || admitted[owner]) events.push({ fields, outputs })
          deadLetters.push(...(faults ?? []).map(({ reason }) => reason))
          for (const { error, owner, step } of packed.faults)
            if (owner < 0 || admitted[owner]) deadLetters.push(`${step}: ${error}`)
        }
      }
      return { events, deadLetters, duplicates }
    },
    close: () => tables.close(),
  }
}

/** Everything that is admitted counts as delivered at once. */
function judge(gates: readonly Gate[], { gated }: Packed): boolean[] {
  const admitted: boolean[] = []
  for (const { keys, whole } of gated) {
    let goes = whole < 0 || (admitted[whole] as boolean)
    keys.forEach((key, index) => {
      if (!goes || key === undefined) return
      const gate = gates[index] as Gate
      goes = gate.admit(key, { release() {} })
      if (!goes) return
      gate.keep?.([key])
      gate.settled?.(key, true)
    })
    admitted.push(goes)
  }
  return admitted
}
