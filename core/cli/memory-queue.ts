// A disk queue without a disk, for a store in memory: it outlives the pipelines that open it, as a file would.
import { refusal } from '../state/failure.ts'
import type { NewSlice, QueueFile, QueueTotals } from '../state/types.ts'

export interface MemoryQueue {
  open(maxBytes: number, window: number): QueueFile
  totals(): QueueTotals
}

interface Kept extends Pick<NewSlice, 'id' | 'events' | 'head'> {
  readonly at: number
  readonly items: Uint8Array
  readonly source: Uint8Array
}

export function memoryQueue(): MemoryQueue {
  const slices = new Map<number, Kept>()
  let sent = 0
  const sizeOf = ({ head, items, source }: Kept) => head.length + items.length + source.length
  const totals = (): QueueTotals => {
    const [first] = slices.values()
    const sum = (of: (slice: Kept) => number) => [...slices.values()].reduce((all, slice) => all + of(slice), 0)
    return { events: sum(({ events }) => events), bytes: sum(sizeOf), ...(first && { oldest: first.at }) }
  }
  return {
    totals,
    open(maxBytes, window) {
      const start = { ...totals(), first: [...slices.keys()][0] ?? 1, next: ([...slices.keys()].at(-1) ?? 0) + 1, sent }
      sent = slices.size === 0 ? window : Math.max(sent, window)
      return {
        start,
        async write(add, remove) {
          for (const id of remove) slices.delete(id)
          let written = 0
          for (const { id, events, head, items, source } of add) {
            const kept = { id, at: 0, events, head, items: Buffer.concat(items), source: Buffer.concat(source) }
            if (slices.size > 0 && totals().bytes + sizeOf(kept) > maxBytes) break
            slices.set(id, kept)
            written++
          }
          return { ...totals(), written }
        },
        async read(from, bytes) {
          const found: Kept[] = []
          let taken = 0
          for (const slice of slices.values()) {
            if (slice.id < from) continue
            found.push(slice)
            taken += slice.head.length + slice.items.length
            if (taken >= bytes) break
          }
          return found
        },
        async source(id) {
          const slice = slices.get(id)
          if (!slice) throw refusal('PEN_STATE_DAMAGED', `there is no slice ${id}`)
          return { head: slice.head, bytes: slice.source }
        },
        async close() {},
      }
    },
  }
}
