// What must hold for every codec, whatever it is given: the checks that the fuzzer asks of NDJSON, lines, JSON and CSV.
import assert from 'node:assert/strict'
import { isUtf8 } from 'node:buffer'
import { createHash } from 'node:crypto'
import { buffers } from '../../core/plugin/buffers.ts'
import type { Chunk, Codec, Fault, FramerStart } from '../../core/plugin/interfaces.ts'
import { isObject, type Json, type JsonObject } from '../../core/plugin/json.ts'
import { Carry } from '../../plugins/lib/framing/carry.ts'
import { pick, pieces, type Random } from '../kit/mutate.ts'

/** A record with its place, its text byte for byte, and what its chunk says of it. */
export type Cut = readonly [offset: number, text: string, meta: string]

export interface Outcome {
  readonly records: Cut[]
  readonly faults: Fault[]
  consumed: number
  state: Json | undefined
}

/** How a codec may refuse a record, and a framer a piece of the stream. */
const REFUSALS = new Set(['PEN_JSON', 'PEN_UTF8', 'PEN_DEPTH', 'PEN_CSV'])
const FAULTS = new Set(['PEN_JSON', 'PEN_CSV', 'PEN_TOO_LONG', 'PEN_CUT_OFF', 'PEN_NO_RECORDS'])
/** Of a piece that is too long so much is kept, however short records must be. */
const KEPT_BYTES = 64 * 1024
/** A path's names, a byte order mark, a few bytes of a line's beginning: what a framer may keep beside a record. */
const SLACK_BYTES = 80

/** What a framer kept from one push to the next, at most. */
let retained = 0
const { push } = Carry.prototype
Carry.prototype.push = function (this: Carry, bytes: Uint8Array) {
  retained = Math.max(retained, this.length)
  return push.call(this, bytes)
}

/** Cuts a stream that comes in pieces of these sizes; `stop` ends it, unfinished, before so many of them. */
export function drive(codec: Codec, stream: Buffer, sizes: readonly number[], start: FramerStart, stop?: number): Outcome {
  const framer = codec.framer({}, start)
  const outcome: Outcome = { records: [], faults: [], consumed: 0, state: undefined }
  const longest = sizes.reduce((most, size) => Math.max(most, size), 0)
  const buffer = Buffer.allocUnsafe(longest)
  retained = 0
  let at = 0
  for (const size of stop === undefined ? sizes : sizes.slice(0, stop)) {
    // The caller's buffer is used again, and the chunk's by others: nobody may hold on to them.
    stream.copy(buffer, 0, at, at + size)
    take(framer.push(buffer.subarray(0, size)), outcome)
    buffer.fill(0x23, 0, size)
    at += size
    if (framer.consumed > at) assert.fail(`consumed ${framer.consumed} of ${at} bytes`)
  }
  if (stop === undefined) {
    take(framer.end(), outcome)
    assert.equal(framer.consumed, at, 'at its end all is consumed')
  }
  const { maxEventBytes = 0 } = start
  const bound = maxEventBytes + longest + SLACK_BYTES
  assert.ok(retained <= bound, `${retained} bytes retained, records have ${maxEventBytes} at most`)
  outcome.consumed = framer.consumed
  outcome.state = framer.state
  return outcome
}

function take(chunks: Iterable<Chunk>, { records, faults }: Outcome): void {
  for (const { bytes, ends, starts, count = ends.length, offset = 0, meta = {}, faults: told = [] } of chunks) {
    const said = JSON.stringify(meta)
    let from = 0
    for (let i = 0; i < count; i++) {
      if (starts) from = starts[i] as number
      const to = ends[i] as number
      records.push([offset + from, Buffer.from(bytes.subarray(from, to)).toString('latin1'), said])
      from = to + 1
    }
    faults.push(...told)
    bytes.fill(0x23)
    buffers.recycle(bytes)
  }
}

/** What the codec makes of each record: the object as JSON, or the code that it is refused with. */
export function decoded(codec: Codec, { records }: Outcome): string[] {
  return records.map(([, text, meta]) => {
    let value: unknown
    try {
      value = codec.decode(Buffer.from(text, 'latin1'), JSON.parse(meta) as JsonObject)
    } catch (error) {
      const { code = '' } = error as { code?: string }
      if (!REFUSALS.has(code)) throw error
      return code
    }
    assert.ok(isObject(value) && Object.getPrototypeOf(value) === Object.prototype, 'a decoder gives plain objects')
    return JSON.stringify(value)
  })
}

/** One line for all that came of a stream; two that are the same differ in nothing that anybody can see. */
function told({ records, faults, consumed, state }: Outcome): string {
  const pieces = faults.map(({ bytes, ...rest }) => [rest, Buffer.from(bytes).toString('latin1')])
  return JSON.stringify([records, pieces, consumed, state])
}

/** The same records and faults come of every chunking, each lies where it says, and none lies on another. */
export function checkStream(codec: Codec, stream: Buffer, random: Random, maxEventBytes: number, brokenDiffers = false): Outcome {
  const start = { maxEventBytes }
  const whole = drive(codec, stream, [stream.length], start)
  const expected = told(whole)
  const sizes = pieces(random, stream.length)
  const cuts = random() < 0.3 ? [sizes, [...stream.subarray(0, 300)].map(() => 1)] : [sizes]
  for (const cut of cuts) {
    const rest = stream.length - cut.reduce((sum, size) => sum + size, 0)
    const parts = drive(codec, stream, rest > 0 ? [...cut, rest] : cut, start)
    same(told(parts), expected, `pieces of ${cut.slice(0, 20)} bytes, records of ${maxEventBytes} at most`)
  }
  checkPlaces(whole, stream, maxEventBytes)
  if (random() < 0.5) checkResume(codec, stream, sizes, pick(random, sizes.length + 1), start, whole, brokenDiffers)
  return whole
}

function checkPlaces({ records, faults }: Outcome, stream: Buffer, max: number): void {
  for (const [offset, text] of records) {
    assert.ok(text.length <= max, `a record of ${text.length} bytes, ${max} are allowed`)
    same(stream.toString('latin1', offset, offset + text.length), text, `the record at ${offset}`)
  }
  for (const { code, reason, offset, length, bytes, sha256 } of faults) {
    assert.ok(FAULTS.has(code) && /\.$/.test(reason), `a fault with ${code}: ${reason}`)
    assert.ok(offset >= 0 && offset + length <= stream.length, `a fault at ${offset}, ${length} bytes of ${stream.length}`)
    assert.ok(bytes.length <= Math.max(max, KEPT_BYTES), `a fault that keeps ${bytes.length} bytes`)
    const piece = stream.subarray(offset, offset + length)
    assert.ok(piece.subarray(0, bytes.length).equals(bytes), `the fault at ${offset} has other bytes than the source`)
    if (bytes.length < length) assert.equal(sha256, createHash('sha256').update(piece).digest('hex'))
  }
}

/** Bytes that are in no record and in no fault. */
export function leftOver({ records, faults }: Outcome, stream: Buffer): string {
  const places = [
    ...records.map(([offset, text]): [number, number] => [offset, text.length]),
    ...faults.map(({ offset, length }): [number, number] => [offset, length]),
  ]
  let left = ''
  let at = 0
  for (const [offset, length] of places.sort(([a, m], [b, n]) => a - b || m - n)) {
    assert.ok(offset >= at, `byte ${offset} is in two pieces`)
    left += stream.toString('latin1', at, offset)
    at = offset + length
  }
  return left + stream.toString('latin1', at)
}

/** A framer that goes on where another one stopped gives the rest: no record twice, none left out. */
function checkResume(
  codec: Codec,
  stream: Buffer,
  sizes: readonly number[],
  stop: number,
  start: FramerStart,
  whole: Outcome,
  brokenDiffers: boolean,
): void {
  const before = drive(codec, stream, sizes, start, stop)
  const { consumed } = before
  const state = before.state === undefined ? undefined : (JSON.parse(JSON.stringify(before.state)) as Json)
  const rest = stream.subarray(consumed)
  // A mark at the beginning of what is read again is taken for the stream's own.
  if (consumed > 0 && rest[0] === 0xef) return
  const after = drive(codec, rest, [rest.length], { ...start, state })
  const places = [...before.records, ...after.records.map(([offset, text, meta]): Cut => [offset + consumed, text, meta])]
  const why = `stopped behind ${stop} pieces, went on from byte ${consumed}, records of ${start.maxEventBytes} at most`
  const behind = after.faults.map(fault => ({ ...fault, offset: fault.offset + consumed }))
  const both = { ...after, records: places, faults: [...before.faults, ...behind] }
  // Where JSON is broken, a framer that begins there may find other lines to go on from; and behind a path's array, what comes of the
  // same object comes again. No record goes.
  if (brokenDiffers && whole.faults.length > 0) {
    const held = [
      ...both.records.map(([at, { length }]) => [at, length]),
      ...both.faults.map(({ offset, length }) => [offset, length]),
    ]
    for (const [offset, { length }] of whole.records) {
      const there = held.some(([at = 0, bytes = 0]) => at <= offset && at + bytes >= offset + length)
      assert.ok(there, `${why}: the record at ${offset} is gone`)
    }
  } else same(JSON.stringify(places), JSON.stringify(whole.records), why)
}

/** `assert.equal` for long texts: shows where they differ. */
export function same(actual: string, expected: string, what: string): void {
  if (actual === expected) return
  let at = 0
  while (actual[at] === expected[at]) at++
  const from = Math.max(0, at - 200)
  const [is, was] = [actual, expected].map(text => JSON.stringify(text.slice(from, at + 200)))
  assert.fail(`${what}: differs at character ${at}\n  ${is}\n  ${was}`)
}

/** What JSON.parse says of a record's bytes: the object, or undefined where it must be refused. */
export function asObject(record: Buffer): JsonObject | undefined {
  if (!isUtf8(record)) return undefined
  const text = record.toString('utf8')
  try {
    const value: unknown = JSON.parse(text)
    return isObject(value) && (text.length <= 2048 || depth(value) <= 64) ? value : undefined
  } catch {
    return undefined
  }
}

function depth(value: unknown): number {
  if (typeof value !== 'object' || value === null) return 0
  let most = 0
  for (const item of Object.values(value)) most = Math.max(most, depth(item))
  return most + 1
}

/** Lines by the book, in the fewest words that say it: what the framer must give. */
export function linesOf(
  stream: Buffer,
  max: number,
  blanks: boolean,
): { records: [number, string][]; faults: [number, number][] } {
  const records: [number, string][] = []
  const faults: [number, number][] = []
  let at = 0
  const text = stream.toString('latin1')
  const lines = text.split('\n')
  if (lines.at(-1) === '') lines.pop()
  for (const line of lines) {
    const from = at
    at += line.length + 1
    if (line.length > max) {
      faults.push([from, line.length])
      continue
    }
    const mark = from === 0 && line.startsWith('\xef\xbb\xbf') ? 3 : 0
    const record = line.slice(mark).replace(/\r$/, '')
    if (blanks || /[^ \t]/.test(record)) records.push([from + mark, record])
  }
  return { records, faults }
}
