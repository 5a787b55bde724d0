// Decodes gzip (RFC 1952) member by member: what zlib's own multi-member mode would swallow or lose is kept and told here.
import { crc32 } from 'node:zlib'
import { type Damage, Leftover, type Piece, seek, type Trial } from './damage.ts'
import { BadData, createEngine, type Engine, STEP_WORK_BYTES } from './engine.ts'
import { type ByteSource, ByteWindow } from './source.ts'

export const GZIP_MAGIC = Buffer.of(0x1f, 0x8b, 0x08)
/** Compressed bytes for one step: the fastest size of those measured, and little to go over again after an error. */
const STEP_BYTES = 16 * 1024
/** A step costs the time of some kilobytes: so many of these, and then of single bytes, are few. */
const SMALL_STEP_BYTES = 128
/** A header is a name and a comment; what is longer is no header. */
const HEADER_BYTES = 128 * 1024
/** So much must decode for a member that is found behind a damage: random bytes with a magic do not get so far. */
const TRIAL_BYTES = 64 * 1024
const TRAILER_BYTES = 8

const FHCRC = 2
const FEXTRA = 4
const FNAME = 8
const FCOMMENT = 16
const RESERVED = 0xe0

/** Decodes all members. Pieces belong to the caller. */
export async function* gunzip(source: ByteSource): AsyncGenerator<Piece> {
  const window = new ByteWindow(source)
  for (let members = 0; (await window.peek(1)).length > 0; members++) {
    const start = window.position
    const header = await headerLength(window)
    if (typeof header === 'number') {
      window.take(header)
      const damage = yield* member(source, window, start)
      if (damage) yield damage
      continue
    }
    const leftover = new Leftover(start)
    if (members > 0 && (await onlyZeros(window, leftover))) return
    const begun = await seek(window, leftover, GZIP_MAGIC, at => decodes(source, at, TRIAL_BYTES))
    const truncated = header === 'cut' && !begun
    const reason = truncated
      ? `the gzip member that begins at byte ${start} is cut off in its header`
      : `no gzip member begins at byte ${start}`
    yield leftover.damage(reason, { truncated })
  }
}

async function* member(source: ByteSource, window: ByteWindow, start: number): AsyncGenerator<Buffer, Damage | undefined> {
  const name = `the gzip member that begins at byte ${start}`
  const data = window.position
  const engine = createEngine('deflate')
  try {
    const end = yield* body(window, engine)
    if (end === 'whole') return undefined
    const at = window.position
    // Where bytes are missing, the next member's first ones stand where the trailer should be.
    const next = await memberWithin(source, start + 1, at + (end === 'mismatch' ? TRAILER_BYTES : 0))
    if (next !== undefined && next < at) {
      window.moveTo(next)
      return new Leftover(next).damage(`${name} is damaged before byte ${next}, where the next one begins`)
    }
    const leftover = new Leftover(at)
    const trailer = (await window.peek(TRAILER_BYTES)).subarray(0, next === undefined ? TRAILER_BYTES : next - at)
    leftover.add(trailer)
    window.take(trailer.length)
    if (end === 'mismatch')
      return leftover.damage(`${name} does not match its checksum: what was read from it may be wrong`, { gap: false })
    return leftover.damage(`${name} is cut off at byte ${window.position}`, { truncated: true })
  } catch (error) {
    if (!(error instanceof BadData)) throw error
    const good = yield* again(source, data, window.position, engine.given)
    return await lost(source, window, start, good, `${name} is damaged at byte ${good} (${error.message})`)
  } finally {
    engine.close()
  }
}

/** What follows a header. Leaves the window behind the trailer when all is well, else before it. */
async function* body(window: ByteWindow, engine: Engine): AsyncGenerator<Buffer, 'whole' | 'mismatch' | 'cut'> {
  let crc = 0
  for (;;) {
    // As many bytes however the source gives them: what a trial costs, and so what is tried, must not depend on that.
    const bytes = (await window.peek(STEP_BYTES)).subarray(0, STEP_BYTES)
    if (bytes.length === 0) return 'cut'
    const before = engine.taken
    for await (const piece of engine.step(bytes)) {
      crc = crc32(piece, crc)
      yield piece
    }
    const taken = engine.taken - before
    window.take(taken)
    if (taken < bytes.length) break
  }
  const trailer = await window.peek(TRAILER_BYTES)
  if (trailer.length < TRAILER_BYTES) return 'cut'
  if (trailer.readUInt32LE(0) !== crc || trailer.readUInt32LE(4) !== engine.given % 2 ** 32) return 'mismatch'
  window.take(TRAILER_BYTES)
  return 'whole'
}

/**
 * What a failing step decoded before it failed is lost with it: goes there again in small steps, and once more byte by byte. `known`
 * decoded bytes were given before. Returns where it fails.
 */
async function* again(source: ByteSource, data: number, until: number, known: number): AsyncGenerator<Buffer, number> {
  let reached = until
  let given = known
  for (const size of [SMALL_STEP_BYTES, 1]) {
    const window = new ByteWindow(source, data)
    const engine = createEngine('deflate')
    try {
      for (;;) {
        const left = reached - window.position
        const bytes = (await window.peek(1)).subarray(0, left > 0 ? Math.min(STEP_BYTES, left) : size)
        if (bytes.length === 0) break
        for await (const piece of engine.step(bytes)) {
          const fresh = Math.min(piece.length, engine.given - given)
          if (fresh <= 0) continue
          given += fresh
          yield piece.subarray(piece.length - fresh)
        }
        window.take(bytes.length)
      }
    } catch (error) {
      if (!(error instanceof BadData)) throw error
    } finally {
      engine.close()
    }
    reached = window.position
  }
  return reached
}

/** Goes on to the next member that can be decoded: one begins at `start`, whose decoding failed at `good`. */
async function lost(source: ByteSource, window: ByteWindow, start: number, good: number, reason: string): Promise<Damage> {
  const swallowed = await memberWithin(source, start + 1, good)
  window.moveTo(swallowed ?? good)
  const leftover = new Leftover(window.position)
  if (swallowed === undefined) await seek(window, leftover, GZIP_MAGIC, at => decodes(source, at, TRIAL_BYTES))
  return leftover.damage(reason)
}

/**
 * Where a whole member with a matching checksum begins from `from` to `until`: a damage that hides the end of a member, or of its
 * header, makes the decompressor run on into the next one.
 */
async function memberWithin(source: ByteSource, from: number, until: number): Promise<number | undefined> {
  const window = new ByteWindow(source, from)
  const whole = (at: number) => decodes(source, at, Number.POSITIVE_INFINITY)
  return (await seek(window, new Leftover(from), GZIP_MAGIC, whole, until)) ? window.position : undefined
}

/** Whether a member begins that decodes: `enough` of it, or all of it with a matching checksum, or all that a cut one has. */
async function decodes(source: ByteSource, at: number, enough: number): Promise<Trial> {
  const window = new ByteWindow(source, at)
  const header = await headerLength(window)
  if (typeof header !== 'number') return { begins: false, work: STEP_WORK_BYTES }
  window.take(header)
  const engine = createEngine('deflate')
  const result = (begins: boolean): Trial => ({ begins, work: engine.work + STEP_WORK_BYTES })
  try {
    const pieces = body(window, engine)
    for (;;) {
      const { value, done } = await pieces.next()
      if (done) return result(value === 'whole' || (value === 'cut' && engine.given > 0 && Number.isFinite(enough)))
      if (engine.given >= enough) return result(true)
    }
  } catch (error) {
    if (!(error instanceof BadData)) throw error
    return result(false)
  } finally {
    engine.close()
  }
}

/** The length of the header at the window's place; `cut` where the source ends within it. */
async function headerLength(window: ByteWindow): Promise<number | 'bad' | 'cut'> {
  for (let want = 1024; ; want *= 4) {
    const bytes = await window.peek(Math.min(want, HEADER_BYTES))
    const length = parseHeader(bytes)
    if (length !== 'more') return length
    if (bytes.length < want) return bytes.length >= HEADER_BYTES ? 'bad' : 'cut'
  }
}

function parseHeader(bytes: Buffer): number | 'bad' | 'more' {
  const magic = Math.min(bytes.length, GZIP_MAGIC.length)
  if (!bytes.subarray(0, magic).equals(GZIP_MAGIC.subarray(0, magic))) return 'bad'
  if (bytes.length < 10) return 'more'
  const flags = bytes[3] as number
  if (flags & RESERVED) return 'bad'
  let at = 10
  if (flags & FEXTRA) {
    if (bytes.length < at + 2) return 'more'
    at += 2 + bytes.readUInt16LE(at)
  }
  for (const flag of [FNAME, FCOMMENT]) {
    if (!(flags & flag)) continue
    const zero = at < bytes.length ? bytes.indexOf(0, at) : -1
    if (zero < 0) return 'more'
    at = zero + 1
  }
  if (flags & FHCRC) {
    if (bytes.length < at + 2) return 'more'
    if ((crc32(bytes.subarray(0, at)) & 0xffff) !== bytes.readUInt16LE(at)) return 'bad'
    at += 2
  }
  return bytes.length < at ? 'more' : at
}

/** True, and all taken, where nothing but zeros follows: padding, as tapes and some tools leave it. */
async function onlyZeros(window: ByteWindow, leftover: Leftover): Promise<boolean> {
  for (;;) {
    const bytes = await window.peek(1)
    if (bytes.length === 0) return true
    const other = bytes.findIndex(byte => byte !== 0)
    const zeros = bytes.subarray(0, other < 0 ? bytes.length : other)
    leftover.add(zeros)
    window.take(zeros.length)
    if (other >= 0) return false
  }
}
