// What a plugin sees of the engine, and what the engine expects of a plugin. Of core/, only this folder is for plugins; their commands
// may use core/cli/for-plugins.ts too.
import type { ByteWriter } from './byte-writer.ts'
import type { Json, JsonObject } from './json.ts'
import type { OptionSchemas, OptionValues } from './options.ts'

/** One log record on its way. */
export interface Event {
  /** The record; ECS-shaped after the `ecs` filter. A filter may change it or put another object in its place. */
  fields: JsonObject
  /**
   * The same every time the record is read: the one that its chunk gives it, else `event.id` of the fields, else what the record has
   * in the input's `idField`, else a hash of the source bytes; parts of a split add `#n`.
   */
  readonly id: string
  /** The id that its chunk gives the record (`Chunk.ids`); parts of a split have that of the whole. */
  readonly recordId?: string | undefined
  /** Where it came from: `input` (the step's id), `path`, `partition` and what the input adds. Shared by a chunk's events. */
  readonly meta: Readonly<JsonObject>
  /** The record's bytes as they were read. Valid only until `apply` returns: copy what must live longer. */
  readonly original: Uint8Array
  /** Events for the parts of this one, with the ids `<id>#1`, `<id>#2` … where a part has no `event.id` of its own. */
  split(parts: readonly JsonObject[]): Event[]
  /** Puts other bytes in the place of `original`, for good: for a filter that removes what no dead letter may hold. */
  redact(original: Uint8Array): void
}

/** Whole records as bytes. Chunks flow through the streams, never single events. */
export interface Chunk {
  /** Not to be touched by the input after it was handed over, until the engine recycles it (see `buffers`). */
  readonly bytes: Uint8Array
  /** Where each record ends in `bytes` (exclusive, delimiter not included). May be longer than `count`. */
  readonly ends: Uint32Array
  /** Where each record starts. Without it, a record starts one byte (the newline) after the end of the one before. */
  readonly starts?: Uint32Array
  /** How many records there are; `ends.length` when absent. */
  readonly count?: number
  /** Where `bytes[0]` lies in the source, in bytes (of the decoded stream): dead letters name the record's place with it. */
  readonly offset?: number
  readonly meta?: Readonly<JsonObject>
  /** Pieces of the source that are no records (too long, cut off in the middle); each is counted as read and dead-lettered. */
  readonly faults?: readonly Fault[]
  /** Order and positions hold within a partition. Default: '' (the input has one). */
  readonly partition?: string
  /** Where to go on from when this and all earlier chunks of its partition are settled. Absent: the position stays as it is. */
  readonly position?: Json
  /** The partition ends with this chunk; once settled, its position is forgotten. */
  readonly last?: boolean
  /** The plugin's own rows, written in the very transaction that settles this chunk. `null` deletes. */
  readonly rows?: readonly (readonly [key: string, value: Json | Uint8Array | null])[]
  /** Ids that single records get instead of their own, by their index in the chunk: whatever a filter puts into `event.id`. */
  readonly ids?: ReadonlyMap<number, string>
  /**
   * Its records may have been sent before: by a run that ended before it stored so, or by another process. Without it the engine takes
   * that for what a partition begins with, as much as may be on its way at once (`in_flight_bytes`).
   */
  readonly again?: boolean
}

/** A piece of a source that is no record. */
export interface Fault {
  /** Why, as a sentence for the dead letter. */
  readonly reason: string
  readonly code: string
  /** The piece, or its first 64 KiB. */
  readonly bytes: Uint8Array
  /** Where it begins in the source, in bytes of the decoded stream. */
  readonly offset: number
  /** Its whole length in bytes, which `bytes` may cut. */
  readonly length: number
  /** SHA-256 of the whole piece in hex, where `bytes` is cut. */
  readonly sha256?: string
}

/** The stored positions of an input. */
export interface Positions {
  get(partition: string): Json | undefined
  /** Every partition that has a stored position. */
  partitions(): Iterable<string>
}

export type Status = 'ok' | 'degraded' | 'failed'

export interface Log {
  debug(fields: JsonObject, message: string): void
  info(fields: JsonObject, message: string): void
  warn(fields: JsonObject, message: string): void
  error(fields: JsonObject, message: string): void
}

/** The only clock and timer: tests put a virtual one in its place. */
export interface Clock {
  /** Wall-clock time, milliseconds since 1970. */
  now(): number
  /** Milliseconds that never jump: for durations. */
  monotonic(): number
  /** Calls `fn` once after `ms`; the returned function cancels. */
  after(ms: number, fn: () => void): () => void
  /** Resolves after `ms`, or rejects with an AbortError as soon as `signal` aborts. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>
}

export interface Metrics {
  /** Adds to a counter `penstock_<name>` labelled with pipeline and step; `labels` take configured names only, never event values. */
  count(name: string, help: string, by?: number, labels?: Readonly<Record<string, string>>): void
  gauge(name: string, help: string, value: number, labels?: Readonly<Record<string, string>>): void
}

/** Which rows of a list: those behind the key `after`, at most `limit`. */
export interface RowPage {
  readonly after?: string
  readonly limit?: number
}

/**
 * A plugin's own rows in the store, below its step. Keys sort as text. Values may be bytes. `penstock state show` prints rows
 * `shown/NAME` whose value is a map of parts, each with its facts: `{ PART: { FACT: value } }`.
 */
export interface Rows {
  get(key: string): Promise<Json | Uint8Array | undefined>
  /** In the order of their keys. */
  list(prefix: string, page?: RowPage): Promise<(readonly [key: string, value: Json | Uint8Array])[]>
  /** One durable transaction; `null` deletes. */
  put(changes: readonly (readonly [key: string, value: Json | Uint8Array | null])[]): Promise<void>
}

/** What a plugin gets in `open`, on the main thread. */
export interface Context {
  /** The step's id. */
  readonly id: string
  readonly log: Log
  readonly metrics: Metrics
  readonly clock: Clock
  readonly rows: Rows
  /** Shown by /health, `run` and the log; one line each time it changes. */
  health(status: Status, why?: string): void
  /** Inputs only: the codec of the step. */
  readonly codec: Codec
  /** Inputs only: a longer record must become a fault, before anything parses it. Bytes. */
  readonly maxEventBytes: number
}

/** What `create` gets beside the options: in the main thread, in every worker, and at `check`. No I/O here. */
export interface Site {
  readonly id: string
  /** Absolute: relative paths and globs of this step count from here. */
  readonly folder: string
  /** Compiles a CEL expression over an event; an error gets the position of the option at `path`. */
  expression(text: string, path: string): (event: Event) => boolean
  /** A table of the pipeline by its id, or one of the step's own by type and options; filters only. */
  table(source: string | { readonly type: string; readonly options: JsonObject }, path: string): TableHandle
  /** The file that this value of a secret option was read from (`${secret:file:…}` and nothing beside it), to be read again. */
  secretFile(value: string): string | undefined
  /**
   * Reads a YAML or JSON file with options in it as a pipeline's are read: filled in, checked by their schemas, completed; paths count
   * from the file's folder. Throws an error that names each mistake with its place. Such a file is configuration: `check` reads it.
   */
  optionsFile<const P extends OptionSchemas>(path: string, options: P): OptionsFile<P>
}

/** What such a file says. */
export interface OptionsFile<P extends OptionSchemas> {
  readonly options: OptionValues<P>
  /** As in Site. */
  secretFile(value: string): string | undefined
}

/** A step's table, as filters see it: always the newest image. */
export interface TableHandle {
  lookup(key: string): JsonObject | undefined
}

interface Lifecycle {
  /** On the main thread, before any work. Heavy clients are imported here. A throw stops the start with its message. */
  open?(context: Context): void | Promise<void>
  /** After the last work, also after a failed start. */
  close?(): void | Promise<void>
  /** What `run` prints for this step at its end. */
  summary?(): Summary | readonly Summary[] | undefined
}

/** A small table that `run` prints at its end. */
export interface Summary {
  readonly title: string
  readonly rows: readonly (readonly [label: string, value: string | number])[]
  /** The numbers are counts of one kind: bars show their proportions. */
  readonly bars?: boolean
}

export interface Input extends Lifecycle {
  /**
   * Reads until there is nothing more (then the pipeline may end) or `signal` aborts (then it returns or throws the AbortError).
   * The next chunk is asked for when the engine has room: waiting inside a `yield` is the backpressure.
   */
  read(positions: Positions, signal: AbortSignal): AsyncIterable<Chunk>
  /** `source`: the source keeps the positions; none are stored here, and `read` finds none. Its chunks have them all the same, for `settled`. */
  readonly positions?: 'source'
  /** After the commit that settled chunks of this partition up to `position`. */
  settled?(partition: string, position: Json | undefined, last: boolean): void | Promise<void>
}

export interface Codec {
  /** A new cutter for one byte stream; `meta` goes into its chunks' meta. */
  framer(meta: Readonly<JsonObject>, start?: FramerStart): Framer
  /** One record's bytes to its object, or objects. Pure: runs in any thread. A throw dead-letters this record only. */
  decode(record: Uint8Array, meta: Readonly<JsonObject>): JsonObject | readonly JsonObject[]
}

export interface FramerStart {
  /** A longer record becomes a fault. Bytes. */
  readonly maxEventBytes?: number
  /** The `state` of the framer that stopped where this one goes on. */
  readonly state?: Json | undefined
}

/** Cuts a byte stream into chunks of whole records. The bytes pushed are copied: the caller may reuse its buffer. */
export interface Framer {
  /** All records that are complete with these bytes. `offset` and `count`, `starts`, `faults` are set; `position` is the input's. */
  push(bytes: Uint8Array): Iterable<Chunk>
  /** The stream is over: what is left is a record without its delimiter, or a fault. */
  end(): Iterable<Chunk>
  /** Bytes of the stream that all returned chunks cover: an input may go on from here with a new framer and `state`. */
  readonly consumed: number
  /** What a framer that goes on from `consumed` must know (a CSV header); undefined when nothing. */
  readonly state?: Json | undefined
}

/** Changes, splits, drops, or judges events. `apply` and a gate's `key` may run in workers, on instances that are never opened. */
export interface Filter extends Lifecycle {
  /** The changed event, `undefined` to drop it, an array to split it. A throw dead-letters this one event. */
  apply?(event: Event): Event | readonly Event[] | undefined
  /** The part that decides across events; runs after `apply` of the same filter. */
  readonly gate?: Gate
}

/** Holds back the settling of a chunk. */
export interface Hold {
  release(): void
}

/** Decides across events: `key` in the transform, all the rest on the main thread, in chunk order. */
export interface Gate {
  /** What the decision hangs on; `undefined` lets the event pass. Pure. */
  key(event: Event): string | undefined
  /**
   * True lets the event go on and reserves the key. False makes it a duplicate: the gate then owns `hold` and must release it, at
   * once, or when the fate of the event it repeats is known.
   */
  admit(key: string, hold: Hold): boolean
  /** Rows for the very transaction that settles the chunk in which these keys were admitted and delivered. */
  keep?(keys: readonly string[]): readonly (readonly [key: string, value: Json | Uint8Array | null])[]
  /** After that commit; `delivered` is false when the event became a dead letter: the key must be free again. */
  settled?(key: string, delivered: boolean): void
}

/** Where an output sends an item: topic, index or path, key, headers. */
export interface Address {
  readonly to?: string
  readonly key?: string
  readonly headers?: Readonly<Record<string, string>>
}

/** An event encoded for one output. */
export interface Item {
  /** A view, made at each access. */
  readonly bytes: Uint8Array
  /** Where the bytes lie: an item that begins where the one before it ended can be written with it. */
  readonly memory: Uint8Array
  readonly start: number
  readonly end: number
  readonly id: string
  readonly address: Address
  /** How often this item was rejected before. */
  readonly tries: number
  /**
   * It may be there already: an earlier `write` threw, an earlier run may have sent it, or it is a replay. A destination that cannot
   * refuse what it has looks it up first.
   */
  readonly again: boolean
}

export interface Output extends Lifecycle {
  /** Writes the event's bytes. Pure: runs in any thread. The same address object for the same address is cheapest. */
  encode(event: Event, to: ByteWriter): Address | undefined
  /**
   * Resolves when every item that was not rejected is durably delivered. A throw means that none is known to be: the whole batch is
   * tried again for ever, and this call's rejects are void. Item bytes are valid until it settles.
   */
  write(items: readonly Item[], reject: (index: number, error: Error) => void, signal: AbortSignal): Promise<void>
  /** How many writes may run at once; 1 keeps the order. Default 1. */
  readonly concurrency?: number
}

/** What a table knows, loaded once on the main thread and shared with every worker. */
export interface Table extends Lifecycle {
  /** Files whose change calls for a new load. */
  readonly files?: readonly string[]
  load?(signal: AbortSignal): Promise<SharedArrayBuffer>
  /** Pure: runs in any thread, once for each image. */
  view(image?: SharedArrayBuffer): TableHandle
}
