// A simulated Microsoft 365 for a test, and clients of it.
import { join } from 'node:path'
import type { Test } from 'tap'
import { systemClock } from '../../core/observe/clock.ts'
import { type HttpClient, openHttp } from '../../plugins/lib/http/client.ts'
import { type CredentialOptions, credentialsOf } from '../../plugins/lib/microsoft/service/credentials.ts'
import { type Tokens, tokensOf } from '../../plugins/lib/microsoft/service/tokens.ts'
import {
  AUDIENCE,
  DEFAULTS,
  type Simulator,
  type SimulatorOptions,
  startSimulator,
} from '../../plugins/lib/microsoft/simulator/simulator.ts'

export const never = new AbortController().signal
/** A Wednesday at noon: when simulated time begins. */
export const NOON = Date.UTC(2026, 4, 6, 12)
const HOUR_MS = 3_600_000

export interface Simulated {
  readonly simulator: Simulator
  readonly http: HttpClient
  /** A file with the simulator's certificate. */
  readonly ca: string
  tokens(options?: Partial<CredentialOptions> & { readonly clientId?: string; readonly tenantId?: string }): Tokens
  /** Asks the feed of the first tenant with a good token; the status, the headers and the body, parsed where it is JSON. */
  ask(path: string, method?: 'GET' | 'POST', authorization?: string): Promise<Answer>
}
export interface Answer {
  readonly status: number
  readonly headers: Readonly<Record<string, unknown>>
  readonly text: string
  // biome-ignore lint/suspicious/noExplicitAny: whatever the service says
  readonly json: any
}

/** A small tenant whose last day can be read; `options` change that. */
export async function simulated(t: Test, options: Partial<SimulatorOptions> = {}): Promise<Simulated> {
  const simulator = await startSimulator({
    ...DEFAULTS,
    ...{ clock: systemClock, from: NOON, historyMs: 24 * HOUR_MS, users: 20 },
    ...options,
  })
  t.teardown(() => simulator.close())
  const ca = join(t.testdir({ 'ca.pem': simulator.cert }), 'ca.pem')
  const http = await openHttp({ clock: systemClock, ca })
  t.teardown(() => http.close())
  const app = simulator.apps[0]!
  const tokens: Simulated['tokens'] = (
    { clientId = app.clientId, tenantId = app.tenantId, ...credential } = { client_secret: app.secret },
  ) =>
    tokensOf({
      tenantId,
      clientId,
      authority: simulator.origin,
      audience: AUDIENCE,
      credentials: credentialsOf({ client_secret: app.secret, ...credential }),
      http,
      clock: systemClock,
    })
  const own = tokens()
  return {
    simulator,
    http,
    ca,
    tokens,
    async ask(path, method = 'GET', authorization) {
      const url = new URL(path, `${simulator.origin}/api/v1.0/${app.tenantId}/activity/feed/`)
      if (!url.searchParams.has('PublisherIdentifier')) url.searchParams.set('PublisherIdentifier', app.tenantId)
      const headers = { authorization: authorization ?? `Bearer ${await own.get(never)}` }
      const { status, headers: got, text } = await http.request(url, { method, headers, signal: never })
      const body = await text(64 * 1024 * 1024)
      let json: unknown
      try {
        json = JSON.parse(body)
      } catch {
        // Some of its errors are none.
      }
      return { status, headers: got, text: body, json }
    },
  }
}

/** A time as listings take it. */
export function timeText(ms: number): string {
  return new Date(ms).toISOString().slice(0, 19)
}
