// Writes positions, rows and gate keys of settled chunks: one transaction for many chunks, one at a time.
import { asError, errorCode } from '../plugin/errors.ts'
import type { Clock, Gate, Input, Log, Status } from '../plugin/interfaces.ts'
import type { Json } from '../plugin/json.ts'
import type { Changes, Store } from '../state/types.ts'
import type { TrackedChunk } from './tracked-chunk.ts'

export interface CommitterOptions {
  readonly pipeline: string
  readonly store: Store
  readonly clock: Clock
  readonly log: Log
  readonly interval: number
  readonly inputs: readonly { readonly id: string; readonly input: Input }[]
  readonly gates: readonly { readonly id: string; readonly gate: Gate }[]
  health(status: Status, why?: string): void
  fail(error: Error): void
}

/** A commit that failed (a full disk) is tried again this often: what is settled stays in memory meanwhile. Milliseconds. */
const RETRY_MS = 5_000
/** What may pass by itself; any other failure ends the pipeline. */
export const PASSING = new Set(['ENOSPC', 'EDQUOT', 'PEN_STATE_IO', 'PEN_STATE_BUSY'])

export class Committer {
  readonly #options: CommitterOptions
  #pending: TrackedChunk[] = []
  #running: Promise<void> | undefined
  #lastCommit = Number.NEGATIVE_INFINITY
  #stopped = false
  #closed = false
  commits = 0

  constructor(options: CommitterOptions) {
    this.#options = options
  }

  /** Settled chunks that are not stored yet. */
  get waiting(): number {
    return this.#pending.length
  }

  /** Chunks that now belong to the settled prefix of their partition, in order. */
  add(chunks: readonly TrackedChunk[]): void {
    if (chunks.length === 0 || this.#closed) return
    this.#pending.push(...chunks)
    this.#wake()
  }

  /** Resolves when everything that was added is stored. */
  async flush(): Promise<void> {
    this.#stopped = true
    while (this.#running) await this.#running
  }

  /** Writes and tells nothing more, also of what settles from now on: the next run of the pipeline may be at work already. */
  close(): void {
    this.#closed = true
    this.#pending = []
  }

  #wake(): void {
    this.#running ??= this.#run().finally(() => {
      this.#running = undefined
      // What was added after the last look, and before this.
      if (this.#pending.length > 0) this.#wake()
    })
  }

  async #run(): Promise<void> {
    const { clock, interval } = this.#options
    // One turn of the loop lets what settles together be committed together.
    await clock.sleep(0)
    while (this.#pending.length > 0) {
      const wait = this.#lastCommit + interval - clock.monotonic()
      if (wait > 0 && !this.#stopped) await clock.sleep(wait)
      const chunks = this.#pending
      this.#pending = []
      await this.#commit(chunks)
      this.#lastCommit = clock.monotonic()
    }
  }

  async #commit(chunks: readonly TrackedChunk[]): Promise<void> {
    const { store, clock, log, health, fail, inputs } = this.#options
    const changes = this.#changes(chunks)
    let failed = false
    for (;;) {
      try {
        if (changes.positions.length + changes.rows.length > 0) await store.commit(changes)
        break
      } catch (thrown) {
        const error = asError(thrown)
        if (this.#closed) return
        if (!PASSING.has(errorCode(error))) {
          fail(error)
          return
        }
        if (!failed)
          log.error(
            { error: error.message },
            'positions cannot be saved, trying again; nothing is lost, a restart would repeat events',
          )
        failed = true
        health('degraded', `state: ${error.message}`)
        await clock.sleep(RETRY_MS)
        if (this.#closed) return
      }
    }
    if (this.#closed) return
    if (failed) {
      log.info({}, 'positions are saved again')
      health('ok')
    }
    this.commits++
    this.#release(chunks)
    const last = new Map<string, TrackedChunk>()
    for (const chunk of chunks) if (chunk.letter === undefined) last.set(`${chunk.input}/${chunk.partition}`, chunk)
    try {
      for (const chunk of last.values()) await inputs[chunk.input]?.input.settled?.(chunk.partition, chunk.position, chunk.last)
      const letters = chunks.flatMap(chunk => (chunk.letter === undefined ? [] : [chunk.letter]))
      if (letters.length > 0) await store.letters.remove({ ids: letters })
    } catch (error) {
      fail(asError(error))
    }
  }

  /** Tells the gates the fate of the keys they admitted. */
  #release(chunks: readonly TrackedChunk[]): void {
    for (const { keys, failed } of chunks) {
      for (const { gate, key, owner } of keys) this.#options.gates[gate]?.gate.settled?.(key, !failed.has(owner))
    }
  }

  #changes(chunks: readonly TrackedChunk[]): Changes {
    const { pipeline, inputs, gates } = this.#options
    const positions = new Map<string, Changes['positions'][number]>()
    const rows: Changes['rows'][number][] = []
    const kept: string[][] = gates.map(() => [])
    for (const chunk of chunks) {
      const id = inputs[chunk.input]?.id ?? ''
      const { input, partition, position, last, letter } = chunk
      if (letter === undefined && inputs[input]?.input.positions !== 'source' && (last || position !== undefined)) {
        positions.set(`${input}/${partition}`, [pipeline, id, partition, last ? null : (position as Json)])
      }
      for (const [key, value] of chunk.chunk.rows ?? []) rows.push([`${pipeline}/${id}`, key, value])
      for (const { gate, key, owner } of chunk.keys) if (!chunk.failed.has(owner)) kept[gate]?.push(key)
    }
    gates.forEach(({ id, gate }, index) => {
      const keys = kept[index] as string[]
      if (keys.length === 0 || !gate.keep) return
      for (const [key, value] of gate.keep(keys)) rows.push([`${pipeline}/${id}`, key, value])
    })
    return { positions: [...positions.values()], rows }
  }
}
