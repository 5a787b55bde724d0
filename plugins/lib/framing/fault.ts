// A piece of a source that is no record, collected while it streams by.
import { createHash, type Hash } from 'node:crypto'
import type { Fault } from '../../../core/plugin/interfaces.ts'

/** A longer record becomes a fault where nobody says otherwise. Bytes. */
export const MAX_EVENT_BYTES = 16 * 1024 * 1024

/** How much is kept of a piece that is longer than a record may be. */
const HEAD_BYTES = 64 * 1024
const NONE = Buffer.alloc(0)

/** Collects a piece: whole up to `max` bytes, of a longer one the first 64 KiB and a hash. */
export class FaultPiece {
  /** Where it begins in the source. Bytes. */
  readonly offset: number
  readonly #max: number
  #bytes: Buffer = NONE
  #length = 0
  #hash: Hash | undefined

  constructor(offset: number, max: number) {
    this.offset = offset
    this.#max = Math.max(max, HEAD_BYTES)
  }

  /** Copies, so that the caller may use its buffer again. */
  add(bytes: Uint8Array): void {
    const before = this.#length
    this.#length += bytes.length
    if (this.#hash) this.#hash.update(bytes)
    else if (this.#length <= this.#max) {
      if (this.#bytes.length < this.#length) this.#grow(Math.min(this.#max, Math.max(this.#length, before * 2)), before)
      this.#bytes.set(bytes, before)
    } else {
      this.#hash = createHash('sha256').update(this.#bytes.subarray(0, before)).update(bytes)
      const head = Math.min(HEAD_BYTES, this.#length)
      this.#grow(head, Math.min(before, head))
      if (before < head) this.#bytes.set(bytes.subarray(0, head - before), before)
    }
  }

  fault(code: string, reason: string): Fault {
    const bytes = this.#bytes.subarray(0, Math.min(this.#bytes.length, this.#length))
    const fault = { code, reason, bytes, offset: this.offset, length: this.#length }
    return this.#hash && bytes.length < this.#length ? { ...fault, sha256: this.#hash.digest('hex') } : fault
  }

  #grow(size: number, used: number): void {
    const larger = Buffer.allocUnsafeSlow(size)
    this.#bytes.copy(larger, 0, 0, used)
    this.#bytes = larger
  }
}

/** The fault for a record that is longer than `max` bytes; `hint` says what else may be the matter. */
export function tooLong(piece: FaultPiece, max: number, hint = ''): Fault {
  return piece.fault('PEN_TOO_LONG', `The record is longer than ${max} bytes (max_event_bytes)${hint}.`)
}
