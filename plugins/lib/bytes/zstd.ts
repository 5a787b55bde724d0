// Decodes zstd (RFC 8878) frame by frame and block by block. The frames' outline is read here, so that it is known where one ends:
// Node's decompressor stops without a word at bytes that are no frame.
import { type Damage, Leftover, type Piece, seek, type Trial } from './damage.ts'
import { BadData, createEngine, type Engine, STEP_WORK_BYTES } from './engine.ts'
import { type ByteSource, ByteWindow } from './source.ts'

export const ZSTD_MAGIC = Buffer.of(0x28, 0xb5, 0x2f, 0xfd)
/** No block is larger, compressed or not. */
const BLOCK_BYTES = 128 * 1024
const BLOCK_HEADER_BYTES = 3
const CHECKSUM_BYTES = 4
/** The longest header of a frame. */
const HEADER_BYTES = 18

interface FrameHeader {
  readonly length: number
  readonly checksum: boolean
  /** Bytes of text, where it says so. */
  readonly content: number | undefined
}

/** How a frame ended, and why if it is not whole. */
type End = { kind: 'whole' } | { kind: 'cut' | 'mismatch' | 'bad'; why: string }

/** Decodes all frames. Pieces belong to the caller. */
export async function* unzstd(source: ByteSource): AsyncGenerator<Piece> {
  const window = new ByteWindow(source)
  let engine: Engine | undefined
  /** Where to look for the next frame when none begins behind the last part: its length may be wrong, and nothing else tells. */
  let before: Pick<LostOptions, 'from' | 'beyond'> | undefined
  try {
    for (;;) {
      const start = window.position
      const last = before
      before = undefined
      const bytes = await window.peek(HEADER_BYTES)
      if (bytes.length === 0) return
      const name = `the zstd frame that begins at byte ${start}`
      if (isSkippable(bytes)) {
        const length = 8 + bytes.readUInt32LE(4)
        if (await skip(window, length)) {
          before = { from: start + 1, beyond: 0 }
          continue
        }
        window.moveTo(start)
        yield await lost(source, window, start, `${name} is cut off`, { truncated: true })
        continue
      }
      const header = frameHeader(bytes)
      if (typeof header === 'string') {
        const cut = header === 'cut'
        const reason = cut ? `${name} is cut off in its header` : `no zstd frame begins at byte ${start}`
        yield await lost(source, window, start, reason, { truncated: cut, ...last })
        continue
      }
      engine ??= createEngine('zstd')
      const end = yield* frame(window, engine, header)
      if (end.kind === 'whole') {
        // What seems to begin inside of it and to end in it is its content, which may be packed itself.
        before = { from: start + 1, beyond: window.position }
        continue
      }
      // After an error, or a part of a frame, it is of no more use.
      engine.close()
      engine = undefined
      const options = { gap: end.kind !== 'mismatch', truncated: end.kind === 'cut' }
      yield await lost(source, window, start, `${name} ${end.why}`, options)
    }
  } finally {
    engine?.close()
  }
}

/**
 * Header, then block after block, then the checksum: each is given as a whole, so that nothing before an error is lost. Leaves the
 * window at the part that could not be decoded.
 */
async function* frame(window: ByteWindow, engine: Engine, header: FrameHeader): AsyncGenerator<Buffer, End> {
  let part: 'header' | 'block' | 'checksum' = 'header'
  let { length } = header
  let last = false
  const begun = engine.given
  for (;;) {
    const bytes = (await window.peek(length)).subarray(0, length)
    if (bytes.length < length) return { kind: 'cut', why: `is cut off at byte ${window.position + bytes.length}` }
    const before = engine.taken
    try {
      yield* engine.step(bytes)
      if (engine.taken - before < length) throw new BadData('it ends early')
    } catch (error) {
      if (!(error instanceof BadData)) throw error
      if (part === 'checksum') return { kind: 'mismatch', why: 'does not match its checksum: what was read from it may be wrong' }
      return { kind: 'bad', why: `is damaged at byte ${window.position} (${error.message})` }
    }
    window.take(length)
    // The decompressor lets a last block pass that is empty, however much is missing.
    const given = engine.given - begun
    if (last && header.content !== undefined && given !== header.content)
      return { kind: 'bad', why: `ends with ${given} of ${header.content} bytes` }
    if (part === 'checksum' || (last && !header.checksum)) return { kind: 'whole' }
    if (last) {
      part = 'checksum'
      length = CHECKSUM_BYTES
      continue
    }
    const block = blockHeader(await window.peek(BLOCK_HEADER_BYTES))
    if (block === 'cut') return { kind: 'cut', why: `is cut off at byte ${window.position}` }
    if (block === 'bad') return { kind: 'bad', why: `is damaged at byte ${window.position} (no block begins there)` }
    part = 'block'
    last = block.last
    length = BLOCK_HEADER_BYTES + block.length
  }
}

interface LostOptions {
  readonly gap?: boolean
  readonly truncated?: boolean
  /** Where a frame may begin that was swallowed, and what it must go beyond. */
  readonly from?: number
  readonly beyond?: number
}

/**
 * Goes on to the next frame that can be decoded. One that began at `start` and is damaged may have swallowed the start of it: a
 * whole frame before the window's place comes first.
 */
async function lost(
  source: ByteSource,
  window: ByteWindow,
  start: number,
  reason: string,
  { gap = true, truncated = false, from = start + 1, beyond = 0 }: LostOptions = {},
): Promise<Damage> {
  const at = window.position
  // Where bytes are missing, the next frame's first ones stand where the checksum should be.
  const until = gap ? at : at + CHECKSUM_BYTES
  const scan = new ByteWindow(source, Math.min(from, at))
  const whole = await seek(scan, new Leftover(start), ZSTD_MAGIC, place => decodes(source, place, true, beyond), until)
  const next = whole ? scan.position : undefined
  if (next !== undefined && next < at) {
    window.moveTo(next)
    return new Leftover(next).damage(reason)
  }
  const leftover = new Leftover(at)
  if (!gap) {
    // The checksum alone is wrong: the next frame begins behind it.
    const bytes = (await window.peek(CHECKSUM_BYTES)).subarray(0, next === undefined ? CHECKSUM_BYTES : next - at)
    leftover.add(bytes)
    window.take(bytes.length)
    return leftover.damage(reason, { gap })
  }
  const begun = await seek(window, leftover, ZSTD_MAGIC, at => decodes(source, at, false))
  return leftover.damage(reason, { truncated: truncated && !begun })
}

function isSkippable(bytes: Buffer): boolean {
  return bytes.length >= 8 && bytes.readUInt32LE(0) >>> 4 === 0x184d2a5
}

/** False where the source ends before. */
async function skip(window: ByteWindow, bytes: number): Promise<boolean> {
  for (let left = bytes; left > 0; ) {
    const step = Math.min(left, (await window.peek(1)).length)
    if (step === 0) return false
    window.take(step)
    left -= step
  }
  return true
}

function frameHeader(bytes: Buffer): FrameHeader | 'bad' | 'cut' {
  const magic = Math.min(bytes.length, ZSTD_MAGIC.length)
  if (!bytes.subarray(0, magic).equals(ZSTD_MAGIC.subarray(0, magic))) return 'bad'
  if (bytes.length < 5) return 'cut'
  const descriptor = bytes[4] as number
  if (descriptor & 0x08) return 'bad'
  const single = (descriptor & 0x20) !== 0
  const dictionary = [0, 1, 2, 4][descriptor & 3] as number
  const contentSize = [single ? 1 : 0, 2, 4, 8][descriptor >> 6] as number
  const length = 5 + (single ? 0 : 1) + dictionary + contentSize
  if (bytes.length < length) return 'cut'
  return { length, checksum: (descriptor & 0x04) !== 0, content: contentOf(bytes.subarray(length - contentSize, length)) }
}

/** A frame's size of content, from the bytes that say it; two of them count from 256 on. */
function contentOf(bytes: Buffer): number | undefined {
  if (bytes.length === 0) return undefined
  if (bytes.length === 8) return Number(bytes.readBigUInt64LE())
  return bytes.readUIntLE(0, bytes.length) + (bytes.length === 2 ? 256 : 0)
}

function blockHeader(bytes: Buffer): { last: boolean; length: number } | 'bad' | 'cut' {
  if (bytes.length < BLOCK_HEADER_BYTES) return 'cut'
  const header = bytes.readUIntLE(0, BLOCK_HEADER_BYTES)
  const type = (header >> 1) & 3
  const size = header >> 3
  if (type === 3 || size > BLOCK_BYTES) return 'bad'
  // A block of type 1 is one byte, repeated.
  return { last: (header & 1) !== 0, length: type === 1 ? 1 : size }
}

/** Whether a frame begins that decodes: its first bytes, or with `whole` all of it, which ends behind byte `beyond`. */
async function decodes(source: ByteSource, at: number, whole: boolean, beyond = 0): Promise<Trial> {
  const window = new ByteWindow(source, at)
  const header = frameHeader(await window.peek(HEADER_BYTES))
  if (typeof header === 'string') return { begins: false, work: STEP_WORK_BYTES }
  const engine = createEngine('zstd')
  const result = (begins: boolean): Trial => ({ begins, work: engine.work + STEP_WORK_BYTES })
  try {
    const pieces = frame(window, engine, header)
    for (;;) {
      const { value, done } = await pieces.next()
      if (done)
        return result(
          (value.kind === 'whole' && window.position > beyond) || (value.kind === 'cut' && engine.given > 0 && !whole),
        )
      if (!whole) return result(true)
    }
  } finally {
    engine.close()
  }
}
