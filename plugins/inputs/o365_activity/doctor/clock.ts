// Does this machine's clock agree with the service's.
import { type Finding, finding, span } from './finding.ts'

const MOST_MS = 5 * 60_000
/** A `Date` of whole seconds and the way of an answer allow no finer word. */
const FINEST_MS = 2_000

/** @param ahead How far the service's clock is ahead of ours, milliseconds; undefined: it never answered. */
export function clockFinding(ahead: number | undefined): Finding {
  if (ahead === undefined) return finding('clock', 'unknown', 'no answer of the service tells the time')
  if (Math.abs(ahead) < FINEST_MS) return finding('clock', 'ok', "this machine's clock agrees with the service's")
  const difference = `this machine's clock is ${span(ahead)} ${ahead > 0 ? 'behind' : 'ahead of'} the service's`
  if (Math.abs(ahead) < MOST_MS) return finding('clock', 'ok', difference)
  return finding(
    'clock',
    'warning',
    difference,
    'Let a time service set it: listings ask for times, and tokens and certificates have an end. Penstock itself counts in the time of the service.',
  )
}
