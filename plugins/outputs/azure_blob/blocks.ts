// Cuts the items of one blob into blocks that the service takes, and packs them.
import { TooLargeError } from '../../../core/plugin/errors.ts'
import type { Item } from '../../../core/plugin/interfaces.ts'
import type { Format } from '../../lib/export/format.ts'
import { type Layout, layoutOf } from '../../lib/export/layout.ts'
import { type Compression, compress } from '../../lib/export/packing.ts'
import { rest, slicesOf } from '../../lib/slices.ts'

export interface Block {
  readonly bytes: Buffer
  readonly items: readonly Item[]
}

/** Where a block goes: `whole` is a blob of its own, `first` and `later` are blocks of an append blob. */
export type Place = 'whole' | 'first' | 'later'

export class Blocks {
  readonly #format: Format
  readonly #compression: Compression
  readonly #layout: Layout
  /** What a block may have. */
  readonly #limit: number
  /** What one of several items is cut at: less once the service refused so much. */
  #most: number

  constructor(format: Format, compression: Compression, most: number) {
    this.#format = format
    this.#compression = compression
    this.#layout = layoutOf(format, compression)
    this.#limit = most
    this.#most = most
  }

  /** The service takes no block of so many bytes. False when it cannot be cut shorter. */
  refused({ bytes, items }: Block): boolean {
    if (items.length === 1) return false
    this.#most = Math.min(this.#most, bytes.length) >> 1
    return true
  }

  /**
   * The block that begins with item `from`. Throws a TooLargeError when this item alone is longer than a block may be. The same items
   * give the same bytes: a block whose answer was lost is known again by them.
   */
  async cut(items: readonly Item[], from: number, place: Place): Promise<Block> {
    let to = from
    for (let bytes = 0; to < items.length; to++) {
      const { start, end } = items[to] as Item
      bytes += end - start
      if (to > from && bytes > this.#most) break
    }
    for (;;) {
      const some = items.slice(from, to)
      const bytes = await this.#pack(some, place)
      if (bytes.length <= (some.length === 1 ? this.#limit : this.#most)) return { bytes, items: some }
      if (some.length === 1)
        throw new TooLargeError(
          `azure_blob: the event takes ${bytes.length} bytes, and a block ${this.#limit}; raise block_bytes`,
        )
      to = from + (some.length >> 1)
    }
  }

  async #pack(items: readonly Item[], place: Place): Promise<Buffer> {
    const { skip } = this.#format
    const all = slicesOf(items)
    const records = skip > 0 ? rest(all, skip) : all
    const around = place === 'whole' ? this.#format : this.#layout
    const ends = place === 'whole' ? [around.close] : []
    const begins = place === 'later' ? around.next : around.head
    // Item bytes are the engine's, in memory that it recycles: a request that was given up may still read its own.
    if (this.#compression === 'none') return Buffer.concat([begins, ...records, ...ends])
    // One member for a blob of its own: some readers know no second.
    if (place === 'whole') return Buffer.concat(await compress([begins, ...records, ...ends], this.#compression))
    return Buffer.concat([begins, ...(await compress(records, this.#compression))])
  }
}
