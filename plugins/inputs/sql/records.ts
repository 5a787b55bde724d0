// Rows as JSON, and JSON as chunks. No digit is lost: what JavaScript's numbers cannot hold becomes text.
import { CHUNK_BYTES } from '../../../core/plugin/buffers.ts'
import { ByteWriter } from '../../../core/plugin/byte-writer.ts'
import type { Chunk } from '../../../core/plugin/interfaces.ts'
import { type JsonObject, setOwn } from '../../../core/plugin/json.ts'
import { FaultPiece, tooLong } from '../../lib/framing/fault.ts'
import type { Sort } from '../../lib/sql/dialect.ts'
import { isoTime } from '../../lib/sql/times.ts'
import type { ReadColumn } from './sources.ts'

export function recordOf(row: readonly unknown[], columns: readonly ReadColumn[], keepNulls: boolean): JsonObject {
  const record: JsonObject = {}
  columns.forEach(({ name, sort, json }, index) => {
    const value = jsonValue(row[index], sort, json)
    if (value !== null || keepNulls) setOwn(record, name, value)
  })
  return record
}

/** A value as the driver gives it, as JSON. `json`: a text that holds an object or a list becomes that. */
export function jsonValue(value: unknown, sort: Sort, json: boolean): unknown {
  if (value === null || value === undefined) return null
  if (value instanceof Uint8Array) return Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString('base64')
  if (value instanceof Date) return sort === 'date' ? value.toISOString().slice(0, 10) : isoTime(value.toISOString())
  if (typeof value === 'bigint') return integer(String(value))
  if (typeof value !== 'string') return Number.isNaN(value) || value === Infinity || value === -Infinity ? String(value) : value
  if (sort === 'integer') return integer(value)
  if (sort === 'time') return isoTime(value)
  if (sort === 'double') return Number.isFinite(Number(value)) ? Number(value) : value
  if (sort === 'boolean') return value === 't' || value === 'true' || value === '1'
  if (sort === 'bytes' && value.startsWith('\\x')) return Buffer.from(value.slice(2), 'hex').toString('base64')
  return json ? parsed(value, sort === 'json') : value
}

function integer(digits: string): number | string {
  const number = Number(digits)
  return Number.isSafeInteger(number) ? number : digits
}

/** In a text column `12` and `true` are texts more likely than JSON. */
function parsed(text: string, all: boolean): unknown {
  if (!all && !/^\s*[[{]/.test(text)) return text
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}

/** Collects records until there is a chunk of them. */
export class Records {
  #writer = new ByteWriter()
  #starts: number[] = []
  #ends: number[] = []
  #faults: ReturnType<typeof tooLong>[] = []
  #offset = 0
  readonly #most: number

  /** `most`: a longer record becomes a fault. Bytes. */
  constructor(most: number) {
    this.#most = most
  }

  get full(): boolean {
    return this.#writer.length >= CHUNK_BYTES
  }

  get empty(): boolean {
    return this.#writer.length === 0
  }

  add(record: JsonObject): void {
    const from = this.#writer.length
    const text = JSON.stringify(record)
    this.#writer.text(text)
    if (this.#writer.length - from > this.#most) {
      this.#writer.cut(from)
      const piece = new FaultPiece(this.#offset + from, this.#most)
      piece.add(Buffer.from(text))
      this.#faults.push(tooLong(piece, this.#most))
    } else {
      this.#starts.push(from)
      this.#ends.push(this.#writer.length)
    }
    this.#writer.byte(10)
  }

  /** What was added, and begins anew. */
  take(): Pick<Chunk, 'bytes' | 'starts' | 'ends' | 'offset' | 'faults'> {
    const bytes = this.#writer.finish()
    const chunk = {
      ...{ bytes, starts: Uint32Array.from(this.#starts), ends: Uint32Array.from(this.#ends) },
      ...{ offset: this.#offset, faults: this.#faults },
    }
    this.#offset += bytes.length
    this.#writer = new ByteWriter()
    this.#starts = []
    this.#ends = []
    this.#faults = []
    return chunk
  }
}
