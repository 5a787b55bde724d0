// One Writable per output: cuts batches by count, bytes and time, writes them, and tries again what was not delivered.
import { Writable } from 'node:stream'
import type { BatchLimits } from '../plugin/define.ts'
import { asError, errorCode, PermanentError, RetryableError, TooLargeError } from '../plugin/errors.ts'
import type { Clock, Log, Output, Status } from '../plugin/interfaces.ts'
import { Breaker, PROBE_MS } from './breaker.ts'
import type { QueuedItem } from './queued-item.ts'

export interface OutputStreamOptions {
  readonly output: Output
  readonly batch: BatchLimits
  readonly retry: { readonly min_ms: number; readonly max_ms: number }
  readonly maxTries: number
  readonly clock: Clock
  readonly log: Log
  /** Aborts when the grace period is over: what is not delivered by then is left for the next start. */
  readonly signal: AbortSignal
  health(status: Status, why?: string): void
  /** Makes the items dead letters; durable when it resolves. */
  deadLetter(refused: readonly { readonly item: QueuedItem; readonly error: Error }[]): Promise<void>
  /** Nothing more can be delivered: the pipeline must stop. */
  fail(error: Error): void
}

export class OutputStream {
  /** Takes the items of a chunk at a time. */
  readonly stream: Writable
  readonly counts = { routed: 0, delivered: 0, deadLettered: 0, retried: 0, batches: 0 }
  readonly #options: OutputStreamOptions
  readonly #slots: number
  readonly #breaker: Breaker
  #pending: QueuedItem[] = []
  #pendingBytes = 0
  #busy = 0
  /** Everything that is pending now goes out, whatever the batch limits say. */
  #due = false
  #cancelTimer: (() => void) | undefined
  readonly #timers = new Set<() => void>()
  /** No batch starts while the output backs off. */
  #paused = false
  #pausedUntil = 0
  #cancelPause: (() => void) | undefined
  #backoff = 0
  #troubled = false
  #settledAll: (() => void) | undefined
  #outstanding = 0

  constructor(options: OutputStreamOptions) {
    this.#options = options
    this.#slots = options.output.concurrency ?? 1
    this.#breaker = new Breaker(options.clock)
    options.signal.addEventListener(
      'abort',
      () => {
        for (const cancel of this.#timers) cancel()
        this.#settledAll?.()
      },
      { once: true },
    )
    this.stream = new Writable({
      objectMode: true,
      write: (items: readonly QueuedItem[], _encoding, done) => {
        this.#take(items)
        done()
      },
      final: done => {
        this.#drained().then(() => done(), done)
      },
    })
  }

  /** Items that are neither delivered nor dead-lettered. */
  get inFlight(): number {
    return this.#outstanding
  }

  /** An event that could not be encoded for this output, and is a dead letter already. */
  refusedBefore(): void {
    this.counts.routed++
    this.counts.deadLettered++
  }

  /** Sends what is pending without waiting for a full batch. */
  flush(): void {
    this.#due = this.#pending.length > 0
    this.#dispatch()
  }

  #take(items: readonly QueuedItem[]): void {
    this.counts.routed += items.length
    this.#outstanding += items.length
    for (const item of items) {
      this.#pending.push(item)
      this.#pendingBytes += item.size
    }
    this.#dispatch()
  }

  async #drained(): Promise<void> {
    if (this.#outstanding === 0 || this.#options.signal.aborted) return
    const all = new Promise<void>(resolve => {
      this.#settledAll = resolve
    })
    this.flush()
    await all
  }

  #dispatch(): void {
    const { batch, signal } = this.#options
    while (this.#pending.length > 0 && !this.#paused && this.#busy < this.#slots && !signal.aborted) {
      if (this.#breaker.open && this.#busy > 0) return
      const full = this.#pending.length >= batch.max_events || this.#pendingBytes >= batch.max_bytes
      // The stream's end leaves nothing to wait for.
      if (!full && !this.#due && !this.#settledAll) break
      this.#busy++
      void this.#send(this.#cut()).finally(() => {
        this.#busy--
        this.#dispatch()
      })
    }
    if (this.#pending.length === 0) {
      this.#due = false
      this.#cancelTimer?.()
      this.#cancelTimer = undefined
    } else if (!this.#cancelTimer && !this.#due && !signal.aborted) {
      this.#cancelTimer = this.#later(batch.max_ms, () => {
        this.#cancelTimer = undefined
        this.flush()
      })
    }
  }

  #cut(): QueuedItem[] {
    const { max_events, max_bytes } = this.#options.batch
    let count = 0
    let bytes = 0
    for (const item of this.#pending) {
      if (count > 0 && (count >= max_events || bytes + item.size > max_bytes)) break
      count++
      bytes += item.size
    }
    this.#pendingBytes -= bytes
    return this.#pending.splice(0, count)
  }

  /** Writes a batch until the destination has answered for each of its items. */
  async #send(items: readonly QueuedItem[]): Promise<void> {
    const { output, clock, signal, fail } = this.#options
    for (;;) {
      const refused = new Map<number, Error>()
      try {
        this.counts.batches++
        await output.write(items, (index, error) => refused.set(index, asError(error)), signal)
      } catch (thrown) {
        const error = asError(thrown)
        if (signal.aborted) return
        if (error instanceof TooLargeError) {
          await this.#halve(items, error)
          return
        }
        if (errorCode(error) === 'EPIPE') {
          fail(error)
          return
        }
        this.counts.retried += items.length
        for (const item of items) item.unsure = true
        this.#trouble(error)
        try {
          await clock.sleep(this.#wait(error), signal)
        } catch {
          return
        }
        continue
      }
      await this.#answered(items, refused)
      return
    }
  }

  async #halve(items: readonly QueuedItem[], error: TooLargeError): Promise<void> {
    if (items.length === 1) {
      await this.#answered(items, new Map([[0, error]]))
      return
    }
    const middle = items.length >> 1
    await this.#send(items.slice(0, middle))
    if (!this.#options.signal.aborted) await this.#send(items.slice(middle))
  }

  /** The destination took the batch, less what it refused. */
  async #answered(items: readonly QueuedItem[], refused: ReadonlyMap<number, Error>): Promise<void> {
    const delivered = items.length - refused.size
    const letters: { item: QueuedItem; error: Error }[] = []
    const again: { item: QueuedItem; error: Error }[] = []
    for (const [index, error] of refused) {
      const item = items[index] as QueuedItem
      item.alive ||= delivered > 0
      if (item.alive && !(error instanceof RetryableError && error.patient)) item.tries++
      const last = error instanceof PermanentError || error instanceof TooLargeError || item.tries >= this.#options.maxTries
      ;(last ? letters : again).push({ item, error })
    }
    items.forEach((item, index) => {
      if (!refused.has(index)) this.#settle(item, true)
    })
    if (this.#breaker.judge(delivered, letters.length)) {
      const why = `refuses most of what it gets (${letters[0]?.error.message ?? ''}); a batch is tried every ${PROBE_MS / 1000} s, nothing is lost`
      this.#trouble(new PermanentError(why))
      this.#requeue([...letters, ...again].map(({ item }) => item))
      this.#pause(PROBE_MS)
      return
    }
    if (letters.length > 0) await this.#bury(letters)
    if (again.length > 0) this.#retryLater(again, delivered)
    else this.#fine()
  }

  /** Refused items wait by themselves; when most of a batch was refused, the output as a whole does. */
  #retryLater(again: readonly { readonly item: QueuedItem; readonly error: Error }[], delivered: number): void {
    // All of them wait for the one that asked for the longest wait.
    const { error } = again.reduce((longest, one) => (asksFor(one.error) > asksFor(longest.error) ? one : longest))
    const items = again.map(({ item }) => item)
    this.counts.retried += items.length
    this.#trouble(error)
    const wait = this.#wait(error)
    if (delivered < again.length) {
      this.#requeue(items)
      this.#pause(wait)
      return
    }
    this.#later(wait, () => {
      this.#requeue(items)
      this.flush()
    })
  }

  #requeue(items: readonly QueuedItem[]): void {
    this.#pending.unshift(...items)
    for (const { size } of items) this.#pendingBytes += size
  }

  /** The longest of several waits counts: each with a timer of its own would end the others, and begin as many again. */
  #pause(ms: number): void {
    const until = this.#options.clock.monotonic() + ms
    if (this.#paused && until <= this.#pausedUntil) return
    this.#paused = true
    this.#pausedUntil = until
    this.#cancelPause?.()
    this.#cancelPause = this.#later(ms, () => {
      this.#paused = false
      this.flush()
    })
  }

  /** A timer that ends with the output. */
  #later(ms: number, fn: () => void): () => void {
    const stop = this.#options.clock.after(ms, () => {
      this.#timers.delete(cancel)
      fn()
    })
    const cancel = () => {
      this.#timers.delete(cancel)
      stop()
    }
    this.#timers.add(cancel)
    return cancel
  }

  async #bury(refused: readonly { readonly item: QueuedItem; readonly error: Error }[]): Promise<void> {
    try {
      await this.#options.deadLetter(refused)
    } catch (error) {
      this.#options.fail(asError(error))
      return
    }
    for (const { item } of refused) this.#settle(item, false)
  }

  #settle(item: QueuedItem, delivered: boolean): void {
    if (delivered) this.counts.delivered++
    else this.counts.deadLettered++
    this.#outstanding--
    item.slice.settled()
    if (this.#outstanding === 0) this.#settledAll?.()
  }

  /** The next wait: doubled from min to max, with jitter, never shorter than the destination asked for. Milliseconds. */
  #wait(error: Error): number {
    const { min_ms, max_ms } = this.#options.retry
    const longest = Math.min(max_ms, min_ms * 2 ** this.#backoff++)
    const wait = longest / 2 + (Math.random() * longest) / 2
    return Math.max(wait, asksFor(error))
  }

  #trouble(error: Error): void {
    if (!this.#troubled) this.#options.log.warn({ error: error.message }, 'output does not take events, trying again')
    this.#troubled = true
    this.#options.health('degraded', error.message)
  }

  #fine(): void {
    this.#backoff = 0
    if (!this.#troubled) return
    this.#troubled = false
    this.#options.log.info({}, 'output takes events again')
    this.#options.health('ok')
  }
}

/** The wait that the destination asked for. Milliseconds. */
function asksFor(error: Error): number {
  return error instanceof RetryableError ? (error.after ?? 0) : 0
}
