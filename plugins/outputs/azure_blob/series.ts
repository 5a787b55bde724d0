// Appends to blobs, one after the other: each block once, also when its answer was lost, and in blobs that no other engine writes.
import type { Item, Log } from '../../../core/plugin/interfaces.ts'
import type { Blocks } from './blocks.ts'
import { BlobFailure } from './failures.ts'
import { appended } from './names.ts'
import type { BlobStore, Seen } from './store.ts'
import type { BlobWriter, Progress } from './writer.ts'

export interface SeriesOptions {
  readonly writer: string
  readonly blocks: Blocks
  readonly maxBlocks: number
  readonly rotateBytes: number | undefined
  readonly log: Log
}

/** The blob of a series that is appended to now. */
interface Current {
  readonly name: string
  position: number
  blocks: number
}

interface Series {
  /** Of the blob in use, or of the next one. */
  number: number
  current: Current | undefined
}

/** Series that are remembered; one that is forgotten is found again by asking. */
const REMEMBERED = 10_000
/** This blob takes no more, and another one may: it has all its blocks, is sealed, archived, leased, of another type, or protected. */
function isClosed({ status, service }: BlobFailure): boolean {
  return service === 'LeaseIdMissing' || (status === 409 && !/^(?:Container|Account)/.test(service))
}

export class SeriesWriter implements BlobWriter {
  readonly #options: SeriesOptions
  /** By the name that the template gives, the least recently used first. */
  readonly #series = new Map<string, Series>()

  constructor(options: SeriesOptions) {
    this.#options = options
  }

  async write(store: BlobStore, text: string, items: readonly Item[], progress: Progress, signal: AbortSignal): Promise<void> {
    const { blocks } = this.#options
    const series = this.#of(text)
    for (let from = 0; from < items.length; ) {
      const current = series.current ?? (await this.#begin(store, text, series, signal))
      const block = await progress.cut(blocks, items, from, current.position === 0 ? 'first' : 'later')
      if (!block) {
        from++
        continue
      }
      const { bytes } = block
      if (this.#isFull(current, bytes.length)) {
        this.#next(series)
        continue
      }
      try {
        current.blocks = await store.append(current.name, bytes, current.position, signal)
        current.position += bytes.length
      } catch (failure) {
        if (!(failure instanceof BlobFailure)) throw failure
        if (failure.status === 413 && blocks.refused(block)) continue
        if (failure.status === 413) {
          progress.refuse(block.items[0] as Item, failure)
          from++
          continue
        }
        // Where not even a new blob can be appended to, the next ones would be the same.
        if (isClosed(failure) && current.position > 0) {
          this.#next(series)
          continue
        }
        if (failure.service === 'BlobNotFound') series.current = undefined
        if (failure.service !== 'AppendPositionConditionNotMet') throw failure
        if (!(await this.#isThere(store, current, bytes, signal))) {
          this.#options.log.warn(
            { blob: current.name },
            'azure_blob: another program appends to this blob, or made it anew; the next one begins',
          )
          this.#next(series)
          continue
        }
      }
      progress.delivered(block, current.name)
      from += block.items.length
    }
  }

  /** The block's answer was lost: true when it lies where it belongs. */
  async #isThere(store: BlobStore, current: Current, bytes: Buffer, signal: AbortSignal): Promise<boolean> {
    const seen = await store.look(current.name, signal)
    if (!seen || seen.length < current.position + bytes.length) return false
    if (!(await store.holds(current.name, current.position, bytes, signal))) return false
    current.position = seen.length
    current.blocks = seen.blocks
    return true
  }

  /** Makes the next blob of a series, or goes on with the one that an earlier run left. */
  async #begin(store: BlobStore, text: string, series: Series, signal: AbortSignal): Promise<Current> {
    for (;;) {
      const name = this.#name(text, series.number)
      let seen: Seen | undefined = { length: 0, blocks: 0, ours: true }
      if (!(await store.create(name, signal))) seen = await store.look(name, signal)
      if (!seen) throw new BlobFailure('BlobNotFound', 404, `azure_blob: ${name} was removed while it was opened`)
      const current = { name, position: seen.length, blocks: seen.blocks }
      if (seen.ours && !this.#isFull(current, 1)) {
        series.current = current
        return current
      }
      series.number = await this.#last(store, text, series.number, signal)
    }
  }

  /** The number of the last blob of a series, or the next number: `from` is of one that takes no more. */
  async #last(store: BlobStore, text: string, from: number, signal: AbortSignal): Promise<number> {
    const exists = async (number: number) => (await store.look(this.#name(text, number), signal)) !== undefined
    let step = 1
    while (await exists(from + step)) step *= 2
    let [there, missing] = [from + (step >> 1), from + step]
    while (missing - there > 1) {
      const middle = (there + missing) >> 1
      if (await exists(middle)) there = middle
      else missing = middle
    }
    return there === from ? from + 1 : there
  }

  #isFull({ position, blocks }: Current, bytes: number): boolean {
    const { maxBlocks, rotateBytes } = this.#options
    return blocks >= maxBlocks || (rotateBytes !== undefined && position > 0 && position + bytes > rotateBytes)
  }

  #next(series: Series): void {
    series.number++
    series.current = undefined
  }

  #name(text: string, number: number): string {
    return appended(text, this.#options.writer, number)
  }

  #of(text: string): Series {
    const series = this.#series.get(text) ?? { number: 1, current: undefined }
    this.#series.delete(text)
    this.#series.set(text, series)
    for (const oldest of this.#series.keys()) {
      if (this.#series.size <= REMEMBERED) break
      this.#series.delete(oldest)
    }
    return series
  }
}
