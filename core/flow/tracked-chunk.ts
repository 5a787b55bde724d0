// A chunk on its way through a pipeline: what is held for it, and what is owed when it is settled.
import type { Chunk } from '../plugin/interfaces.ts'
import type { Json, JsonObject } from '../plugin/json.ts'
import type { Ack, Tracked } from './ack.ts'
import type { Job } from './packed.ts'

/** A key that a gate admitted with a chunk. */
export interface AdmittedKey {
  readonly gate: number
  readonly key: string
  /** Index of its event among the chunk's gated ones. */
  readonly owner: number
}

export class TrackedChunk implements Tracked {
  readonly input: number
  readonly partition: string
  readonly position: Json | undefined
  readonly last: boolean
  readonly chunk: Chunk
  readonly job: Job
  readonly ack: Ack
  /** The dead letter that is replayed with this chunk, by id. */
  readonly letter: number | undefined
  readonly letterTries: number
  /** As in Chunk. */
  readonly again: boolean
  settled = false
  /** Bytes that count against the cap until the chunk is settled. */
  held = 0
  readonly keys: AdmittedKey[] = []
  /** Owners (as in AdmittedKey) of events that became dead letters, and of the events that these are parts of. */
  readonly failed = new Set<number>()
  /** By owner: the event that it is a part of; -1: of none. */
  wholes: readonly number[] = []
  /** Source bytes that a filter had replaced, by record. */
  redacted: ReadonlyMap<number, Uint8Array> = new Map()

  constructor(
    input: number,
    chunk: Chunk,
    meta: JsonObject,
    ack: Ack,
    again: boolean,
    replay?: { letter?: number; tries: number; output: number },
  ) {
    this.input = input
    this.partition = chunk.partition ?? ''
    this.position = chunk.position
    this.last = chunk.last ?? false
    this.chunk = chunk
    this.ack = ack
    this.letter = replay?.letter
    this.letterTries = replay?.tries ?? 0
    this.again = again
    const { bytes, ends, starts } = chunk
    this.job = {
      input,
      bytes: Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length),
      ends,
      ...(starts && { starts }),
      count: chunk.count ?? ends.length,
      meta,
      ...(chunk.ids && chunk.ids.size > 0 && { ids: chunk.ids }),
      ...(replay && { replay: replay.output }),
    }
  }

  /** The event became a dead letter: its key, and that of the event it was a part of, must be free again. */
  fail(owner: number): void {
    for (let one = owner; one >= 0; one = this.wholes[one] ?? -1) this.failed.add(one)
  }

  /** What a record's dead letter keeps: its source bytes, or what a filter put in their place. */
  source(record: number): Uint8Array {
    return this.redacted.get(record) ?? this.job.bytes.subarray(this.startOf(record), this.job.ends[record])
  }

  startOf(record: number): number {
    const { starts, ends } = this.job
    if (starts) return starts[record] as number
    return record === 0 ? 0 : (ends[record - 1] as number) + 1
  }
}

/** The bytes of a chunk that hold records: its buffer may be larger. */
export function usedBytes(chunk: Chunk): number {
  const count = chunk.count ?? chunk.ends.length
  let used = count > 0 ? (chunk.ends[count - 1] as number) : 0
  for (const { bytes } of chunk.faults ?? []) used += bytes.length
  return used
}
