// The world around the pipeline under test: sources that keep what they gave, runs that end and begin again, crashes in between.

import { memoryStore } from '../../../core/cli/memory-store.ts'
import { buffers } from '../../../core/plugin/buffers.ts'
import { quiet, virtualClock } from '../../kit/virtual-clock.ts'
import { type Faults, noFaults, type Process } from './faults.ts'
import { OUTPUTS, type RecordSpec } from './records.ts'
import { Reference, type SourceChunk } from './reference.ts'
import { Run } from './run.ts'
import type { Shape } from './system.ts'

/** A commit that failed is tried again so soon. */
const TROUBLE_MS = 5_000
/** So many timers must be enough for what is left when all faults are over. */
const MOST_STEPS = 20_000
const MOST_RUNS = 5

export class World {
  readonly reference = new Reference()
  readonly faults: Faults = noFaults()
  /** How often something happened that the test is about. */
  readonly seen = new Map<string, number>()
  readonly #shape: Shape
  readonly #base = memoryStore()
  readonly #sources = new Map<string, SourceChunk[]>()
  #process: Process = { alive: true, clock: virtualClock() }
  #run: Run | undefined
  /** Memory of the pool that the process has taken. */
  readonly #taken = new Map<ArrayBufferLike, Uint8Array>()
  /** When the store last had a fault, by the clock. */
  #troubledAt = Number.NEGATIVE_INFINITY
  #finishing = false

  constructor(shape: Shape) {
    this.#shape = shape
    for (let n = 0; n < shape.inputs; n++) this.#sources.set(`in${n}`, [])
  }

  // What commands do.

  arrive(input: number, partition: number, specs: readonly RecordSpec[], last: boolean, positioned: boolean): void {
    const name = this.#input(input)
    const chunk = this.reference.arrive(name, `p${partition}`, specs, last, positioned)
    this.#sources.get(name)?.push(chunk)
    this.#running().wake(name)
  }

  breakInput(input: number): void {
    this.#running().break(this.#input(input))
  }

  stop(): void {
    this.#running().stop()
  }

  /** Marks all dead letters for a replay, as `penstock dlq replay` does beside a running pipeline. */
  async replay(): Promise<void> {
    this.#running()
    await this.#base.letters.mark({})
  }

  pass(ms: number): Promise<void> {
    return this.#running().pass(ms)
  }

  /** Until nothing moves; then everything must fit. */
  async settle(): Promise<void> {
    await this.#process.clock.settle()
    this.#calm()
    this.#run?.check()
    const { wrong } = this.reference
    if (wrong.length > 0) throw new Error(wrong.join('\n'))
  }

  /** Everything in memory is gone. `happened`: what was asked of the store was done all the same, and nobody was told. */
  async crash(happened: boolean): Promise<void> {
    const { faults } = this
    const { clock } = this.#process
    if (this.#run && !this.#run.end) this.#saw(this.#run.life.unsettled().length > 0 ? 'crash with unsettled chunks' : 'crash')
    this.#process.alive = false
    clock.kill()
    const requests = faults.requests.splice(0)
    if (happened) {
      for (const request of requests) await request.happen()
      if (requests.length > 0) this.#saw('stored, and the process died before it knew')
    }
    faults.writes.length = 0
    faults.commits.clear()
    this.#run = undefined
    await quiet()
    for (const bytes of this.#taken.values()) buffers.recycle(bytes)
    this.#taken.clear()
    this.#process = { alive: true, clock: virtualClock(clock.now()) }
    this.#troubledAt = Number.NEGATIVE_INFINITY
  }

  /** All faults are over: everything that is left must come to its end. */
  async finish(): Promise<void> {
    const { faults, reference } = this
    const { wrong } = reference
    faults.healed = true
    faults.store = 'ok'
    faults.letters = 'ok'
    for (const output of OUTPUTS) faults.outputs[output] = 'deliver'
    this.#finishing = true
    for (let runs = 1; ; runs++) {
      const status = await this.#toItsEnd(this.#running())
      const marked = await this.#base.letters.list({ replay: true })
      if (status === 'ended' && marked.length === 0) break
      if (runs === MOST_RUNS) throw new Error(`the last run has ${status}, ${marked.length} dead letters are marked`)
    }
    for (const [name, chunks] of reference.partitions) {
      if (reference.settled(name) !== chunks.length)
        wrong.push(`${name}: ${reference.settled(name)} of ${chunks.length} chunks are settled at the end`)
    }
    reference.checkAll()
    // What ended runs left behind fires now.
    await this.#process.clock.advance(60_000)
    if (this.#process.clock.timers > 0) wrong.push(`${this.#process.clock.timers} timers are left`)
    await this.settle()
    await this.crash(false)
  }

  async #toItsEnd(run: Run): Promise<string | undefined> {
    const { faults } = this
    run.wake()
    for (let step = 0; step < MOST_STEPS; step++) {
      for (const { answer } of faults.writes.splice(0)) answer('deliver')
      for (const { answer } of faults.requests.splice(0)) answer('ok')
      await this.settle()
      if (run.end || !(await this.#process.clock.next())) break
    }
    if (!run.end) throw new Error(`the pipeline hangs, with ${run.life.unsettled()} unsettled`)
    await this.settle()
    return run.end.status
  }

  /** The store has done nothing but its work for a while. */
  #calm(): boolean {
    const now = this.#process.clock.monotonic()
    const { store, letters, requests } = this.faults
    if (store !== 'ok' || letters !== 'ok' || requests.length > 0) this.#troubledAt = now
    return now > this.#troubledAt + TROUBLE_MS
  }

  #saw(what: string): void {
    this.seen.set(what, (this.seen.get(what) ?? 0) + 1)
  }

  #input(number: number): string {
    return `in${number % this.#shape.inputs}`
  }

  /** The run that is under way; else a new one begins. */
  #running(): Run {
    if (this.#run && !this.#run.end) return this.#run
    const process = this.#process
    this.#run = new Run({
      shape: this.#shape,
      reference: this.reference,
      faults: this.faults,
      process,
      base: this.#base,
      sources: this.#sources,
      calm: () => this.#calm(),
      finishing: () => this.#finishing,
      took: bytes => this.#taken.set(bytes.buffer, bytes),
      saw: what => {
        // Also a fault that is over by the time all is quiet.
        if (what.startsWith('the store failed')) this.#troubledAt = process.clock.monotonic()
        this.#saw(what)
      },
    })
    return this.#run
  }
}
