// Indexer acknowledgement: channels of Splunk, and the questions whether it has what was sent through one.
import { randomUUID } from 'node:crypto'
import { RetryableError } from '../../../core/plugin/errors.ts'
import type { Clock } from '../../../core/plugin/interfaces.ts'
import type { Answer } from '../../lib/request/sender.ts'
import { ackDisabled, ackOf } from './answers.ts'

export interface AckOptions {
  readonly clock: Clock
  readonly pollMs: number
  readonly timeoutMs: number
  /** Asks for these acks of a channel; rejects with a RetryableError where no answer comes. */
  ask(channel: string, acks: readonly number[], signal: AbortSignal): Promise<Answer>
}

/**
 * After Splunk could not be reached it has perhaps been started anew, and then knows nothing of what it was sent: no longer than this is
 * waited for it then. Milliseconds.
 */
const AFTER_TROUBLE_MS = 10_000

export class Acks {
  readonly #options: AckOptions
  /** Channels that wait for nothing. One that waits is never used for something else: a Splunk that starts anew counts from 0 again. */
  readonly #idle: string[] = []
  #known = false

  constructor(options: AckOptions) {
    this.#options = options
  }

  /** Runs `work` with a channel of its own. After a failure nobody knows what Splunk still has of a channel: another one follows it. */
  async through<T>(work: (channel: string) => Promise<T>): Promise<T> {
    const channel = this.#idle.pop() ?? randomUUID().toUpperCase()
    const result = await work(channel)
    this.#idle.push(channel)
    return result
  }

  /** Splunk takes no events without an ack before it is known that there will be one: they would be indexed at each try. */
  async prepare(channel: string, signal: AbortSignal): Promise<void> {
    if (this.#known) return
    const answer = await this.#options.ask(channel, [0], signal)
    const error = ackDisabled(answer)
    if (error) throw error
    this.#known = true
  }

  /** There was none: it is looked again before the next events. */
  unsure(): void {
    this.#known = false
  }

  /** Resolves once Splunk has what it gave this ackId for. */
  async wait(channel: string, ackId: number, host: string, signal: AbortSignal): Promise<void> {
    const { clock, pollMs, timeoutMs, ask } = this.#options
    const started = clock.monotonic()
    let until = started + timeoutMs
    for (;;) {
      await clock.sleep(pollMs, signal)
      let had: boolean | undefined
      let why = ''
      try {
        const answer = await ask(channel, [ackId], signal)
        const disabled = ackDisabled(answer)
        if (disabled) throw disabled
        had = ackOf(answer, ackId)
        if (had === undefined) why = ` (asked for it, it answered ${answer.status})`
      } catch (error) {
        signal.throwIfAborted()
        if (!(error instanceof RetryableError) || error.code === 'PEN_HEC') throw error
        why = ` (${error.message})`
      }
      if (had) return
      const now = clock.monotonic()
      if (had === undefined) until = Math.min(until, now + Math.min(timeoutMs, AFTER_TROUBLE_MS))
      if (now < until) continue
      const seconds = Math.round((now - started) / 100) / 10
      throw new RetryableError(
        `${host} has not acknowledged a batch within ${seconds} s${why}: it is sent again, and may be there twice`,
        { code: 'PEN_HEC_ACK' },
      )
    }
  }
}
