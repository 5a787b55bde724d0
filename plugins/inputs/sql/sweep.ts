// One way through a source: all of it at first, then what has come since, with a look back.
import type { Chunk } from '../../../core/plugin/interfaces.ts'
import type { Json } from '../../../core/plugin/json.ts'
import { earlier } from '../../lib/sql/times.ts'
import { type Cursor, cursorOf, type From, type Page, positionOf } from './pages.ts'
import { Records, recordOf } from './records.ts'
import type { Ready, Source } from './sources.ts'

/** Keys of rows that were read, so that a look back passes them over; more are forgotten, and such rows come again. */
const REMEMBERED = 200_000

export interface SweepOptions {
  readonly keepNulls: boolean
  readonly overlapMs: number
  readonly maxEventBytes: number
  /** Keys are remembered only where there is a second sweep. */
  readonly again: boolean
  /** Reads a page, however long that takes. */
  page(from: From): Promise<Page>
}

/** How far a source was read. */
export class Progress {
  #cursor: Cursor | undefined
  /** The cursor is at the end that the source had. */
  #end = false
  /** Key → the value of its first column. */
  readonly #seen = new Map<string, string | undefined>()
  readonly #key: readonly string[]

  constructor({ key }: Source, stored: Json | undefined) {
    this.#key = key
    const cursor = cursorOf(stored, key)
    this.#cursor = cursor
    this.#end = cursor?.end === true
  }

  /** Reads on. Nothing has to be done for the position but to yield the chunks. */
  async *sweep(ready: Ready, options: SweepOptions): AsyncGenerator<Chunk> {
    const before = this.#end ? this.#cursor : undefined
    const isTime = ready.key[0]?.found.sort === 'time'
    const mayBeNull = ready.key[0]?.found.nullable === true
    if (mayBeNull && (!this.#cursor || this.#cursor.nulls || this.#end)) {
      const after = !this.#end && this.#cursor?.nulls ? this.#cursor.at : undefined
      yield* this.#stage(ready, options, { nulls: true, after }, before)
    }
    const rows = this.#cursor && !this.#cursor.nulls ? this.#cursor.at : undefined
    const [newest] = rows ?? []
    const least = before && isTime && newest !== undefined ? earlier(newest, options.overlapMs) : undefined
    yield* this.#stage(ready, options, { nulls: false, ...(least === undefined ? { after: rows } : { least }) }, before)
    if (least !== undefined) this.#forget(newest, options.overlapMs)
  }

  /** `before`: where the last sweep ended. The position stays there while this one looks back. */
  async *#stage(ready: Ready, options: SweepOptions, start: From, before: Cursor | undefined): AsyncGenerator<Chunk> {
    const { source, columns } = ready
    const records = new Records(options.maxEventBytes)
    const chunk = (end: boolean): Chunk => ({
      ...records.take(),
      ...{ partition: source.name, meta: { table: source.name } },
      ...(this.#cursor && { position: positionOf(this.#key, this.#cursor, end) }),
    })
    for (let from = start; ; ) {
      const { rows, keys, last } = await options.page(from)
      for (const [index, row] of rows.entries()) {
        const key = keys[index] as readonly string[]
        const known = this.#known(key, start.nulls, options)
        if (!known) {
          if (records.full) yield chunk(this.#end)
          records.add(recordOf(row, columns, options.keepNulls))
        }
        this.#move({ nulls: start.nulls, at: key }, before)
      }
      const end = last && !start.nulls
      if (end) this.#end = this.#cursor !== undefined
      if (!records.empty && (last || records.full)) yield chunk(this.#end)
      if (last) return
      from = { nulls: start.nulls, after: keys.at(-1) }
    }
  }

  #move(to: Cursor, before: Cursor | undefined): void {
    if (before && !before.nulls) {
      // Looking back, or at rows without a time: what was reached before is reached still.
      const [reached = ''] = before.at
      if (to.nulls || !this.#beyond(to.at[0] ?? '', reached)) return
    }
    this.#cursor = to
    this.#end = false
  }

  /** Times of one column compare as texts. Of other keys each one is behind the last, since they are not looked back for. */
  #beyond(value: string, reached: string): boolean {
    return !/^\d{4}-\d\d-\d\d[ T]/.test(value) || value > reached
  }

  #known(key: readonly string[], nulls: boolean, { again }: SweepOptions): boolean {
    if (!again) return false
    const text = JSON.stringify(nulls ? [null, ...key] : key)
    if (this.#seen.has(text)) return true
    if (this.#seen.size >= REMEMBERED) this.#seen.delete(this.#seen.keys().next().value as string)
    this.#seen.set(text, nulls ? undefined : key[0])
    return false
  }

  #forget(newest: string | undefined, overlapMs: number): void {
    if (newest === undefined) return
    const least = earlier(newest, overlapMs)
    for (const [key, first] of this.#seen) if (first !== undefined && first < least) this.#seen.delete(key)
  }
}
