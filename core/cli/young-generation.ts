// Keeps the process small: V8 lets its young generation grow to three times 32 MB, which a pipeline gains nothing from.
import { getHeapSpaceStatistics, setFlagsFromString } from 'node:v8'
import type { Clock } from '../plugin/interfaces.ts'

/** Where it stops growing. Half of it costs CPU time; twice as much costs 15 MB and saves none (npm run bench, 100,000 records). */
const ENOUGH_BYTES = 8 * 1024 * 1024
/** The first looks follow each other closely, since a busy pipeline grows at once; a quiet one need not be asked so often. */
const FIRST_LOOK_MS = 20
const LAST_LOOK_MS = 10_000

/**
 * Stops the growth of the young generation once it is large enough. The flag for its size is read at the start of a process only, and
 * no portable way puts it into the first line of a program; the factor by which it grows is read each time it does.
 * @returns what stops looking
 */
export function holdYoungGeneration(clock: Clock): () => void {
  let cancel = () => {}
  let wait = FIRST_LOOK_MS
  const look = () => {
    const young = getHeapSpaceStatistics().find(({ space_name: name }) => name === 'new_space')
    if (!young) return
    if (young.space_size < ENOUGH_BYTES) {
      cancel = clock.after(wait, look)
      wait = Math.min(wait * 1.5, LAST_LOOK_MS)
    } else setFlagsFromString('--semi-space-growth-factor=1')
  }
  look()
  return () => cancel()
}
