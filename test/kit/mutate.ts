// Makes broken input out of good input, for fuzzing: bits, blocks, splices, truncation, and bytes that mean something to a decoder.
// All of it follows from a source of random numbers, so that a seed repeats it.

/** Gives numbers from 0 to 1 (without 1). */
export type Random = () => number

/** A damage in one place: bytes `from` to `to` of the original have become `put`. */
export interface Damage {
  readonly from: number
  readonly to: number
  readonly put: Buffer
}

/** Bytes that decide things in text: quotes, brackets, line ends, marks, letters that are no UTF-8, numbers that are none or too large. */
export const TEXT_TOKENS: readonly Buffer[] = [
  ...[
    '"',
    '""',
    '\\',
    '\\"',
    '{',
    '}',
    '[',
    ']',
    '{}',
    '[]',
    ',',
    ':',
    ';',
    '\t',
    '|',
    "'",
    '\n',
    '\r',
    '\r\n',
    '\n\n',
    ' ',
    '\0',
    '\x1e',
  ],
  ...[
    '\n{',
    '\n  {',
    '},\n{',
    '}\n{',
    '],',
    '"value":[',
    '"value":',
    '{"value":[',
    '"a":{"b":[',
    '#TYPE x\n',
    'a,b\n',
    '"x\n',
    '",\n"',
    '""",',
  ],
  ...[
    'null',
    'true',
    'NaN',
    '-0',
    '1e400',
    '12345678901234567890',
    '0x1',
    '01',
    '-',
    '9'.repeat(70),
    '\\u0000',
    '\\ud800',
    '\\u',
    '\\x',
  ],
  ...[
    '{"__proto__":{"polluted":1}}',
    '"constructor":{"prototype":1},',
    '[{"a":1}]',
    '\u2028',
    '\ufeff',
    'ü',
    '😀',
    '='.repeat(40),
  ],
  ...[
    '['.repeat(70),
    ']'.repeat(70),
    '{"a":'.repeat(70),
    '}'.repeat(70),
    '"'.repeat(35),
    '\\'.repeat(33),
    ' '.repeat(40),
    '\n'.repeat(20),
  ],
].map(text => Buffer.from(text))

/** Bytes that are no text, or the first bytes of something that is packed. */
export const BYTE_TOKENS: readonly Buffer[] = [
  ...[
    '00',
    'ff',
    '7f',
    '80',
    'ffff',
    'fffe',
    'feff',
    'efbbbf',
    'efbb',
    'c328',
    'eda080',
    'f0288cbc',
    'c0af',
    '00000000',
    'ffffffff',
  ],
  ...[
    '1f8b08',
    '1f8b',
    '1f8b0800000000000003',
    '1f8b0804000000000003ffff',
    '1f8b08e0',
    '0300',
    '010000ffff',
    '0300000000000000000000',
  ],
  ...[
    '28b52ffd',
    '28b52f',
    '28b52ffd0058010000',
    '28b52ffd2000010000',
    '502a4d1800000000',
    '5e2a4d18ffffffff',
    '502a4d1804000000',
    '00'.repeat(40),
  ],
  ...['d83d', '3dd8', '00de', 'de00', '0a00', '000a', '7b00', '007b', '2200', '0022', 'dcff', 'ffdc'],
].map(hex => Buffer.from(hex, 'hex'))

const HUGE = ['1e400', '-1e-400', '9007199254740993', '1'.repeat(400), '0.1e', '--1', '+1', '1.', '.5']

/** A whole number from 0 to `below` (without it). */
export function pick(random: Random, below: number): number {
  return Math.floor(random() * below)
}

export function oneOf<T>(random: Random, list: readonly T[]): T {
  return list[pick(random, list.length)] as T
}

/** Small numbers mostly, and sometimes one as large as is allowed. */
function size(random: Random, most: number): number {
  return Math.min(most, random() < 0.8 ? pick(random, 16) + 1 : pick(random, most) + 1)
}

export function noise(random: Random, length: number): Buffer {
  return Buffer.from(Array.from({ length }, () => pick(random, 256)))
}

/** Lengths of pieces that make up `length` bytes: all of them 1, small ones, or of any size. */
export function pieces(random: Random, length: number): number[] {
  const most = oneOf(random, [1, 4, 40, 400, Math.max(1, length)])
  const sizes: number[] = []
  for (let left = length; left > 0; left -= sizes.at(-1) as number) sizes.push(Math.min(left, pick(random, most) + 1))
  return sizes
}

export interface Mutator {
  /** One to a dozen changes anywhere; `others` are what may be spliced in. The result is never longer than `longest`. */
  mutate(input: Buffer, others: readonly Buffer[]): Buffer
  /** One change between `from` and `to`; more bytes than one block are never put in. */
  damage(input: Buffer, from: number, to: number): Damage
}

export function mutator(random: Random, tokens: readonly Buffer[], longest = 4096): Mutator {
  const bytes = (): Buffer => {
    const kind = random()
    if (kind < 0.7) return oneOf(random, tokens)
    return kind < 0.8 ? Buffer.from(oneOf(random, HUGE)) : noise(random, size(random, 40))
  }

  const damage = (input: Buffer, from: number, to: number): Damage => {
    const at = from + pick(random, to - from + 1)
    const end = Math.min(to, at + size(random, to - from))
    const here = input.subarray(at, end)
    switch (pick(random, 8)) {
      case 0: {
        if (here.length === 0) break
        const flipped = Buffer.from(here.subarray(0, 1))
        flipped[0] = (flipped[0] as number) ^ (1 << pick(random, 8))
        return { from: at, to: at + 1, put: flipped }
      }
      case 1:
        return { from: at, to: end, put: Buffer.alloc(0) }
      case 2:
        return { from: at, to: at, put: Buffer.from(here) }
      case 3:
        return { from: at, to: end, put: noise(random, here.length) }
      case 4: {
        const token = bytes()
        return { from: at, to: Math.min(to, at + token.length), put: token }
      }
      case 5:
        return { from: at, to: end, put: Buffer.alloc(here.length, oneOf(random, [0, 0xff, 0x20, 0x22, 0x0a])) }
    }
    return { from: at, to: at, put: bytes() }
  }

  const change = (input: Buffer, others: readonly Buffer[]): Buffer => {
    const { length } = input
    const at = pick(random, length + 1)
    switch (pick(random, 12)) {
      case 0:
        return input.subarray(0, at)
      case 1:
        return input.subarray(at)
      case 2: {
        // The beginning of one, the end of another.
        const other = oneOf(random, others)
        return Buffer.concat([input.subarray(0, at), other.subarray(pick(random, other.length + 1))])
      }
      case 3: {
        const other = oneOf(random, others)
        const start = pick(random, other.length + 1)
        const part = other.subarray(start, start + size(random, other.length))
        return Buffer.concat([input.subarray(0, at), part, input.subarray(at)])
      }
      case 4:
        // Its own header again, or all of it again.
        return Buffer.concat([
          input.subarray(0, at),
          input.subarray(0, random() < 0.5 ? size(random, 64) : length),
          input.subarray(at),
        ])
      case 5: {
        const token = bytes()
        const times = 1 + pick(random, random() < 0.9 ? 4 : 300)
        return Buffer.concat([input.subarray(0, at), ...Array.from({ length: times }, () => token), input.subarray(at)])
      }
      case 6: {
        const [a = 0, b = 0, c = 0] = [at, pick(random, length + 1), pick(random, length + 1)].sort((x, y) => x - y)
        return Buffer.concat([input.subarray(0, a), input.subarray(b, c), input.subarray(a, b), input.subarray(c)])
      }
      default:
        return apply(input, damage(input, 0, length))
    }
  }

  return {
    damage,
    mutate(input, others) {
      let output = input
      for (let changes = 1 + pick(random, random() < 0.7 ? 3 : 12); changes > 0; changes--) {
        output = change(output, others)
        if (output.length > longest) {
          const from = random() < 0.5 ? 0 : pick(random, output.length - longest)
          output = output.subarray(from, from + longest)
        }
      }
      return Buffer.from(output)
    },
  }
}

/** The original with the damage in it. */
export function apply(input: Buffer, { from, to, put }: Damage): Buffer {
  return Buffer.concat([input.subarray(0, from), put, input.subarray(to)])
}

/** A smaller input that still fails, by leaving out blocks of it; looks for `ms` at most. */
export async function shrink(input: Buffer, fails: (smaller: Buffer) => Promise<boolean>, ms = 5000): Promise<Buffer> {
  const until = performance.now() + ms
  let best = input
  for (let block = Math.ceil(best.length / 2); block >= 1; block = block === 1 ? 0 : Math.ceil(block / 2)) {
    for (let at = 0; at < best.length && performance.now() < until; ) {
      const smaller = Buffer.concat([best.subarray(0, at), best.subarray(at + block)])
      if (await fails(smaller)) best = smaller
      else at += block
    }
  }
  return best
}
