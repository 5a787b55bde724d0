// Items as few long slices: what lies side by side in one buffer is written at once, without copying or joining.
import type { Item } from '../../core/plugin/interfaces.ts'

/** The items' bytes in order, neighbours in the same buffer merged into one view. */
export function slicesOf(items: readonly Item[]): Uint8Array[] {
  const slices: Uint8Array[] = []
  let buffer: ArrayBufferLike | undefined
  let start = 0
  let end = 0
  for (const { bytes } of items) {
    if (bytes.buffer !== buffer || bytes.byteOffset !== end) {
      if (buffer && end > start) slices.push(new Uint8Array(buffer, start, end - start))
      buffer = bytes.buffer
      start = bytes.byteOffset
    }
    end = bytes.byteOffset + bytes.byteLength
  }
  if (buffer && end > start) slices.push(new Uint8Array(buffer, start, end - start))
  return slices
}

export function lengthOf(slices: readonly Uint8Array[]): number {
  let length = 0
  for (const slice of slices) length += slice.byteLength
  return length
}

/** What is left after the first `bytes` bytes. */
export function rest(slices: readonly Uint8Array[], bytes: number): Uint8Array[] {
  let skip = bytes
  let first = 0
  while (first < slices.length && skip >= slices[first]!.byteLength) skip -= slices[first++]!.byteLength
  const left = slices.slice(first)
  if (skip > 0 && left[0]) left[0] = left[0].subarray(skip)
  return left
}
