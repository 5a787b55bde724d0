// Reads dead letters that `penstock dlq replay` has marked, and sends them through the pipeline once more.
import { asError } from '../plugin/errors.ts'
import type { Chunk, Clock, Log } from '../plugin/interfaces.ts'
import type { Letters, StoredLetter } from '../state/types.ts'

export interface Replayed {
  readonly chunk: Chunk
  readonly input: number
  readonly replay: { readonly letter: number; readonly tries: number; readonly output: number }
}

export interface ReplayOptions {
  readonly pipeline: string
  readonly inputs: readonly string[]
  readonly outputs: readonly string[]
  readonly letters: Letters
  readonly clock: Clock
  readonly log: Log
}

/** How often a running pipeline looks for new marks. Milliseconds. */
const LOOK_MS = 2_000
const PAGE = 100
/** Key of a dead letter's meta: the id that its chunk had given to the record. */
export const RECORD_ID = 'record_id'

export class Replay {
  readonly #options: ReplayOptions
  /** The highest id handed out: a letter under way keeps its mark until it is settled. */
  readonly #seen = new Set<number>()

  constructor(options: ReplayOptions) {
    this.#options = options
  }

  /** All marked letters that were not handed out before. */
  async *marked(): AsyncGenerator<Replayed> {
    const { pipeline, letters } = this.#options
    let after = 0
    for (;;) {
      const page = await letters.list({ pipeline, replay: true, after, limit: PAGE })
      for (const letter of page) {
        after = letter.id
        if (this.#seen.has(letter.id)) continue
        this.#seen.add(letter.id)
        const replayed = this.#replayed(letter)
        if (replayed) yield replayed
      }
      // A page ends early where letters are large.
      if (page.length === 0) return
    }
  }

  /** Looks again and again until `signal` aborts. */
  async *follow(signal: AbortSignal): AsyncGenerator<Replayed> {
    for (;;) {
      try {
        await this.#options.clock.sleep(LOOK_MS, signal)
      } catch {
        return
      }
      try {
        yield* this.marked()
      } catch (error) {
        this.#options.log.warn({ error: asError(error).message }, 'dead letters cannot be read for a replay, trying again')
      }
    }
  }

  #replayed(letter: StoredLetter): Replayed | undefined {
    const { inputs, outputs, log } = this.#options
    const input = inputs.indexOf(letter.input)
    const output = letter.stage === 'output' ? outputs.indexOf(letter.step) : -1
    let why: string | undefined
    if (input < 0) why = `the pipeline has no input ${letter.input} any more`
    else if (letter.stage === 'output' && output < 0) why = `the pipeline has no output ${letter.step} any more`
    else if (letter.bytes.length < letter.length) why = 'only the beginning of the record was kept'
    if (why) {
      log.warn({ letter: letter.id, why }, 'dead letter cannot be replayed')
      return undefined
    }
    const id = letter.meta[RECORD_ID]
    const chunk: Chunk = {
      bytes: letter.bytes,
      ends: Uint32Array.of(letter.bytes.length),
      meta: letter.meta,
      partition: `dead letter ${letter.id}`,
      ...(letter.offset !== undefined && { offset: letter.offset }),
      ...(typeof id === 'string' && { ids: new Map([[0, id]]) }),
    }
    return { chunk, input, replay: { letter: letter.id, tries: letter.tries + 1, output } }
  }
}
