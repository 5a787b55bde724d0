// A pipeline as the engine runs it: read, checked, with defaults and secrets filled in.
import type { BatchLimits, Plugin, PluginOf } from '../plugin/define.ts'
import type { JsonObject } from '../plugin/json.ts'

/** One entry of a pipeline. What a worker needs to build the same step again is plain data. */
export interface StepConfig<P extends Plugin = Plugin> {
  readonly id: string
  /** The plugin's name, path or package, as written. */
  readonly type: string
  /** Where the plugin's module lies: a worker imports it from here. */
  readonly url: string
  readonly plugin: P
  /** Checked, with defaults, environment and secrets filled in, and paths made absolute. */
  readonly options: JsonObject
  /** What relative paths and globs of this step count from; absolute. */
  readonly folder: string
  /** Secrets of the pipeline by their value → the file that holds each. */
  readonly secretFiles: ReadonlyMap<string, string>
}

export interface FilterConfig extends StepConfig<PluginOf<'filter'>> {
  readonly when?: string
}

export interface InputConfig extends StepConfig<PluginOf<'input'>> {
  readonly codec: StepConfig<PluginOf<'codec'>>
}

export interface OutputConfig extends StepConfig<PluginOf<'output'>> {
  /** CEL, or `unmatched`: what no other output took. */
  readonly when?: string
  readonly filters: readonly FilterConfig[]
  readonly batch: BatchLimits
  /** Waits between tries of a write that threw: doubled from min to max, with jitter. Milliseconds. */
  readonly retry: { readonly min_ms: number; readonly max_ms: number }
  /** How often an item is tried that was rejected without being permanent. */
  readonly max_tries: number
  /** A disk queue, and its size in bytes; absent where events wait in memory. */
  readonly queue?: { readonly max_bytes: number }
}

export type TableConfig = StepConfig<PluginOf<'table'>>

export interface HttpConfig {
  readonly host: string
  readonly port: number
  readonly token?: string
  readonly tls?: { readonly cert: string; readonly key: string }
}

/** One entry of `tests:`. */
export interface TestConfig {
  readonly name: string
  /** The input step whose codec the records go through; the first one when absent. */
  readonly input_id?: string
  /** Records: objects as they are, text through the codec. */
  readonly input: readonly (JsonObject | string)[]
  /** Each expected event, in order: a subset of its fields. */
  readonly output?: readonly JsonObject[]
  /** True: fields beyond the expected ones are a difference too. */
  readonly exact: boolean
  /** Output id → how many events reach it. */
  readonly outputs?: Readonly<Record<string, number>>
  /** Parts of the errors of the expected dead letters, in order. */
  readonly dead_letters?: readonly string[]
  /** How many events a gate (dedupe) holds back. */
  readonly duplicates?: number
  readonly line: number
}

export interface PipelineConfig {
  /** Absolute path of the YAML file. */
  readonly file: string
  /** Its folder, absolute. */
  readonly folder: string
  readonly name: string
  readonly description?: string
  readonly inputs: readonly InputConfig[]
  /** Index of the only output that takes events; no gate is asked, as at a replay. For commands that send old records again. */
  readonly only?: number
  readonly filters: readonly FilterConfig[]
  readonly tables: readonly TableConfig[]
  readonly outputs: readonly OutputConfig[]
  /** Where events go that no `when` took: an output's id, or 'drop'. */
  readonly unmatched?: string
  readonly workers: number
  /** A worker that gives no answer for so long is ended. Milliseconds. */
  readonly worker_timeout_ms: number
  /** Cap on unsettled work. Bytes. */
  readonly in_flight_bytes: number
  readonly commit_interval_ms: number
  readonly max_event_bytes: number
  /** How long a stop waits for outputs. Milliseconds. */
  readonly grace_ms: number
  readonly http?: HttpConfig
  readonly tests: readonly TestConfig[]
}
