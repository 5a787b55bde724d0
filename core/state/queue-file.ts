// A disk queue's file: slices in the order in which they came, packed, with what they take.
import type { DatabaseSync } from 'node:sqlite'
import { crc32, constants as zlib, zstdCompressSync, zstdDecompressSync } from 'node:zlib'
import { buffers } from '../plugin/buffers.ts'
import { damaged } from './failure.ts'
import type { NewSlice, QueueTotals } from './types.ts'

const LEVEL = { params: { [zlib.ZSTD_c_compressionLevel]: 1 } }

export interface PackedSlice {
  readonly id: number
  readonly events: number
  readonly head: number
  readonly items: number
  readonly source: number
  readonly packed: Uint8Array
}

/** A slice, unpacked. */
export interface OpenedSlice {
  readonly id: number
  readonly at: number
  readonly events: number
  readonly head: Buffer
  readonly items: Buffer
  readonly source: Buffer
}

let scratch = Buffer.alloc(0)

/** Compresses a slice: a fifth of its size or less, since its items repeat much of its source. */
export function pack({ id, events, head, items, source }: NewSlice): PackedSlice {
  const text = Buffer.from(head)
  const lengths = { head: text.length, items: lengthOf(items), source: lengthOf(source) }
  const total = lengths.head + lengths.items + lengths.source
  if (scratch.length < total) scratch = Buffer.allocUnsafeSlow(total)
  let at = 0
  for (const piece of [text, ...items, ...source]) {
    buffers.copy(piece, scratch, at)
    at += piece.length
  }
  return { id, events, ...lengths, packed: zstdCompressSync(scratch.subarray(0, total), LEVEL) }
}

function lengthOf(pieces: readonly Uint8Array[]): number {
  return pieces.reduce((sum, { length }) => sum + length, 0)
}

/** The totals of an open file. */
export function totalsOf(db: DatabaseSync): QueueTotals {
  const { events, bytes, oldest } = db
    .prepare('SELECT events, bytes, (SELECT at FROM slices ORDER BY id LIMIT 1) AS oldest FROM totals')
    .get() as { events: number; bytes: number; oldest: number | null }
  return { events, bytes, ...(oldest !== null && { oldest }) }
}

/** The statements on an open queue. `put` and `remove` want a transaction around them, and `count` at its end. */
export function queueFile(db: DatabaseSync, path: string) {
  const insert = db.prepare('INSERT INTO slices VALUES (?, ?, ?, ?, ?, ?, ?, ?)')
  const size = db.prepare('SELECT events, length(packed) AS bytes FROM slices WHERE id = ?')
  const drop = db.prepare('DELETE FROM slices WHERE id = ?')
  const update = db.prepare('UPDATE totals SET events = events + ?, bytes = bytes + ?')
  const from = db.prepare('SELECT * FROM slices WHERE id >= ? ORDER BY id')
  const one = db.prepare('SELECT * FROM slices WHERE id = ?')
  const ends = db.prepare('SELECT min(id) AS first, max(id) AS last FROM slices')
  const sent = db.prepare('SELECT events, sent FROM totals')
  const setSent = db.prepare('UPDATE totals SET sent = ?')

  /** @throws PEN_STATE_DAMAGED */
  function opened(row: Record<string, unknown>): OpenedSlice {
    const { id, at, events, head, items, source, sum, packed } = row as unknown as PackedSlice & { at: number; sum: number }
    const lost = () => damaged(path, `is damaged (slice ${id})`)
    if (sumOf({ id, events, head, items, source, packed }, at) !== sum) throw lost()
    const total = head + items + source
    const whole = zstdDecompressSync(packed, { maxOutputLength: Math.max(1, total) })
    if (whole.length !== total) throw lost()
    const parts = { head: whole.subarray(0, head), items: whole.subarray(head, head + items) }
    return { id, at, events, ...parts, source: whole.subarray(head + items) }
  }

  return {
    put(slice: PackedSlice, at: number): void {
      const { id, events, head, items, source, packed } = slice
      insert.run(id, at, events, head, items, source, sumOf(slice, at), packed)
    },

    /** Gives what it held. */
    remove(id: number): { readonly events: number; readonly bytes: number } {
      const row = size.get(id) as { events: number; bytes: number } | undefined
      if (row) drop.run(id)
      return row ?? { events: 0, bytes: 0 }
    },

    /** Adds to the totals. */
    count(events: number, bytes: number): void {
      update.run(events, bytes)
    },

    ends(): { readonly first: number; readonly next: number } {
      const { first, last } = ends.get() as { first: number | null; last: number | null }
      return { first: first ?? 1, next: (last ?? 0) + 1 }
    },

    /** How much earlier runs may have sent; this run's own share is noted for the next one. */
    sent(window: number): number {
      const { events, sent: before } = sent.get() as { events: number; sent: number }
      const now = events === 0 ? window : Math.max(before, window)
      if (now !== before) setSent.run(now)
      return before
    },

    /** One, and more while heads and items come to less than `bytes`. */
    *read(first: number, bytes: number): Iterable<OpenedSlice> {
      let taken = 0
      for (const row of from.iterate(first)) {
        const slice = opened(row)
        yield slice
        taken += slice.head.length + slice.items.length
        if (taken >= bytes) return
      }
    },

    one(id: number): OpenedSlice {
      const row = one.get(id)
      if (!row) throw damaged(path, `is damaged (slice ${id} is gone)`)
      return opened(row)
    },
  }
}

/** Disks change bytes. */
function sumOf({ id, events, head, items, source, packed }: PackedSlice, at: number): number {
  return crc32(JSON.stringify([id, at, events, head, items, source]), crc32(packed))
}
