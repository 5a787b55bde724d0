// What is known of a batch that is written: which items are stored, which are refused.
import { asError, TooLargeError } from '../../../core/plugin/errors.ts'
import type { Item } from '../../../core/plugin/interfaces.ts'
import type { Block, Blocks, Place } from './blocks.ts'
import type { BlobStore } from './store.ts'

/** Writes items, in their order, to the blobs of one name. A throw says nothing of those that were delivered before it. */
export interface BlobWriter {
  write(store: BlobStore, text: string, items: readonly Item[], progress: Progress, signal: AbortSignal): Promise<void>
}

export interface Progress {
  /** The next block; undefined when its first item is too long for any, and is refused. */
  cut(blocks: Blocks, items: readonly Item[], from: number, place: Place): Promise<Block | undefined>
  delivered(block: Block, name: string): void
  refuse(item: Item, error: Error): void
}

/** `stored` gets the items that are delivered: when another blob of the batch fails, they are not written again. */
export function progressOf(
  stored: WeakSet<Item>,
  refuse: (item: Item, error: Error) => void,
  delivered: (block: Block, name: string) => void,
): Progress {
  return {
    async cut(blocks, items, from, place) {
      try {
        return await blocks.cut(items, from, place)
      } catch (error) {
        if (!(error instanceof TooLargeError)) throw error
        refuse(items[from] as Item, error)
        return undefined
      }
    },
    delivered(block, name) {
      for (const item of block.items) stored.add(item)
      delivered(block, name)
    },
    refuse(item, error) {
      refuse(item, new TooLargeError(asError(error).message))
    },
  }
}
