// What goes into the transform and what comes out of it: plain data and bytes, so that both can cross to a worker.
import type { Address } from '../plugin/interfaces.ts'
import type { JsonObject } from '../plugin/json.ts'

/** A step as plain data: enough to build it again in another thread. */
export interface StepSpec {
  readonly id: string
  readonly url: string
  readonly options: JsonObject
  readonly folder: string
}
export interface FilterSpec extends StepSpec {
  readonly when?: string
}
export interface OutputSpec extends StepSpec {
  readonly when?: string
  readonly filters: readonly FilterSpec[]
}
export interface TransformSpec {
  readonly inputs: readonly { readonly id: string; readonly codec: StepSpec; readonly idField?: string | undefined }[]
  readonly filters: readonly FilterSpec[]
  readonly outputs: readonly OutputSpec[]
  readonly tables: readonly StepSpec[]
  /** Index of the output that takes what no `when` took, `drop` to drop it; undefined where that cannot be. */
  readonly unmatched: number | 'drop' | undefined
}

/** A chunk's records, as the transform takes them. */
export interface Job {
  /** Index of the input in the spec. */
  readonly input: number
  readonly bytes: Uint8Array
  readonly ends: Uint32Array
  readonly starts?: Uint32Array
  readonly count: number
  readonly meta: JsonObject
  /** Ids that records get instead of their own, by their index. */
  readonly ids?: ReadonlyMap<number, string>
  /** A replay: no gate is asked, and only this output (an index) takes the events; -1: all. */
  readonly replay?: number
  /** Records that ended the workers that had them: each fails at its step this time. */
  readonly culprits?: readonly Culprit[]
  /** Shared memory: the step at work, for whoever has to name it when it never returns (see Culprit.step). */
  readonly at?: Int32Array
}

/** A record that ended its worker. */
export interface Culprit {
  readonly record: number
  /** 0: the codec; then the filters, then the outputs, in the order of the spec. */
  readonly step: number
  readonly code: string
  readonly error: string
}

/** An event that failed. */
export interface TransformFault {
  /** Index of its record in the chunk. */
  readonly record: number
  /** output: it could not be encoded for one output, or failed in that output's own filters; it counts there. */
  readonly stage: 'decode' | 'transform' | 'output'
  readonly step: string
  /** Index of the output; -1 where the event failed before the routes. */
  readonly output: number
  readonly code: string
  readonly error: string
  readonly event?: string
  /** Index in `gated`; -1 where no gate judges the event. */
  readonly owner: number
}

/** Events for one output, encoded back to back. */
export interface PackedOutput {
  readonly output: number
  readonly bytes: Uint8Array
  /** Where each item ends; items follow each other without a gap. */
  readonly ends: readonly number[]
  readonly ids: readonly string[]
  /** For each item the index of its record in the chunk. */
  readonly records: readonly number[]
  /** One for each item; absent when none has an address. */
  readonly addresses?: readonly (Address | undefined)[]
  /** For each item the index of its event in `gated`, or -1; absent where no event of the chunk has a key. */
  readonly owners?: readonly number[]
}

/** An event that a gate has to judge before it counts. */
export interface GatedEvent {
  /** By gate; undefined where the gate lets it pass. */
  readonly keys: readonly (string | undefined)[]
  /** What becomes of it when it is admitted; `split`: its parts count, and share its fate. */
  fate: 'routed' | 'dropped' | 'unrouted' | 'failed' | 'split'
  /** Index of the event that this one is a part of; -1: of none. */
  readonly whole: number
}

export interface Counts {
  read: number
  created: number
  dropped: number
  unrouted: number
  failed: number
  routed: number
}

/** Events per step: taken, dropped, failed, and conditions that could not be evaluated. */
export const STEP_COUNTS = 4

export interface Packed {
  /** Of events that no gate judges. `routed` counts events with at least one output. */
  readonly counts: Counts
  /** STEP_COUNTS numbers for each filter, then for each output, in the order of the spec; an output's own filters count there. */
  readonly steps: readonly number[]
  readonly outputs: readonly PackedOutput[]
  readonly faults: readonly TransformFault[]
  readonly gated: readonly GatedEvent[]
  /** By record: source bytes that a filter had put in the place of those in the chunk. */
  readonly redacted: ReadonlyMap<number, Uint8Array>
}

export function noCounts(): Counts {
  return { read: 0, created: 0, dropped: 0, unrouted: 0, failed: 0, routed: 0 }
}
