// What is known of each event of a batch that goes out in several requests: what one of them settled is not sent again with the rest.
import type { Item } from '../../../core/plugin/interfaces.ts'

/** Delivered, or refused for this reason. */
type Fate = true | Error

/** The events of one write, by their index. */
export interface Fates {
  /** Indices of the events that nothing is known of yet, in order. */
  readonly open: readonly number[]
  delivered(indices: readonly number[]): void
  refused(indices: readonly number[], error: Error): void
}

/**
 * Runs `write`s and remembers, for the time until the batch comes again, what a write that threw had settled: the engine sends the same
 * items again then. What comes as other items is sent whole, which delivers twice and loses nothing.
 */
export class FateMemory {
  readonly #known = new WeakMap<Item, Fate>()

  /** Rejects with what `work` rejects with; else every item that is not refused is delivered. */
  async write(
    items: readonly Item[],
    reject: (index: number, error: Error) => void,
    work: (fates: Fates) => Promise<void>,
  ): Promise<{ readonly delivered: readonly number[] }> {
    const fates: (Fate | undefined)[] = items.map(item => this.#known.get(item))
    const set = (indices: readonly number[], fate: Fate) => {
      for (const index of indices) fates[index] = fate
    }
    try {
      await work({
        open: [...items.keys()].filter(index => fates[index] === undefined),
        delivered: indices => set(indices, true),
        refused: (indices, error) => set(indices, error),
      })
      const forgotten = fates.indexOf(undefined)
      if (forgotten >= 0) throw new Error(`nothing is known of event ${forgotten} of ${items.length}`)
    } catch (error) {
      items.forEach((item, index) => {
        const fate = fates[index]
        if (fate !== undefined) this.#known.set(item, fate)
      })
      throw error
    }
    const delivered: number[] = []
    items.forEach((item, index) => {
      // A refused item that comes again is tried again.
      this.#known.delete(item)
      const fate = fates[index]
      if (fate instanceof Error) reject(index, fate)
      else delivered.push(index)
    })
    return { delivered }
  }
}

/** Sends parts of a batch, each until it is settled; a part that `send` answers with parts goes on as these. */
export async function inParts(
  first: readonly (readonly number[])[],
  send: (indices: readonly number[]) => Promise<readonly (readonly number[])[]>,
): Promise<void> {
  const waiting = [...first].reverse()
  for (let part = waiting.pop(); part; part = waiting.pop()) {
    if (part.length > 0) waiting.push(...[...(await send(part))].reverse())
  }
}

export function halves(indices: readonly number[]): (readonly number[])[] {
  const middle = indices.length >> 1
  return [indices.slice(0, middle), indices.slice(middle)]
}
