// Cuts a byte stream at its newlines.
import type { Framer, FramerStart } from '../../../core/plugin/interfaces.ts'
import type { JsonObject } from '../../../core/plugin/json.ts'
import { hasBom, isBlank, NEWLINE, RETURN } from './bytes.ts'
import { Carry } from './carry.ts'
import { Cuts } from './cuts.ts'
import { FaultPiece, MAX_EVENT_BYTES, tooLong } from './fault.ts'

/**
 * A framer whose records are lines: `\n` or `\r\n` ends one (nothing else does, U+2028 neither), a byte order mark at the
 * beginning is left out, and what follows the last newline is a record too. With `blank: 'skip'` lines of blanks alone are none.
 */
export function newlineFramer(meta: Readonly<JsonObject>, start: FramerStart | undefined, blank: 'skip' | 'keep'): Framer {
  const max = start?.maxEventBytes ?? MAX_EVENT_BYTES
  const carry = new Carry()
  const cuts = new Cuts()
  /** The line under way, once it is too long. */
  let long: FaultPiece | undefined
  let first = true
  let consumed = 0

  const line = (view: Buffer, from: number, to: number): void => {
    if (to - from > max) {
      const piece = new FaultPiece(carry.offset + from, max)
      piece.add(view.subarray(from, to))
      cuts.faults.push(tooLong(piece, max))
      first = false
      return
    }
    if (first) {
      first = false
      if (hasBom(view, from, to)) from += 3
    }
    if (to > from && view[to - 1] === RETURN) to--
    if (blank === 'skip' && isBlank(view, from, to)) return
    cuts.add(from, to)
  }

  const endLong = (): void => {
    if (!long) return
    cuts.faults.push(tooLong(long, max))
    long = undefined
    first = false
  }

  return {
    get consumed() {
      return consumed
    },
    push(bytes) {
      let fresh = bytes
      if (long) {
        const at = bytes.indexOf(NEWLINE)
        long.add(at < 0 ? bytes : bytes.subarray(0, at))
        const skipped = at < 0 ? bytes.length : at + 1
        carry.offset += skipped
        if (at < 0) return []
        endLong()
        fresh = bytes.subarray(skipped)
      }
      const scanned = carry.length
      const view = carry.push(fresh)
      let from = 0
      for (let end = view.indexOf(NEWLINE, scanned); end >= 0; end = view.indexOf(NEWLINE, from)) {
        line(view, from, end)
        from = end + 1
      }
      consumed = carry.offset + from
      if (view.length - from > max) {
        long = new FaultPiece(consumed, max)
        long.add(view.subarray(from))
        from = view.length
      }
      return cuts.chunks(carry, from, meta)
    },
    end() {
      endLong()
      const view = carry.view()
      if (view.length > 0) line(view, 0, view.length)
      consumed = carry.offset + view.length
      return cuts.chunks(carry, view.length, meta)
    },
  }
}
