// Cuts JSON text into records by bytes: the elements of arrays of any size, and values one after the other.
import type { Chunk, Framer, FramerStart } from '../../../core/plugin/interfaces.ts'
import { isObject, type Json, type JsonObject } from '../../../core/plugin/json.ts'
import { COMMA, hasBom, NEWLINE, OPEN_BRACE, RETURN, SPACE, TAB } from './bytes.ts'
import { Carry } from './carry.ts'
import { Cuts } from './cuts.ts'
import { FaultPiece, MAX_EVENT_BYTES, tooLong } from './fault.ts'
import { nextRecordLine } from './json-line.ts'
import { Place, type Role } from './json-place.ts'
import { DONE, OPEN, ValueScanner } from './json-value.ts'

/** The state of a framer that stopped behind an element of its array. */
export const IN_ARRAY = { in: 'array', column: 0 } as const

/** What the bytes at hand belong to. */
type Mode = 'between' | 'value' | 'broken'

const RECORD_SEPARATOR = 0x1e
const TOO_LONG_HINT = '; where its own records lie in an array inside, name that with the option path'
/** Further in, a line's blanks are no indentation: so many are kept, where a piece that is broken ends with them. */
const MOST_COLUMN = 64
const SCALAR = /^(?:-?\d[\d.eE+-]*|true|false|null)$/

/**
 * A framer whose records are the elements of a top-level array, and every top-level value that is none. With `path` they are the
 * elements of the array below these names of a top-level object; a value there that is no array is one record.
 *
 * Values may be separated by commas and blanks, as they come. What is no value is a fault: it ends before the next line that
 * begins as records begin here (their indentation, then a brace), or with the source. The outcome is the same however the bytes
 * are pushed.
 */
export function jsonFramer(meta: Readonly<JsonObject>, start: FramerStart | undefined, path: readonly string[]): Framer {
  return new JsonFramer(meta, start, path)
}

class JsonFramer implements Framer {
  consumed = 0
  state: Json | undefined
  readonly #meta: Readonly<JsonObject>
  readonly #max: number
  readonly #path: string
  /** A longer name, quotes included, is none of the path's: not even with every letter as an escape. */
  readonly #nameBytes: number
  readonly #carry = new Carry()
  readonly #cuts = new Cuts()
  readonly #scanner = new ValueScanner()
  readonly #place: Place
  #mode: Mode = 'between'
  #role: Role = 'record'
  /** The next byte to look at, and the first one of the value under way; both count from the carry's first byte. */
  #at = 0
  #start = 0
  /** A value that is too long, or what is no value; the carry's bytes before `#fed` are in it. */
  #piece: FaultPiece | undefined
  #fed = 0
  #code = ''
  #reason = ''
  /** The object under way while its array was not found. */
  #envelope: FaultPiece | undefined
  #envelopeFed = 0
  /** Blanks before this byte on its line; -1 when something else stands there. */
  #indent = 0
  /** Blanks before records that stand on a line of their own. */
  #column = 0
  /** A fault was told of what is open: that it is not closed, too, goes without saying. */
  #damaged = false

  constructor(meta: Readonly<JsonObject>, start: FramerStart | undefined, path: readonly string[]) {
    this.#meta = meta
    this.#max = start?.maxEventBytes ?? MAX_EVENT_BYTES
    this.#path = path.join('.')
    this.#place = new Place(path)
    this.#nameBytes = 2 + 6 * Math.max(0, ...path.map(name => name.length))
    const state: unknown = start?.state
    if (isObject(state) && state['in'] === 'array') {
      this.#place.resume()
      this.#indent = -1
      if (typeof state['column'] === 'number') this.#column = Math.min(state['column'], MOST_COLUMN)
      this.#mark(0, true)
    }
  }

  push(bytes: Uint8Array): Chunk[] {
    const view = this.#carry.push(bytes)
    if (!this.#isPartOfBom(view)) this.#walk(view)
    return this.#settle(view)
  }

  end(): Chunk[] {
    const view = this.#carry.view()
    this.#walk(view)
    while (this.#mode === 'value') {
      if (this.#scanner.word) this.#finish(view, view.length)
      else this.#break(view, view.length, 'the source ends inside this value', 'PEN_CUT_OFF')
      this.#walk(view)
    }
    if (this.#mode === 'broken') this.#tell(view)
    else if (this.#place.kind !== 'top' && !this.#damaged) {
      const piece = this.#envelope ?? new FaultPiece(this.#carry.offset + view.length, this.#max)
      if (this.#envelope) piece.add(view.subarray(this.#envelopeFed))
      this.#cuts.faults.push(
        piece.fault('PEN_CUT_OFF', `The source ends before its ${this.#place.kind === 'array' ? 'array' : 'object'} is closed.`),
      )
    }
    this.#mark(view.length, this.#place.kind === 'array')
    return this.#cuts.chunks(this.#carry, view.length, this.#meta)
  }

  /** A byte order mark at the stream's beginning is stepped over as soon as all of it is there. */
  #isPartOfBom(view: Buffer): boolean {
    if (this.#carry.offset + this.#at > 0 || view[0] !== 0xef) return false
    if (view.length < 3) return true
    if (hasBom(view, 0, view.length)) this.#at = 3
    return false
  }

  #walk(view: Buffer): void {
    while (this.#at < view.length) {
      if (this.#mode === 'between') this.#between(view)
      else if (this.#mode === 'value') this.#value(view)
      else if (!this.#seek(view)) return
    }
  }

  /** Steps over what separates values, up to the first byte of one, or to a bracket that opens or closes what holds them. */
  #between(view: Buffer): void {
    for (; this.#at < view.length; this.#at++) {
      const byte = view[this.#at] as number
      if (byte === NEWLINE) this.#indent = 0
      else if (byte === SPACE || byte === TAB) {
        if (this.#indent >= 0) this.#indent++
      } else if (byte === COMMA || byte === RECORD_SEPARATOR) this.#indent = -1
      else if (byte !== RETURN) {
        this.#meet(view, byte)
        return
      }
    }
  }

  /** What is no separator: a value begins here, or something opens or closes. */
  #meet(view: Buffer, byte: number): void {
    const meeting = this.#place.meet(byte)
    switch (meeting) {
      case 'record':
      case 'stray':
      case 'name':
      case 'skipped':
        this.#begin(byte, meeting)
        return
      case 'broken':
        this.#break(view, this.#at, this.#place.reason)
        return
      case 'open object':
        this.#mark(this.#at, false)
        this.#envelope = new FaultPiece(this.#carry.offset + this.#at, this.#max)
        this.#envelopeFed = this.#at
        this.#damaged = false
        break
      case 'open array':
        this.#envelope = undefined
        this.#damaged = false
        break
      case 'close array':
        // Behind the array, before the end of the object around it, no later framer could go on.
        this.#mark(this.#at, true)
        break
      case 'close object':
        if (!this.#envelope) break
        this.#envelope.add(view.subarray(this.#envelopeFed, this.#at + 1))
        this.#cuts.faults.push(
          this.#envelope.fault('PEN_NO_RECORDS', `The object has no ${this.#path}, where its records should be.`),
        )
        this.#envelope = undefined
    }
    this.#indent = -1
    this.#at++
  }

  #begin(byte: number, role: Role): void {
    this.#mode = 'value'
    this.#role = role
    this.#start = this.#at
    if (role === 'record') this.#envelope = undefined
    const indented = this.#indent >= 0 && this.#indent <= MOST_COLUMN
    if (byte === OPEN_BRACE && role === 'record' && indented) this.#column = this.#indent
    this.#indent = -1
    this.#scanner.begin(byte)
  }

  #value(view: Buffer): void {
    const at = this.#scanner.scan(view, this.#at)
    this.#at = at
    if (this.#scanner.status === OPEN) return
    if (this.#scanner.status === DONE) this.#finish(view, at)
    else this.#break(view, at, this.#scanner.reason)
  }

  #finish(view: Buffer, end: number): void {
    this.#mode = 'between'
    this.#at = end
    if (this.#role === 'name') {
      const short = end - this.#start <= this.#nameBytes
      this.#place.named(short && nameIs(view.subarray(this.#start, end), this.#place.sought))
      return
    }
    this.#place.passed()
    if (this.#role === 'skipped') return
    if (this.#role === 'record' && !this.#piece && end - this.#start <= this.#max) {
      if (this.#scanner.word && !SCALAR.test(view.latin1Slice(this.#start, end)))
        this.#break(view, this.#start, 'this is no JSON value')
      else this.#cuts.add(this.#start, end)
      return
    }
    const piece = this.#pieceFrom(this.#start)
    piece.add(view.subarray(this.#fed, end))
    const wrong = `This value is no object, so it has no ${this.#path}, where its records should be.`
    this.#cuts.faults.push(
      this.#role === 'stray' ? piece.fault('PEN_NO_RECORDS', wrong) : tooLong(piece, this.#max, TOO_LONG_HINT),
    )
    this.#piece = undefined
  }

  /** What is under way is no value, as the byte at `at` shows: it becomes a fault, up to the line where records go on. */
  #break(view: Buffer, at: number, reason: string, code = 'PEN_JSON'): void {
    const inValue = this.#mode === 'value'
    const start = inValue && (this.#role === 'record' || this.#role === 'stray') ? this.#start : at
    const long = this.#piece !== undefined || at - start > this.#max
    this.#code = long ? 'PEN_TOO_LONG' : code
    this.#reason = reason
    if (this.#envelope) {
      this.#piece = this.#envelope
      this.#fed = this.#envelopeFed
      this.#envelope = undefined
    } else this.#pieceFrom(start)
    this.#mode = 'broken'
    this.#place.escape()
    this.#damaged = true
    // Behind a value's first byte records may be found that it would have swallowed. Not where that could be done over and over
    // (deep nesting), nor where it would hang on how the bytes were pushed (those of a long value are gone).
    this.#at = long || (inValue && this.#scanner.deep) ? at : Math.min(start + 1, view.length)
  }

  /** Looks for the line where records go on. False when the view has none. */
  #seek(view: Buffer): boolean {
    const line = nextRecordLine(view, this.#at, this.#column)
    this.#at = line.at
    if (line.found) this.#tell(view)
    return line.found
  }

  /** The broken piece ends at `#at`. */
  #tell(view: Buffer): void {
    const piece = this.#pieceFrom(this.#at)
    piece.add(view.subarray(this.#fed, this.#at))
    const long = this.#code === 'PEN_TOO_LONG'
    this.#cuts.faults.push(
      long ? tooLong(piece, this.#max, TOO_LONG_HINT) : piece.fault(this.#code, `This is no JSON record: ${this.#reason}.`),
    )
    this.#piece = undefined
    this.#mode = 'between'
    this.#indent = -1
  }

  #pieceFrom(start: number): FaultPiece {
    if (!this.#piece) {
      this.#piece = new FaultPiece(this.#carry.offset + start, this.#max)
      this.#fed = start
    }
    return this.#piece
  }

  /** After a push: what must be kept is kept, what was cut goes out. */
  #settle(view: Buffer): Chunk[] {
    let keep = this.#at
    let safe = this.#at
    if (this.#mode === 'value' && this.#role !== 'skipped') {
      safe = this.#start
      const most = this.#role === 'name' ? this.#nameBytes : this.#max
      if (!this.#piece && view.length - this.#start <= most) keep = this.#start
      else if (this.#role !== 'name') this.#pieceFrom(this.#start)
    }
    if (this.#piece) {
      safe = this.#piece.offset - this.#carry.offset
      this.#piece.add(view.subarray(this.#fed, keep))
      this.#fed = keep
    }
    this.#envelope?.add(view.subarray(this.#envelopeFed))
    this.#envelopeFed = view.length
    if (this.#place.kind !== 'members') this.#mark(safe, this.#place.kind === 'array')
    const chunks = this.#cuts.chunks(this.#carry, keep, this.#meta)
    this.#at -= keep
    this.#start -= keep
    this.#fed -= keep
    this.#envelopeFed -= keep
    return chunks
  }

  #mark(at: number, inArray: boolean): void {
    this.consumed = this.#carry.offset + at
    this.state = inArray ? { in: 'array', column: this.#column } : undefined
  }
}

/** True when a string's bytes, quotes included, spell the name. */
function nameIs(bytes: Buffer, name: string): boolean {
  try {
    return JSON.parse(bytes.utf8Slice()) === name
  } catch {
    return false
  }
}
