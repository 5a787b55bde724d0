// Cuts a CSV stream into rows, and reads the names of its columns.
import { asError } from '../../../core/plugin/errors.ts'
import type { Chunk, Framer, FramerStart } from '../../../core/plugin/interfaces.ts'
import { isObject, type JsonObject } from '../../../core/plugin/json.ts'
import { hasBom, NEWLINE, RETURN } from './bytes.ts'
import { Carry } from './carry.ts'
import { columnNames, delimiterBytes, guessDelimiter, rowValues } from './csv-row.ts'
import { rowScanner } from './csv-rows.ts'
import { Cuts } from './cuts.ts'
import { FaultPiece, MAX_EVENT_BYTES, tooLong } from './fault.ts'

export interface CsvShape {
  /** One ASCII character; none when the first row tells. */
  readonly delimiter?: string | undefined
  /** One ASCII character. */
  readonly quote: string
  /** Names of the columns; without them the first row has them. */
  readonly columns?: readonly string[] | undefined
}

const TYPE_LINE = '#TYPE '

/**
 * A framer whose records are CSV rows. Its chunks' meta says `columns` and `delimiter`, as does `state`. A byte order mark, the
 * `#TYPE` line of PowerShell's Export-Csv, and empty lines are left out.
 *
 * A quote that is never closed makes a fault of all that follows, unless all that follows its line are rows as they should be:
 * then the line alone is the fault.
 */
export function csvFramer(meta: Readonly<JsonObject>, start: FramerStart | undefined, shape: CsvShape): Framer {
  const max = start?.maxEventBytes ?? MAX_EVENT_BYTES
  const quote = shape.quote.charCodeAt(0)
  const carry = new Carry()
  const cuts = new Cuts()
  let known = knownShape(start, shape)
  let scanner = rowScanner(quote, delimiterBytes(known?.delimiter ?? shape.delimiter))
  let chunkMeta: JsonObject = { ...meta, ...known }
  let first = !known
  /** The row's first byte, counted from the carry's first one; and a row that is too long, which has the bytes before `fed`. */
  let row = 0
  let long: FaultPiece | undefined
  let fed = 0
  /** The byte before the carry's first one. */
  let before = NEWLINE
  let consumed = 0

  const learn = (columns: readonly string[], delimiter: string, at: number): void => {
    known = { columns, delimiter }
    chunkMeta = { ...meta, ...known }
    scanner = rowScanner(quote, delimiterBytes(delimiter))
    scanner.restart(at)
    first = false
  }

  const fault = (view: Buffer, from: number, to: number, code: string, reason: string): void => {
    const piece = new FaultPiece(carry.offset + from, max)
    piece.add(view.subarray(from, to))
    cuts.faults.push(piece.fault(code, reason))
  }

  /** What the first row says of the others; true when it is none itself. */
  const readFirst = (view: Buffer, from: number, to: number): boolean => {
    const text = view.utf8Slice(from, to)
    if (text.startsWith(TYPE_LINE)) return true
    const delimiter = shape.delimiter ?? guessDelimiter(text, shape.quote)
    if (shape.columns) {
      learn(shape.columns, delimiter, scanner.at)
      return false
    }
    try {
      learn(columnNames(rowValues(text, delimiter, shape.quote)), delimiter, scanner.at)
    } catch (error) {
      fault(view, from, to, 'PEN_CSV', `The row that should name the columns cannot be read. ${asError(error).message}`)
      learn([], delimiter, scanner.at)
    }
    return true
  }

  const endRow = (view: Buffer, to: number): void => {
    const from = row
    if (long || to - from > max) {
      const piece = long ?? new FaultPiece(carry.offset + from, max)
      piece.add(view.subarray(long ? fed : from, to))
      cuts.faults.push(tooLong(piece, max))
      long = undefined
      if (first) learn(shape.columns ?? [], shape.delimiter ?? ',', scanner.at)
      return
    }
    const end = to > from && view[to - 1] === RETURN ? to - 1 : to
    if (end > from && !(first && readFirst(view, from, end))) cuts.add(from, end)
  }

  /** A byte order mark at the stream's beginning belongs to no row; false while it may be one that is not all there. */
  const passBom = (view: Buffer, last: boolean): boolean => {
    if (carry.offset > 0 || scanner.at > 0 || view[0] !== 0xef) return true
    if (hasBom(view, 0, view.length)) {
      row = 3
      scanner.restart(row)
    }
    return last || view.length >= 3
  }

  const cutRows = (view: Buffer, last: boolean): void => {
    if (!passBom(view, last)) return
    for (let end = scanner.next(view, row, before, last); end >= 0; end = scanner.next(view, row, before, last)) {
      endRow(view, end)
      row = end + 1
    }
  }

  /** The line of an open quote ends before the returned place, if only rows of the right size follow; otherwise 0. */
  const rowsBehindQuote = (view: Buffer): number => {
    const behind = view.indexOf(NEWLINE, row) + 1
    if (behind === 0 || first || !known) return 0
    const { columns, delimiter } = known
    const trial = rowScanner(quote, delimiterBytes(delimiter))
    trial.restart(behind)
    for (let from = behind; from < view.length; ) {
      const newline = trial.next(view, from, before, true)
      if (newline < 0 && trial.quoted) return 0
      const to = newline < 0 ? view.length : newline
      const end = to > from && view[to - 1] === RETURN ? to - 1 : to
      if (end > from && !hasColumns(view.utf8Slice(from, end), delimiter, shape.quote, columns.length)) return 0
      from = to + 1
    }
    return behind
  }

  const settle = (view: Buffer, keep: number): Chunk[] => {
    if (keep > 0) before = view[keep - 1] as number
    const chunks = cuts.chunks(carry, keep, chunkMeta)
    scanner.shift(keep)
    row -= keep
    fed -= keep
    return chunks
  }

  return {
    get consumed() {
      return consumed
    },
    get state() {
      return known && { columns: known.columns, delimiter: known.delimiter }
    },
    push(bytes) {
      const view = carry.push(bytes)
      cutRows(view, false)
      if (!long && view.length - row > max) {
        long = new FaultPiece(carry.offset + row, max)
        fed = row
      }
      consumed = long ? long.offset : carry.offset + row
      if (!long) return settle(view, row)
      long.add(view.subarray(fed, scanner.at))
      fed = scanner.at
      return settle(view, scanner.at)
    },
    end() {
      const view = carry.view()
      cutRows(view, true)
      if (scanner.quoted && !long) {
        const behind = rowsBehindQuote(view)
        const end = behind > 0 ? behind - 1 : view.length
        fault(view, row, end, 'PEN_CSV', 'This is no CSV row: a quote is opened and never closed.')
        row = end + 1
        scanner.restart(behind > 0 ? row : view.length)
        if (behind > 0) cutRows(view, true)
      }
      if (long || row < view.length) endRow(view, view.length)
      consumed = carry.offset + view.length
      return settle(view, view.length)
    },
  }
}

interface KnownShape {
  readonly columns: readonly string[]
  readonly delimiter: string
}

/** What a former framer learned, where the options do not say otherwise by now. */
function knownShape(start: FramerStart | undefined, shape: CsvShape): KnownShape | undefined {
  const state: unknown = start?.state
  if (!isObject(state) || !Array.isArray(state['columns']) || typeof state['delimiter'] !== 'string') return undefined
  return { columns: shape.columns ?? state['columns'].map(String), delimiter: shape.delimiter ?? state['delimiter'] }
}

function hasColumns(text: string, delimiter: string, quote: string, count: number): boolean {
  try {
    return rowValues(text, delimiter, quote).length === count
  } catch {
    return false
  }
}
