// What is known of one tenant's content: listed, fetched, acknowledged by every output. Kept in rows, of which memory holds a part.
import type { Rows } from '../../../core/plugin/interfaces.ts'
import { isObject } from '../../../core/plugin/json.ts'
import { rowPages } from '../../lib/row-pages.ts'
import type { Listed } from './feed-client.ts'
import { foldLedger } from './ledger-fold.ts'
import {
  type Blob,
  blobOf,
  type Fate,
  fateValue,
  type Gap,
  type Known,
  LedgerRows,
  type Look,
  lookOf,
  openBlob,
  type Progress,
  progressOf,
  type Row,
} from './ledger-rows.ts'

/** So many blobs that wait are held in memory; the others lie in their rows. */
const MOST_WAITING = 20_000
const MOST_BUCKETS = 48
/** So many blobs are read once more at a time. */
const MOST_LOOKS = 5_000

export class Ledger {
  readonly #rows: Rows
  readonly #keys: LedgerRows
  /** By content type: the time up to which everything is listed. */
  readonly #cursors = new Map<string, number>()
  /** By content type: where the first listing began. */
  readonly #begins = new Map<string, number>()
  #sweptAt: number | undefined
  /** Blobs to be fetched, the nearest expiry last; sorted when `#sorted`. */
  #waiting: Blob[] = []
  #sorted = true
  /** By hash: waiting, or on the way. */
  readonly #open = new Map<string, Blob>()
  /** Of these, those that are read once more. */
  readonly #seconds = new Set<string>()
  /** There may be rows of blobs that memory does not hold. */
  #spilled = true
  /** Hashes of acknowledged blobs, by the beginning of their keys; those that were used last come last. */
  readonly #buckets = new Map<string, Set<string>>()

  /** @param tenant The tenant's id; case does not matter. */
  constructor(rows: Rows, tenant: string) {
    this.#rows = rows
    this.#keys = new LedgerRows(tenant)
  }

  async load(): Promise<void> {
    const prefix = this.#keys.of('c')
    for (const [key, value] of await this.#rows.list(prefix))
      if (isObject(value)) {
        this.#cursors.set(key.slice(prefix.length), Number(value['to']))
        this.#begins.set(key.slice(prefix.length), Number(value['from'] ?? 0))
      }
    const swept = await this.#rows.get(this.#keys.swept)
    if (typeof swept === 'number') this.#sweptAt = swept
    await this.refill()
  }

  /** When all that the service still lists was last listed again; milliseconds since 1970. */
  get sweptAt(): number | undefined {
    return this.#sweptAt
  }

  async swept(at: number): Promise<void> {
    await this.#rows.put([[this.#keys.swept, at]])
    this.#sweptAt = at
  }

  /** How far a content type is listed: milliseconds since 1970; undefined before the first listing. */
  cursor(contentType: string): number | undefined {
    return this.#cursors.get(contentType)
  }

  /** Where the first listing of a content type began; milliseconds since 1970. */
  begin(contentType: string): number | undefined {
    return this.#begins.get(contentType)
  }

  /** Everything from `from` (of the first listing) up to this time is listed. Never goes back. */
  async listedTo(contentType: string, from: number, to: number): Promise<void> {
    if (to <= (this.#cursors.get(contentType) ?? Number.NEGATIVE_INFINITY)) return
    const begin = this.#begins.get(contentType) ?? from
    await this.#rows.put([this.#keys.cursor(contentType, begin, to)])
    this.#begins.set(contentType, begin)
    this.#cursors.set(contentType, to)
  }

  /** What is known of content that a listing names. */
  async known(contentType: string, item: Listed): Promise<Known> {
    const blob = blobOf(contentType, item)
    const closed = await this.#rows.get(this.#keys.closed(blob))
    if (isObject(closed)) return { blob, state: 'lost', why: String(closed['lost']) }
    if (Array.isArray(closed)) return { blob, state: 'acknowledged', progress: progressOf(closed) }
    return { blob, state: this.#open.has(blob.hash) || (await this.#rows.get(this.#keys.open(blob))) ? 'waiting' : 'missing' }
  }

  /** Content that is to be fetched (again) at the next run; durable when it resolves. `progress`: only what lies behind it. */
  async reopen(blobs: readonly { readonly blob: Blob; readonly progress?: Progress | undefined }[]): Promise<void> {
    await this.#rows.put(
      blobs.flatMap(({ blob, progress }): Row[] => {
        if (progress) return [this.#keys.looking(blob, 0, progress)]
        return [[this.#keys.closed(blob), null], this.#keys.opening(blob)]
      }),
    )
  }

  /** Content of this time cannot be had: durable when it resolves, and to be told. `to`: also how far the listings reach now. */
  async gap(contentType: string, gap: Gap): Promise<void> {
    const rows: Row[] = [[this.#keys.gap(contentType, gap), { to: gap.to, code: gap.code }]]
    if (gap.to > (this.#cursors.get(contentType) ?? 0) && gap.code === 'PEN_WINDOW_LOST') {
      rows.push(this.#keys.cursor(contentType, this.#begins.get(contentType) ?? 0, gap.to))
      this.#cursors.set(contentType, gap.to)
    }
    await this.#rows.put(rows)
  }

  /** Gaps that are not told yet. */
  async gaps(): Promise<(readonly [contentType: string, gap: Gap])[]> {
    return (await this.#rows.list(this.#keys.of('w'))).map(([key, value]) => {
      const [, , contentType = '', from] = key.split('/')
      const { to, code } = isObject(value) ? value : {}
      return [contentType, { from: Number(from), to: Number(to), code: String(code) as Gap['code'] }]
    })
  }

  /** The row to be written when the gap lies in the dead letters. */
  told(contentType: string, gap: Gap): Row {
    return [this.#keys.gap(contentType, gap), null]
  }

  /** Takes in a page of a listing; durable when it resolves. Gives how many of it were new. */
  async listed(contentType: string, items: readonly Listed[]): Promise<number> {
    const fresh = new Map<string, Blob>()
    for (const item of items) {
      const blob = blobOf(contentType, item)
      if (!fresh.has(blob.hash) && !(await this.#isKnown(blob))) fresh.set(blob.hash, blob)
    }
    if (fresh.size === 0) return 0
    await this.#rows.put([...fresh.values()].map(blob => this.#keys.opening(blob)))
    for (const blob of fresh.values()) {
      if (this.#waiting.length < MOST_WAITING) this.#wait(blob)
      else this.#spilled = true
    }
    return fresh.size
  }

  /** Blobs that wait in memory. */
  get waiting(): number {
    return this.#waiting.length
  }

  /** Nothing is left to be fetched or acknowledged. */
  get settled(): boolean {
    return this.#open.size === 0 && !this.#spilled
  }

  /** The blob that expires next, of other content types than these; undefined when none waits (see `refill`). */
  take(except: ReadonlySet<string>): Blob | undefined {
    if (!this.#sorted) {
      this.#waiting.sort((a, b) => b.expires - a.expires || (a.hash < b.hash ? 1 : -1))
      this.#sorted = true
    }
    if (except.size === 0) return this.#waiting.pop()
    const index = this.#waiting.findLastIndex(({ contentType }) => !except.has(contentType))
    return index < 0 ? undefined : this.#waiting.splice(index, 1)[0]
  }

  /** It was taken, and cannot be fetched now. */
  putBack(blob: Blob): void {
    this.#waiting.push(blob)
    this.#sorted = false
  }

  /** It was acknowledged, and is to be fetched once more. */
  again(blob: Blob): void {
    if (this.#open.has(blob.hash)) return
    this.#seconds.add(blob.hash)
    this.#wait(blob)
  }

  /** Reads rows of blobs that memory does not hold, once none is left in it. */
  async refill(): Promise<void> {
    if (!this.#spilled || this.#waiting.length > 0) return
    for await (const page of rowPages(this.#rows, this.#keys.of('o'))) {
      if (this.#waiting.length >= MOST_WAITING) return
      for (const [key, value] of page) {
        const blob = openBlob(key, value)
        if (blob && !this.#open.has(blob.hash)) this.#wait(blob)
      }
    }
    this.#spilled = false
  }

  /** Blobs that are due to be read once more, some at a time. */
  async due(now: number): Promise<Look[]> {
    const found: Look[] = []
    for (const [key, value] of await this.#rows.list(this.#keys.of('l'), { limit: MOST_LOOKS })) {
      const look = lookOf(key, value)
      if (!look || look.due > now) break
      found.push(look)
    }
    return found
  }

  /**
   * The rows to be written with the commit that settles a blob's last chunk. `due`: it is to be read once more, then. `look`: the row
   * that asked for this reading.
   */
  closing(
    blob: Blob,
    fate: Fate,
    { due, look }: { readonly due?: number | undefined; readonly look?: string | undefined } = {},
  ): Row[] {
    const rows: Row[] = [
      [this.#keys.closed(blob), fateValue(blob, fate)],
      [look ?? this.#keys.open(blob), null],
    ]
    if (due !== undefined && !('lost' in fate)) rows.push(this.#keys.looking(blob, due, fate))
    return rows
  }

  /** That commit is done. */
  closed(blob: Blob): void {
    this.#open.delete(blob.hash)
    this.#seconds.delete(blob.hash)
    this.#buckets.get(this.#keys.bucket(blob))?.add(blob.hash)
  }

  /**
   * All content listed as made before this time is acknowledged; undefined before the first listing, and while more blobs wait than
   * memory holds.
   */
  watermark(contentType: string): number | undefined {
    let mark = this.#cursors.get(contentType)
    if (mark === undefined || this.#spilled) return undefined
    for (const blob of this.#open.values())
      if (blob.contentType === contentType && blob.created < mark && !this.#seconds.has(blob.hash)) mark = blob.created
    return mark
  }

  /** Rows of blobs that expired more than a day ago become counts. Gives how many. */
  fold(now: number): Promise<number> {
    return foldLedger(this.#rows, this.#keys, now)
  }

  /** Whatever is open and not among these hashes waits to be fetched. */
  requeue(onTheWay: ReadonlySet<string>): void {
    this.#waiting = [...this.#open.values()].filter(({ hash }) => !onTheWay.has(hash))
    this.#sorted = false
  }

  #wait(blob: Blob): void {
    this.#open.set(blob.hash, blob)
    this.#waiting.push(blob)
    this.#sorted = false
  }

  async #isKnown(blob: Blob): Promise<boolean> {
    if (this.#open.has(blob.hash)) return true
    if ((await this.#bucket(this.#keys.bucket(blob))).has(blob.hash)) return true
    return this.#spilled && (await this.#rows.get(this.#keys.open(blob))) !== undefined
  }

  async #bucket(key: string): Promise<Set<string>> {
    const held = this.#buckets.get(key)
    const bucket = held ?? new Set((await this.#rows.list(key)).map(([row]) => row.slice(key.length)))
    this.#buckets.delete(key)
    this.#buckets.set(key, bucket)
    for (const oldest of this.#buckets.keys()) {
      if (this.#buckets.size <= MOST_BUCKETS) break
      this.#buckets.delete(oldest)
    }
    return bucket
  }
}
