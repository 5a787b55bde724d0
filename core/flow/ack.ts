// Acks: a chunk is settled when the last hold on it is released, and an input's position moves over the longest settled prefix.
import { PenstockError } from '../plugin/errors.ts'
import type { Hold } from '../plugin/interfaces.ts'
import type { Json } from '../plugin/json.ts'

/** A counted hold on a chunk. Forgotten means not settled: there is no time-out and no default. */
export class Ack {
  #holds = 0
  #settled: (() => void) | undefined

  /** `settled` is called once, when the last hold is released. */
  constructor(settled: () => void) {
    this.#settled = settled
  }

  /** Takes a hold. Always before the work is handed on, never after. */
  hold(): void {
    if (!this.#settled) throw new PenstockError('PEN_ACK', 'a hold was taken on a chunk that is settled already')
    this.#holds++
  }

  release(): void {
    if (this.#holds === 0) throw new PenstockError('PEN_ACK', 'a chunk was released more often than it was held')
    if (--this.#holds > 0) return
    const settled = this.#settled
    this.#settled = undefined
    settled?.()
  }

  /** A hold for somebody else, who may release it more than once without harm. */
  guard(): Hold {
    this.hold()
    let held = true
    return {
      release: () => {
        if (held) {
          held = false
          this.release()
        }
      },
    }
  }
}

/** A chunk on its way, as the checkpoint knows it. */
export interface Tracked {
  readonly input: number
  readonly partition: string
  readonly position: Json | undefined
  readonly last: boolean
  settled: boolean
}

/**
 * The order of the unsettled chunks of every partition. Chunks settle in any order; `settle` gives those that now belong to the
 * settled prefix of their partition, in order. A partition without unsettled chunks costs nothing.
 */
export class Checkpoint<T extends Tracked> {
  readonly #partitions = new Map<string, T[]>()
  #unsettled = 0

  /** How many chunks were added and are not in a settled prefix yet. */
  get size(): number {
    return this.#unsettled
  }

  add(chunk: T): void {
    const key = keyOf(chunk)
    const chunks = this.#partitions.get(key)
    if (chunks) chunks.push(chunk)
    else this.#partitions.set(key, [chunk])
    this.#unsettled++
  }

  settle(chunk: T): T[] {
    chunk.settled = true
    const key = keyOf(chunk)
    const chunks = this.#partitions.get(key)
    if (!chunks) return []
    let count = 0
    while (chunks[count]?.settled) count++
    this.#unsettled -= count
    if (count === chunks.length) {
      this.#partitions.delete(key)
      return chunks
    }
    return chunks.splice(0, count)
  }
}

function keyOf(chunk: Tracked): string {
  return `${chunk.input}/${chunk.partition}`
}
