// Asks the service what there is: windows of time, page by page, into the ledger.
import type { Chunk, Clock, Log, Metrics } from '../../../core/plugin/interfaces.ts'
import { type FailureKind, ServiceError } from '../../lib/microsoft/service/failure.ts'
import type { FeedClient } from './feed-client.ts'
import type { Ledger } from './ledger.ts'
import type { Gap } from './ledger-rows.ts'
import type { Patience } from './patience.ts'
import type { Subscriptions } from './subscriptions.ts'
import type { TenantSettings } from './tenant-settings.ts'

export interface ListingOptions {
  readonly settings: TenantSettings
  readonly client: FeedClient
  readonly ledger: Ledger
  readonly subscriptions: Subscriptions
  readonly patience: Patience
  readonly clock: Clock
  readonly log: Log
  readonly metrics: Metrics
  push(chunk: Chunk): Promise<void>
  /** Content made from this time on is left alone; milliseconds since 1970. Asked after the service's first answer. */
  until(): number | undefined
  /** A listing that is far behind goes before everything else. */
  behind(): void
  /** The subscriptions of these are on. */
  subscribed(contentTypes: readonly string[]): void
}

const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS
/** The service lists what it made within the last seven days; some minutes are left for the listing itself. */
export const LISTED_MS = 7 * DAY_MS - 10 * 60_000
/** Windows of exactly 24 hours are refused by some tenants. */
export const WINDOW_MS = 23 * HOUR_MS
const MOST_PAGES = 10_000
/** A clock that differs by more is worth a line in the log. */
const CLOCK_MS = 300_000
/** A listing that is behind by more goes before everything else. */
const BACKLOG_MS = 6 * HOUR_MS
/** What asking for the same page, or for the same window from its first page, may mend. */
const PAGE_AGAIN: readonly FailureKind[] = ['passing']
const LISTING_AGAIN: readonly FailureKind[] = ['passing', 'page']

export class Listing {
  readonly #options: ListingOptions
  #told = false
  /** Content types whose first listing was told. */
  readonly #begun = new Set<string>()

  constructor(options: ListingOptions) {
    this.#options = options
  }

  /** One round: everything that is new, of every content type whose subscription is on. Rejects with a ServiceError or a TokenError. */
  async round(signal: AbortSignal): Promise<void> {
    const { client, ledger, settings, subscriptions, behind, subscribed } = this.#options
    const types = await subscriptions.ready(signal)
    subscribed(types)
    this.#compareClocks()
    if (types.some(type => client.now() - (ledger.cursor(type) ?? 0) > BACKLOG_MS)) behind()
    const now = client.now()
    const sweep = now - (ledger.sweptAt ?? now) >= settings.sweepMs
    for (const type of types) {
      try {
        await this.#list(type, sweep, signal)
      } catch (error) {
        // Only this one is off: the others go on, and it is started again in the next round.
        if (!(error instanceof ServiceError && error.kind === 'subscription')) throw error
        this.lapsed(type, error)
      }
    }
    if (sweep || ledger.sweptAt === undefined) await ledger.swept(now)
  }

  /** A subscription is on again: what was made meanwhile may be gone. */
  async restarted(type: string): Promise<void> {
    const { ledger, client } = this.#options
    const cursor = ledger.cursor(type)
    if (cursor !== undefined) await this.#gap(type, { from: cursor, to: client.now(), code: 'PEN_SUBSCRIPTION_OFF' })
  }

  /** Tells of gaps that were found before the last stop and not told. */
  async tellGaps(): Promise<void> {
    for (const [type, gap] of await this.#options.ledger.gaps()) await this.#tell(type, gap)
  }

  /** The service says that the subscription is off. */
  lapsed(type: string, error: ServiceError): void {
    const { log, settings, subscriptions } = this.#options
    if (!subscriptions.lapsed(type)) return
    log.warn(
      { tenant: settings.label, content_type: type, error: error.message },
      'the subscription is off; it is started again, and content made meanwhile may be missing',
    )
  }

  /** Says, once, how far the service's clock is from ours. */
  #compareClocks(): void {
    const { log, settings, client } = this.#options
    const { ahead = 0 } = client
    if (this.#told || Math.abs(ahead) < CLOCK_MS) return
    this.#told = true
    const by = `${Math.round(Math.abs(ahead) / 60_000)} minutes`
    log.warn(
      { tenant: settings.label, ahead_ms: ahead },
      `the local clock differs from the service's by ${by}; the service's is used`,
    )
  }

  /** Lists a content type from where it was left (or all that there is, for a sweep) up to now. */
  async #list(type: string, sweep: boolean, signal: AbortSignal): Promise<void> {
    const { settings, log, client, ledger, patience } = this.#options
    const until = this.#options.until()
    const now = client.now()
    const earliest = now - LISTED_MS
    const cursor = ledger.cursor(type)
    const first = 'at' in settings.since ? settings.since.at : now - settings.since.ago
    let from = cursor === undefined ? first : sweep ? Math.max(first, earliest) : cursor - settings.overlapMs
    if (cursor === undefined && !this.#begun.has(type))
      log.info(
        { tenant: settings.label, content_type: type, since: new Date(Math.max(first, earliest)).toISOString() },
        'reading the feed for the first time',
      )
    this.#begun.add(type)
    if (cursor !== undefined && cursor < earliest) await this.#gap(type, { from: cursor, to: earliest, code: 'PEN_WINDOW_LOST' })
    from = wholeSeconds(Math.max(from, earliest))
    const end = wholeSeconds(until === undefined ? now : Math.min(now, until))
    const begin = from
    if (from >= end && until !== undefined && until <= now) {
      if (cursor === undefined)
        log.warn(
          { tenant: settings.label, content_type: type, until: new Date(until).toISOString() },
          'there is nothing to read: until lies before since, or before the seven days that the service lists',
        )
      await ledger.listedTo(type, end, end)
    }
    for (; from < end; from += WINDOW_MS) {
      const to = Math.min(from + WINDOW_MS, end)
      await patience.insist(signal, () => this.#window(type, from, to, signal), LISTING_AGAIN)
      await ledger.listedTo(type, begin, to)
    }
  }

  async #window(type: string, from: number, to: number, signal: AbortSignal): Promise<void> {
    const { settings, client, ledger, log, metrics, patience } = this.#options
    const seen = new Set<string>()
    let url: URL | undefined = client.listing(type, from, to)
    while (url) {
      if (seen.has(url.href) || seen.size >= MOST_PAGES) {
        log.warn(
          { tenant: settings.label, content_type: type, page: seen.size },
          'the pages of a listing lead in a circle; the window is listed again',
        )
        throw new ServiceError('page', 'page loop', `paging loop at page ${seen.size} of a listing`)
      }
      seen.add(url.href)
      const at: URL = url
      const page = await patience.insist(signal, () => client.page(at, signal), PAGE_AGAIN)
      const fresh = await ledger.listed(type, page.items)
      if (fresh > 0)
        metrics.count('o365_blobs_listed', 'Blobs that were listed for the first time', fresh, { tenant: settings.label })
      url = page.next
    }
  }

  /** Content of this time cannot be had, or not surely: that is durable before anything goes on, and becomes a dead letter. */
  async #gap(type: string, gap: Gap): Promise<void> {
    await this.#options.ledger.gap(type, gap)
    await this.#tell(type, gap)
  }

  async #tell(type: string, gap: Gap): Promise<void> {
    const { settings, ledger, log, metrics, push } = this.#options
    const interval = { content_type: type, from: new Date(gap.from).toISOString(), to: new Date(gap.to).toISOString() }
    const lost = gap.code === 'PEN_WINDOW_LOST'
    const made = `Content made from ${interval.from} to ${interval.to}`
    const reason = lost
      ? `${made} was not listed in time: the service lists seven days.`
      : `${made} may be missing: the subscription was off, and the service need not keep what was made meanwhile.`
    log.error(
      { tenant: settings.label, ...interval },
      lost
        ? 'content of this time cannot be had any more: the service lists seven days'
        : 'content of this time may be missing: the subscription was off',
    )
    metrics.count(
      lost ? 'o365_lost_seconds' : 'o365_unsubscribed_seconds',
      lost ? 'Time whose content could not be listed any more' : 'Time in which a subscription was off',
      Math.round((gap.to - gap.from) / 1000),
      { tenant: settings.label },
    )
    const bytes = Buffer.from(JSON.stringify({ tenant: settings.tenantId, ...interval }))
    const fault = { code: gap.code, reason, bytes, offset: 0, length: bytes.length }
    await push({
      ...{ bytes: new Uint8Array(0), ends: new Uint32Array(0), count: 0, faults: [fault] },
      ...{ partition: `${settings.tenantId}/${type}/gap ${gap.from}`, last: true, rows: [ledger.told(type, gap)] },
    })
  }
}

/** Listings take whole seconds. */
export function wholeSeconds(ms: number): number {
  return Math.floor(ms / 1000) * 1000
}
