// Takes what the transform made of a chunk: asks the gates, counts, writes dead letters, and hands every output its items.
import { masked, shortened } from '../observe/text.ts'
import { errorCode } from '../plugin/errors.ts'
import type { Address, Gate } from '../plugin/interfaces.ts'
import type { DeadLetter } from '../state/types.ts'
import type { DiskQueue } from './disk-queue.ts'
import type { InFlight } from './in-flight.ts'
import type { OutputStream } from './output-stream.ts'
import type { GatedEvent, Packed, PackedOutput, TransformFault } from './packed.ts'
import { QueuedItem, type RecordSource, type Slice } from './queued-item.ts'
import { RECORD_ID } from './replay.ts'
import type { TrackedChunk } from './tracked-chunk.ts'
import type { Transformed } from './transformer.ts'

/** The conservation counters of a pipeline: `read + created = dropped + duplicates + unrouted + failed + routed`. */
export interface FlowCounts {
  read: number
  created: number
  dropped: number
  duplicates: number
  unrouted: number
  /** Dead-lettered before the routes. */
  failed: number
  /** With at least one output. */
  routed: number
  replayed: number
}

export interface FanOutOptions {
  readonly pipeline: string
  readonly inputs: readonly string[]
  /** `queue`: a disk queue before the output. */
  readonly outputs: readonly { readonly id: string; readonly stream: OutputStream; readonly queue?: DiskQueue | undefined }[]
  readonly gates: readonly Gate[]
  readonly inFlight: InFlight
  readonly counts: FlowCounts
  /** Per step, as in Packed.steps: filters, then outputs. */
  readonly steps: number[]
  readonly letters: { add(letters: readonly DeadLetter[]): Promise<void> }
  readonly maxEventBytes: number
}

const NO_ADDRESS: Address = {}
/** Characters of a reason that are kept: some quote the record, which is kept anyway. */
const LONGEST = 2_000
/** What is kept of a record that is longer than max_event_bytes. Bytes. */
const CUT_BYTES = 64 * 1024

export class FanOut {
  readonly #options: FanOutOptions

  constructor(options: FanOutOptions) {
    this.#options = options
  }

  /** Resolves when the outputs have room for more. Rejects when dead letters cannot be written: the pipeline must stop then. */
  async accept(tracked: TrackedChunk, { packed, recycle }: Transformed): Promise<void> {
    const { counts, steps, outputs, inFlight } = this.#options
    const { chunk } = tracked
    tracked.redacted = packed.redacted
    counts.read += packed.counts.read + (chunk.faults?.length ?? 0)
    counts.created += packed.counts.created
    counts.dropped += packed.counts.dropped
    counts.unrouted += packed.counts.unrouted
    counts.routed += packed.counts.routed
    counts.failed += packed.counts.failed + (chunk.faults?.length ?? 0)
    if (tracked.letter !== undefined) counts.replayed += packed.counts.read
    packed.steps.forEach((count, index) => {
      steps[index] = (steps[index] ?? 0) + count
    })
    const admitted = this.#judge(tracked, packed.gated)
    const letters = this.#letters(tracked, packed, admitted)

    let written = 0
    for (const output of packed.outputs) {
      const { ends } = output
      written += ends[ends.length - 1] ?? 0
    }
    tracked.held += written
    inFlight.add(written)

    const full: OutputStream[] = []
    for (const output of packed.outputs) {
      const { stream, queue } = outputs[output.output] as FanOutOptions['outputs'][number]
      if (queue) {
        this.#store(queue, tracked, output, admitted, recycle)
        continue
      }
      const items = this.#items(tracked, output, admitted, recycle)
      if (items.length > 0 && !stream.stream.write(items)) full.push(stream)
    }
    inFlight.arrived()
    if (letters.length > 0) {
      tracked.ack.hold()
      await this.#options.letters.add(letters)
      tracked.ack.release()
    }
    for (const { stream } of full) if (stream.writableNeedDrain) await new Promise(resolve => stream.once('drain', resolve))
  }

  /** Dead-letters items that an output refused. Durable when it resolves. */
  async refused(output: string, refused: readonly { readonly item: QueuedItem; readonly error: Error }[]): Promise<void> {
    const buried: DeadLetter[] = []
    for (const { item, error } of refused) {
      const fault = { stage: 'output', step: output, code: errorCode(error), error: error.message, event: item.id } as const
      buried.push(this.#letter(await item.slice.source(item.record), fault))
    }
    await this.#options.letters.add(buried)
    for (const { item } of refused) item.slice.fail(item.owner)
  }

  /** Asks the gates about every event that has keys. Gives, by index, whether it goes on. */
  #judge(tracked: TrackedChunk, gated: readonly GatedEvent[]): readonly boolean[] {
    if (gated.length === 0) return []
    const { counts, gates } = this.#options
    tracked.wholes = gated.map(({ whole }) => whole)
    const admitted: boolean[] = []
    const own = new Set<string>()
    gated.forEach(({ keys, fate, whole }, owner) => {
      let goes = whole < 0 || (admitted[whole] as boolean)
      for (let gate = 0; goes && gate < keys.length; gate++) {
        const key = keys[gate]
        if (key === undefined) continue
        const hold = tracked.ack.guard()
        goes = (gates[gate] as Gate).admit(key, hold)
        const mark = `${gate}/${key}`
        if (goes) {
          hold.release()
          own.add(mark)
          tracked.keys.push({ gate, key, owner })
          // An event that repeats one of its own chunk would wait for itself.
        } else if (own.has(mark)) hold.release()
      }
      admitted.push(goes)
      if (fate === 'split') return
      if (goes) counts[fate]++
      else counts.duplicates++
    })
    return admitted
  }

  #items(
    tracked: TrackedChunk,
    output: PackedOutput,
    admitted: readonly boolean[],
    recycle: Transformed['recycle'],
  ): readonly QueuedItem[] {
    let open = 0
    const slice: Slice = {
      bytes: output.bytes,
      again: tracked.again,
      settled: () => {
        if (--open > 0) return
        recycle(output)
        tracked.ack.release()
      },
      source: record => this.#source(tracked, record),
      fail: tracked.fail.bind(tracked),
    }
    const items = itemsOf(slice, output, admitted)
    open = items.length
    if (open > 0) tracked.ack.hold()
    else recycle(output)
    return items
  }

  /** Hands the items to a disk queue: for the chunk they are settled when they lie there. */
  #store(
    queue: DiskQueue,
    tracked: TrackedChunk,
    output: PackedOutput,
    admitted: readonly boolean[],
    recycle: Transformed['recycle'],
  ): void {
    const slice = queue.slice(output.bytes, tracked.again, () => recycle(output))
    const items = itemsOf(slice, output, admitted)
    if (items.length === 0) {
      recycle(output)
      return
    }
    tracked.ack.hold()
    queue.take({
      slice,
      items,
      source: record => this.#source(tracked, record),
      stored: () => tracked.ack.release(),
    })
  }

  #letters(tracked: TrackedChunk, { faults }: Packed, admitted: readonly boolean[]): DeadLetter[] {
    const letters: DeadLetter[] = []
    const { outputs, inputs } = this.#options
    for (const { code, reason, bytes, offset, length, sha256 } of tracked.chunk.faults ?? []) {
      const base = this.#base(tracked)
      letters.push({
        ...base,
        step: inputs[tracked.input] ?? '',
        stage: 'decode',
        code,
        error: reason,
        offset,
        bytes: Uint8Array.from(bytes),
        length,
        ...(sha256 && { sha256 }),
      })
    }
    for (const fault of faults) {
      const { owner, output } = fault
      if (owner >= 0 && !admitted[owner]) continue
      tracked.fail(owner)
      if (output >= 0) outputs[output]?.stream.refusedBefore()
      letters.push(this.#letter(this.#source(tracked, fault.record), fault))
    }
    return letters
  }

  #letter(source: RecordSource, fault: Pick<TransformFault, 'stage' | 'step' | 'code' | 'error' | 'event'>): DeadLetter {
    const { input, meta, tries, id, offset, bytes, length } = source
    const { stage, step, code, error, event } = fault
    return {
      ...{ pipeline: this.#options.pipeline, input, tries, step, stage },
      // A replay gives it to the record again.
      meta: id === undefined ? meta : { ...meta, [RECORD_ID]: id },
      code: shortened(masked(code), LONGEST),
      error: shortened(masked(error), LONGEST),
      ...(event !== undefined && { event }),
      ...(offset !== undefined && { offset }),
      // A copy: the chunk's buffer is used again once it is settled.
      bytes: Uint8Array.from(bytes),
      length,
    }
  }

  #source(tracked: TrackedChunk, record: number): RecordSource {
    const source = tracked.source(record)
    const { offset } = tracked.chunk
    const id = tracked.job.ids?.get(record)
    return {
      input: this.#options.inputs[tracked.input] ?? '',
      meta: tracked.job.meta,
      tries: tracked.letterTries,
      ...(id !== undefined && { id }),
      ...(offset !== undefined && { offset: offset + tracked.startOf(record) }),
      bytes: source.length > this.#options.maxEventBytes ? source.subarray(0, CUT_BYTES) : source,
      length: source.length,
    }
  }

  #base(tracked: TrackedChunk) {
    const { pipeline, inputs } = this.#options
    return { pipeline, input: inputs[tracked.input] ?? '', meta: tracked.job.meta, tries: tracked.letterTries }
  }
}

/** The items that go on. */
function itemsOf(slice: Slice, output: PackedOutput, admitted: readonly boolean[]): QueuedItem[] {
  const { ends, ids, records, addresses, owners } = output
  const items: QueuedItem[] = []
  let start = 0
  for (let index = 0; index < ends.length; index++) {
    const end = ends[index] as number
    const owner = owners?.[index] ?? -1
    if (owner < 0 || admitted[owner]) {
      const address = addresses?.[index] ?? NO_ADDRESS
      items.push(new QueuedItem(slice, start, end, ids[index] as string, address, records[index] as number, owner))
    }
    start = end
  }
  return items
}
