// What must hold for decompression, whatever it is given: an independent reader of members and frames says what must come out.
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import zlib, { constants, crc32 } from 'node:zlib'
import { type Damage, isDamage } from '../../plugins/lib/bytes/damage.ts'
import { decompress } from '../../plugins/lib/bytes/decompress.ts'
import { type ByteSource, memorySource } from '../../plugins/lib/bytes/source.ts'
import { apply, BYTE_TOKENS, mutator, noise, oneOf, pick, type Random } from '../kit/mutate.ts'
import { onInput, type Target } from './fuzz-target.ts'
import { same } from './fuzz-text.ts'

type Kind = 'gzip' | 'zstd'

/** The text up to a damage, and the damage; the last one has none. */
export interface Segment {
  readonly text: Buffer
  readonly damage?: Damage
}

const PIECE_BYTES = 128 * 1024
const KEPT_BYTES = 64 * 1024

export async function segmentsOf(kind: Kind, source: ByteSource): Promise<Segment[]> {
  const segments: Segment[] = []
  let parts: Uint8Array[] = []
  for await (const piece of decompress(source, kind)) {
    if (isDamage(piece)) {
      segments.push({ text: Buffer.concat(parts), damage: piece })
      parts = []
    } else {
      assert.ok(piece.length <= PIECE_BYTES, `a piece of ${piece.length} bytes`)
      parts.push(piece)
    }
  }
  return [...segments, { text: Buffer.concat(parts) }]
}

/** A source that gives a few bytes at a time. */
export function slowSource(bytes: Buffer, random: Random): ByteSource {
  const whole = memorySource(bytes)
  const most = oneOf(random, [1, 10, 300])
  return { read: (into, at) => whole.read(into.subarray(0, 1 + pick(random, most)), at) }
}

const told = (segments: readonly Segment[]): string =>
  JSON.stringify(
    segments.map(({ text, damage }) => [text.toString('latin1'), { ...damage, bytes: damage?.bytes.toString('latin1') }]),
  )

/** A member or frame that stands at the beginning of `bytes`: its text, and how many bytes it has; undefined where there is none. */
interface Part {
  readonly text: Buffer
  readonly bytes: number
}

function gzipHeader(bytes: Buffer): number | undefined {
  if (bytes.length < 10 || bytes.readUIntBE(0, 3) !== 0x1f8b08) return undefined
  const flags = bytes[3] as number
  if (flags > 31) return undefined
  let at = 10
  if (flags & 4) at += 2 + (bytes.length >= 12 ? bytes.readUInt16LE(10) : 0)
  for (const flag of [8, 16]) if (flags & flag) at = bytes.indexOf(0, at) < at ? bytes.length + 1 : bytes.indexOf(0, at) + 1
  if (flags & 2) at += 2
  if (at > bytes.length) return undefined
  if (flags & 2 && bytes.readUInt16LE(at - 2) !== (crc32(bytes.subarray(0, at - 2)) & 0xffff)) return undefined
  return at
}

const quiet = <T>(fn: () => T): T | undefined => {
  try {
    return fn()
  } catch {
    return undefined
  }
}

/** Node's one-call decoders say how many bytes they took. */
type Informed = { buffer: Buffer; engine: { bytesWritten: number } }

/** The length of the zstd frame at the beginning, by its outline: header, blocks, checksum. */
function frameLength(bytes: Buffer): number | undefined {
  if (bytes.length >= 8 && bytes.readUInt32LE(0) >>> 4 === 0x184d2a5) return 8 + bytes.readUInt32LE(4)
  if (bytes.length < 9) return undefined
  const descriptor = bytes[4] as number
  const single = descriptor & 32
  let at = 5 + (single ? 0 : 1) + [0, 1, 2, 4][descriptor & 3]! + [single ? 1 : 0, 2, 4, 8][descriptor >> 6]!
  for (let last = 0; !last; ) {
    if (at + 3 > bytes.length) return undefined
    const block = bytes.readUIntLE(at, 3)
    last = block & 1
    at += 3 + ((block & 6) === 2 ? 1 : block >> 3)
  }
  return at + (descriptor & 4)
}

/** `cut`: all that `bytes` have of a part whose end is not there. */
function part(kind: Kind, bytes: Buffer, cut = false): Part | undefined {
  if (kind === 'zstd') {
    const length = cut ? bytes.length : frameLength(bytes)
    if (length === undefined || length > bytes.length) return undefined
    const finishFlush = cut ? { finishFlush: constants.ZSTD_e_continue } : {}
    const frame = bytes.subarray(0, length)
    const result = quiet(() => zlib.zstdDecompressSync(frame, { info: true, ...finishFlush }) as unknown as Informed)
    return result?.engine.bytesWritten === length ? { text: result.buffer, bytes: length } : undefined
  }
  const header = gzipHeader(bytes)
  if (header === undefined) return undefined
  const finishFlush = cut ? { finishFlush: constants.Z_SYNC_FLUSH } : {}
  const result = quiet(() => zlib.inflateRawSync(bytes.subarray(header), { info: true, ...finishFlush }) as unknown as Informed)
  if (!result) return undefined
  const { buffer: text } = result
  const end = header + result.engine.bytesWritten
  if (cut) return { text, bytes: end }
  if (bytes.length < end + 8 || bytes.readUInt32LE(end) !== crc32(text) || bytes.readUInt32LE(end + 4) !== text.length)
    return undefined
  return { text, bytes: end + 8 }
}

/** The text of all whole parts from the beginning, and how far they go; `first` where nothing stands before them. */
function wholeParts(kind: Kind, bytes: Buffer, first: boolean): Part {
  const texts: Buffer[] = []
  let at = 0
  for (;;) {
    const next = at < bytes.length ? part(kind, bytes.subarray(at)) : undefined
    if (!next) break
    texts.push(next.text)
    at += next.bytes
  }
  // Zeros behind the last member are padding.
  if (kind === 'gzip' && (at > 0 || !first) && bytes.subarray(at).every(byte => byte === 0)) at = bytes.length
  return { text: Buffer.concat(texts), bytes: at }
}

/** Between two damages stand whole parts, then perhaps one that goes up to the damage: all of their text came out, and nothing else. */
function checkSegments(kind: Kind, input: Buffer, segments: readonly Segment[]): void {
  let from = 0
  for (const { text, damage } of segments) {
    const to = damage?.offset ?? input.length
    assert.ok(to >= from, `the damage at ${to} lies before byte ${from}`)
    const region = input.subarray(from, to)
    const whole = wholeParts(kind, region, from === 0)
    const place = `what was read of bytes ${from} to ${to}`
    if (whole.bytes === region.length) same(text.toString('latin1'), whole.text.toString('latin1'), place)
    else {
      assert.ok(damage, `${place}: nothing is told of ${region.length - whole.bytes} bytes that are no part`)
      const rest = part(kind, region.subarray(whole.bytes), true)
      const expected = Buffer.concat([whole.text, rest?.text ?? Buffer.alloc(0)])
      // One that ran on into the next part gave text of bytes that are read again.
      if ((damage.length === 0 && !rest) || /ends with \d+ of/.test(damage.reason))
        assert.ok(text.subarray(0, whole.text.length).equals(whole.text), place)
      else {
        assert.equal(whole.bytes + (rest?.bytes ?? 0), region.length, `${place}: not all are accounted for: ${damage.reason}`)
        if (damage.length === 0) assert.ok(text.subarray(0, expected.length).equals(expected), place)
        else same(text.toString('latin1'), expected.toString('latin1'), place)
      }
    }
    if (!damage) continue
    const { offset, length, bytes, sha256, reason } = damage
    assert.ok(offset + length <= input.length && length >= 0, `a damage at ${offset} of ${length} bytes`)
    assert.match(reason, /^(the|no) .* byte \d+/)
    const lost = input.subarray(offset, offset + length)
    assert.ok(lost.subarray(0, KEPT_BYTES).equals(bytes), `the damage at ${offset} has other bytes than the source`)
    assert.equal(sha256, length > KEPT_BYTES ? createHash('sha256').update(lost).digest('hex') : undefined)
    from = offset + length
  }
}

/** Where a part begins and ends, a damage does most. */
const HEADER_BYTES = 20
const TRAILER_BYTES = 12

const GZIP_WAYS = [{}, { level: 0 }, { level: 9 }, { strategy: constants.Z_FIXED }, { strategy: constants.Z_HUFFMAN_ONLY }]

export function pack(kind: Kind, text: Buffer, random: Random): Buffer {
  if (kind === 'gzip') return zlib.gzipSync(text, oneOf(random, GZIP_WAYS))
  const flag = pick(random, 2)
  const params = { [constants.ZSTD_c_checksumFlag]: flag, [constants.ZSTD_c_compressionLevel]: oneOf(random, [1, 3, 9]) }
  return zlib.zstdCompressSync(text, { params })
}

/** Text that compresses away, hardly, or not at all. */
function anyText(random: Random): Buffer {
  const length = oneOf(random, [0, 1, 50, 400, 3000])
  if (random() < 0.2) return noise(random, length)
  return Buffer.from(Array.from({ length }, () => `{"n":${pick(random, 1e6)}}\n`).join('')).subarray(0, length)
}

/** A damage in one part costs this one: what stands before and behind it comes out. */
async function checkNeighbours(kind: Kind, random: Random): Promise<void> {
  const texts = Array.from({ length: 2 + pick(random, 3) }, () => anyText(random))
  const packed = texts.map(text => pack(kind, text, random))
  const hit = pick(random, packed.length)
  const { damage } = mutator(random, BYTE_TOKENS)
  const before = Buffer.concat(packed.slice(0, hit))
  const whole = Buffer.concat(packed)
  const { length } = packed[hit] as Buffer
  const [from, to] = oneOf(random, [
    [0, length],
    [0, Math.min(length, HEADER_BYTES)],
    [Math.max(0, length - TRAILER_BYTES), length],
  ] as const)
  const place = damage(whole, before.length + from, before.length + to)
  // Without a checksum, a frame that has lost more bytes than the next one has takes that for its own.
  const missing = place.to - place.from - place.put.length
  const checked = kind === 'gzip' || ((packed[hit] as Buffer)[4] as number) & 4
  if (!checked && missing >= (packed[hit + 1]?.length ?? Number.POSITIVE_INFINITY)) return
  const input = apply(whole, place)
  const text = Buffer.concat((await segmentsOf(kind, memorySource(input))).map(segment => segment.text))
  const [first, last] = [Buffer.concat(texts.slice(0, hit)), Buffer.concat(texts.slice(hit + 1))]
  const where = `part ${hit} of ${packed.length}, damaged at ${place.from - before.length} of ${packed[hit]?.length}`
  onInput(input, () => {
    assert.ok(text.subarray(0, first.length).equals(first), `what stands before is gone: ${where}`)
    assert.ok(text.length >= first.length + last.length, `what stands behind is gone: ${where}`)
    assert.ok(text.subarray(text.length - last.length).equals(last), `what stands behind is gone: ${where}`)
  })
}

function target(kind: Kind): Target {
  return {
    name: kind,
    formats: [kind],
    tokens: BYTE_TOKENS,
    async check(input, random) {
      const segments = await segmentsOf(kind, memorySource(input))
      same(told(await segmentsOf(kind, slowSource(input, random))), told(segments), 'a source that gives few bytes at a time')
      checkSegments(kind, input, segments)
      if (random() < 0.3) await checkNeighbours(kind, random)
    },
  }
}

export const PACKED: readonly Target[] = [target('gzip'), target('zstd')]
