// The messages between the store's two sides. Values go as JSON text: a third of what their structured clones cost the main thread.
import type { Failure } from './failure.ts'
import type {
  DeadLetter,
  LetterCount,
  LetterFilter,
  NewSlice,
  QueueInfo,
  QueueStart,
  QueueWritten,
  StoredLetter,
  StoredSlice,
} from './types.ts'

/** What the thread is started with. */
export interface StoreData {
  readonly folder: string
  readonly maxLetterBytes: number
  readonly beside: boolean
  readonly setAside: boolean
}

/** `value` is JSON; in a row, `blob` is the index of its bytes in the message's `blobs` instead. */
export type PositionText = readonly [pipeline: string, input: string, partition: string, position: unknown]
export type RowText = readonly [scope: string, key: string, value: unknown, blob?: 1]

/** A letter on its way to the thread, or from it: the meta as JSON text, the bytes in an ArrayBuffer of their own. */
export type LetterMessage = Omit<DeadLetter, 'meta' | 'bytes'> & {
  readonly meta: string
  readonly bytes: Uint8Array<ArrayBuffer>
}
export type StoredMessage = Omit<StoredLetter, 'meta' | 'bytes'> & Pick<LetterMessage, 'meta' | 'bytes'>

/** A value that lies in the store: JSON text or bytes. */
export type Stored = string | Uint8Array<ArrayBuffer>

/** Each operation with what it takes and what it gives. */
export interface Operations {
  /** `at`: milliseconds since 1970. `text`: JSON of [PositionText[], RowText[]]. */
  commit: [{ at: number; text: string; blobs: readonly Uint8Array[] }, undefined]
  /** JSON of [partition, position][]. */
  positions: [{ pipeline: string; input: string }, string]
  /** JSON of [pipeline, input, partition, position, at][]. */
  allPositions: [object, string]
  scopes: [object, string]
  get: [{ scope: string; key: string }, Stored | undefined]
  list: [{ scope: string; prefix: string; after: string | null; limit: number }, (readonly [key: string, value: Stored])[]]
  reset: [{ pipeline: string; step: string | undefined }, number]
  add: [{ at: number; letters: readonly LetterMessage[] }, undefined]
  letters: [{ filter: LetterFilter }, StoredMessage[]]
  counts: [object, LetterCount[]]
  mark: [{ filter: LetterFilter }, number]
  remove: [{ filter: LetterFilter }, number]
  queues: [object, QueueInfo[]]
  dropQueue: [{ pipeline: string; output: string }, number]
  /** Answered when everything is on disk and the lock is free. Nothing may be under way. */
  close: [object, undefined]
}
export type Operation = keyof Operations

/** What the thread of a disk queue is started with. */
export interface QueueData {
  /** Its file. */
  readonly path: string
  readonly maxBytes: number
  readonly window: number
}

export interface QueueOperations {
  start: [object, QueueStart]
  /** `at`: milliseconds since 1970. */
  write: [{ at: number; add: readonly NewSlice[]; remove: readonly number[] }, QueueWritten]
  read: [{ from: number; bytes: number }, (Omit<StoredSlice, 'items'> & { readonly items: Uint8Array<ArrayBuffer> })[]]
  source: [{ slice: number }, { readonly head: string; readonly bytes: Uint8Array<ArrayBuffer> }]
  close: [object, undefined]
}

/** The requests that operations make. */
export type RequestIn<Ops> = {
  [O in keyof Ops]: { readonly id: number; readonly op: O } & (Ops[O] extends readonly [infer Asked, unknown] ? Asked : never)
}[keyof Ops]
export type Request = RequestIn<Operations>
export type RequestOf<O extends Operation> = Extract<Request, { op: O }>

export type Answer =
  | { readonly kind: 'opened' }
  | { readonly kind: 'refused'; readonly failure: Failure }
  | { readonly kind: 'done'; readonly ids: readonly number[]; readonly value?: unknown }
  | { readonly kind: 'failed'; readonly ids: readonly number[]; readonly failure: Failure }
  | {
      readonly kind: 'log'
      readonly level: 'info' | 'warn' | 'error'
      readonly fields: Readonly<Record<string, unknown>>
      readonly message: string
    }
