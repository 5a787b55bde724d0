// What the pipeline may ask for, beside what the service grants; and what this very look has cost.
import { remedyOf } from '../../../lib/microsoft/service/remedies.ts'
import { type Finding, finding } from './finding.ts'

/** What every tenant is granted a minute; more by its seats, and about twice as much with E5. Another passage speaks of 60,000. */
const GRANTED = 2_000

export interface Asked {
  readonly requestsPerMinute: number
  /** Requests of the doctor's own that count. */
  readonly requests: number
  /** The service refused one of them because of the quota. */
  readonly throttled: boolean
}

export function quotaFindings({ requestsPerMinute, requests, throttled }: Asked): Finding[] {
  const budget = `${thousands(requestsPerMinute)} requests a minute are the budget`
  const own = `this look has used ${requests}`
  const grant = `the service grants every tenant ${thousands(GRANTED)}`
  const found = [
    requestsPerMinute <= GRANTED
      ? finding('quota', 'ok', `${budget}, and ${grant}; ${own}`)
      : finding(
          'quota',
          'warning',
          `${budget}; ${grant}, and more only by its seats and licences; ${own}`,
          `If it answers AF429, set requests_per_minute to ${GRANTED}.`,
        ),
  ]
  if (throttled) {
    const { meaning, remedy } = remedyOf('AF429') ?? { meaning: 'too many requests', remedy: 'Wait.' }
    found.push(finding('quota', 'warning', `AF429: ${meaning}`, remedy))
  }
  return found
}

function thousands(value: number): string {
  return value.toLocaleString('en-US')
}
