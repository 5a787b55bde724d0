// Finds where CSV rows end, in bytes that come piece by piece: a newline inside quotes ends none.
import { NEWLINE } from './bytes.ts'

const NEAR = 32

export interface RowScanner {
  /** A quote is open. */
  readonly quoted: boolean
  /** Where the next look begins. */
  readonly at: number
  /**
   * The newline that ends the row which begins at `row`, or -1 while the view holds none. `before` is the byte before the view's first
   * one. With `last` nothing follows the view.
   */
  next(view: Buffer, row: number, before: number, last: boolean): number
  /** The view's first `bytes` bytes are gone. */
  shift(bytes: number): void
  /** Forgets an open quote and goes on at `at`. */
  restart(at: number): void
}

/** `quote` is a byte, `delimiters` the bytes behind which a value begins: a quote opens there alone, elsewhere it is text. */
export function rowScanner(quote: number, delimiters: ReadonlySet<number>): RowScanner {
  let at = 0
  let quoted = false
  // Looked for once a view, not once a row.
  let searched: Buffer | undefined
  let newline = -1
  let mark = -1

  return {
    get quoted() {
      return quoted
    },
    get at() {
      return at
    },
    next(view, row, before, last) {
      if (view !== searched) {
        searched = view
        newline = mark = -1
      }
      const end = view.length
      while (at < end) {
        if (quoted) {
          // JSON in a value is full of doubled quotes: walking to the next one is quicker than searching for it.
          const until = Math.min(end, at + NEAR)
          while (at < until && view[at] !== quote) at++
          if (at === until && at < end) at = orEnd(view.indexOf(quote, at), end)
          // Whether it is doubled, or closes, the byte behind it says.
          if (at === end || (at + 1 === end && !last)) break
          quoted = view[at + 1] === quote
          at += quoted ? 2 : 1
          continue
        }
        if (newline < at) newline = orEnd(view.indexOf(NEWLINE, at), end)
        if (mark < at) mark = orEnd(view.indexOf(quote, at), end)
        if (mark < newline) {
          quoted = mark === row || delimiters.has(mark > 0 ? (view[mark - 1] as number) : before)
          at = mark + 1
        } else if (newline < end) {
          at = newline + 1
          return newline
        } else at = end
      }
      return -1
    },
    shift(bytes) {
      at -= bytes
      searched = undefined
    },
    restart(from) {
      at = from
      quoted = false
      searched = undefined
    },
  }
}

function orEnd(found: number, end: number): number {
  return found < 0 ? end : found
}
