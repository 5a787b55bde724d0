// One tenant from its subscriptions to the last acknowledged record: lists, fetches, waits when it must, and disturbs no other tenant.
import type { Chunk, Clock, Codec, Log, Metrics, Positions, Rows } from '../../../core/plugin/interfaces.ts'
import { Bell } from '../../lib/bell.ts'
import type { Tokens } from '../../lib/microsoft/service/tokens.ts'
import { Completeness } from './completeness.ts'
import type { FeedClient } from './feed-client.ts'
import { Fetching } from './fetching.ts'
import { Listing, wholeSeconds } from './listing.ts'
import { Patience } from './patience.ts'
import { Subscriptions, type Webhook } from './subscriptions.ts'
import type { TenantSettings } from './tenant-settings.ts'
import type { TenantState } from './tenant-state.ts'

export interface TenantParts {
  readonly settings: TenantSettings
  readonly state: TenantState
  readonly client: FeedClient
  readonly tokens: Tokens
  readonly positions: Positions
  readonly rows: Rows
  readonly clock: Clock
  readonly log: Log
  readonly metrics: Metrics
  readonly codec: Codec
  readonly maxEventBytes: number
  readonly webhook: Webhook | undefined
  push(chunk: Chunk): Promise<void>
  /** Undefined: all is well. */
  trouble(why: string | undefined): void
}

const DAY_MS = 86_400_000
const FOLD_EVERY_MS = 6 * 3_600_000
/** Between two rounds that hints ask for. Milliseconds. */
const HINT_MS = 5_000

export class TenantFeed {
  readonly #parts: TenantParts
  readonly #patience: Patience
  readonly #listing: Listing
  readonly #fetching: Fetching
  readonly #completeness: Completeness
  readonly #hints = new Bell()
  /** There was a hint since the last round began: that one may have listed before it. */
  #isHinted = false
  /** Everything up to `until` is listed. */
  #ended = false
  /** Milliseconds since 1970. */
  #until: number | undefined
  #folded = Number.NEGATIVE_INFINITY

  constructor(parts: TenantParts) {
    this.#parts = parts
    const { settings, state, client, tokens, clock, log, webhook } = parts
    const { label, contentTypes } = settings
    this.#patience = new Patience({ ...parts, label, renewed: () => tokens.renewed() })
    const subscriptions = new Subscriptions({
      ...{ label, contentTypes, client, clock, log, webhook },
      restarted: type => this.#listing.restarted(type),
    })
    this.#listing = new Listing({
      ...parts,
      ...{ ledger: state.ledger, subscriptions, patience: this.#patience },
      behind: () => {
        this.#fetching.open = false
      },
      subscribed: types => this.#fetching.subscribed(types),
      until: () => this.#untilTime(),
    })
    this.#fetching = new Fetching({
      ...parts,
      patience: this.#patience,
      isOver: () => this.#ended,
      lapsed: (type, error) => this.#listing.lapsed(type, error),
    })
    this.#completeness = new Completeness(parts)
  }

  /** Runs until `signal` aborts, or until everything before `until` is acknowledged. */
  async run(signal: AbortSignal): Promise<void> {
    const { state, settings, push } = this.#parts
    await state.load()
    state.requeue()
    await this.#listing.tellGaps()
    const over = new AbortController()
    const both = AbortSignal.any([signal, over.signal])
    const running = [this.#listAll(both), this.#fetching.run(both)]
    const telling = this.#tellAll(both)
    try {
      await Promise.race([Promise.all(running), telling.then(() => new Promise(() => {}))])
    } finally {
      over.abort()
      await Promise.allSettled([...running, telling])
      this.gauge()
    }
    await this.#completeness.show()
    const last = settings.tellMs === undefined ? undefined : this.#completeness.chunk()
    if (last) await push(last)
  }

  /** The service said that there is new content: that is worth a look, and nothing of it is believed. */
  hint(): void {
    this.#isHinted = true
    this.#hints.ring()
  }

  /** Writes what is known into the metrics. */
  gauge(): void {
    const { settings, metrics, tokens, clock } = this.#parts
    this.#completeness.gauge()
    const { certificateUntil } = tokens
    if (certificateUntil === undefined) return
    const days = (certificateUntil - clock.now()) / DAY_MS
    metrics.gauge('o365_certificate_days', "Days to the end of the application's certificate", Math.round(days * 100) / 100, {
      tenant: settings.label,
    })
  }

  /** Keeps what is known for `penstock state show`. */
  show(): Promise<void> {
    return this.#completeness.show()
  }

  async #listAll(signal: AbortSignal): Promise<void> {
    const { clock, settings, state, client } = this.#parts
    const { ledger, bell } = state
    while (!this.#ended) {
      this.#isHinted = false
      await this.#patience.insist(signal, () => this.#listing.round(signal))
      for (const look of await ledger.due(client.now())) {
        if (state.looks.has(look.blob.hash)) continue
        state.looks.set(look.blob.hash, look)
        ledger.again(look.blob)
      }
      this.#fetching.open = true
      const until = this.#untilTime()
      this.#ended = until !== undefined && settings.contentTypes.every(type => (ledger.cursor(type) ?? 0) >= wholeSeconds(until))
      bell.ring()
      // It goes over the whole ledger: neither listings nor blobs wait for it.
      if (clock.monotonic() - this.#folded >= FOLD_EVERY_MS) {
        await ledger.fold(client.now())
        this.#folded = clock.monotonic()
      }
      if (!this.#ended) await this.#pause(signal)
    }
  }

  #untilTime(): number | undefined {
    const { settings, client } = this.#parts
    const { until } = settings
    if (until === undefined) return undefined
    this.#until ??= 'at' in until ? until.at : client.now() - until.ago
    return this.#until
  }

  /** Until the next round: as long as is set, or less when the service hints at something new. */
  async #pause(signal: AbortSignal): Promise<void> {
    const { clock, settings, webhook } = this.#parts
    if (!webhook) return clock.sleep(settings.pollMs, signal)
    const least = Math.min(HINT_MS, settings.pollMs)
    await clock.sleep(least, signal)
    if (this.#isHinted) return
    const over = new AbortController()
    const both = AbortSignal.any([signal, over.signal])
    try {
      await Promise.race([this.#hints.heard(both), clock.sleep(settings.pollMs - least, both)])
    } finally {
      over.abort()
    }
  }

  /** Tells the outputs how complete the tenant is, where that is asked for. */
  async #tellAll(signal: AbortSignal): Promise<void> {
    const { settings, clock, push } = this.#parts
    const { tellMs } = settings
    if (tellMs === undefined) return
    for (;;) {
      await clock.sleep(tellMs, signal)
      const chunk = this.#completeness.chunk()
      if (chunk) await push(chunk)
    }
  }
}
