// A disk queue before an output: what lies in it durably is settled for its chunk; from there it goes on to the output, in order.
import { asError, errorCode, PenstockError } from '../plugin/errors.ts'
import type { Clock, Log, Status } from '../plugin/interfaces.ts'
import type { QueueFile, QueueTotals, StoredSlice } from '../state/types.ts'
import { PASSING } from './committer.ts'
import { QueueHealth } from './disk-queue-health.ts'
import type { OutputStream } from './output-stream.ts'
import { type Parcel, sourcesOf, unwrap, wrap } from './parcel.ts'
import type { QueuedItem, RecordSource, Slice } from './queued-item.ts'

export interface DiskQueueOptions {
  /** The output's. */
  readonly id: string
  readonly file: QueueFile
  readonly stream: OutputStream
  readonly maxBytes: number
  /** Heads and items that are in memory on their way to the output, at most. Bytes. */
  readonly window: number
  /** What was delivered may lie in the file for so long. Milliseconds. */
  readonly interval: number
  readonly clock: Clock
  readonly log: Log
  /** Aborts when the grace period is over: what is not delivered by then stays in the file. */
  readonly signal: AbortSignal
  health(status: Status, why?: string): void
  fail(error: Error): void
}

/** The items of a chunk on their way into the queue. */
export interface Entry {
  readonly slice: QueueSlice
  readonly items: readonly QueuedItem[]
  /** Valid until `stored` is called. */
  source(record: number): RecordSource
  /** They lie there durably. */
  stored(): void
}

export interface QueueFigures {
  /** Events that are neither delivered nor dead-lettered. */
  readonly events: number
  /** As they lie in the file. */
  readonly bytes: number
  readonly maxBytes: number
  /** When the oldest one came, in milliseconds since 1970. */
  readonly oldest: number | undefined
}

/** A slice that a disk queue keeps. */
export interface QueueSlice extends Slice {
  id: number
  /** Items that are not settled. */
  open: number
  /** What counts against the window. Bytes. */
  cost: number
  /** Nobody looks into its bytes any more. */
  forget(): void
}

interface Pending extends Entry {
  readonly parcel: Parcel
}

/** A write or a read that failed (a full disk) is tried again this often. Milliseconds. */
const RETRY_MS = 1_000
/** A transaction takes no more than this, except for one slice that is larger. Bytes. */
const GROUP_BYTES = 4 * 1024 * 1024

export class DiskQueue {
  readonly #options: DiskQueueOptions
  /** Not in the file yet, in order. */
  #pending: Pending[] = []
  /** Delivered or dead-lettered, and still in the file. */
  #removed: QueueSlice[] = []
  #writing: Promise<void> | undefined
  #reading = false
  /** The first pending one has no room. */
  #blocked = false
  #closed = false
  #totals: QueueTotals
  /** Ids: of the next new slice, behind the last one in the file, and of the first one that was not sent on. */
  #newest: number
  #end: number
  #next: number
  /** Costs of what was sent on and is still in the file. */
  #loaded = 0
  /** What lay in the file at the start, behind the last id of it, and how much of its beginning earlier runs may have sent. */
  readonly #old: { readonly end: number; sent: number }
  #waiting: number
  #cancelTimer: (() => void) | undefined
  #drained: (() => void) | undefined
  readonly #state: QueueHealth
  /** The sources of the slice that dead letters were made of last. */
  #sources: { readonly id: number; readonly found: Promise<(record: number) => RecordSource> } | undefined

  constructor(options: DiskQueueOptions) {
    this.#options = options
    const { start } = options.file
    this.#totals = start
    this.#waiting = start.events
    this.#next = start.first
    this.#end = this.#newest = start.next
    this.#old = { end: start.next, sent: start.sent }
    options.signal.addEventListener('abort', () => this.#drained?.(), { once: true })
    this.#state = new QueueHealth(options)
    this.#state.holds(start.bytes, false)
  }

  /** Events that are in the queue and were not sent on to the output. */
  get waiting(): number {
    return this.#waiting
  }

  figures(): QueueFigures {
    const { bytes, oldest } = this.#totals
    return { events: this.#waiting + this.#options.stream.inFlight, bytes, maxBytes: this.#options.maxBytes, oldest }
  }

  /** Sends on what lay in the file at the start. */
  open(): void {
    if (this.#waiting > 0) this.#options.log.info({ events: this.#waiting }, 'the disk queue holds events of an earlier run')
    this.#count()
    this.#fill()
  }

  /** A slice for items that `take` is to take. `recycle`: its bytes may be used again. */
  slice(bytes: Uint8Array, again: boolean, recycle: () => void): QueueSlice {
    const slice: QueueSlice = {
      ...{ id: 0, open: 0, cost: 0, bytes, again },
      settled: () => {
        if (--slice.open > 0) return
        slice.forget()
        this.#removed.push(slice)
        this.#removeSoon()
      },
      source: record => this.#source(slice.id, record),
      // The gates were told when it was stored: a dead letter of it is replayed past them.
      fail() {},
      forget: recycle,
    }
    return slice
  }

  take(entry: Entry): void {
    const { slice, items, source } = entry
    const parcel = wrap(items, slice.again, source)
    slice.id = this.#newest++
    slice.open = items.length
    slice.cost = parcel.head.length + items.reduce((sum, { size }) => sum + size, 0)
    this.#waiting += items.length
    this.#pending.push({ ...entry, parcel })
    this.#write()
  }

  /** Resolves when everything was sent on to the output, or the grace period is over. */
  async drained(): Promise<void> {
    if (this.#waiting === 0 || this.#options.signal.aborted) return
    await new Promise<void>(resolve => {
      this.#drained = resolve
      this.#fill()
    })
  }

  /** Forgets in the file what was delivered meanwhile, then does nothing more. */
  async close(): Promise<void> {
    this.#closed = true
    this.#cancelTimer?.()
    await this.#writing
    if (this.#removed.length === 0) return
    try {
      this.#totals = await this.#options.file.write([], this.#taken())
    } catch (error) {
      this.#options.log.warn(
        { error: asError(error).message },
        'the disk queue keeps events that were delivered; they come again',
      )
    }
  }

  #write(): void {
    if (this.#closed) return
    this.#writing ??= this.#writeAll().finally(() => {
      this.#writing = undefined
      if (this.#hasWork()) this.#write()
    })
  }

  #hasWork(): boolean {
    if (this.#closed || this.#options.signal.aborted) return false
    return (this.#pending.length > 0 && !this.#blocked) || (this.#removed.length > 0 && (this.#state.failing || this.#urgent()))
  }

  /** Somebody waits for room. */
  #urgent(): boolean {
    return this.#blocked || this.#loaded >= this.#options.window
  }

  #removeSoon(): void {
    if (this.#urgent()) this.#write()
    else
      this.#cancelTimer ??= this.#options.clock.after(this.#options.interval, () => {
        this.#cancelTimer = undefined
        this.#write()
      })
  }

  async #writeAll(): Promise<void> {
    const { file } = this.#options
    // One turn lets what comes together be written together.
    await this.#options.clock.sleep(0)
    do {
      const removed = this.#removed
      const add = this.#group()
      const remove = this.#taken()
      if (add.length + remove.length === 0) return
      try {
        const { written, ...totals } = await file.write(
          add.map(({ slice: { id }, items: { length: events }, parcel }) => ({ id, events, ...parcel })),
          remove,
        )
        this.#totals = totals
        for (const { cost } of removed) this.#loaded -= cost
        this.#blocked = written < add.length
        for (const entry of this.#pending.splice(0, written)) this.#stored(entry)
      } catch (thrown) {
        this.#removed.unshift(...removed)
        if (!(await this.#again(asError(thrown)))) return
        continue
      }
      // A disk that is full lets slices go long before it takes new ones.
      if (add.length > 0 || this.#pending.length === 0) this.#state.works()
      this.#state.holds(this.#totals.bytes, this.#blocked)
      this.#fill()
    } while (this.#hasWork())
  }

  #taken(): number[] {
    const ids = this.#removed.map(({ id }) => id)
    this.#removed = []
    return ids
  }

  /** Those that go into the next transaction. */
  #group(): Pending[] {
    // What has no room is not asked about again before something went, and does not keep anything from going.
    if (this.#blocked && this.#removed.length === 0) return []
    if (this.#state.failing && this.#removed.length > 0) return []
    let count = 0
    let bytes = 0
    for (const { slice } of this.#pending) {
      bytes += slice.cost
      if (count > 0 && bytes > GROUP_BYTES) break
      count++
    }
    return this.#pending.slice(0, count)
  }

  /** It lies in the file. It is sent on from memory where it is its turn and there is room, else it is read back later. */
  #stored({ slice, items, stored }: Pending): void {
    this.#end = slice.id + 1
    if (!this.#reading && this.#next === slice.id && this.#loaded < this.#options.window) this.#send(slice, items)
    else slice.forget()
    stored()
  }

  #send(slice: QueueSlice, items: readonly QueuedItem[]): void {
    this.#next = slice.id + 1
    this.#loaded += slice.cost
    this.#waiting -= items.length
    this.#options.stream.stream.write(items)
    if (this.#waiting === 0) this.#drained?.()
    else this.#count()
  }

  /** Nobody would wait for the end of events that are counted and not there. */
  #count(): void {
    if (this.#next < this.#newest || this.#waiting === 0) return
    const why = `state: the disk queue of ${this.#options.id} counts ${this.#waiting} events that are not in it`
    this.#options.fail(
      new PenstockError('PEN_STATE_DAMAGED', `${why}: let \`penstock state reset\` set its file aside and keep what is there`),
    )
  }

  /** Reads on while there is room. */
  #fill(): void {
    const { file, window, stream, signal } = this.#options
    if (this.#reading || this.#closed || signal.aborted || this.#next >= this.#end) return
    if (this.#loaded >= window) {
      // What waits for a full batch must not wait for what waits for it.
      stream.flush()
      return
    }
    this.#reading = true
    file.read(this.#next, window - this.#loaded).then(
      slices => {
        this.#reading = false
        if (this.#closed || signal.aborted) return
        if (slices.length === 0) {
          this.#next = this.#newest
          this.#count()
          return
        }
        for (const slice of slices) this.#sendStored(slice)
        this.#state.works()
        this.#fill()
      },
      async thrown => {
        const again = await this.#again(asError(thrown))
        this.#reading = false
        if (again) this.#fill()
      },
    )
  }

  #sendStored({ id, head, items: bytes }: StoredSlice): void {
    const cost = head.length + bytes.length
    const isSent = id < this.#old.end && this.#old.sent > 0
    if (isSent) this.#old.sent -= cost
    let slice: QueueSlice | undefined
    const items = unwrap(head, again => {
      slice = this.slice(bytes, again || isSent, () => {})
      return slice
    })
    Object.assign(slice as unknown as QueueSlice, { id, open: items.length, cost })
    this.#send(slice as unknown as QueueSlice, items)
  }

  async #source(id: number, record: number): Promise<RecordSource> {
    if (this.#sources?.id !== id) {
      const found = this.#options.file.source(id).then(({ head, bytes }) => sourcesOf(head, bytes))
      this.#sources = { id, found }
    }
    return (await this.#sources.found)(record)
  }

  /** Waits before another try; false when there is none. */
  async #again(error: Error): Promise<boolean> {
    const { clock, signal, fail } = this.#options
    if (this.#closed || signal.aborted) return false
    if (!PASSING.has(errorCode(error))) {
      fail(error)
      return false
    }
    this.#state.failed(error)
    try {
      await clock.sleep(RETRY_MS, signal)
    } catch {
      return false
    }
    return !this.#closed
  }
}
