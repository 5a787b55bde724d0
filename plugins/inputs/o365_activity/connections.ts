// How tenants are reached: HTTP clients that those with the same way share, and for each tenant its tokens and its feed.
import type { Clock } from '../../../core/plugin/interfaces.ts'
import { type HttpClient, openHttp } from '../../lib/http/client.ts'
import { Budget } from '../../lib/microsoft/service/budget.ts'
import { credentialsOf } from '../../lib/microsoft/service/credentials.ts'
import { type Tokens, tokensOf } from '../../lib/microsoft/service/tokens.ts'
import { FeedClient, type FeedClientOptions } from './feed-client.ts'
import type { ConfiguredTenant } from './tenants.ts'

export interface Connected {
  readonly tokens: Tokens
  readonly client: FeedClient
}

export class Connections {
  readonly #clock: Clock
  /** By the way in which they reach their hosts. */
  readonly #clients = new Map<string, Promise<HttpClient>>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Rejects with a sentence when the CA file or the proxy cannot be used. */
  async open(tenant: ConfiguredTenant, told: Pick<FeedClientOptions, 'foreign' | 'throttled'>): Promise<Connected> {
    const { settings, clientId, credentials, authority, audience } = tenant
    const clock = this.#clock
    const http = await this.http(tenant)
    const { tenantId } = settings
    const tokens = tokensOf({
      ...{ tenantId, clientId, authority, audience, http, clock },
      credentials: credentialsOf(credentials),
    })
    const budget = new Budget(settings.requestsPerMinute, clock)
    const client = new FeedClient({
      ...{ tenantId, publisher: settings.publisher, api: settings.api, http, tokens, budget, clock },
      ...told,
    })
    return { tokens, client }
  }

  /** The client of a tenant's way, shared. */
  http({ ca, proxy }: Pick<ConfiguredTenant, 'ca' | 'proxy'>): Promise<HttpClient> {
    const way = JSON.stringify([ca, proxy])
    let client = this.#clients.get(way)
    if (!client) {
      client = openHttp({ clock: this.#clock, ca, proxy })
      this.#clients.set(way, client)
      // A file that is mended may be read at the next try.
      client.catch(() => this.#clients.delete(way))
    }
    return client
  }

  async close(): Promise<void> {
    const clients = [...this.#clients.values()]
    this.#clients.clear()
    for (const client of clients)
      await client.then(
        open => open.close(),
        () => {}, // it was never open
      )
  }
}
