// A growing byte buffer that documents are written into one after the other: joined strings would cost a third more CPU.
import { buffers, POOLED_BYTES } from './buffers.ts'

/** Up to here a copy is cheaper than all of a buffer that waits for its output. */
const FEW_BYTES = POOLED_BYTES / 4

/** Where an output's `encode` writes. */
export class ByteWriter {
  #buffer: Buffer
  #used = 0

  constructor() {
    this.#buffer = buffers.take()
  }

  /** Bytes written so far. */
  get length(): number {
    return this.#used
  }

  /** A value as JSON text. Throws a RangeError for nesting that JSON.stringify cannot take. */
  json(value: unknown): void {
    this.text(JSON.stringify(value) ?? 'null')
  }

  /** Text as UTF-8; lone surrogates become U+FFFD. */
  text(text: string): void {
    // A UTF-16 unit takes three bytes at most.
    this.#room(text.length * 3)
    this.#used += this.#buffer.utf8Write(text, this.#used)
  }

  byte(value: number): void {
    this.#room(1)
    this.#buffer[this.#used++] = value
  }

  bytes(bytes: Uint8Array): void {
    this.#room(bytes.length)
    buffers.copy(bytes, this.#buffer, this.#used)
    this.#used += bytes.length
  }

  /** Takes back everything after `length` (an encode that threw halfway). */
  cut(length: number): void {
    this.#used = length
  }

  /** What was written; the writer must not be used after it. */
  finish(): Buffer {
    const written = this.#buffer.subarray(0, this.#used)
    if (this.#used > FEW_BYTES) return written
    const stored = buffers.store(written)
    buffers.recycle(this.#buffer)
    return stored
  }

  #room(bytes: number): void {
    const needed = this.#used + bytes
    if (needed <= this.#buffer.length) return
    const larger = buffers.take(Math.max(needed, this.#buffer.length * 2))
    this.#buffer.copy(larger, 0, 0, this.#used)
    buffers.recycle(this.#buffer)
    this.#buffer = larger
  }
}
