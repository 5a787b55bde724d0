// What whoever drives the simulator may ask and order below /simulator/: it listens on loopback alone, and holds nothing that is real.
//   GET  /simulator/status | tenants | ledger
//   POST /simulator/disable?tenant=ID&content_type=NAME&by=tenant|service   a subscription is switched off
//   POST /simulator/roles?tenant=ID&roles=NAME,NAME                         what the next tokens of a tenant's application hold
//   POST /simulator/revoke                                                  no token is good any more
//   POST /simulator/restart?ms=N                                            it goes away for so long
import { CONTENT_TYPES } from '../service/content-types.ts'
import type { TenantContent } from './content.ts'
import type { Entra, SimulatedApp } from './entra.ts'
import type { FaultSource } from './faults.ts'
import type { FeedApi } from './feed-api.ts'
import { jsonReply, type Reply } from './reply.ts'
import type { SimulatorServer } from './server.ts'
import type { LedgerEntry } from './simulator.ts'
import type { Webhooks } from './webhooks.ts'

export interface Controlled {
  readonly apps: readonly SimulatedApp[]
  readonly contents: readonly TenantContent[]
  readonly entra: Entra
  readonly feed: FeedApi
  readonly faults: FaultSource
  readonly webhooks: Webhooks
  /** There once it listens. */
  server(): SimulatorServer
  now(): number
  ledger(): Generator<LedgerEntry>
}

const MOST_DOWN_MS = 600_000

/** Undefined for a path that is none of these. */
export function controls(simulator: Controlled): (method: string, url: URL) => Reply | undefined {
  const { apps, contents, entra, feed, faults, webhooks, now, ledger, server } = simulator
  const done = jsonReply(200, { done: true })
  const refused = (error: string) => jsonReply(400, { error })
  const appOf = (url: URL) => apps.find(({ tenantId }) => tenantId === url.searchParams.get('tenant')?.toLowerCase())
  const noTenant = () => refused(`tenant: one of ${apps.map(({ tenantId }) => tenantId).join(', ')}`)

  const asked: Readonly<Record<string, () => Reply>> = {
    status: () =>
      jsonReply(200, {
        now: new Date(now()).toISOString(),
        ...{ requests: server().requests, throttled: feed.throttled, tokens: entra.issued },
        ...{ faults: Object.fromEntries(faults.counts), notifications: Object.fromEntries(webhooks.counts) },
      }),
    tenants: () =>
      jsonReply(200, {
        now: new Date(now()).toISOString(),
        content_types: CONTENT_TYPES,
        tenants: apps.map(({ tenantId, clientId, secret }, index) => ({
          ...{ tenant_id: tenantId, client_id: clientId, client_secret: secret, name: contents[index]?.tenant.domain },
        })),
      }),
    ledger: () => ({
      status: 200,
      headers: { 'content-type': 'application/x-ndjson' },
      body: {
        key: undefined,
        bytes: Number.POSITIVE_INFINITY,
        *pieces() {
          for (const entry of ledger()) yield Buffer.from(`${JSON.stringify(entry)}\n`)
        },
      },
    }),
  }

  const ordered: Readonly<Record<string, (url: URL) => Reply>> = {
    disable(url) {
      const app = appOf(url)
      if (!app) return noTenant()
      const type = CONTENT_TYPES.find(one => one === url.searchParams.get('content_type'))
      if (!type) return refused(`content_type: one of ${CONTENT_TYPES.join(', ')}`)
      feed.disable(app.tenantId, type, url.searchParams.get('by') === 'service' ? 'service' : 'tenant')
      return done
    },
    roles(url) {
      const app = appOf(url)
      if (!app) return noTenant()
      app.roles = (url.searchParams.get('roles') ?? '').split(',').filter(Boolean)
      return done
    },
    revoke() {
      entra.revoke()
      return done
    },
    restart(url) {
      const ms = Number(url.searchParams.get('ms') ?? 1_000)
      if (!(ms >= 0 && ms <= MOST_DOWN_MS)) return refused(`ms: milliseconds from 0 to ${MOST_DOWN_MS}`)
      // The answer goes out first.
      setImmediate(
        () =>
          void server()
            .restart(ms)
            .catch(() => {}),
      ) // somebody else has taken the port: whoever asks next will see
      return done
    },
  }

  return (method, url) => {
    const [, name] = /^\/simulator\/([a-z]+)$/.exec(url.pathname) ?? []
    if (name === undefined) return undefined
    if (method === 'GET' && Object.hasOwn(asked, name)) return asked[name]?.()
    if (method === 'POST' && Object.hasOwn(ordered, name)) return ordered[name]?.(url)
    return undefined
  }
}
