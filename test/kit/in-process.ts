// A pipeline in this process, of plugins written in the test, on a store in memory: for tests of the flow.

import { memoryStore } from '../../core/cli/memory-store.ts'
import type { OutputConfig, PipelineConfig, StepConfig } from '../../core/config/types.ts'
import { type Figures, Pipeline, type PipelineParts } from '../../core/flow/pipeline.ts'
import { systemClock } from '../../core/observe/clock.ts'
import { Health } from '../../core/observe/health.ts'
import { MetricsStore } from '../../core/observe/metrics.ts'
import { defineCodec, defineFilter, defineInput, defineOutput, type Plugin, type PluginOf } from '../../core/plugin/define.ts'
import type { Chunk, Clock, Codec, Filter, Input, Log, Output } from '../../core/plugin/interfaces.ts'
import type { Json, JsonObject } from '../../core/plugin/json.ts'
import type { Store } from '../../core/state/types.ts'

export const quietLog: Log = { debug() {}, info() {}, warn() {}, error() {} }

export const jsonCodec: Codec = {
  framer() {
    throw new Error('these tests hand over chunks')
  },
  decode: record => JSON.parse(Buffer.from(record).toString('utf8')) as JsonObject,
}

let urls = 0
function step<P extends Plugin>(id: string, plugin: P): StepConfig<P> {
  return { id, type: id, url: `test:${urls++}`, plugin, options: {}, folder: '/', secretFiles: new Map() }
}

export interface Setup {
  readonly inputs: Readonly<Record<string, Pick<Input, 'read'> & Partial<Input>>>
  readonly filters?: Readonly<Record<string, { readonly filter: () => Filter; readonly when?: string }>>
  readonly outputs: Readonly<
    Record<string, { readonly output: () => Output; readonly when?: string; readonly config?: Partial<OutputConfig> }>
  >
  readonly config?: Partial<PipelineConfig>
  readonly store?: Store
  /** Of all inputs. Default: JSON. */
  readonly codec?: Codec
  readonly clock?: Clock
  readonly log?: Log
}

/** Builds the pipeline; `store`, `health` and `parts` are those it uses. */
export function inProcess(setup: Setup) {
  const store = setup.store ?? memoryStore()
  const health = new Health()
  const log = setup.log ?? quietLog
  const parts: PipelineParts = { store, clock: setup.clock ?? systemClock, log: () => log, metrics: new MetricsStore(), health }
  const codec = step('json', defineCodec({ summary: 's', options: {}, examples: [{}], create: () => setup.codec ?? jsonCodec }))
  const config: PipelineConfig = {
    file: '/test.yaml',
    folder: '/',
    name: 'test',
    inputs: Object.entries(setup.inputs).map(([id, input]) => ({
      ...step(id, defineInput({ summary: 's', options: {}, examples: [{}], create: () => input as Input }) as PluginOf<'input'>),
      codec,
    })),
    filters: Object.entries(setup.filters ?? {}).map(([id, { filter, when }]) => ({
      ...step(id, defineFilter({ summary: 's', options: {}, examples: [{}], create: filter }) as PluginOf<'filter'>),
      ...(when !== undefined && { when }),
    })),
    tables: [],
    outputs: Object.entries(setup.outputs).map(([id, { output, when, config: own }]) => ({
      ...step(id, defineOutput({ summary: 's', options: {}, examples: [{}], create: output }) as PluginOf<'output'>),
      filters: [],
      batch: { max_events: 7, max_bytes: 1 << 20, max_ms: 5 },
      retry: { min_ms: 1, max_ms: 4 },
      max_tries: 3,
      ...(when !== undefined && { when }),
      ...own,
    })),
    workers: 0,
    worker_timeout_ms: 30_000,
    in_flight_bytes: 1 << 20,
    commit_interval_ms: 1,
    max_event_bytes: 1 << 20,
    grace_ms: 500,
    tests: [],
    ...setup.config,
  }
  return { pipeline: new Pipeline(config, parts), store, health, config, parts }
}

/** A chunk of records, as NDJSON. */
export function chunkOf(records: readonly JsonObject[], rest: Partial<Chunk> = {}): Chunk {
  const ends: number[] = []
  let text = ''
  for (const record of records) {
    text += `${JSON.stringify(record)}\n`
    ends.push(Buffer.byteLength(text) - 1)
  }
  return { bytes: Buffer.from(text), ends: Uint32Array.from(ends), ...rest }
}

/** An input that gives these records, `size` to a chunk, with positions; it goes on from a stored position. */
export function listInput(records: readonly JsonObject[], size = 5): Pick<Input, 'read'> {
  return {
    async *read(positions, signal) {
      let index = (positions.get('') as number | undefined) ?? 0
      while (index < records.length && !signal.aborted) {
        const next = Math.min(index + size, records.length)
        yield chunkOf(records.slice(index, next), { position: next as Json })
        index = next
      }
    },
  }
}

/** An output that remembers what it delivered. `write` may throw or reject before. */
export function listOutput(delivered: JsonObject[], before?: Output['write']): () => Output {
  return () => ({
    encode(event, to) {
      to.json(event.fields)
      return undefined
    },
    async write(items, reject, signal) {
      const refused = new Set<number>()
      const texts = items.map(({ bytes }) => Buffer.from(bytes).toString('utf8'))
      await before?.(
        items,
        (index, error) => {
          refused.add(index)
          reject(index, error)
        },
        signal,
      )
      texts.forEach((text, index) => {
        if (!refused.has(index)) delivered.push(JSON.parse(text) as JsonObject)
      })
    },
  })
}

/** What must hold after every run: nothing is lost, nothing is counted twice. Gives the sentences that do not hold. */
export function imbalance({ counts, outputs }: Figures): string[] {
  const wrong: string[] = []
  const { read, created, dropped, duplicates, unrouted, failed, routed } = counts
  if (read + created !== dropped + duplicates + unrouted + failed + routed) wrong.push(`pipeline: ${JSON.stringify(counts)}`)
  for (const output of outputs) {
    if (output.routed !== output.delivered + output.deadLettered + output.inFlight)
      wrong.push(`output: ${JSON.stringify(output)}`)
  }
  return wrong
}

export function numbered(count: number): JsonObject[] {
  return Array.from({ length: count }, (_, n) => ({ n, event: { id: `e${n}` } }))
}
