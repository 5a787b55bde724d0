// Bytes that can be read at any place (a file, a blob), and a window that walks through them from front to back.

/** What decompression reads from. It may read a place twice: to save what stands before a damage. */
export interface ByteSource {
  /** Fills `into` from byte `at` on; resolves to how many bytes it got, 0 at the end. */
  read(into: Buffer, at: number): Promise<number>
}

/** Bytes that lie in memory, as a source. */
export function memorySource(bytes: Uint8Array): ByteSource {
  return {
    async read(into, at) {
      const part = bytes.subarray(at, at + into.length)
      into.set(part)
      return part.length
    },
  }
}

/** The largest piece that can be looked at as a whole: a zstd block with its header, and room to read ahead. */
const WINDOW_BYTES = 256 * 1024
/** Less is read first: most windows are there for a look at one place. */
const FIRST_BYTES = 4 * 1024

/** Walks through a source. What `peek` returns is valid until the next call. */
export class ByteWindow {
  readonly #source: ByteSource
  #buffer = Buffer.allocUnsafeSlow(FIRST_BYTES)
  #from = 0
  #to = 0
  #at: number
  /** Bytes that the source gave. */
  #got = 0

  constructor(source: ByteSource, at = 0) {
    this.#source = source
    this.#at = at
  }

  /** Where the next byte lies in the source. */
  get position(): number {
    return this.#at
  }

  /** The next bytes: at least `bytes` of them (256 KiB at most), fewer only where the source ends. */
  async peek(bytes: number): Promise<Buffer> {
    while (this.#to - this.#from < bytes) {
      const small = this.#buffer.length < WINDOW_BYTES && (this.#got >= FIRST_BYTES || bytes > FIRST_BYTES)
      if (small || this.#from + bytes > this.#buffer.length) this.#makeRoom()
      const room = this.#buffer.subarray(this.#to, Math.min(this.#buffer.length, this.#to + WINDOW_BYTES / 2))
      const got = await this.#source.read(room, this.#at + this.#to - this.#from)
      if (got === 0) break
      this.#to += got
      this.#got += got
    }
    return this.#buffer.subarray(this.#from, this.#to)
  }

  /** Steps over bytes that were peeked. */
  take(bytes: number): void {
    this.#from += bytes
    this.#at += bytes
    if (this.#from === this.#to) {
      this.#from = 0
      this.#to = 0
    }
  }

  /** Goes on at another place. */
  moveTo(at: number): void {
    const skipped = at - this.#at
    if (skipped >= 0 && skipped <= this.#to - this.#from) this.take(skipped)
    else {
      this.#from = 0
      this.#to = 0
      this.#at = at
    }
  }

  /** The bytes at hand move to the beginning of the buffer, which has its full size from now on. */
  #makeRoom(): void {
    const rest = this.#buffer.subarray(this.#from, this.#to)
    if (this.#buffer.length < WINDOW_BYTES) this.#buffer = Buffer.allocUnsafeSlow(WINDOW_BYTES)
    this.#buffer.set(rest)
    this.#to = rest.length
    this.#from = 0
  }
}
