// The tenants that are being read: follows the list of them, and keeps what each has on its way when its settings change.
import { isAbort } from '../../../core/plugin/errors.ts'
import type { Chunk, Context, Positions } from '../../../core/plugin/interfaces.ts'
import type { Connections } from './connections.ts'
import type { Webhook } from './subscriptions.ts'
import { TenantFeed } from './tenant-feed.ts'
import { TenantState } from './tenant-state.ts'
import type { ConfiguredTenant } from './tenants.ts'

export interface RosterOptions {
  readonly context: Context
  readonly connections: Connections
  readonly positions: Positions
  readonly webhook: Webhook | undefined
  readonly signal: AbortSignal
  push(chunk: Chunk): Promise<void>
}

interface Entry {
  readonly tenant: ConfiguredTenant
  readonly feed: TenantFeed
  readonly stop: AbortController
  readonly running: Promise<void>
}

export class Roster {
  readonly #options: RosterOptions
  /** By the tenant's id in small letters. */
  readonly #entries = new Map<string, Entry>()
  readonly #states = new Map<string, TenantState>()
  readonly #troubles = new Map<string, string>()
  #running = 0
  #settle: { resolve(): void; reject(error: unknown): void } | undefined
  /** Resolves when every tenant has come to its end; rejects when one failed for good. */
  readonly done: Promise<void>

  constructor(options: RosterOptions) {
    this.#options = options
    this.done = new Promise<void>((resolve, reject) => {
      this.#settle = { resolve, reject }
    })
    this.done.catch(() => {}) // whoever reads the input is told
  }

  /** Starts tenants that are new, ends those that are gone, and begins those anew whose settings changed. */
  async follow(tenants: readonly ConfiguredTenant[]): Promise<void> {
    const { log } = this.#options.context
    // While the list changes, none of it is the end.
    this.#running++
    try {
      const wanted = new Map(tenants.map(tenant => [keyOf(tenant), tenant]))
      for (const [key, entry] of this.#entries) {
        const next = wanted.get(key)
        if (next && JSON.stringify(next) === JSON.stringify(entry.tenant)) continue
        this.#entries.delete(key)
        entry.stop.abort()
        await entry.running
        this.#trouble(entry.tenant, undefined)
        if (!next) log.info({ tenant: entry.tenant.settings.label }, 'the tenant is read no more: it is not listed any longer')
      }
      for (const [key, tenant] of wanted) if (!this.#entries.has(key)) this.#entries.set(key, await this.#start(tenant))
    } finally {
      this.#ended()
    }
  }

  settled(partition: string, last: boolean): void {
    this.#states.get(partition.slice(0, partition.indexOf('/')).toLowerCase())?.settled(partition, last)
  }

  /** The service says that these tenants have new content. Gives how many of them are read here. */
  hint(tenantIds: Iterable<string>): number {
    let known = 0
    for (const id of new Set(tenantIds)) {
      const entry = this.#entries.get(id.toLowerCase())
      entry?.feed.hint()
      if (entry) known++
    }
    return known
  }

  gauge(): void {
    for (const { feed } of this.#entries.values()) feed.gauge()
  }

  async show(): Promise<void> {
    await Promise.all([...this.#entries.values()].map(({ feed }) => feed.show()))
  }

  /** Everybody has stopped when it resolves. */
  async stop(): Promise<void> {
    const entries = [...this.#entries.values()]
    for (const { stop } of entries) stop.abort()
    await Promise.all(entries.map(({ running }) => running))
  }

  async #start(tenant: ConfiguredTenant): Promise<Entry> {
    const { context, connections, positions, webhook, push, signal } = this.#options
    const { clock, rows, log, metrics, codec, maxEventBytes } = context
    const { settings } = tenant
    const { label } = settings
    const key = keyOf(tenant)
    const state = this.#states.get(key) ?? new TenantState(rows, settings.tenantId)
    this.#states.set(key, state)
    const { client, tokens } = await connections.open(tenant, {
      foreign: error => {
        metrics.count('o365_links_refused', 'Links in answers that lead elsewhere', 1, { tenant: label })
        log.warn({ tenant: label, error: error.message }, 'an answer leads elsewhere; no token goes there')
      },
      throttled: (ms, error) => {
        metrics.count('throttled', 'Requests that the service refused as too many', 1, { tenant: label })
        log.warn({ tenant: label, wait_ms: Math.round(ms), code: error.service }, 'throttled by the service, waiting')
      },
    })
    const feed = new TenantFeed({
      ...{ settings, state, client, tokens, positions, rows, clock, log, metrics, codec, maxEventBytes, webhook, push },
      trouble: why => this.#trouble(tenant, why),
    })
    const stop = new AbortController()
    this.#running++
    const running = feed.run(AbortSignal.any([signal, stop.signal])).then(
      () => this.#ended(),
      error => {
        if (isAbort(error) && (stop.signal.aborted || signal.aborted)) this.#ended()
        else this.#settle?.reject(error)
      },
    )
    return { tenant, feed, stop, running }
  }

  #ended(): void {
    if (--this.#running === 0) this.#settle?.resolve()
  }

  #trouble({ settings }: ConfiguredTenant, why: string | undefined): void {
    const { context } = this.#options
    if (why === undefined) this.#troubles.delete(settings.label)
    else this.#troubles.set(settings.label, why)
    const [first] = this.#troubles.values()
    const others = this.#troubles.size > 1 ? ` (and ${this.#troubles.size - 1} more tenants)` : ''
    context.health(first === undefined ? 'ok' : 'degraded', first === undefined ? undefined : `${first}${others}`)
  }
}

function keyOf({ settings }: ConfiguredTenant): string {
  return settings.tenantId.toLowerCase()
}
