// One life of a pipeline as the model sees it: what was read and what became of it so far, and so what its figures must say.
import type { Figures } from '../../../core/flow/pipeline.ts'
import type { Clock, Item } from '../../../core/plugin/interfaces.ts'
import type { DeadLetter } from '../../../core/state/types.ts'
import { itemName, type Limits, letterOrigin, Outlet, SOURCE } from './outlet.ts'
import { type Duty, idIn, OUTPUTS, recordOf, type Unit, usedBytes } from './records.ts'
import type { Reference, SourceChunk } from './reference.ts'

interface Entered {
  readonly chunk: SourceChunk
  readonly used: number
  /** Bytes of its items. */
  written: number
}

/** Longer than this no batch or commit waits by itself, but for batches that never fill up. Milliseconds. */
export const LONG_MS = 200

export class Life {
  readonly #reference: Reference
  readonly #limits: Limits
  readonly #saw: (what: string) => void
  readonly #given = new Set<string>()
  readonly #entered = new Map<string, Entered>()
  readonly #outlets = new Map<string, Outlet>()
  /** Dead letters of other steps than outputs. */
  readonly #lettered = new Set<string>()
  /** By key: the event that the gate let through last. */
  readonly #holders = new Map<string, Unit>()
  /** Events that the gate held back, and whether the gate has let go of them. */
  readonly #repeats = new Map<string, boolean>()
  /** Dead letters that were replayed. */
  readonly #letters = new Set<number>()

  /** `saw` is told what happened, so that the test knows what it has tested. */
  constructor(reference: Reference, limits: Limits, clock: Pick<Clock, 'monotonic'>, saw: (what: string) => void) {
    this.#reference = reference
    this.#limits = limits
    this.#saw = saw
    for (const id of OUTPUTS) {
      this.#outlets.set(
        id,
        new Outlet({ id, limits, now: () => clock.monotonic(), saw, wrong: sentence => this.#wrong(sentence) }),
      )
    }
  }

  outlet(id: string): Outlet {
    return this.#outlets.get(id) as Outlet
  }

  get replays(): boolean {
    return this.#letters.size > 0
  }

  #wrong(sentence: string): void {
    this.#reference.wrong.push(sentence)
  }

  given(chunk: SourceChunk): void {
    if (chunk.records.length > 0) this.#given.add(nameOf(chunk))
  }

  /** How many chunks the inputs have handed over that the pipeline has not taken. */
  get waiting(): number {
    return this.#given.size - this.#entered.size
  }

  /** The outputs are done with all that they were offered. */
  get idle(): boolean {
    return [...this.#outlets.values()].every(outlet => outlet.idle)
  }

  /** While something is left to do, and no output has anything to do with it: how far everything is. */
  get stands(): string | false {
    const unsettled = this.#unsettled().length
    // Only a batch that has all the time it wants may be waited for, and that only while there is room.
    const left = this.waiting > 0 || (unsettled > 0 && this.#limits.maxMs < LONG_MS)
    return left && this.idle && `${this.#entered.size} ${unsettled}`
  }

  /** The transform has a record of this chunk: it was admitted. */
  entered(record: string): void {
    const name = chunkOf(record)
    const chunk = this.#reference.chunks.get(name)
    if (!chunk || this.#entered.has(name)) return
    const used = usedBytes(chunk.records)
    const held = this.#held().reduce((sum, one) => sum + one.used, 0)
    if (held > 0 && held + used > this.#limits.cap)
      this.#wrong(`${name} was taken with ${held} bytes unsettled: ${held + used} of ${this.#limits.cap}`)
    this.#entered.set(name, { chunk, used, written: 0 })
  }

  /** A dead letter has brought a record again. */
  replayed(letter: number): void {
    if (this.#letters.has(letter)) this.#wrong(`dead letter ${letter} was replayed twice`)
    this.#letters.add(letter)
    this.#saw('a dead letter was replayed')
  }

  encoded(event: string, bytes: number): void {
    const entered = this.#entered.get(chunkOf(event))
    if (entered) entered.written += bytes
  }

  /** What an output confirmed: forgotten is right from now on. */
  delivered(output: string, items: readonly Item[]): void {
    for (const { id } of items) {
      const duty = { step: output, event: id }
      if (this.#reference.wasDelivered(duty)) this.#saw('an event was delivered again')
      this.#reference.delivered(duty)
    }
  }

  /** An output is offered items: they must be due there. */
  due(output: string, items: readonly Item[]): void {
    for (const { id, address } of items) {
      const unit = this.#unitOf(id)
      if (!unit?.duties.some(({ step, event }) => step === output && event === id))
        this.#wrong(`${output}/${id} was offered, and is not due there`)
      else if (this.#repeats.has(unit.event) && address.to === SOURCE) this.#wrong(`${output}/${id} was offered, and is a repeat`)
    }
  }

  // Dead letters and the gate.

  /** Dead letters have become durable. */
  letters(letters: readonly DeadLetter[]): void {
    for (const { step, stage, event, bytes, meta } of letters) {
      const id = event ?? idIn(Buffer.from(bytes).toString('utf8'))
      const unit = this.#unitOf(id)
      if (!unit?.duties.some(duty => duty.step === step && duty.event === id))
        this.#wrong(`${step}/${id} is a dead letter without a reason`)
      const replay = meta['replay'] as { readonly id: number } | undefined
      const name = itemName(id, replay ? letterOrigin(replay.id) : SOURCE)
      if (stage === 'output') this.outlet(step).bury(name, this.#unencodable(step, id))
      // What a replay brings again does not settle its source's chunk.
      else if (!replay) this.#lettered.add(`${step}/${id}`)
    }
  }

  #unencodable(output: string, event: string): boolean {
    return output === OUTPUTS[0] && this.#reference.records.get(recordOf(event))?.kind === 'unencodable'
  }

  admitted(key: string, event: string): void {
    const unit = this.#reference.units.get(event) as Unit
    this.#holders.set(key, unit)
    this.#reference.admitted(unit)
  }

  /** The gate holds it back; an event of its own chunk it does not have to wait for. */
  repeats(key: string, event: string): void {
    const holder = this.#holders.get(key)
    this.#repeats.set(event, holder !== undefined && chunkOf(holder.event) === chunkOf(event))
  }

  released(event: string): void {
    this.#saw(this.#repeats.get(event) ? 'a repeat in its own chunk' : 'a repeat was let go')
    this.#repeats.set(event, true)
  }

  /** The gate was told what became of the event with this key. */
  fate(key: string, delivered: boolean): void {
    const holder = this.#holders.get(key)
    if (!holder) this.#wrong(`the gate was told of ${key}, which it did not let through`)
    else if (!this.closed(holder)) this.#wrong(`the gate was told of ${key} before ${holder.event} was done with`)
    else if (delivered === holder.duties.some(duty => this.#buried(duty)))
      this.#wrong(`the gate was told that ${holder.event} was ${delivered ? '' : 'not '}delivered`)
    if (delivered !== this.#reference.keys.has(key)) this.#wrong(`the gate was told of ${key} before its row was stored`)
  }

  // What follows.

  #unitOf(event: string): Unit | undefined {
    return this.#reference.units.get(event) ?? this.#reference.units.get(recordOf(event))
  }

  /** Done with in this life. */
  closed(unit: Unit): boolean {
    const repeat = this.#repeats.get(unit.event)
    if (repeat !== undefined) return repeat
    return unit.duties.every(duty => this.#outlets.get(duty.step)?.delivered.has(duty.event) || this.#buried(duty))
  }

  #buried({ step, event }: Duty): boolean {
    return this.#outlets.get(step)?.buried.has(event) ?? this.#lettered.has(`${step}/${event}`)
  }

  #unsettled(): Entered[] {
    return [...this.#entered.values()].filter(({ chunk }) => !chunk.units.every(unit => this.closed(unit)))
  }

  /** What counts against the cap: what is unsettled, and what waits behind it in its partition, which a crash would repeat. */
  #held(): Entered[] {
    const unsettled = new Set(this.#unsettled())
    const blocked = new Set<string>()
    return [...this.#entered.values()].filter(one => {
      const partition = `${one.chunk.input}/${one.chunk.partition}`
      if (unsettled.has(one)) blocked.add(partition)
      return blocked.has(partition)
    })
  }

  /** Chunks that were read and are settled, but whose partition is not stored so far. */
  uncommitted(): string[] {
    const names: string[] = []
    // Once a partition has an open chunk, nothing behind it is demanded.
    const blocked = new Set<string>()
    for (const { chunk } of this.#entered.values()) {
      const partition = `${chunk.input}/${chunk.partition}`
      if (!chunk.units.every(unit => this.closed(unit))) blocked.add(partition)
      if (!blocked.has(partition) && this.#reference.settled(partition) <= chunk.seq) names.push(nameOf(chunk))
    }
    return names
  }

  unsettled(): string[] {
    return this.#unsettled().map(({ chunk }) => nameOf(chunk))
  }

  /** The pipeline's own figures, once all is quiet and nothing that it asked of the store is open. */
  compare({ counts, outputs, inFlightBytes }: Figures): void {
    const expected = { read: 0, created: 0, dropped: 0, duplicates: 0, unrouted: 0, failed: 0, routed: 0 }
    const routed = new Map<string, number>(OUTPUTS.map(output => [output, 0]))
    for (const { chunk } of this.#entered.values()) {
      expected.read += chunk.records.length
      for (const { spec } of chunk.records) if (spec.kind === 'list' || spec.kind.endsWith('split')) expected.created++
      for (const unit of chunk.units) {
        if (this.#repeats.has(unit.event)) expected.duplicates += unit.counts.length
        else {
          for (const count of unit.counts) expected[count]++
          for (const { step } of unit.duties) routed.set(step, (routed.get(step) ?? 0) + 1)
        }
      }
    }
    for (const [name, count] of Object.entries(expected)) {
      const counted = counts[name as keyof typeof expected]
      if (counted !== count) this.#wrong(`${name}: ${counted} are counted, not ${count}`)
    }
    for (const output of outputs) {
      const { delivered, buried } = this.outlet(output.id)
      const figures = { routed: routed.get(output.id), delivered: delivered.size, deadLettered: buried.size }
      for (const [name, count] of Object.entries(figures)) {
        const counted = output[name as keyof typeof figures]
        if (counted !== count) this.#wrong(`${output.id}, ${name}: ${counted} are counted, not ${count}`)
      }
    }
    const held = this.#held().reduce((sum, { used, written }) => sum + used + written, 0)
    if (inFlightBytes !== held) this.#wrong(`${inFlightBytes} bytes count as unsettled, not ${held}: ${this.unsettled()}`)
  }
}

function nameOf({ input, partition, seq }: SourceChunk): string {
  return `${input}/${partition}/${seq}`
}

/** The chunk that an event's record lies in. */
function chunkOf(event: string): string {
  return event.slice(0, event.lastIndexOf('/'))
}
