// Collects what the transform makes of one chunk: items per output, counts, faults, and the events that gates must judge.
import { ByteWriter } from '../plugin/byte-writer.ts'
import { asError, errorCode } from '../plugin/errors.ts'
import type { Address } from '../plugin/interfaces.ts'
import type { ChunkEvent } from './event.ts'
import {
  type Counts,
  type GatedEvent,
  noCounts,
  type Packed,
  type PackedOutput,
  STEP_COUNTS,
  type TransformFault,
} from './packed.ts'

/** Where an event failed. */
interface Failure {
  readonly record: number
  readonly stage: TransformFault['stage']
  readonly step: string
  readonly output: number
  readonly event?: ChunkEvent
  readonly owner?: number
}

interface OutputPacking {
  readonly writer: ByteWriter
  readonly ends: number[]
  readonly ids: string[]
  readonly records: number[]
  addresses: (Address | undefined)[] | undefined
  owners: number[] | undefined
}

export class Packing {
  readonly counts: Counts = noCounts()
  readonly #steps: number[]
  readonly #outputs: (OutputPacking | undefined)[]
  readonly #faults: TransformFault[] = []
  readonly #gated: GatedEvent[] = []
  readonly #redacted = new Map<number, Uint8Array>()

  constructor(filters: number, outputs: number) {
    this.#steps = new Array<number>((filters + outputs) * STEP_COUNTS).fill(0)
    this.#outputs = new Array<OutputPacking | undefined>(outputs).fill(undefined)
  }

  taken(step: number): void {
    this.#steps[step * STEP_COUNTS]!++
  }

  dropped(step: number): void {
    this.#steps[step * STEP_COUNTS + 1]!++
  }

  failed(step: number): void {
    this.#steps[step * STEP_COUNTS + 2]!++
  }

  conditionFailed(step: number): void {
    this.#steps[step * STEP_COUNTS + 3]!++
  }

  /** An event that waits for the gates' word; gives its index. */
  own(keys: readonly (string | undefined)[] | undefined, whole: number): number {
    return this.#gated.push({ keys: keys ?? [], fate: 'routed', whole }) - 1
  }

  /** The end of an event: counted here, or by the main thread once the gates have judged it. Gives its index there, or -1. */
  settle(fate: GatedEvent['fate'], keys: readonly (string | undefined)[] | undefined, whole: number): number {
    const owner = keys || whole >= 0 ? this.own(keys, whole) : -1
    this.fate(owner, fate)
    return owner
  }

  fate(owner: number, fate: GatedEvent['fate']): void {
    if (owner >= 0) (this.#gated[owner] as GatedEvent).fate = fate
    else if (fate !== 'split') this.counts[fate]++
  }

  fault(failure: Failure, thrown: unknown): void {
    const error = asError(thrown)
    const { record, stage, step, output, event, owner = -1 } = failure
    if (stage === 'decode') this.counts.failed++
    this.#faults.push({
      record,
      stage,
      step,
      output,
      code: errorCode(error),
      error: error.message,
      owner,
      ...(event && { event: event.id }),
    })
    if (event?.redacted) this.#redacted.set(record, Uint8Array.from(event.original))
  }

  /** An event that one output cannot have: it counts as routed there, and as dead-lettered. */
  outputFault(step: number, failure: Failure, thrown: unknown): void {
    this.failed(step)
    this.fault(failure, thrown)
  }

  writer(output: number): ByteWriter {
    return this.#output(output).writer
  }

  /** What was written since the last item is an item now. */
  item(output: number, record: number, event: ChunkEvent, address: Address | undefined, owner: number): void {
    const packing = this.#output(output)
    packing.ends.push(packing.writer.length)
    packing.records.push(record)
    const count = packing.ids.push(event.id)
    if (event.redacted) this.#redacted.set(record, Uint8Array.from(event.original))
    if (address || packing.addresses) {
      packing.addresses ??= new Array<Address | undefined>(count - 1).fill(undefined)
      packing.addresses.push(address)
    }
    if (owner >= 0 || packing.owners) {
      packing.owners ??= new Array<number>(count - 1).fill(-1)
      packing.owners.push(owner)
    }
  }

  finish(): Packed {
    const outputs: PackedOutput[] = []
    this.#outputs.forEach((packing, output) => {
      if (!packing) return
      const { writer, ends, ids, records, addresses, owners } = packing
      outputs.push({
        output,
        bytes: writer.finish(),
        ends,
        ids,
        records,
        ...(addresses && { addresses }),
        ...(owners && { owners }),
      })
    })
    return {
      counts: this.counts,
      steps: this.#steps,
      outputs,
      faults: this.#faults,
      gated: this.#gated,
      redacted: this.#redacted,
    }
  }

  #output(index: number): OutputPacking {
    let packing = this.#outputs[index]
    if (!packing) {
      packing = { writer: new ByteWriter(), ends: [], ids: [], records: [], addresses: undefined, owners: undefined }
      this.#outputs[index] = packing
    }
    return packing
  }
}
