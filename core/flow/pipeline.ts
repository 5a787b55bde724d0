// One pipeline from its start to its end: inputs → queue → transform → fan-out → one Writable per output, and the acks back.
import { PassThrough, Readable, Writable } from 'node:stream'
import { pipeline as connect, finished } from 'node:stream/promises'
import type { PipelineConfig } from '../config/types.ts'
import { buffers } from '../plugin/buffers.ts'
import { asError, errorCode, isAbort, stackOnce } from '../plugin/errors.ts'
import type { Chunk, Clock, Input, Log, Positions, Summary } from '../plugin/interfaces.ts'
import type { Json, JsonObject } from '../plugin/json.ts'
import { Ack, Checkpoint } from './ack.ts'
import { Begins } from './begins.ts'
import { Committer } from './committer.ts'
import type { ContextParts } from './context.ts'
import { DiskQueue, type QueueFigures } from './disk-queue.ts'
import { FanOut, type FlowCounts } from './fan-out.ts'
import { InFlight } from './in-flight.ts'
import { OutputStream } from './output-stream.ts'
import { Replay } from './replay.ts'
import { openSteps, type Steps } from './steps.ts'
import { TrackedChunk, usedBytes } from './tracked-chunk.ts'
import { type StageResult, transformStage } from './transform-stage.ts'

export interface PipelineParts extends Omit<ContextParts, 'pipeline' | 'maxEventBytes' | 'log'> {
  readonly log: (pipeline: string, step?: string) => Log
}

export interface OutputFigures {
  readonly id: string
  readonly routed: number
  readonly delivered: number
  readonly deadLettered: number
  readonly retried: number
  /** What lies in a disk queue is in flight too, and counts as routed in the run that finds it there. */
  readonly inFlight: number
  readonly queue?: QueueFigures
}

/** What a pipeline did so far. */
export interface Figures {
  readonly counts: Readonly<FlowCounts>
  readonly outputs: readonly OutputFigures[]
  /** Per filter, then per output: taken, dropped, failed, conditions that could not be evaluated. */
  readonly steps: readonly number[]
  readonly inFlightBytes: number
  readonly commits: number
}

export interface PipelineEnd {
  readonly status: 'ended' | 'stopped' | 'failed'
  readonly error?: Error
  readonly figures: Figures
  readonly summaries: readonly Summary[]
  /**
   * Events that were read and are neither delivered nor dead-lettered: the next start reads them again, or finds them in a disk queue.
   * Of several outputs that which has most.
   */
  readonly left: number
}

/** Chunks that are settled but not stored: above this the inputs wait for the disk. */
const MOST_UNCOMMITTED = 4_096
/** How long the end of a pipeline that failed or gave up waits for its last commit. Milliseconds. */
const LAST_COMMIT_MS = 2_000

export class Pipeline {
  readonly config: PipelineConfig
  readonly #parts: PipelineParts
  readonly #log: Log
  readonly #clock: Clock
  /** Inputs stop reading. */
  readonly #reading = new AbortController()
  /** Outputs give up. */
  readonly #delivering = new AbortController()
  readonly #counts: FlowCounts = {
    read: 0,
    created: 0,
    dropped: 0,
    duplicates: 0,
    unrouted: 0,
    failed: 0,
    routed: 0,
    replayed: 0,
  }
  readonly #steps: number[] = []
  readonly #outputs: { id: string; stream: OutputStream; queue: DiskQueue | undefined }[] = []
  readonly #inFlight: InFlight
  readonly #checkpoint = new Checkpoint<TrackedChunk>()
  readonly #begins: Begins
  readonly #queue = new PassThrough({ objectMode: true, highWaterMark: 1 })
  #committer: Committer | undefined
  #error: Error | undefined
  #started = false
  #stopped = false
  #ended = false
  #cancelGrace: (() => void) | undefined

  constructor(config: PipelineConfig, parts: PipelineParts) {
    this.config = config
    this.#parts = parts
    this.#log = parts.log(config.name)
    this.#clock = parts.clock
    // Every input that waits for room listens.
    this.#queue.setMaxListeners(0)
    this.#begins = new Begins(config.in_flight_bytes)
    this.#inFlight = new InFlight(config.in_flight_bytes, () => {
      // What lies in a disk queue takes no room from anybody.
      for (const { stream, queue } of this.#outputs) if (!queue) stream.flush()
    })
  }

  /** True once every plugin is open. */
  get started(): boolean {
    return this.#started
  }

  figures(): Figures {
    return {
      counts: { ...this.#counts },
      outputs: this.#outputs.map(({ id, stream, queue }) => ({
        ...{ id, ...stream.counts, routed: stream.counts.routed + (queue?.waiting ?? 0) },
        inFlight: stream.inFlight + (queue?.waiting ?? 0),
        ...(queue && { queue: queue.figures() }),
      })),
      steps: [...this.#steps],
      inFlightBytes: this.#inFlight.bytes,
      commits: this.#committer?.commits ?? 0,
    }
  }

  /** Stops reading and delivers what was read; after the grace period the rest is left for the next start. */
  stop(): void {
    // One that has ended would only hold up the process for the grace period.
    if (this.#stopped || this.#ended) return
    this.#stopped = true
    this.#reading.abort()
    this.#inFlight.stop()
    this.#cancelGrace = this.#clock.after(this.config.grace_ms, () => this.#delivering.abort())
  }

  /** Ends the pipeline as failed: for an error that is not tied to one of its streams. */
  fail(error: Error): void {
    this.#error ??= error
    this.#reading.abort()
    this.#inFlight.stop()
    this.#delivering.abort()
  }

  /** Runs until the inputs have ended, `stop` was called, or something failed. Never rejects. */
  async run(): Promise<PipelineEnd> {
    let steps: Steps | undefined
    try {
      steps = await openSteps(this.config, this.#parts, this.#reading.signal)
      this.#started = true
      await this.#flow(steps)
    } catch (thrown) {
      const error = asError(thrown)
      if (!(isAbort(error) && (this.#stopped || this.#error))) this.fail(error)
      // What is settled need not be read again; a disk that does not answer must not hold up the end.
      if (this.#committer) await Promise.race([this.#committer.flush(), this.#clock.sleep(LAST_COMMIT_MS)])
    }
    this.#committer?.close()
    // What was delivered need not come again.
    const forgotten = Promise.all(this.#outputs.map(({ queue }) => queue?.close()))
    await (this.#error ? Promise.race([forgotten, this.#clock.sleep(LAST_COMMIT_MS)]) : forgotten)
    this.#ended = true
    this.#cancelGrace?.()
    const summaries = steps?.summaries() ?? []
    try {
      await steps?.close()
    } catch (thrown) {
      this.#error ??= asError(thrown)
    }
    const status = this.#error ? 'failed' : this.#stopped ? 'stopped' : 'ended'
    const figures = this.figures()
    const left = figures.outputs.reduce((most, { inFlight }) => Math.max(most, inFlight), 0)
    const error = this.#error
    if (error) this.#log.error({ error: error.message, code: errorCode(error), ...stackOnce(error) }, 'pipeline failed')
    return { status, ...(error && { error }), figures, summaries, left }
  }

  async #flow(steps: Steps): Promise<void> {
    const { config } = this
    const { store, health, clock, log } = this.#parts
    const committer = new Committer({
      pipeline: config.name,
      store,
      clock,
      log: this.#log,
      interval: config.commit_interval_ms,
      inputs: steps.inputs,
      gates: steps.gates,
      health: (status, why) => health.set(config.name, 'state', status, why),
      fail: error => this.fail(error),
    })
    this.#committer = committer
    const inputs = config.inputs.map(({ id }) => id)
    let fanOut: FanOut | undefined
    config.outputs.forEach((step, index) => {
      const stream = new OutputStream({
        output: steps.outputs[index] as Steps['outputs'][number],
        batch: step.batch,
        retry: step.retry,
        maxTries: step.max_tries,
        clock,
        log: log(config.name, step.id),
        signal: this.#delivering.signal,
        health: (status, why) => health.set(config.name, step.id, status, why),
        deadLetter: async refused => fanOut?.refused(step.id, refused),
        fail: error => this.#outputFailed(error),
      })
      const file = steps.queues[index]
      const queue =
        file &&
        new DiskQueue({
          id: step.id,
          file,
          stream,
          maxBytes: step.queue?.max_bytes ?? 0,
          window: config.in_flight_bytes,
          interval: config.commit_interval_ms,
          clock,
          log: log(config.name, step.id),
          signal: this.#delivering.signal,
          health: (status, why) => health.set(config.name, `${step.id}.queue`, status, why),
          fail: error => this.fail(error),
        })
      this.#outputs.push({ id: step.id, stream, queue })
    })
    const { letters } = store
    fanOut = new FanOut({
      pipeline: config.name,
      inputs,
      outputs: this.#outputs,
      gates: steps.gates.map(({ gate }) => gate),
      inFlight: this.#inFlight,
      counts: this.#counts,
      steps: this.#steps,
      letters,
      maxEventBytes: config.max_event_bytes,
    })
    const accept = fanOut
    for (const { queue } of this.#outputs) queue?.open()
    const sink = new Writable({
      objectMode: true,
      highWaterMark: 1,
      write: ({ tracked, transformed }: StageResult, _encoding, done) => {
        accept.accept(tracked, transformed).then(() => {
          tracked.ack.release()
          done()
        }, done)
      },
    })
    const signal = this.#delivering.signal
    const givenUp = new Promise<void>(resolve => {
      if (signal.aborted) resolve()
      else signal.addEventListener('abort', () => resolve(), { once: true })
    })
    const flowing = connect(this.#queue, transformStage(steps.transformer), sink, { signal })
    // Awaited below; until then a failure must reach the inputs.
    flowing.catch(error => {
      if (!signal.aborted) this.fail(asError(error))
    })

    const replay = new Replay({
      pipeline: config.name,
      inputs,
      outputs: config.outputs.map(({ id }) => id),
      letters,
      clock,
      log: this.#log,
    })
    for await (const { chunk, input, replay: origin } of replay.marked()) await this.#enter(input, chunk, origin)
    const looking = new AbortController()
    const replaying = (async () => {
      const stop = AbortSignal.any([looking.signal, this.#reading.signal])
      for await (const { chunk, input, replay: origin } of replay.follow(stop)) await this.#enter(input, chunk, origin)
    })()

    const pumps = steps.inputs.map(({ input }, index) => this.#pump(index, input, steps.positions[index] as Map<string, Json>))
    // A source that is stuck is not waited for beyond the grace period.
    await Promise.race([Promise.all(pumps), givenUp])
    looking.abort()
    await Promise.race([replaying, givenUp])
    this.#queue.end()
    await flowing
    await Promise.all(this.#outputs.map(({ queue }) => queue?.drained()))
    for (const { stream } of this.#outputs) stream.stream.end()
    await Promise.all(this.#outputs.map(({ stream }) => finished(stream.stream)))
    // Whoever was told to stop waits for a disk no longer than for an output.
    await Promise.race([committer.flush(), givenUp])
  }

  async #pump(index: number, input: Input, stored: Map<string, Json>): Promise<void> {
    const positions: Positions = { get: partition => stored.get(partition), partitions: () => stored.keys() }
    const { signal } = this.#reading
    try {
      const source = Readable.from(input.read(positions, signal), { objectMode: true, highWaterMark: 1 })
      for await (const chunk of source) if (!(await this.#enter(index, chunk as Chunk))) break
    } catch (error) {
      if (isAbort(error) && signal.aborted) return
      throw error
    }
  }

  /** Takes a chunk into the flow. False: the pipeline stops, and the chunk was not taken. */
  async #enter(input: number, chunk: Chunk, replay?: { letter: number; tries: number; output: number }): Promise<boolean> {
    const held = usedBytes(chunk)
    if (!(await this.#inFlight.admit(held))) return false
    while ((this.#committer?.waiting ?? 0) > MOST_UNCOMMITTED && !this.#delivering.signal.aborted) await this.#clock.sleep(10)
    if (this.#queue.destroyed) return false
    const partition = chunk.partition ?? ''
    const meta: JsonObject = { input: this.config.inputs[input]?.id, ...(partition && { partition }), ...chunk.meta }
    const ack = new Ack(() => this.#settled(tracked))
    const { only } = this.config
    const origin = replay ?? (only === undefined ? undefined : { tries: 0, output: only })
    const again = origin !== undefined || (chunk.again ?? this.#begins.has(input, partition, held, chunk.last ?? false))
    const tracked = new TrackedChunk(input, chunk, meta, ack, again, origin)
    tracked.held = held
    // Released once the fan-out has taken holds of its own.
    ack.hold()
    this.#checkpoint.add(tracked)
    if (!this.#queue.write(tracked)) await this.#roomInQueue()
    return true
  }

  #roomInQueue(): Promise<void> {
    const queue = this.#queue
    return new Promise(resolve => {
      const done = () => {
        queue.off('drain', done).off('close', done)
        resolve()
      }
      queue.on('drain', done).on('close', done)
    })
  }

  #settled(tracked: TrackedChunk): void {
    buffers.recycle(tracked.chunk.bytes)
    const prefix = this.#checkpoint.settle(tracked)
    // What waits for an earlier chunk of its partition would be repeated after a crash: it counts against the cap until then.
    for (const { held } of prefix) this.#inFlight.remove(held)
    this.#committer?.add(prefix)
  }

  #outputFailed(error: Error): void {
    // `penstock run … | head -1`: whoever read the output has seen enough.
    if (errorCode(error) === 'EPIPE') {
      this.#log.info({}, 'whoever read the output has closed it; stopping')
      this.#delivering.abort()
      this.stop()
    } else this.fail(error)
  }
}
