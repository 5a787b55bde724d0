// Random-looking values that depend on (seed, stream, index) alone: any record can be made again without those before it.

/** Streams keep draws for different purposes apart: the user 7 and the record 7 have nothing in common. */
export const STREAM = { tenant: 1, user: 2, site: 3, team: 4, record: 5, sample: 6, story: 7, quirk: 8 } as const

const HEX = Array.from({ length: 65536 }, (_, value) => value.toString(16).padStart(4, '0'))
const BASE64 = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/'
const BASE64_PAIRS = Array.from({ length: 4096 }, (_, value) => BASE64.charAt(value >> 6) + BASE64.charAt(value & 63))
const hex4 = (value: number): string => HEX[value & 0xffff] as string

/** A source of values. The generator is sfc32 (Chris Doty-Humphrey, public domain), placed by its three words of state. */
export class Draw {
  #a = 0
  #b = 0
  #c = 0
  #counter = 0

  constructor(seed: number, stream: number, index: number) {
    this.seek(seed, stream, index)
  }

  /** Goes to the beginning of another sequence. `index` may be as large as a safe integer. */
  seek(seed: number, stream: number, index: number): this {
    this.#a = seed | 0
    this.#b = index | 0
    this.#c = (stream << 24) ^ Math.floor(index / 2 ** 32)
    this.#counter = 1
    for (let round = 0; round < 15; round++) this.next()
    return this
  }

  /** 0 to 2^32 - 1. */
  next(): number {
    const sum = (this.#a + this.#b + this.#counter) | 0
    this.#counter = (this.#counter + 1) | 0
    this.#a = this.#b ^ (this.#b >>> 9)
    this.#b = (this.#c + (this.#c << 3)) | 0
    this.#c = (((this.#c << 21) | (this.#c >>> 11)) + sum) | 0
    return sum >>> 0
  }

  /** A whole number from 0 to `limit` - 1. */
  below(limit: number): number {
    return Math.floor((this.next() / 2 ** 32) * limit)
  }

  /** A whole number from `low` to `high`, small ones much more often: sizes and counts. */
  skewed(low: number, high: number): number {
    const share = this.next() / 2 ** 32
    return low + Math.floor((high - low + 1) * share * share * share)
  }

  /** True with the probability `share`, 0 to 1. */
  chance(share: number): boolean {
    return this.next() < share * 2 ** 32
  }

  /** One of a list that is not empty. */
  pick<T>(list: readonly T[]): T {
    return list[this.below(list.length)] as T
  }

  /** A version 4 GUID in small letters. */
  guid(): string {
    const [a, b, c, d] = [this.next(), this.next(), this.next(), this.next()]
    const head = hex4(a >>> 16) + hex4(a)
    return `${head}-${hex4(b >>> 16)}-${hex4((b & 0x0fff) | 0x4000)}-${hex4(((c >>> 16) & 0x3fff) | 0x8000)}-${hex4(c)}${hex4(d >>> 16)}${hex4(d)}`
  }

  /** Hexadecimal digits, a multiple of four. */
  hex(digits: number): string {
    let text = ''
    while (text.length < digits) text += hex4(this.next() >>> 8)
    return text
  }

  /** Characters of Base64, a multiple of four. */
  base64(length: number): string {
    let text = ''
    while (text.length < length) {
      const bits = this.next()
      text += (BASE64_PAIRS[bits & 4095] as string) + (BASE64_PAIRS[(bits >>> 12) & 4095] as string)
    }
    return text
  }
}
