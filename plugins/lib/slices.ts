// Items as few long slices: what lies side by side in one buffer is written at once, without copying or joining.
import type { Item } from '../../core/plugin/interfaces.ts'

/** The items' bytes in order, neighbours in the same memory merged into one view. */
export function slicesOf(items: readonly Item[]): Uint8Array[] {
  const slices: Uint8Array[] = []
  let memory: Uint8Array | undefined
  let start = 0
  let end = 0
  for (const item of items) {
    if (item.memory !== memory || item.start !== end) {
      if (memory && end > start) slices.push(memory.subarray(start, end))
      memory = item.memory
      start = item.start
    }
    end = item.end
  }
  if (memory && end > start) slices.push(memory.subarray(start, end))
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
