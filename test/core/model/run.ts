// One run of the pipeline, from its start to its end: what it is told, and whether it ends when and as it must.
import type { Pipeline, PipelineEnd } from '../../../core/flow/pipeline.ts'
import { imbalance } from '../../kit/in-process.ts'
import { Life, LONG_MS } from './life.ts'
import { build, GRACE_MS, type Parts } from './system.ts'

/** How long a pipeline may take to end once it has failed, or its grace period is over: its last commit waits so long. */
const END_MS = 2_000
const GRACE_OVER = 'the grace period is over'

export interface RunParts extends Omit<Parts, 'life' | 'wake' | 'broken' | 'asked' | 'failed' | 'closedPipe'> {
  /** The store has done nothing but its work for a while. */
  calm(): boolean
}

export class Run {
  readonly life: Life
  readonly #parts: RunParts
  readonly #pipeline: Pipeline
  /** By input: lets its `read` look again. */
  readonly #wake = new Map<string, () => void>()
  readonly #broken = new Set<string>()
  /** Requests to the store that were not answered yet. */
  #asked = 0
  /** Chunks that were settled when all was quiet, and not stored yet: they need not be read again, however the run ends. */
  #due: readonly string[] = []
  #stoppedAt: number | undefined
  /** What has failed: this run must end as failed, unless something else has ended it. Undefined: it must not. */
  #failure: string | undefined
  /** Why this run may end without having delivered what it read. */
  #excuse: string | undefined
  /** When it must have ended at the latest, by the clock. */
  #endsBy = Number.POSITIVE_INFINITY
  #end: PipelineEnd | undefined

  constructor(parts: RunParts) {
    const { shape, reference, process, saw } = parts
    this.#parts = parts
    this.life = new Life(reference, shape, process.clock, saw)
    this.#pipeline = build({
      ...parts,
      life: this.life,
      wake: this.#wake,
      broken: this.#broken,
      asked: change => {
        this.#asked += change
      },
      failed: (why, soon) => {
        this.#failure ??= why
        if (soon) this.#endsWithin(END_MS)
      },
      closedPipe: () => {
        this.#excuse ??= 'nobody reads'
        this.#endsWithin(END_MS)
      },
    })
    void this.#pipeline.run().then(end => {
      if (process.alive) this.#ended(end)
    })
  }

  get end(): PipelineEnd | undefined {
    return this.#end
  }

  /** The source of an input has more, or all of them have come to their end. */
  wake(input?: string): void {
    for (const [id, go] of this.#wake) if (input === undefined || input === id) go()
  }

  break(input: string): void {
    this.#broken.add(input)
    this.wake(input)
  }

  stop(): void {
    this.#pipeline.stop()
    if (this.#stoppedAt !== undefined) return
    this.#stoppedAt = this.#now
    this.#endsWithin(GRACE_MS + END_MS)
  }

  /** Lets time pass. What was settled is stored then, and nothing waits for nothing. */
  async pass(ms: number): Promise<void> {
    const { life } = this
    const { process, shape, reference, calm } = this.#parts
    await process.clock.settle()
    const due = calm() ? life.uncommitted() : []
    const stood = calm() && life.stands
    await process.clock.advance(ms)
    if (!calm() || this.#end || this.#failure || this.#excuse) return
    const still = due.filter(name => life.uncommitted().includes(name))
    if (ms > shape.commitInterval && still.length > 0)
      reference.wrong.push(`${still} were settled, and are not stored ${ms} ms later`)
    if (ms >= LONG_MS && this.#stoppedAt === undefined && stood !== false && stood === life.stands)
      reference.wrong.push(
        `nothing was under way for ${ms} ms, with ${life.unsettled()} unsettled and ${life.waiting} chunks waiting`,
      )
  }

  /** To be called when all is quiet. */
  check(): void {
    if (this.#end) return
    const { life } = this
    const { wrong } = this.#parts.reference
    this.#graceOver()
    this.#due = life.uncommitted()
    const figures = this.#pipeline.figures()
    wrong.push(...imbalance(figures))
    // A store that hangs while the pipeline opens is out of its hands.
    if (!this.#pipeline.started) return
    if (this.#now > this.#endsBy) wrong.push(`the pipeline has not ended (${this.#failure ?? this.#excuse})`)
    if (this.#excuse || this.#failure || this.#asked > 0 || life.replays) return
    life.compare(figures)
    if (life.waiting > 0) this.#parts.saw('a chunk waited for room')
  }

  #ended(end: PipelineEnd): void {
    this.#end = end
    const { life } = this
    const { shape, calm, saw } = this.#parts
    const { wrong } = this.#parts.reference
    wrong.push(...imbalance(end.figures))
    this.#graceOver()
    // Once it was told to stop, the pipeline need not look at its inputs any more.
    if (this.#stoppedAt !== undefined && this.#broken.size > 0) this.#excuse ??= 'an input broke'
    const failure = this.#failure
    const excuse = this.#excuse
    saw(`${end.status}${excuse ? `: ${excuse}` : ''}`)
    if (end.status === 'failed' ? !failure : failure && !excuse)
      wrong.push(`${failure ?? 'nothing failed'}, and the pipeline has ${end.status}: ${end.error?.stack}`)
    const lost = life.uncommitted().filter(name => !(failure || excuse) || (calm() && this.#due.includes(name)))
    if (lost.length > 0) wrong.push(`${lost} are settled and not stored after ${end.status}`)
    // Outputs that have done all they were offered would have done the rest in time, had they been offered it.
    if (excuse === GRACE_OVER && end.left > 0 && !shape.stuck && life.idle && calm())
      wrong.push(`${end.left} events are left after ${end.status}, and were never offered`)
    if (failure || excuse) return
    if (end.left > 0) wrong.push(`${end.left} events are left after ${end.status}`)
    if (!life.replays) life.compare(end.figures)
    if (life.unsettled().length > 0) wrong.push(`${life.unsettled()} are unsettled after ${end.status}`)
  }

  #graceOver(): void {
    if (this.#stoppedAt !== undefined && this.#now >= this.#stoppedAt + GRACE_MS) this.#excuse ??= GRACE_OVER
  }

  #endsWithin(ms: number): void {
    this.#endsBy = Math.min(this.#endsBy, this.#now + ms)
  }

  get #now(): number {
    return this.#parts.process.clock.monotonic()
  }
}
