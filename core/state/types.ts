// What the store keeps, and the messages it takes: positions and plugins' rows, dead letters, and the lock on their folder.
import type { Worker } from 'node:worker_threads'
import type { Clock, Log, RowPage } from '../plugin/interfaces.ts'
import type { Json, JsonObject } from '../plugin/json.ts'

/** One durable transaction on state.db; `null` deletes. */
export interface Changes {
  readonly positions: readonly (readonly [pipeline: string, input: string, partition: string, position: Json | null])[]
  /** `scope` is `pipeline/step`. */
  readonly rows: readonly (readonly [scope: string, key: string, value: Json | Uint8Array | null])[]
}

/** An event that could not be handled. */
export interface DeadLetter {
  readonly pipeline: string
  /** Where it failed: a step's id. */
  readonly step: string
  /** decode: no record. transform: a filter or an encode threw. output: the destination refused it. */
  readonly stage: 'decode' | 'transform' | 'output'
  /** The input it came from, by id: its codec decodes it again at a replay. */
  readonly input: string
  /** The event's id, where it had one already. */
  readonly event?: string
  readonly code: string
  readonly error: string
  readonly meta: JsonObject
  /** Where the record begins in its source, in bytes of the decoded stream. */
  readonly offset?: number
  /** The source bytes, or their first 64 KiB when `length` is over max_event_bytes. */
  readonly bytes: Uint8Array
  /** The whole record's length in bytes. */
  readonly length: number
  /** SHA-256 in hex of the whole record, where `bytes` is cut. */
  readonly sha256?: string
  /** How often this record was replayed and failed again. */
  readonly tries: number
}

/** A dead letter as it lies in letters.db. */
export interface StoredLetter extends DeadLetter {
  readonly id: number
  /** When it was written: ISO 8601, UTC. */
  readonly at: string
  /** Marked by `dlq replay`: the engine reads it again when it runs. */
  readonly replay: boolean
  /** Its checksum does not fit: the disk changed it. Such a letter is listed, but never among those marked for replay. */
  readonly damaged?: true
}

export interface LetterFilter {
  readonly pipeline?: string
  readonly step?: string
  readonly ids?: readonly number[]
  /** True: only those marked for replay. False: only those that are not. */
  readonly replay?: boolean
  /** Written before this time (ISO 8601). */
  readonly before?: string
  /** At most this many, oldest first. Default: 1,000 for `list`; all for `mark` and `remove`. */
  readonly limit?: number
  /** Ids greater than this one: for paging. */
  readonly after?: number
}

export interface LetterCount {
  readonly pipeline: string
  readonly step: string
  readonly code: string
  readonly count: number
  /** What counts towards the limit: source bytes, meta and error texts, and 256 bytes a letter. */
  readonly bytes: number
}

export interface Letters {
  /** Durable when it resolves. Rejects with a sentence when the disk is full or `max_bytes` is reached: nothing was written then. */
  add(letters: readonly DeadLetter[]): Promise<void>
  /** Oldest first. Ends early at 32 MiB of source bytes (one letter always fits): go on with `after` until none comes. */
  list(filter: LetterFilter): Promise<StoredLetter[]>
  counts(): Promise<LetterCount[]>
  /** Marks for replay; resolves to how many fit the filter, marked before or not. In steps of at most 1,000, each a transaction. */
  mark(filter: LetterFilter): Promise<number>
  /** Resolves to how many went. In steps of at most 1,000 letters, each a transaction, so that nobody waits long for the file. */
  remove(filter: LetterFilter): Promise<number>
}

/** The items of one chunk for one output, on their way into a disk queue. */
export interface NewSlice {
  /** Greater than all before. */
  readonly id: number
  readonly events: number
  /** JSON text: all but the bytes. */
  readonly head: string
  /** Its items back to back, and the source bytes of their records: pieces that follow each other. */
  readonly items: readonly Uint8Array[]
  readonly source: readonly Uint8Array[]
}

/** A slice as it lies in a queue, without its source bytes. */
export interface StoredSlice {
  readonly id: number
  readonly events: number
  readonly head: string
  readonly items: Uint8Array
}

/** What a disk queue holds. */
export interface QueueTotals {
  readonly events: number
  /** As they are stored: compressed. */
  readonly bytes: number
  /** When its oldest slice was written, in milliseconds since 1970; absent when it is empty. */
  readonly oldest?: number
}

export interface QueueStart extends QueueTotals {
  /** Id of the oldest slice, and of the next one. They are the same when the queue is empty. */
  readonly first: number
  readonly next: number
  /** How many bytes (heads and items) of its beginning earlier runs may have sent. */
  readonly sent: number
}

export interface QueueWritten extends QueueTotals {
  /** How many of the new slices were written: the rest has no room. */
  readonly written: number
}

/** An open disk queue. */
export interface QueueFile {
  readonly start: QueueStart
  /**
   * One durable transaction: forgets slices, then takes as many new ones as fit; an empty queue takes one of any size. Rejects like the
   * store's `commit`: nothing was written then.
   */
  write(add: readonly NewSlice[], remove: readonly number[]): Promise<QueueWritten>
  /** Slices from this id on, oldest first: one, and more while they come to less than `bytes`. */
  read(from: number, bytes: number): Promise<StoredSlice[]>
  /** What a slice's dead letters need. */
  source(id: number): Promise<{ readonly head: string; readonly bytes: Uint8Array }>
  close(): Promise<void>
}

/** A queue file of the folder. */
export interface QueueInfo extends QueueTotals {
  readonly pipeline: string
  readonly output: string
  /** Why it cannot be read. */
  readonly why?: string
}

export interface Store {
  readonly folder: string
  readonly letters: Letters
  /**
   * Opens an output's disk queue, in a thread of its own, and creates its file where there is none. Rejects like `openStore`.
   * @param maxBytes limit of what it holds, as it is stored
   * @param window how many bytes (heads and items) are sent at once, at most: for `QueueStart.sent`
   */
  openQueue(pipeline: string, output: string, maxBytes: number, window: number): Promise<QueueFile>
  /** Every queue file of the folder. */
  queues(): Promise<QueueInfo[]>
  /** Forgets an output's disk queue; resolves to how many events lay in it. Nobody may have it open. */
  dropQueue(pipeline: string, output: string): Promise<number>
  /** All stored positions of an input, by partition. */
  positions(pipeline: string, input: string): Promise<Map<string, Json>>
  /** Resolves when the transaction is on disk. Calls while one is under way become one transaction. */
  commit(changes: Changes): Promise<void>
  get(scope: string, key: string): Promise<Json | Uint8Array | undefined>
  list(scope: string, prefix: string, page?: RowPage): Promise<(readonly [key: string, value: Json | Uint8Array])[]>
  /** Every stored position, for `state show`. */
  allPositions(): Promise<(readonly [pipeline: string, input: string, partition: string, position: Json, at: string])[]>
  /** Every `pipeline/step` that has rows. */
  scopes(): Promise<string[]>
  /** Forgets positions and rows of a pipeline, or of one step of it; resolves to how many rows went. */
  reset(pipeline: string, step?: string): Promise<number>
  close(): Promise<void>
}

export interface StoreOptions {
  readonly log?: Log
  /** Time stamps come from here. Default: the machine's clock. */
  readonly clock?: Pick<Clock, 'now'>
  /** Limit of what letters.db holds. Default: 1 GiB. */
  readonly maxLetterBytes?: number
  /**
   * Opens without the lock, beside an engine that may be running: reads everything, marks and removes letters; `commit`, `reset` and
   * `letters.add` reject with PEN_STATE_BESIDE. Neither creates nor migrates anything.
   */
  readonly beside?: boolean
  /**
   * Files that are damaged, or were lost beside others, are renamed to `NAME.damaged-TIME` and begun anew, instead of the refusal.
   * Dead letters that can still be read are taken over. For `penstock state reset`.
   */
  readonly setAside?: boolean
  /** A thread from `bootThread` that has not opened anything yet. */
  readonly thread?: Worker
}

/** How much was asked of the store, and how much it made of it. */
export interface StoreStats {
  /** Calls of `commit` that resolved. */
  readonly commits: number
  /** Transactions on state.db that these took. */
  readonly transactions: number
}

/** The store that `openStore` gives. */
export interface StateStore extends Store {
  readonly stats: StoreStats
}
