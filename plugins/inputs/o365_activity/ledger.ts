// What is known of one tenant's content: listed, fetched, acknowledged by every output. Kept in rows, of which memory holds a part.
//
//   c/TENANT/TYPE                 how far the listings reach
//   s/TENANT                      when all that the service still lists was last listed again
//   o/TENANT/EXPIRES/TYPE/HASH    listed and not yet acknowledged: contentId, time made, its link
//   b/TENANT/TYPE/HOUR/HASH       acknowledged, by the hour in which it was made: how many records, their hash, when it expires
//   l/TENANT/DUE/TYPE/HASH        acknowledged, and to be read once more: as in o/, when it expires, and how far it was read
//   f/TENANT/TYPE/DAY             how many of a day there were, once their rows have gone
import { hash } from 'node:crypto'
import type { Rows } from '../../../core/plugin/interfaces.ts'
import { isObject, type Json } from '../../../core/plugin/json.ts'
import type { Listed } from './feed-client.ts'

/** How far a blob was read. */
export type Progress = {
  /** Bytes of the decoded body that went on. */
  readonly at: number
  /** SHA-256 of these, in base64url. */
  readonly digest: string
  /** What the framer must know to go on there. */
  readonly state: Json
  readonly records: number
}

/** A blob that is to be read once more, and how far it was read before. */
export interface Look {
  readonly blob: Blob
  readonly progress: Json
  readonly key: string
}

export interface Blob extends Listed {
  readonly contentType: string
  /** Of the contentId, which is long. */
  readonly hash: string
}

/** What became of a blob. `lost`: why it cannot be had. */
export type Fate = Progress | { readonly lost: string }
export type Row = readonly [key: string, value: Json | null]

/** So many blobs that wait are held in memory; the others lie in their rows. */
const MOST_WAITING = 20_000
const MOST_BUCKETS = 48
const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS
/** So many blobs are read once more at a time. */
const MOST_LOOKS = 5_000
/** How many rows are gone over at once. */
const PAGE = 1_000

export class Ledger {
  readonly #rows: Rows
  readonly #tenant: string
  /** By content type: the time up to which everything is listed. */
  readonly #cursors = new Map<string, number>()
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
    this.#tenant = tenant.toLowerCase()
  }

  async load(): Promise<void> {
    const prefix = `c/${this.#tenant}/`
    for (const [key, value] of await this.#rows.list(prefix))
      if (isObject(value)) this.#cursors.set(key.slice(prefix.length), Number(value['to']))
    const swept = await this.#rows.get(`s/${this.#tenant}`)
    if (typeof swept === 'number') this.#sweptAt = swept
    await this.refill()
  }

  /** When all that the service still lists was last listed again; milliseconds since 1970. */
  get sweptAt(): number | undefined {
    return this.#sweptAt
  }

  async swept(at: number): Promise<void> {
    await this.#rows.put([[`s/${this.#tenant}`, at]])
    this.#sweptAt = at
  }

  /** How far a content type is listed: milliseconds since 1970; undefined before the first listing. */
  cursor(contentType: string): number | undefined {
    return this.#cursors.get(contentType)
  }

  /** Everything up to this time is listed. Never goes back. */
  async listedTo(contentType: string, to: number): Promise<void> {
    if (to <= (this.#cursors.get(contentType) ?? Number.NEGATIVE_INFINITY)) return
    await this.#rows.put([[`c/${this.#tenant}/${contentType}`, { to }]])
    this.#cursors.set(contentType, to)
  }

  /** Takes in a page of a listing; durable when it resolves. Gives how many of it were new. */
  async listed(contentType: string, items: readonly Listed[]): Promise<number> {
    const fresh = new Map<string, Blob>()
    for (const item of items) {
      const blob = { ...item, contentType, hash: hashOf(item.id) }
      if (!fresh.has(blob.hash) && !(await this.#isKnown(blob))) fresh.set(blob.hash, blob)
    }
    if (fresh.size === 0) return 0
    await this.#rows.put([...fresh.values()].map(blob => [this.#openKey(blob), [blob.id, blob.created, blob.uri]]))
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

  /** The blob that expires next; undefined when none waits (see `refill`). */
  take(): Blob | undefined {
    if (!this.#sorted) {
      this.#waiting.sort((a, b) => b.expires - a.expires || (a.hash < b.hash ? 1 : -1))
      this.#sorted = true
    }
    return this.#waiting.pop()
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
    const prefix = `o/${this.#tenant}/`
    for (let after: string | undefined; ; ) {
      const page = await this.#rows.list(prefix, { limit: PAGE, ...(after !== undefined && { after }) })
      for (const [key, value] of page) {
        const blob = this.#blobOf(key, value)
        if (blob && !this.#open.has(blob.hash)) this.#wait(blob)
      }
      after = page.at(-1)?.[0]
      if (page.length < PAGE) {
        this.#spilled = false
        return
      }
      if (this.#waiting.length >= MOST_WAITING) return
    }
  }

  /** Blobs that are due to be read once more, some at a time. */
  async due(now: number): Promise<Look[]> {
    const found: Look[] = []
    for (const [key, value] of await this.#rows.list(`l/${this.#tenant}/`, { limit: MOST_LOOKS })) {
      const [, , due, contentType = '', hash = ''] = key.split('/')
      if (Number(due) > now || !Array.isArray(value)) break
      const [id, created, uri, expires, progress] = value
      const blob = { id: String(id), created: Number(created), uri: String(uri), expires: Number(expires), contentType, hash }
      found.push({ blob, progress: progress as Json, key })
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
    const value = 'lost' in fate ? { lost: fate.lost, expires: blob.expires } : [fate.records, fate.digest, blob.expires]
    const { id, created, uri, expires, contentType, hash } = blob
    const rows: Row[] = [
      [`${this.#bucketKey(blob)}${hash}`, value],
      [look ?? this.#openKey(blob), null],
    ]
    if (due !== undefined && !('lost' in fate))
      rows.push([`l/${this.#tenant}/${padded(due)}/${contentType}/${hash}`, [id, created, uri, expires, fate]])
    return rows
  }

  /** That commit is done. */
  closed(blob: Blob): void {
    this.#open.delete(blob.hash)
    this.#seconds.delete(blob.hash)
    this.#buckets.get(this.#bucketKey(blob))?.add(blob.hash)
  }

  /** All content listed as made before this time is acknowledged; undefined before the first listing. */
  watermark(contentType: string): number | undefined {
    let mark = this.#cursors.get(contentType)
    if (mark === undefined) return undefined
    for (const blob of this.#open.values())
      if (blob.contentType === contentType && blob.created < mark && !this.#seconds.has(blob.hash)) mark = blob.created
    return mark
  }

  /** Rows of blobs that expired more than a day ago become counts. Gives how many. */
  async fold(now: number): Promise<number> {
    let folded = 0
    const prefix = `b/${this.#tenant}/`
    for (let after: string | undefined; ; ) {
      const page = await this.#rows.list(prefix, { limit: PAGE, ...(after !== undefined && { after }) })
      const sums = new Map<string, { blobs: number; records: number; lost: number }>()
      const gone: Row[] = []
      for (const [key, value] of page) {
        const { expires, records, lost } = fateOf(value)
        if (expires + DAY_MS > now) continue
        const [, , contentType = '', hour = ''] = key.split('/')
        const day = `f/${this.#tenant}/${contentType}/${hour.slice(0, 10)}`
        const sum = sums.get(day) ?? { blobs: 0, records: 0, lost: 0 }
        sums.set(day, { blobs: sum.blobs + 1, records: sum.records + records, lost: sum.lost + lost })
        gone.push([key, null])
      }
      for (const [day, { blobs, records, lost }] of sums) {
        const old = await this.#rows.get(day)
        const before = isObject(old) ? old : {}
        const add = (name: string, more: number) => Number(before[name] ?? 0) + more
        gone.push([day, { blobs: add('blobs', blobs), records: add('records', records), lost: add('lost', lost) }])
      }
      if (gone.length > 0) await this.#rows.put(gone)
      folded += gone.length - sums.size
      after = page.at(-1)?.[0]
      if (page.length < PAGE) return folded
    }
  }

  #wait(blob: Blob): void {
    this.#open.set(blob.hash, blob)
    this.#waiting.push(blob)
    this.#sorted = false
  }

  async #isKnown(blob: Blob): Promise<boolean> {
    if (this.#open.has(blob.hash)) return true
    if ((await this.#bucket(this.#bucketKey(blob))).has(blob.hash)) return true
    return this.#spilled && (await this.#rows.get(this.#openKey(blob))) !== undefined
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

  #bucketKey({ contentType, created }: Blob): string {
    return `b/${this.#tenant}/${contentType}/${new Date(created).toISOString().slice(0, 13)}/`
  }

  #openKey({ contentType, expires, hash }: Blob): string {
    return `o/${this.#tenant}/${padded(expires)}/${contentType}/${hash}`
  }

  #blobOf(key: string, value: Json | Uint8Array): Blob | undefined {
    const [, , expires, contentType, hash] = key.split('/')
    if (!Array.isArray(value) || contentType === undefined || hash === undefined) return undefined
    const [id, created, uri] = value
    return { id: String(id), uri: String(uri), created: Number(created), expires: Number(expires), contentType, hash }
  }
}

/** Milliseconds that sort as text. */
function padded(ms: number): string {
  return String(ms).padStart(15, '0')
}

/** 132 bits of SHA-256. */
function hashOf(contentId: string): string {
  return hash('sha256', contentId, 'base64url').slice(0, 22)
}

function fateOf(value: Json | Uint8Array): { expires: number; records: number; lost: number } {
  if (Array.isArray(value)) return { expires: Number(value[2]), records: Number(value[0]), lost: 0 }
  return { expires: isObject(value) ? Number(value['expires']) : 0, records: 0, lost: 1 }
}
