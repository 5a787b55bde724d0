// Runs several pipelines in one process: one that fails is started again, or fails alone.
import { AsyncLocalStorage } from 'node:async_hooks'
import type { PipelineConfig } from '../config/types.ts'
import { asError, errorCode, stackOnce } from '../plugin/errors.ts'
import { type Figures, Pipeline, type PipelineEnd, type PipelineParts } from './pipeline.ts'

/** A pipeline that fails so often within the window stays down. */
const MOST_FAILURES = 3
const WINDOW_MS = 60_000
/** Waits before a restart, doubled each time. Milliseconds. */
const FIRST_WAIT_MS = 1_000

interface Supervised {
  readonly config: PipelineConfig
  pipeline: Pipeline
  /** Of generations that failed before this one. */
  before: Figures | undefined
}

export class Supervisor {
  readonly #parts: PipelineParts
  readonly #owner = new AsyncLocalStorage<Pipeline>()
  readonly #supervised: Supervised[] = []
  readonly #stopping = new AbortController()

  constructor(parts: PipelineParts) {
    this.#parts = parts
  }

  /** Runs until every pipeline has ended. */
  async run(configs: readonly PipelineConfig[]): Promise<readonly PipelineEnd[]> {
    for (const config of configs)
      this.#supervised.push({ config, pipeline: new Pipeline(config, this.#parts), before: undefined })
    const uncaught = (thrown: unknown) => this.#uncaught(thrown)
    process.on('uncaughtException', uncaught)
    process.on('unhandledRejection', uncaught)
    try {
      return await Promise.all(this.#supervised.map(supervised => this.#keepRunning(supervised)))
    } finally {
      process.off('uncaughtException', uncaught)
      process.off('unhandledRejection', uncaught as (reason: unknown) => void)
    }
  }

  /** Every pipeline stops reading and delivers what it has read. */
  stop(): void {
    this.#stopping.abort()
    for (const { pipeline } of this.#supervised) pipeline.stop()
  }

  figures(): { readonly name: string; readonly config: PipelineConfig; readonly figures: Figures }[] {
    return this.#supervised.map(({ config, pipeline, before }) => ({
      name: config.name,
      config,
      figures: sum(before, pipeline.figures()),
    }))
  }

  async #keepRunning(supervised: Supervised): Promise<PipelineEnd> {
    const { clock, health, log } = this.#parts
    const { name } = supervised.config
    let failures: number[] = []
    for (;;) {
      const { pipeline } = supervised
      const end = await this.#owner.run(pipeline, () => pipeline.run())
      const figures = sum(supervised.before, end.figures)
      // What cannot even be opened is told at once; but one that has run before may be able to again.
      const neverRan = !pipeline.started && !supervised.before
      if (end.status !== 'failed' || neverRan || this.#stopping.signal.aborted) {
        if (end.status === 'failed') health.set(name, 'pipeline', 'failed', end.error?.message)
        return { ...end, figures }
      }
      const now = clock.monotonic()
      failures = [...failures.filter(at => at > now - WINDOW_MS), now]
      if (failures.length >= MOST_FAILURES) {
        health.set(name, 'pipeline', 'failed', end.error?.message)
        log(name).error({ failures: failures.length }, 'pipeline failed too often and stays down; other pipelines go on')
        return { ...end, figures }
      }
      const wait = FIRST_WAIT_MS * 2 ** (failures.length - 1)
      health.set(name, 'pipeline', 'degraded', end.error?.message)
      log(name).warn({ wait_ms: wait }, 'pipeline is started again from its stored positions')
      try {
        await clock.sleep(wait, this.#stopping.signal)
      } catch {
        return { ...end, figures }
      }
      supervised.before = figures
      supervised.pipeline = new Pipeline(supervised.config, this.#parts)
      health.set(name, 'pipeline', 'ok')
    }
  }

  /** An error that nobody caught belongs to the pipeline in whose call it was thrown. */
  #uncaught(thrown: unknown): void {
    const error = asError(thrown)
    const pipeline = this.#owner.getStore()
    const log = this.#parts.log(pipeline?.config.name ?? 'penstock')
    // The stack says which plugin threw it; nobody else will say so.
    const facts = { error: error.message, code: errorCode(error), ...stackOnce(error) }
    if (pipeline) {
      log.error(facts, 'uncaught error')
      pipeline.fail(error)
      return
    }
    log.error(facts, 'uncaught error outside of any pipeline')
    // Thrown again, it would be printed with all that hangs on it: a plugin's options, for instance, and the secrets in them.
    process.exit(1)
  }
}

function sum(before: Figures | undefined, now: Figures): Figures {
  if (!before) return now
  const counts = { ...now.counts }
  for (const key of Object.keys(counts) as (keyof typeof counts)[]) counts[key] += before.counts[key]
  return {
    counts,
    outputs: (now.outputs.length > 0 ? now.outputs : before.outputs).map(output => {
      const old = before.outputs.find(({ id }) => id === output.id)
      if (!old || now.outputs.length === 0) return output
      return {
        ...output,
        // What was in flight when a generation failed was read again by the next one.
        routed: output.routed + old.routed - old.inFlight,
        delivered: output.delivered + old.delivered,
        deadLettered: output.deadLettered + old.deadLettered,
        retried: output.retried + old.retried,
      }
    }),
    steps: now.steps.map((count, index) => count + (before.steps[index] ?? 0)),
    inFlightBytes: now.inFlightBytes,
    commits: now.commits + before.commits,
  }
}
