// Where the last whole line of a file ends, after a crash or a power cut may have left half of one behind it.

import type { Layout } from '../../lib/export/layout.ts'
import type { Handle } from './disk.ts'
import { type Compression, readAt, wholeMembers } from './members.ts'
import { wholeElements, wholeRows, withoutEnds } from './structure.ts'

const LINE_END = 10
const STEP = 1024 * 1024
/** How much of a file's end may stem from a write that no power-safe sync has followed. Bytes. */
const UNSYNCED = 64 * 1024 * 1024

/**
 * Where a file's last whole record ends, in bytes; never less than `base`, which must be the end of a record or member. What the layout
 * has behind the last record does not count.
 */
export async function wholeLength(
  handle: Handle,
  base: number,
  size: number,
  compression: Compression,
  layout: Layout,
): Promise<number> {
  if (compression !== 'none') return withoutEnds(handle, base, await wholeMembers(handle, base, size, compression), layout)
  if (layout.format === 'csv') return wholeRows(handle, base, size)
  if (layout.format === 'json') return wholeElements(handle, base, size)
  const hole = await firstHole(handle, Math.max(base, size - UNSYNCED), size)
  return lastLineEnd(handle, base, hole)
}

/** Pages that never reached the disk read as zeros, which no JSON holds; what follows them was never acknowledged. */
async function firstHole(handle: Handle, from: number, size: number): Promise<number> {
  for (let at = from; at < size; at += STEP) {
    const found = (await readAt(handle, at, Math.min(STEP, size - at))).indexOf(0)
    if (found >= 0) return at + found
  }
  return size
}

async function lastLineEnd(handle: Handle, base: number, size: number): Promise<number> {
  for (let end = size; end > base; ) {
    const from = Math.max(base, end - STEP)
    const found = (await readAt(handle, from, end - from)).lastIndexOf(LINE_END)
    if (found >= 0) return from + found + 1
    end = from
  }
  return base
}

/** True when a file's last line is complete. */
export async function endsLine(handle: Handle, size: number): Promise<boolean> {
  return size === 0 || (await readAt(handle, size - 1, 1))[0] === LINE_END
}

/** True when a file begins as gzip or zstd data does: lines after it could not be read. */
export async function isPacked(handle: Handle): Promise<boolean> {
  const magic = (await readAt(handle, 0, 4)).toString('hex')
  return magic.startsWith('1f8b') || magic === '28b52ffd'
}
