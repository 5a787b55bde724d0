// The sum of what records are known by: equal for the same ids in whatever order, and it can be gone on with.
import type { Words } from './record-key.ts'

/** The sum of no ids, as text. */
export const NO_IDS = '0.0'

/** Two sums, each modulo 2^32. */
export function idSum(records: Iterable<{ readonly words: Words }>): Words {
  let low = 0
  let high = 0
  for (const { words } of records) {
    low = (low + words[0]) >>> 0
    high = (high + words[1]) >>> 0
  }
  return [low, high]
}

/** A sum as text, with another one added. */
export function addedIds(text: string, [low, high]: Words): string {
  const [a = 0, b = 0] = text.split('.').map(part => Number.parseInt(part, 36))
  return `${((a + low) >>> 0).toString(36)}.${((b + high) >>> 0).toString(36)}`
}
