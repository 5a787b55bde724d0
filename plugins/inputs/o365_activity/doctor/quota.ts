// What the pipeline may ask for, beside what the service grants; and what this very look has cost.
import { number } from '../../../../core/cli/for-plugins.ts'
import type { Rows } from '../../../../core/plugin/interfaces.ts'
import { isObject } from '../../../../core/plugin/json.ts'
import { remedyOf } from '../../../lib/microsoft/service/remedies.ts'
import { type Finding, finding } from './finding.ts'

/** What every tenant is granted a minute; more by its seats, and about twice as much with E5. Another passage speaks of 60,000. */
const GRANTED = 2_000

/** From this share of the budget on it is used up. */
const NEARLY = 0.9

export interface Asked {
  readonly requestsPerMinute: number
  /** Requests of the doctor's own that count. */
  readonly requests: number
  /** The service refused one of them because of the quota. */
  readonly throttled: boolean
}

export function quotaFindings({ requestsPerMinute, requests, throttled }: Asked): Finding[] {
  const budget = `${number(requestsPerMinute)} requests a minute are the budget`
  const own = `this look has used ${requests}`
  const grant = `the service grants every tenant ${number(GRANTED)}`
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

/** What the pipeline itself asked for of late, as it keeps it for `penstock state show`; nothing where it has not run for a minute. */
export async function usedFindings(rows: Rows, label: string): Promise<Finding[]> {
  const shown = await rows.get(`shown/${label}`)
  const requests = isObject(shown) ? shown['requests'] : undefined
  if (!isObject(requests)) return []
  const [used, budget] = [Number(requests['per_minute']), Number(requests['budget'])]
  const message = `the pipeline sent ${number(used)} requests in the last minute that was measured, of ${number(budget)}`
  if (used < budget * NEARLY) return [finding('quota', 'ok', message)]
  const remedy = 'It is catching up, or the tenant makes more content than its budget can fetch: ask Microsoft for a larger one.'
  return [finding('quota', 'warning', message, remedy)]
}
