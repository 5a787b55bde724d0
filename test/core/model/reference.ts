// The promise in its plainest form: which chunks a source has, what was really delivered or dead-lettered, and so what may be stored.
import type { Json } from '../../../core/plugin/json.ts'
import type { Changes, StoredLetter } from '../../../core/state/types.ts'
import { type Duty, idIn, type RecordSpec, textOf, type Unit, unitsOf } from './records.ts'

/** A chunk as its source keeps it, for ever. */
export interface SourceChunk {
  readonly input: string
  readonly partition: string
  /** Its number in the partition, from 0. */
  readonly seq: number
  readonly last: boolean
  /** False: it comes without a position. */
  readonly positioned: boolean
  readonly records: readonly { readonly id: string; readonly spec: RecordSpec }[]
  readonly units: readonly Unit[]
}

/** What the store holds of a partition. */
interface Stored {
  readonly rows: Set<number>
  position: Json | undefined
  /** The last chunk of the last transaction. */
  last: number
}

export class Reference {
  /** Every sentence that does not hold. */
  readonly wrong: string[] = []
  readonly partitions = new Map<string, SourceChunk[]>()
  readonly chunks = new Map<string, SourceChunk>()
  readonly units = new Map<string, Unit>()
  readonly records = new Map<string, RecordSpec>()
  /** Duties that an output has confirmed, in whichever life. */
  readonly #delivered = new Set<string>()
  readonly #lettered = new Set<string>()
  /** By key: what a gate has let through, in whichever life. */
  readonly #admitted = new Map<string, Unit[]>()
  readonly #stored = new Map<string, Stored>()
  /** Keys that the gate's rows keep. */
  readonly keys = new Set<string>()

  /** The source gets one more chunk. */
  arrive(input: string, partition: string, specs: readonly RecordSpec[], last: boolean, positioned: boolean): SourceChunk {
    const name = `${input}/${partition}`
    const chunks = this.partitions.get(name) ?? []
    this.partitions.set(name, chunks)
    const seq = chunks.length
    const records = specs.map((spec, index) => ({ spec, id: `${name}/${seq}/${index}` }))
    const units = records.flatMap(({ spec, id }) => unitsOf(spec, id, input))
    const chunk: SourceChunk = { input, partition, seq, last, positioned, records, units }
    for (const { id, spec } of records) this.records.set(id, spec)
    for (const unit of units) this.units.set(unit.event, unit)
    chunks.push(chunk)
    this.chunks.set(`${name}/${seq}`, chunk)
    return chunk
  }

  /** An output has confirmed it. */
  delivered(duty: Duty): void {
    this.#delivered.add(nameOf(duty))
  }

  wasDelivered(duty: Duty): boolean {
    return this.#delivered.has(nameOf(duty))
  }

  admitted(unit: Unit): void {
    const units = this.#admitted.get(unit.key as string) ?? []
    this.#admitted.set(unit.key as string, [...units, unit])
  }

  /** All dead letters that lie in the store now. */
  letters(stored: readonly StoredLetter[]): void {
    this.#lettered.clear()
    for (const letter of stored) {
      const text = Buffer.from(letter.bytes).toString('utf8')
      const id = idIn(text)
      const spec = this.records.get(id)
      if (!spec || text !== textOf(spec, id)) this.wrong.push(`a dead letter of ${letter.step} does not hold its record: ${text}`)
      this.#lettered.add(`${letter.step}/${letter.event ?? id}`)
    }
  }

  /** The event is where it should be, for good. */
  closed(unit: Unit): boolean {
    if (unit.duties.every(duty => this.#done(duty))) return true
    if (unit.key === undefined) return false
    // A repeat may go when what it repeats is safe.
    return (this.#admitted.get(unit.key) ?? []).some(({ duties }) => duties.every(duty => this.#done(duty)))
  }

  #done(duty: Duty): boolean {
    return this.#delivered.has(nameOf(duty)) || this.#lettered.has(nameOf(duty))
  }

  /** How many chunks of a partition the store counts as settled. */
  settled(name: string): number {
    return this.#stored.get(name)?.rows.size ?? 0
  }

  /** The last chunk of the last transaction on this partition: what `settled` has to speak of. */
  lastCommitted(name: string): SourceChunk | undefined {
    return this.partitions.get(name)?.[this.#stored.get(name)?.last ?? -1]
  }

  position(name: string): Json | undefined {
    return this.#stored.get(name)?.position
  }

  /** Where an input may go on: behind the stored position, and behind what ended the partition. */
  resume(name: string): number {
    const position = this.position(name) as number | undefined
    let next = position === undefined ? 0 : position + 1
    const chunks = this.partitions.get(name) ?? []
    for (let seq = 0; seq < this.settled(name); seq++) if (chunks[seq]?.last) next = Math.max(next, seq + 1)
    return next
  }

  /** A transaction has become durable: rows, positions and keys of chunks must be those of a settled prefix, together. */
  commit({ positions, rows }: Changes): void {
    const touched = new Set<string>()
    for (const [scope, key] of rows) {
      const step = scope.split('/')[1]
      if (step === 'once') {
        this.keys.add(key)
        const kept = this.#admitted.get(key)?.some(({ duties }) => duties.every(duty => this.#delivered.has(nameOf(duty))))
        if (!kept) this.wrong.push(`${key} is kept as delivered, but no event with this key is`)
      } else {
        const [partition = '', seq] = key.split('/')
        const stored = this.#of(`${step}/${partition}`)
        if (!touched.has(`${step}/${partition}`)) stored.last = -1
        stored.last = Math.max(stored.last, Number(seq))
        stored.rows.add(Number(seq))
        touched.add(`${step}/${partition}`)
      }
    }
    for (const [, input, partition, position] of positions) {
      this.#of(`${input}/${partition}`).position = position ?? undefined
      touched.add(`${input}/${partition}`)
    }
    for (const name of touched) this.#check(name)
  }

  checkAll(): void {
    for (const name of this.#stored.keys()) this.#check(name)
  }

  #of(name: string): Stored {
    const stored = this.#stored.get(name) ?? { rows: new Set(), position: undefined, last: -1 }
    this.#stored.set(name, stored)
    return stored
  }

  #check(name: string): void {
    const { rows, position } = this.#of(name)
    const chunks = this.partitions.get(name) ?? []
    const prefix = chunks.slice(0, rows.size)
    if (prefix.some(({ seq }) => !rows.has(seq))) this.wrong.push(`${name}: rows of ${[...rows]} are stored, which is no prefix`)
    let expected: number | undefined
    for (const { seq, last, positioned } of prefix) expected = last ? undefined : positioned ? seq : expected
    if (position !== expected)
      this.wrong.push(`${name}: position ${position} is stored with the rows of ${rows.size} chunks, not ${expected}`)
    for (const { seq, units } of prefix) {
      const open = units.filter(unit => !this.closed(unit)).map(({ event }) => event)
      if (open.length > 0)
        this.wrong.push(`${name}: chunk ${seq} is stored as settled, but ${open} is neither delivered nor dead-lettered`)
    }
  }
}

function nameOf({ step, event }: Duty): string {
  return `${step}/${event}`
}
