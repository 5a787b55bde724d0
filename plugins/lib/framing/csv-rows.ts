// Finds where CSV rows end, in bytes that come piece by piece: a newline inside quotes ends none.
import { NEWLINE } from './bytes.ts'

const NEAR = 32

export interface RowScanner {
  /** A quote is open. */
  readonly quoted: boolean
  /** Where the next look begins. */
  readonly at: number
  /**
   * The newline that ends the row which begins at `row`, or -1 while the view holds none. `before` is the byte before the view's
   * first one. With `last` nothing follows the view.
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
      // Variables of its own: the loops are twice as quick on them as on those outside.
      let i = at
      let inside = quoted
      let found = -1
      while (i < end) {
        if (inside) {
          // JSON in a value is full of doubled quotes: walking to the next one is quicker than searching for it.
          const until = Math.min(end, i + NEAR)
          while (i < until && view[i] !== quote) i++
          if (i === until && i < end) i = orEnd(view.indexOf(quote, i), end)
          // Whether it is doubled, or closes, the byte behind it says.
          if (i === end || (i + 1 === end && !last)) break
          inside = view[i + 1] === quote
          i += inside ? 2 : 1
          continue
        }
        if (newline < i) newline = orEnd(view.indexOf(NEWLINE, i), end)
        if (mark < i) mark = orEnd(view.indexOf(quote, i), end)
        if (mark < newline) {
          inside = mark === row || delimiters.has(mark > 0 ? (view[mark - 1] as number) : before)
          i = mark + 1
        } else if (newline < end) {
          found = newline
          i = newline + 1
          break
        } else i = end
      }
      at = i
      quoted = inside
      return found
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
