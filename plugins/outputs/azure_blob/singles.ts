// Makes each block of items a blob of its own: under a name that is not used twice, so that a repeat is known for what it is.
import type { Clock, Item } from '../../../core/plugin/interfaces.ts'
import type { Blocks } from './blocks.ts'
import { BlobFailure } from './failures.ts'
import { dated } from './names.ts'
import type { BlobStore } from './store.ts'
import type { BlobWriter, Progress } from './writer.ts'

export interface SinglesOptions {
  readonly writer: string
  readonly blocks: Blocks
  readonly clock: Clock
}

export class SingleWriter implements BlobWriter {
  readonly #options: SinglesOptions
  /**
   * By the block's first item. Not made from the content: two batches of equal records are two batches. The same block gets the same
   * name at each try, so that one whose answer was lost is not there twice.
   */
  readonly #names = new WeakMap<Item, string>()
  #made = 0

  constructor(options: SinglesOptions) {
    this.#options = options
  }

  async write(store: BlobStore, text: string, items: readonly Item[], progress: Progress, signal: AbortSignal): Promise<void> {
    const { writer, blocks, clock } = this.#options
    for (let from = 0; from < items.length; ) {
      const block = await progress.cut(blocks, items, from, 'whole')
      if (!block) {
        from++
        continue
      }
      const first = block.items[0] as Item
      const name = this.#names.get(first) ?? dated(text, writer, clock.now(), ++this.#made)
      this.#names.set(first, name)
      try {
        if (!(await store.put(name, block.bytes, signal))) {
          const seen = await store.look(name, signal)
          const there = seen?.length === block.bytes.length && (await store.holds(name, 0, block.bytes, signal))
          if (!there) {
            this.#names.delete(first)
            continue
          }
        }
      } catch (failure) {
        if (!(failure instanceof BlobFailure) || failure.status !== 413) throw failure
        if (blocks.refused(block)) continue
        progress.refuse(first, failure)
        from++
        continue
      }
      progress.delivered(block, name)
      from += block.items.length
    }
  }
}
