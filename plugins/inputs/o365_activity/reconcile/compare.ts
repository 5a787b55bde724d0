// Compares what the service lists of a tenant with its ledger.
import { asError } from '../../../../core/plugin/errors.ts'
import type { Clock, Codec, Rows } from '../../../../core/plugin/interfaces.ts'
import { type FailureKind, ServiceError } from '../../../lib/microsoft/service/failure.ts'
import { TokenError } from '../../../lib/microsoft/service/tokens.ts'
import type { Connections } from '../connections.ts'
import type { FeedClient, Listed, Page } from '../feed-client.ts'
import { Ledger } from '../ledger.ts'
import type { Blob, Known, Progress } from '../ledger-rows.ts'
import { LISTED_MS, WINDOW_MS } from '../listing.ts'
import type { ConfiguredTenant } from '../tenants.ts'
import { readAgain } from './read-again.ts'

export type State = Known['state'] | 'grown' | 'changed'

/** Content with something to say of it. */
export interface Finding {
  readonly tenant: ConfiguredTenant
  readonly blob: Blob
  readonly state: State
  /** What is wrong, as a sentence without its full stop. */
  readonly why?: string
  /** Where a refill goes on from; undefined: at its begin. */
  readonly progress?: Progress
}

export interface TypeResult {
  readonly contentType: string
  /** What was compared; milliseconds since 1970. Undefined: the engine has not listed it yet. */
  readonly compared: { readonly from: number; readonly to: number } | undefined
  readonly counts: Readonly<Record<State, number>>
}

export interface TenantResult {
  readonly tenant: ConfiguredTenant
  readonly types: readonly TypeResult[]
  readonly findings: readonly Finding[]
  /** Why it could not be compared. */
  readonly failed?: string
}

export interface CompareOptions {
  readonly tenant: ConfiguredTenant
  readonly rows: Rows
  readonly connections: Connections
  readonly clock: Clock
  readonly codec: Codec
  readonly maxEventBytes: number
  readonly deep: boolean
  readonly signal: AbortSignal
  /** So much more was looked at. */
  progress(blobs: number): void
}

const PASSING: readonly FailureKind[] = ['passing', 'page', 'throttled']
/** What passes is tried so often, with doubled waits; then the tenant counts as failed. */
const MOST_TRIES = 7
const FIRST_WAIT_MS = 500

export async function compareTenant(options: CompareOptions): Promise<TenantResult> {
  const { tenant, rows, connections, signal } = options
  const findings: Finding[] = []
  const types: TypeResult[] = []
  try {
    const ledger = new Ledger(rows, tenant.settings.tenantId)
    await ledger.load()
    const { client } = await connections.open(tenant, { foreign() {}, throttled() {} })
    const comparison = new Comparison(options, client, ledger, findings)
    // The first answer tells the service's time.
    await comparison.tried(() => client.subscriptions(signal))
    for (const contentType of tenant.settings.contentTypes) types.push(await comparison.compare(contentType))
    return { tenant, types, findings }
  } catch (error) {
    signal.throwIfAborted()
    return { tenant, types, findings, failed: asError(error).message }
  }
}

class Comparison {
  readonly #options: CompareOptions
  readonly #client: FeedClient
  readonly #ledger: Ledger
  readonly #findings: Finding[]

  constructor(options: CompareOptions, client: FeedClient, ledger: Ledger, findings: Finding[]) {
    this.#options = options
    this.#client = client
    this.#ledger = ledger
    this.#findings = findings
  }

  /** Compares what the ledger should know: up to where the engine has listed. */
  async compare(contentType: string): Promise<TypeResult> {
    const { tenant, progress } = this.#options
    const { parallel } = tenant.settings
    const counts: Record<State, number> = { acknowledged: 0, waiting: 0, missing: 0, lost: 0, grown: 0, changed: 0 }
    const to = this.#ledger.cursor(contentType)
    if (to === undefined) return { contentType, compared: undefined, counts }
    const from = Math.ceil(Math.max(this.#ledger.begin(contentType) ?? 0, this.#client.now() - LISTED_MS) / 1000) * 1000
    const seen = new Set<string>()
    for (let at = from; at < to; at += WINDOW_MS) {
      const end = Math.min(to, at + WINDOW_MS)
      const items = (await this.tried(() => this.#window(contentType, at, end))).filter(({ id }) => !seen.has(id))
      for (const { id } of items) seen.add(id)
      for (let next = 0; next < items.length; next += parallel) {
        const some = items.slice(next, next + parallel)
        const found = await Promise.all(some.map(item => this.#look(contentType, item)))
        for (const finding of found) {
          counts[finding?.state ?? 'acknowledged']++
          if (finding) this.#findings.push(finding)
        }
        progress(some.length)
      }
    }
    return { contentType, compared: { from, to }, counts }
  }

  /** Does what may pass some times. */
  async tried<T>(action: () => Promise<T>): Promise<T> {
    const { clock, signal } = this.#options
    for (let tries = 1; ; tries++) {
      try {
        return await action()
      } catch (error) {
        signal.throwIfAborted()
        const passes = error instanceof TokenError ? error.passing : error instanceof ServiceError && PASSING.includes(error.kind)
        if (!passes || tries >= MOST_TRIES) throw error
        await clock.sleep(FIRST_WAIT_MS * 2 ** tries, signal)
      }
    }
  }

  /** Everything that the service lists of a window, page by page. */
  async #window(contentType: string, from: number, to: number): Promise<Listed[]> {
    const items: Listed[] = []
    const pages = new Set<string>()
    for (let url: URL | undefined = this.#client.listing(contentType, from, to); url; ) {
      if (pages.has(url.href)) throw new ServiceError('page', 'page loop', 'the pages of a listing lead in a circle')
      pages.add(url.href)
      const page: Page = await this.#client.page(url, this.#options.signal)
      items.push(...page.items)
      url = page.next
    }
    return items
  }

  async #look(contentType: string, item: Listed): Promise<Finding | undefined> {
    const { tenant, deep } = this.#options
    const known = await this.#ledger.known(contentType, item)
    const { blob } = known
    if (known.state === 'lost') return { tenant, blob, state: 'lost', why: known.why }
    if (known.state !== 'acknowledged') return { tenant, blob, state: known.state }
    return deep ? this.#lookInto(blob, known.progress) : undefined
  }

  async #lookInto(blob: Blob, progress: Progress): Promise<Finding | undefined> {
    const { tenant, codec, maxEventBytes, clock, signal } = this.#options
    const again = await this.tried(() =>
      readAgain({
        ...{ blob, progress, codec, maxEventBytes, clock, signal },
        now: () => this.#client.now(),
        get: () => this.#client.content(blob, signal, tenant.settings.maxBlobBytes),
      }),
    )
    if (again.kind === 'grown') {
      const why = `it has ${again.records} records, and had ${progress.records} when it was read`
      return { tenant, blob, state: 'grown', why, progress }
    }
    if (again.kind === 'changed') return { tenant, blob, state: 'changed', why: 'its records are not those that were read' }
    // What was acknowledged is there, whatever the service says of it now.
    return undefined
  }
}
