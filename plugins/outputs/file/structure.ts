// Where the last whole record of a CSV file or a JSON array ends: read from a place that is known to lie between two records.

import type { Layout } from '../../lib/export/layout.ts'
import type { Handle } from './disk.ts'
import { readAt } from './members.ts'

const STEP = 1024 * 1024
const [LINE_END, QUOTE, COMMA, OPEN, CLOSE, BEGIN] = [0x0a, 0x22, 0x2c, 0x7b, 0x7d, 0x5b]

/** Reads a file piece by piece until `take`, which is told where a piece lies, gives false. */
async function eachPiece(
  handle: Handle,
  from: number,
  size: number,
  take: (piece: Buffer, at: number) => boolean,
): Promise<void> {
  for (let at = from; at < size; at += STEP) if (!take(await readAt(handle, at, Math.min(STEP, size - at)), at)) return
}

/** Pages that never reached the disk read as zeros, which neither JSON nor these cells hold; nothing behind them was acknowledged. */
function beforeHole(piece: Buffer): Buffer {
  const hole = piece.indexOf(0)
  return hole < 0 ? piece : piece.subarray(0, hole)
}

/** Where the last whole row ends, from `base` (the beginning of one) on. A line end between quotes is part of a cell. */
export async function wholeRows(handle: Handle, base: number, size: number): Promise<number> {
  let whole = base
  let inQuotes = false
  await eachPiece(handle, base, size, (piece, at) => {
    const bytes = beforeHole(piece)
    for (let i = 0; i < bytes.length; i++) {
      const byte = bytes[i]
      // A quote within a cell stands twice, and is passed in two steps.
      if (byte === QUOTE) inQuotes = !inQuotes
      else if (byte === LINE_END && !inQuotes) whole = at + i + 1
    }
    return bytes.length === piece.length
  })
  return whole
}

/**
 * Where the last whole element of an array ends, from `base` (behind a whole one, or 0) on. What is no element ends it: the closing
 * bracket, and what a write that was cut off left behind it.
 */
export async function wholeElements(handle: Handle, base: number, size: number): Promise<number> {
  let whole = base
  /** Of the line so far. */
  let first = 0
  let last = 0
  await eachPiece(handle, base, size, (piece, at) => {
    const bytes = beforeHole(piece)
    for (let from = 0; from < bytes.length; ) {
      const end = bytes.indexOf(LINE_END, from)
      const to = end < 0 ? bytes.length : end
      if (to > from) {
        if (at + from === whole) first = bytes[from] as number
        last = bytes[to - 1] as number
      } else if (at + from === whole) first = last = LINE_END
      if (end < 0) break
      const element = (first === OPEN || first === COMMA) && last === CLOSE
      const head = whole === 0 && first === BEGIN && last === BEGIN
      if (!element && !head) return false
      from = end + 1
      whole = at + from
    }
    return bytes.length === piece.length
  })
  return whole
}

/** Where the records end in front of what else stands at the end of whole members: the closing bracket, or a comma before nothing. */
export async function withoutEnds(handle: Handle, base: number, end: number, { next, close }: Layout): Promise<number> {
  for (const member of [close, next]) {
    const at = end - member.length
    if (member.length > 0 && at >= base && (await holds(handle, at, member))) return at
  }
  return end
}

/** True when exactly these bytes lie at this place of a file. */
export async function holds(handle: Handle, at: number, bytes: Uint8Array): Promise<boolean> {
  return at >= 0 && (await readAt(handle, at, bytes.length)).equals(bytes)
}

/** Writes the end of a file behind its last record, where it is not there; true when it was not. */
export async function closeAt(handle: Handle, at: number, close: Uint8Array): Promise<boolean> {
  if (close.length === 0 || (await holds(handle, at, close))) return false
  const { bytesWritten } = await handle.writev([close], at)
  if (bytesWritten < close.length) throw Object.assign(new Error('the system took none of the bytes'), { code: 'EIO' })
  return true
}
