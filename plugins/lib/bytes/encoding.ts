// Text encodings: UTF-16 becomes UTF-8 as it streams by; which one a source has is read from its first bytes.

export type Encoding = 'utf-8' | 'utf-16le' | 'utf-16be'

export interface Detected {
  readonly encoding: Encoding
  /** Length of the byte order mark, which is no part of the text. */
  readonly bom: number
}

/** How many first bytes are looked at. */
export const DETECT_BYTES = 1024

const MARKS: readonly (readonly [Encoding, Buffer])[] = [
  ['utf-8', Buffer.of(0xef, 0xbb, 0xbf)],
  ['utf-16le', Buffer.of(0xff, 0xfe)],
  ['utf-16be', Buffer.of(0xfe, 0xff)],
]

/**
 * The encoding of a text by its first bytes: a byte order mark, else the zero bytes that Latin letters and JSON's and CSV's signs
 * have in UTF-16 (a quarter of one half of the bytes is enough). `given` overrides it; its own mark is still stepped over.
 */
export function detectEncoding(first: Uint8Array, given?: Encoding): Detected {
  for (const [encoding, mark] of MARKS) {
    if (given && encoding !== given) continue
    if (mark.equals(first.subarray(0, mark.length))) return { encoding, bom: mark.length }
  }
  if (given) return { encoding: given, bom: 0 }
  const zeros = [0, 0]
  const seen = Math.min(first.length, DETECT_BYTES) & ~1
  for (let i = 0; i < seen; i++) if (first[i] === 0) zeros[i & 1] = (zeros[i & 1] as number) + 1
  const [even, odd] = zeros as [number, number]
  if (odd > 1 && odd * 8 >= seen && odd > even * 4) return { encoding: 'utf-16le', bom: 0 }
  if (even > 1 && even * 8 >= seen && even > odd * 4) return { encoding: 'utf-16be', bom: 0 }
  return { encoding: 'utf-8', bom: 0 }
}

/** UTF-16 to UTF-8, piece by piece. */
export interface Transcoder {
  /** Everything that is complete with these bytes; valid until the next call. Unpaired surrogates become U+FFFD. */
  push(bytes: Uint8Array): Buffer
  /** What is left at the end: an unpaired surrogate as U+FFFD, and in `rest` the one byte that is half a unit and no text. */
  end(): { text: Buffer; rest: Buffer }
}

export function utf16ToUtf8(encoding: 'utf-16le' | 'utf-16be'): Transcoder {
  let units = Buffer.allocUnsafeSlow(0)
  let text = Buffer.allocUnsafeSlow(0)
  /** Bytes at the start of `units` that wait for more: half a unit, or a surrogate whose other half may come. */
  let waiting = 0

  const encode = (bytes: number): Buffer => {
    const source = units.subarray(0, bytes)
    if (encoding === 'utf-16be') source.swap16()
    // A unit takes three bytes at most.
    if (text.length < bytes * 1.5) text = Buffer.allocUnsafeSlow(bytes * 1.5)
    return text.subarray(0, text.utf8Write(source.toString('utf16le'), 0))
  }

  return {
    push(bytes) {
      const length = waiting + bytes.length
      if (units.length < length) units = Buffer.concat([units.subarray(0, waiting)], length)
      units.set(bytes, waiting)
      let whole = length & ~1
      if (whole > 0 && isHighSurrogate(units, whole - 2, encoding)) whole -= 2
      const result = encode(whole)
      units.copyWithin(0, whole, length)
      waiting = length - whole
      return result
    },
    end() {
      const whole = waiting & ~1
      return { rest: Buffer.from(units.subarray(whole, waiting)), text: encode(whole) }
    },
  }
}

function isHighSurrogate(units: Buffer, at: number, encoding: Encoding): boolean {
  const high = units[encoding === 'utf-16le' ? at + 1 : at] as number
  return high >= 0xd8 && high <= 0xdb
}
