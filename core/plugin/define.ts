// How a plugin says what it is. The file's name is the plugin's name; nothing is registered by hand.
import type { Codec, Filter, Input, Output, Site, Table } from './interfaces.ts'
import type { JsonObject } from './json.ts'
import type { OptionSchemas, OptionValues } from './options.ts'

export type Kind = 'input' | 'filter' | 'output' | 'codec' | 'table'
export const KINDS: readonly Kind[] = ['input', 'filter', 'output', 'codec', 'table']

interface Definition<P extends OptionSchemas, T> {
  /** One sentence without a final full stop: lists and pages open with it. */
  readonly summary: string
  /** More than the summary can say, as Markdown paragraphs: for the plugin's page. */
  readonly description?: string
  readonly options: P
  /** Options that work as they stand: shown on the page, created by the contract kit. At least one. */
  readonly examples: readonly JsonObject[]
  /** Command-line verbs that this plugin brings. */
  readonly verbs?: Readonly<Record<string, Verb>>
  /** Checks the options and builds the instance; no I/O. Runs in the main thread, in every worker and at `check`. */
  create(options: OptionValues<P>, site: Site): T
}

/** A command-line verb: `penstock NAME …`. */
export interface Verb {
  readonly summary: string
  readonly usage: string
  /** Resolves to the exit code. */
  run(args: readonly string[]): Promise<number>
}

/** Batch limits of an output: a batch goes out when one of them is reached. */
export interface BatchLimits {
  readonly max_events: number
  readonly max_bytes: number
  readonly max_ms: number
}

interface InputExtras {
  /** The codec when the pipeline names none. Default: ndjson. */
  readonly codec?: string
  /** The key of a record's own id: what an event's id is where no filter puts one into `event.id`. */
  readonly idField?: string
}
interface OutputExtras {
  /** Batch limits when the pipeline gives none. */
  readonly batch?: Partial<BatchLimits>
  /** Makes what the destination needs: `penstock setup NAME …`. */
  readonly setup?: Verb
}

/** A plugin as the engine holds it: its options are checked before `create` is called. */
export interface Plugin<T = unknown> extends Omit<Definition<OptionSchemas, T>, 'create'>, InputExtras, OutputExtras {
  readonly kind: Kind
  create(options: JsonObject, site: Site): T
}
export type PluginOf<K extends Kind> = Plugin<
  K extends 'input' ? Input : K extends 'filter' ? Filter : K extends 'output' ? Output : K extends 'codec' ? Codec : Table
>

function define<P extends OptionSchemas, T>(kind: Kind, definition: Definition<P, T>): Plugin<T> {
  return { ...definition, kind } as unknown as Plugin<T>
}

export function defineInput<const P extends OptionSchemas>(definition: Definition<P, Input> & InputExtras): Plugin<Input> {
  return define('input', definition)
}
export function defineFilter<const P extends OptionSchemas>(definition: Definition<P, Filter>): Plugin<Filter> {
  return define('filter', definition)
}
export function defineOutput<const P extends OptionSchemas>(definition: Definition<P, Output> & OutputExtras): Plugin<Output> {
  return define('output', definition)
}
export function defineCodec<const P extends OptionSchemas>(definition: Definition<P, Codec>): Plugin<Codec> {
  return define('codec', definition)
}
export function defineTable<const P extends OptionSchemas>(definition: Definition<P, Table>): Plugin<Table> {
  return define('table', definition)
}
