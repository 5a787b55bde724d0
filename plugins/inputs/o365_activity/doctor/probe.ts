// An HTTP client that the doctor lends to others: bounded in time, and it remembers what each host answered, or why it did not.
import { asError } from '../../../../core/plugin/errors.ts'
import type { Clock } from '../../../../core/plugin/interfaces.ts'
import type { HttpClient } from '../../../lib/http/client.ts'

/** The last exchange with a host. */
export interface Exchange {
  readonly status?: number
  /** No answer came. */
  readonly failure?: Error
}

export interface Probe extends HttpClient {
  /** Undefined before the first exchange; `host` with its port, as URLs have it. */
  last(host: string): Exchange | undefined
  /** How far a host's clock is ahead of ours, milliseconds; undefined before the first answer that tells. */
  ahead(host: string): number | undefined
}

/** A `Date` has whole seconds: on average half a one is missing. */
const ROUNDED_MS = 500

/** @param timeoutMs What one exchange may take, milliseconds. */
export function probeOf(http: HttpClient, timeoutMs: number, clock: Clock): Probe {
  const exchanges = new Map<string, Exchange>()
  const clocks = new Map<string, number>()
  return {
    last: host => exchanges.get(host),
    ahead: host => clocks.get(host),
    async request(url, request) {
      const begun = clock.now()
      try {
        const answer = await http.request(url, { ...request, totalMs: Math.min(timeoutMs, request.totalMs ?? timeoutMs) })
        const date = Date.parse(String(answer.headers.date))
        // The answer was dated somewhere between its request and its arrival.
        if (!Number.isNaN(date)) clocks.set(url.host, date + ROUNDED_MS - (begun + clock.now()) / 2)
        exchanges.set(url.host, { status: answer.status })
        return answer
      } catch (thrown) {
        exchanges.set(url.host, { failure: asError(thrown) })
        throw thrown
      }
    },
    close: () => http.close(),
  }
}
