// The bytes of a stream that no chunk holds yet. What is pushed is copied once, into the very buffer that becomes a chunk (little
// is copied twice: see buffers.store).
import { buffers } from '../../../core/plugin/buffers.ts'

/** Up to here an ordinary buffer is cheaper than half a megabyte of the pool. */
const SMALL_BYTES = 64 * 1024
const NONE = Buffer.alloc(0)

export class Carry {
  /** Where the first byte lies in the stream. */
  offset = 0
  #buffer: Buffer = NONE
  #used = 0

  get length(): number {
    return this.#used
  }

  /** Appends a copy, and gives all bytes there are; the view is valid until the next call. */
  push(bytes: Uint8Array): Buffer {
    const needed = this.#used + bytes.length
    if (needed > this.#buffer.length) this.#move(Math.max(needed, this.#used * 2), 0)
    buffers.copy(bytes, this.#buffer, this.#used)
    this.#used = needed
    return this.view()
  }

  view(): Buffer {
    return this.#buffer.subarray(0, this.#used)
  }

  /** Gives the bytes before `end` away, and keeps those from `keep` on. */
  hand(end: number, keep: number): Buffer {
    if (this.#buffer.length <= SMALL_BYTES) {
      const stored = buffers.store(this.#buffer.subarray(0, end))
      const rest = this.#used - keep
      this.#move(rest, keep)
      this.offset += keep
      this.#used = rest
      return stored
    }
    const given = this.#buffer.subarray(0, end)
    const rest = this.#buffer.subarray(keep, this.#used)
    this.#buffer = NONE
    this.#used = 0
    this.offset += keep
    if (rest.length > 0) this.push(rest)
    return given
  }

  /** Forgets the bytes before `keep`. */
  drop(keep: number): void {
    const rest = this.#used - keep
    // What idles between two pushes must not hold a pooled buffer for a few bytes (half of what grew into one, or it would go to
    // and fro).
    if (rest <= SMALL_BYTES / 2 && this.#buffer.length > SMALL_BYTES) this.#move(rest, keep)
    else if (keep > 0) this.#buffer.copyWithin(0, keep, this.#used)
    this.offset += keep
    this.#used = rest
  }

  #move(size: number, from: number): void {
    const next = size === 0 ? NONE : size > SMALL_BYTES ? buffers.take(size) : Buffer.allocUnsafeSlow(size)
    this.#buffer.copy(next, 0, from, this.#used)
    buffers.recycle(this.#buffer)
    this.#buffer = next
  }
}
