// A table of key → JSON object in one block of shared memory, so that all workers look into the same copy.
import { LRUCache } from 'lru-cache'
import { PenstockError } from '../../core/plugin/errors.ts'
import type { TableHandle } from '../../core/plugin/interfaces.ts'
import type { JsonObject } from '../../core/plugin/json.ts'

// The image: four words (magic, slots, rows, where the entries begin), then the slots, then the entries.
// A slot is two words, the key's hash and 1 + the entry's place; an entry is two lengths, the key and the row's JSON text (UTF-8).
const MAGIC = 0x50544231
const HEAD_BYTES = 16
const SLOT_BYTES = 8
const ENTRY_HEAD_BYTES = 8
const FIRST_SLOTS = 64
/** Parsed rows that a view keeps for the next look-up of the same key. */
const KEPT_ROWS = 2048
/** Parsed rows are kept up to this many bytes of JSON text, whatever their number. */
const KEPT_BYTES = 2 * 1024 * 1024

/** What `add` does with a key that is there already. */
export type OnDuplicate = 'last' | 'first' | 'error'

export interface TableImageBuilder {
  /** Rows so far. */
  readonly rows: number
  /** Adds a row. Throws where `onDuplicate` is `error` and the key is there already. */
  add(key: string, row: JsonObject): void
  /** The image of the rows so far. */
  finish(): SharedArrayBuffer
}

/**
 * Collects rows for an image. `maxBytes` bounds the entries: a table is held in memory.
 * @throws PenstockError (PEN_TABLE) when a key comes twice and must not, or when the table is too large.
 */
export function tableImageBuilder(onDuplicate: OnDuplicate = 'last', maxBytes = 1024 ** 3): TableImageBuilder {
  let entries = Buffer.allocUnsafe(64 * 1024)
  let used = 0
  let rows = 0
  let slots = new Uint32Array(FIRST_SLOTS * 2)

  const grow = () => {
    const old = slots
    slots = new Uint32Array(old.length * 2)
    const mask = slots.length / 2 - 1
    for (let at = 0; at < old.length; at += 2) {
      if (old[at + 1] === 0) continue
      let slot = (old[at] as number) & mask
      while (slots[slot * 2 + 1] !== 0) slot = (slot + 1) & mask
      slots[slot * 2] = old[at] as number
      slots[slot * 2 + 1] = old[at + 1] as number
    }
  }

  return {
    get rows() {
      return rows
    },
    add(key, row) {
      const hash = hashOf(key)
      const slot = slotOf(slots, entries, hash, key)
      const known = slots[slot * 2 + 1] !== 0
      if (known && onDuplicate === 'first') return
      if (known && onDuplicate === 'error') throw new PenstockError('PEN_TABLE', `the key "${key}" is there twice`)
      const text = JSON.stringify(row)
      const needed = ENTRY_HEAD_BYTES + (key.length + text.length) * 3
      if (used + needed > entries.length) {
        const larger = Buffer.allocUnsafe(Math.max(entries.length * 2, used + needed))
        entries.copy(larger, 0, 0, used)
        entries = larger
      }
      const keyBytes = entries.utf8Write(key, used + ENTRY_HEAD_BYTES)
      const textBytes = entries.utf8Write(text, used + ENTRY_HEAD_BYTES + keyBytes)
      entries.writeUInt32LE(keyBytes, used)
      entries.writeUInt32LE(textBytes, used + 4)
      slots[slot * 2] = hash
      slots[slot * 2 + 1] = used + 1
      used += ENTRY_HEAD_BYTES + keyBytes + textBytes
      if (used > maxBytes)
        throw new PenstockError('PEN_TABLE', `the table is larger than ${maxBytes} bytes, which is too large for memory`)
      if (known) return
      rows++
      // At most half full: most look-ups then touch one slot.
      if (rows * 4 > slots.length) grow()
    },
    finish() {
      const begin = HEAD_BYTES + slots.length * 4
      const image = new SharedArrayBuffer(begin + used)
      new Uint32Array(image, 0, 4).set([MAGIC, slots.length / 2, rows, begin])
      new Uint32Array(image, HEAD_BYTES, slots.length).set(slots)
      new Uint8Array(image, begin).set(entries.subarray(0, used))
      return image
    },
  }
}

/** Look-ups in an image. Rows that are asked for again are the same object: whoever changes one must copy it first. */
export function tableImageView(image: SharedArrayBuffer): TableHandle {
  const [magic, slotCount, , begin] = new Uint32Array(image, 0, 4) as unknown as [number, number, number, number]
  if (magic !== MAGIC) throw new PenstockError('PEN_TABLE', 'this is no image of a table')
  const slots = new Uint32Array(image, HEAD_BYTES, (slotCount * SLOT_BYTES) / 4)
  const entries = Buffer.from(image, begin)
  const kept = new LRUCache<string, JsonObject>({ max: KEPT_ROWS, maxSize: KEPT_BYTES })
  return {
    lookup(key) {
      const known = kept.get(key)
      if (known) return known
      const at = (slots[slotOf(slots, entries, hashOf(key), key) * 2 + 1] as number) - 1
      if (at < 0) return undefined
      const text = at + ENTRY_HEAD_BYTES + entries.readUInt32LE(at)
      const size = entries.readUInt32LE(at + 4)
      const row = JSON.parse(entries.utf8Slice(text, text + size)) as JsonObject
      kept.set(key, row, { size })
      return row
    },
  }
}

/** The key's slot, or the free one where it belongs. */
function slotOf(slots: Uint32Array, entries: Buffer, hash: number, key: string): number {
  const mask = slots.length / 2 - 1
  for (let slot = hash & mask; ; slot = (slot + 1) & mask) {
    const place = slots[slot * 2 + 1] as number
    if (place === 0) return slot
    if (slots[slot * 2] !== hash) continue
    const at = place - 1 + ENTRY_HEAD_BYTES
    if (entries.utf8Slice(at, at + entries.readUInt32LE(place - 1)) === key) return slot
  }
}

/** FNV-1a over UTF-16 units, mixed once more, because the low bits choose the slot. */
function hashOf(key: string): number {
  let hash = 0x811c9dc5
  for (let i = 0; i < key.length; i++) hash = Math.imul(hash ^ key.charCodeAt(i), 0x01000193)
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return (hash ^ (hash >>> 16)) >>> 0
}
