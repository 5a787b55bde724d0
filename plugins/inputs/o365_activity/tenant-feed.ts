// One tenant from its subscriptions to the last acknowledged record: lists, fetches, waits when it must, and disturbs no other tenant.
import { isAbort } from '../../../core/plugin/errors.ts'
import type { Chunk, Clock, Codec, Log, Metrics, Positions, Rows } from '../../../core/plugin/interfaces.ts'
import type { HttpClient } from '../../lib/http/client.ts'
import { Budget } from '../../lib/microsoft/service/budget.ts'
import { type FailureKind, ServiceError } from '../../lib/microsoft/service/failure.ts'
import { TokenError, type Tokens } from '../../lib/microsoft/service/tokens.ts'
import { FeedClient } from './feed-client.ts'
import { BlobReading } from './fetch.ts'
import { type Blob, type Fate, Ledger, type Look } from './ledger.ts'
import { redactedChunk } from './redact.ts'
import type { TenantSettings } from './tenant-settings.ts'

export interface TenantParts {
  readonly settings: TenantSettings
  readonly http: HttpClient
  readonly tokens: Tokens
  readonly rows: Rows
  readonly clock: Clock
  readonly log: Log
  readonly metrics: Metrics
  readonly codec: Codec
  readonly maxEventBytes: number
  push(chunk: Chunk): Promise<void>
  /** Undefined: all is well. */
  trouble(why: string | undefined): void
}

const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS
/** The service lists what it made within the last seven days; some minutes are left for the listing itself. */
const LISTED_MS = 7 * DAY_MS - 10 * 60_000
/** Windows of exactly 24 hours are refused by some tenants. */
const WINDOW_MS = 23 * HOUR_MS
const MOST_PAGES = 10_000
/** Waits between tries of what failed and may pass, and of what only an administrator can mend. Milliseconds. */
const FIRST_WAIT_MS = 1_000
const LONGEST_WAIT_MS = 300_000
const ASKED_MS = 300_000
/** A clock that differs by more is worth a line in the log. */
const CLOCK_MS = 300_000
/** A listing that is behind by more goes before everything else. */
const BACKLOG_MS = 6 * HOUR_MS
const FOLD_EVERY_MS = 6 * HOUR_MS

export class TenantFeed {
  readonly ledger: Ledger
  readonly client: FeedClient
  readonly #parts: TenantParts
  readonly #readings = new Map<string, BlobReading>()
  /** Partitions on their way through the pipeline, with what closes them. */
  readonly #closing = new Map<string, Blob>()
  readonly #wakes = new Set<() => void>()
  /** Readings once more that are on their way, by the hash of their blob. */
  readonly #looks = new Map<string, Look>()
  /** Everything that the service offers is listed: then what was listed may be fetched. */
  #listed = false
  /** Everything up to `until` is listed. */
  #ended = false
  #answered = 0
  #folded = Number.NEGATIVE_INFINITY
  #started = false
  #told = false

  constructor(parts: TenantParts) {
    this.#parts = parts
    const { settings, http, tokens, clock, log, rows } = parts
    this.ledger = new Ledger(rows, settings.tenantId)
    this.client = new FeedClient({
      ...{
        tenantId: settings.tenantId,
        publisher: settings.publisher,
        api: settings.api,
        http,
        tokens,
        budget: new Budget(settings.requestsPerMinute, clock),
        clock,
      },
      foreign: error => {
        this.#count('o365_links_refused', 'Links in answers that lead elsewhere')
        log.warn({ tenant: settings.label, error: error.message }, 'an answer leads elsewhere; no token goes there')
      },
      throttled: (ms, error) => {
        this.#count('throttled', 'Requests that the service refused as too many')
        log.warn({ tenant: settings.label, wait_ms: Math.round(ms), code: error.service }, 'throttled by the service, waiting')
      },
    })
  }

  /** Runs until `signal` aborts, or until everything before `until` is acknowledged. */
  async run(positions: Positions, signal: AbortSignal): Promise<void> {
    await this.ledger.load()
    const over = new AbortController()
    const both = AbortSignal.any([signal, over.signal])
    const fetchers = Array.from({ length: this.#parts.settings.parallel }, () => this.#fetchAll(positions, both))
    const listing = this.#listAll(both)
    try {
      await Promise.race([
        Promise.all([listing, ...fetchers]),
        new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason), { once: true })),
      ])
    } finally {
      over.abort()
      await Promise.allSettled([listing, ...fetchers])
    }
  }

  /** The engine has stored what it was given of a partition: of a blob, when this was the last of it. */
  settled(partition: string, last: boolean): void {
    const blob = last ? this.#closing.get(partition) : undefined
    if (!blob) return
    this.#closing.delete(partition)
    this.ledger.closed(blob)
    this.#looks.delete(blob.hash)
    this.#wake()
  }

  /** Writes what is known of completeness into the metrics. */
  gauge(): void {
    const { settings, metrics } = this.#parts
    for (const type of settings.contentTypes) {
      const mark = this.ledger.watermark(type)
      if (mark !== undefined)
        metrics.gauge(
          'o365_complete_until_seconds',
          'All content listed as made before this time is acknowledged; seconds since 1970',
          mark / 1000,
          { tenant: settings.label, content_type: type },
        )
    }
    metrics.gauge('o365_blobs_waiting', 'Blobs listed and not yet fetched, as far as memory holds them', this.ledger.waiting, {
      tenant: settings.label,
    })
  }

  async #listAll(signal: AbortSignal): Promise<void> {
    const { clock, settings } = this.#parts
    while (!this.#ended) {
      await this.#insist(signal, async () => {
        await this.#start(signal)
        this.#minds()
        // After an outage all is listed before anything is fetched: what cannot be listed any more is lost sooner than what is.
        if (settings.contentTypes.some(type => this.client.now() - (this.ledger.cursor(type) ?? 0) > BACKLOG_MS))
          this.#listed = false
        const now = this.client.now()
        const sweep = now - (this.ledger.sweptAt ?? now) >= settings.sweepMs
        for (const type of settings.contentTypes) await this.#list(type, sweep, signal)
        if (sweep || this.ledger.sweptAt === undefined) await this.ledger.swept(now)
      })
      for (const look of await this.ledger.due(this.client.now())) {
        if (this.#looks.has(look.blob.hash)) continue
        this.#looks.set(look.blob.hash, look)
        this.ledger.again(look.blob)
      }
      this.#listed = true
      this.#ended =
        settings.until !== undefined &&
        settings.contentTypes.every(type => (this.ledger.cursor(type) ?? 0) >= (settings.until as number))
      this.gauge()
      this.#wake()
      // It goes over the whole ledger: neither listings nor blobs wait for it.
      if (clock.monotonic() - this.#folded >= FOLD_EVERY_MS) {
        await this.ledger.fold(this.client.now())
        this.#folded = clock.monotonic()
      }
      if (!this.#ended) await clock.sleep(settings.pollMs, signal)
    }
    while (!this.ledger.settled || this.#closing.size > 0) {
      await this.ledger.refill()
      await clock.sleep(settings.pollMs, signal)
    }
    this.#wake()
  }

  /** Starts subscriptions that are not enabled; once, and again when the service says that there is none. */
  async #start(signal: AbortSignal): Promise<void> {
    if (this.#started) return
    const { settings, log } = this.#parts
    const enabled = new Set(
      (await this.client.subscriptions(signal)).filter(({ enabled }) => enabled).map(({ contentType }) => contentType),
    )
    for (const type of settings.contentTypes) {
      if (enabled.has(type)) continue
      await this.client.start(type, undefined, signal)
      log.info(
        { tenant: settings.label, content_type: type },
        'subscription started; its first content may take up to twelve hours',
      )
    }
    this.#started = true
  }

  /** Says, once, how far the service's clock is from ours. */
  #minds(): void {
    const { log, settings } = this.#parts
    const { ahead = 0 } = this.client
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
    const { settings, log } = this.#parts
    const now = this.client.now()
    const earliest = now - LISTED_MS
    const cursor = this.ledger.cursor(type)
    const first = 'at' in settings.since ? settings.since.at : now - settings.since.ago
    let from = cursor === undefined ? first : sweep ? Math.max(first, earliest) : cursor - settings.overlapMs
    if (cursor === undefined)
      log.info(
        { tenant: settings.label, content_type: type, since: new Date(Math.max(first, earliest)).toISOString() },
        'reading the feed for the first time',
      )
    if (cursor !== undefined && cursor < earliest) await this.#lost(type, cursor, earliest)
    from = floor(Math.max(from, earliest))
    const end = floor(settings.until === undefined ? now : Math.min(now, settings.until))
    for (; from < end; from += WINDOW_MS) {
      const to = Math.min(from + WINDOW_MS, end)
      await this.#insist(signal, () => this.#window(type, from, to, signal), LISTING_AGAIN)
      await this.ledger.listedTo(type, to)
    }
  }

  async #window(type: string, from: number, to: number, signal: AbortSignal): Promise<void> {
    const { settings, log } = this.#parts
    const seen = new Set<string>()
    let url: URL | undefined = this.client.listing(type, from, to)
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
      const page = await this.#insist(signal, () => this.client.page(at, signal), PAGE_AGAIN)
      this.#answered++
      const fresh = await this.ledger.listed(type, page.items)
      if (fresh > 0) this.#count('o365_blobs_listed', 'Blobs that were listed for the first time', fresh)
      url = page.next
    }
  }

  /** Content of this time cannot be listed any more. */
  async #lost(type: string, from: number, to: number): Promise<void> {
    const { settings, log, push } = this.#parts
    const interval = { content_type: type, from: new Date(from).toISOString(), to: new Date(to).toISOString() }
    log.error(
      { tenant: settings.label, ...interval },
      'content of this time cannot be had any more: the service lists seven days',
    )
    this.#count('o365_lost_seconds', 'Time whose content could not be listed any more', Math.round((to - from) / 1000))
    const bytes = Buffer.from(JSON.stringify({ tenant: settings.tenantId, ...interval }))
    const reason = `Content made from ${interval.from} to ${interval.to} was not listed in time: the service lists seven days.`
    const fault = { code: 'PEN_WINDOW_LOST', reason, bytes, offset: 0, length: bytes.length }
    const partition = `${settings.tenantId}/${type}/lost`
    await push({ bytes: new Uint8Array(0), ends: new Uint32Array(0), count: 0, partition, faults: [fault], last: true })
  }

  async #fetchAll(positions: Positions, signal: AbortSignal): Promise<void> {
    for (;;) {
      signal.throwIfAborted()
      if (this.#listed && this.ledger.waiting === 0) await this.ledger.refill()
      const blob = this.#listed ? this.ledger.take() : undefined
      if (!blob) {
        if (this.#ended && this.ledger.settled && this.#closing.size === 0) return
        await this.#woken(signal)
        continue
      }
      await this.#insist(signal, () => this.#fetch(blob, this.#looks.get(blob.hash), positions, signal))
    }
  }

  async #fetch(blob: Blob, look: Look | undefined, positions: Positions, signal: AbortSignal): Promise<void> {
    const { settings, codec, maxEventBytes, clock, push } = this.#parts
    const partition = `${settings.tenantId}/${blob.contentType}/${blob.id}`
    let answered = -1
    const reading =
      this.#readings.get(blob.hash) ??
      new BlobReading({
        ...{ blob, codec, maxEventBytes, clock, signal },
        now: () => this.client.now(),
        meta: {
          tenant: settings.tenantId,
          ...(settings.name !== undefined && { tenant_name: settings.name }),
          content_type: blob.contentType,
          content_id: blob.id,
        },
        resume: look ? look.progress : positions.get(partition),
        again: look !== undefined,
        get: async () => {
          const answer = await this.client.content(blob, signal, settings.maxBlobBytes)
          this.#answered++
          return answer
        },
        push: async chunk => {
          if (chunk.last) this.#closing.set(partition, blob)
          await push({ ...(settings.keepMatchedValues ? chunk : redactedChunk(chunk)), partition })
        },
        isAlive: () => {
          const alive = this.#answered > answered
          answered = this.#answered
          return alive
        },
        close: fate => this.#close(blob, look, fate),
        restarted: records =>
          this.#count('o365_records_repeated', 'Records read again, because a blob began otherwise than before', records),
      })
    this.#readings.set(blob.hash, reading)
    await reading.run()
    this.#readings.delete(blob.hash)
  }

  #close(blob: Blob, look: Look | undefined, fate: Fate): Chunk['rows'] {
    const { settings, log } = this.#parts
    if (look) {
      const more = 'lost' in fate ? 0 : fate.records - Number((look.progress as { records?: number }).records ?? 0)
      if (more > 0) this.#count('o365_records_grown', 'Records that blobs had more when they were read once more', more)
      return this.ledger.closing(blob, fate, { look: look.key })
    }
    if ('lost' in fate) {
      this.#count('o365_blobs_lost', 'Blobs, or rests of blobs, that could not be read')
      log.error(
        { tenant: settings.label, content_type: blob.contentType, content_id: blob.id, reason: fate.lost },
        'content could not be read; its name lies in the dead letters',
      )
    } else this.#count('o365_blobs_read', 'Blobs that were read to their end')
    const due = blob.created + settings.lookAgainMs
    return this.ledger.closing(blob, fate, { due: settings.lookAgainMs > 0 && due > this.client.now() ? due : undefined })
  }

  /** Does something until it succeeds: waits as long as what went wrong calls for, and says so. `kinds`: others are thrown on. */
  async #insist<T>(signal: AbortSignal, action: () => Promise<T>, kinds?: readonly FailureKind[]): Promise<T> {
    const { clock, settings, trouble, log } = this.#parts
    for (let failures = 0; ; failures++) {
      try {
        const result = await action()
        if (failures > 0) trouble(undefined)
        return result
      } catch (error) {
        signal.throwIfAborted()
        const known = error instanceof ServiceError || error instanceof TokenError
        if (isAbort(error) || !known || (kinds && !(error instanceof ServiceError && kinds.includes(error.kind)))) throw error
        const own = Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** failures) * (0.5 + Math.random() / 2)
        let wait = own
        if (error instanceof TokenError) wait = error.after ?? (error.passing ? own : ASKED_MS)
        else {
          if (error.kind === 'subscription') this.#started = false
          if (error.kind === 'permission' || error.kind === 'refused') wait = ASKED_MS
          wait = Math.max(error.after ?? 0, wait)
        }
        if (failures === 0 || wait >= ASKED_MS)
          log.warn(
            { tenant: settings.label, error: error.message, wait_ms: Math.round(wait) },
            'the feed cannot be read, trying again',
          )
        if (failures >= 3 || wait >= ASKED_MS) trouble(`tenant ${settings.label}: ${error.message}`)
        await clock.sleep(wait, signal)
      }
    }
  }

  #count(name: string, help: string, by = 1): void {
    this.#parts.metrics.count(name, help, by, { tenant: this.#parts.settings.label })
  }

  #wake(): void {
    for (const wake of [...this.#wakes]) wake()
  }

  /** Resolves when something may have changed. */
  #woken(signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const done = () => {
        this.#wakes.delete(wake)
        signal.removeEventListener('abort', stop)
      }
      const wake = () => {
        done()
        resolve()
      }
      const stop = () => {
        done()
        reject(signal.reason)
      }
      if (signal.aborted) return reject(signal.reason)
      this.#wakes.add(wake)
      signal.addEventListener('abort', stop, { once: true })
    })
  }
}

/** What asking for the same page, or for the same window from its first page, may mend. */
const PAGE_AGAIN: readonly FailureKind[] = ['passing']
const LISTING_AGAIN: readonly FailureKind[] = ['passing', 'page']

/** Listings take whole seconds. */
function floor(ms: number): number {
  return Math.floor(ms / 1000) * 1000
}
