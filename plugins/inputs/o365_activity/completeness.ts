// How complete a tenant is: up to when all content listed as made is acknowledged, and how late records come.
import type { Chunk, Clock, Metrics, Rows } from '../../../core/plugin/interfaces.ts'
import type { Json, JsonObject } from '../../../core/plugin/json.ts'
import type { FeedClient } from './feed-client.ts'
import type { TenantSettings } from './tenant-settings.ts'
import type { TenantState } from './tenant-state.ts'

export interface CompletenessOptions {
  readonly settings: TenantSettings
  readonly state: TenantState
  readonly rows: Rows
  readonly metrics: Metrics
  readonly client: Pick<FeedClient, 'now' | 'requests'>
  readonly clock: Pick<Clock, 'monotonic'>
}

interface Told {
  readonly contentType: string
  /** Milliseconds since 1970. */
  readonly until: number
  /** How long after they happened half of the records, and all but one of a hundred, could be read. Milliseconds. */
  readonly p50: number | undefined
  readonly p99: number | undefined
}

/** Requests are counted over so long at least. Milliseconds. */
const MEASURED_MS = 30_000

export class Completeness {
  readonly #options: CompletenessOptions
  #shown = ''
  #counted: { readonly requests: number; readonly at: number }
  /** Requests of a minute, as they were last measured. */
  #perMinute: number | undefined
  #gauged = 0

  constructor(options: CompletenessOptions) {
    this.#options = options
    const { client, clock } = options
    this.#counted = { requests: client.requests, at: clock.monotonic() }
  }

  /** Writes what is known into the metrics. */
  gauge(): void {
    const { settings, state, metrics } = this.#options
    const tenant = settings.label
    for (const { contentType, until, p50, p99 } of this.#told()) {
      const labels = { tenant, content_type: contentType }
      metrics.gauge(
        'o365_complete_until_seconds',
        'All content listed as made before this time is acknowledged; seconds since 1970',
        until / 1000,
        labels,
      )
      for (const [quantile, ms] of [
        ['0.5', p50],
        ['0.99', p99],
      ] as const)
        if (ms !== undefined)
          metrics.gauge('o365_delay_seconds', 'How long after they happened records could be read, of late', ms / 1000, {
            ...labels,
            quantile,
          })
    }
    const { requests } = this.#options.client
    metrics.count('o365_requests', 'Requests that were sent to the service', requests - this.#gauged, { tenant })
    this.#gauged = requests
    metrics.gauge('o365_blobs_waiting', 'Blobs listed and not yet fetched, as far as memory holds them', state.ledger.waiting, {
      tenant,
    })
  }

  /** Keeps it for `penstock state show`, where it has changed. */
  async show(): Promise<void> {
    const { settings, rows, state } = this.#options
    this.#measure()
    const types = Object.fromEntries(
      this.#told().map(told => [
        told.contentType,
        {
          ...factsOf(told),
          ...(state.ledger.waiting > 0 && { tenant_blobs_waiting: state.ledger.waiting }),
        },
      ]),
    )
    const value = {
      ...types,
      ...(this.#perMinute !== undefined && { requests: { per_minute: this.#perMinute, budget: settings.requestsPerMinute } }),
    }
    const text = JSON.stringify(value)
    if (text === '{}' || text === this.#shown) return
    await rows.put([[`shown/${settings.label}`, value as Json]])
    this.#shown = text
  }

  #measure(): void {
    const { client, clock } = this.#options
    const at = clock.monotonic()
    if (at - this.#counted.at < MEASURED_MS) return
    this.#perMinute = Math.round(((client.requests - this.#counted.requests) * 60_000) / (at - this.#counted.at))
    this.#counted = { requests: client.requests, at }
  }

  /** Events for the outputs: one for each content type, in ECS as they are. */
  chunk(): Chunk | undefined {
    const { settings, client } = this.#options
    const at = new Date(client.now()).toISOString()
    const events = this.#told().map(told =>
      JSON.stringify({
        '@timestamp': at,
        event: {
          ...{ kind: 'metric', module: 'penstock', dataset: 'penstock.completeness', action: 'completeness' },
          id: `completeness/${settings.tenantId}/${told.contentType}/${at}`,
        },
        organization: { id: settings.tenantId, ...(settings.name !== undefined && { name: settings.name }) },
        penstock: {
          completeness: { content_type: told.contentType, ...factsOf(told) },
        },
      }),
    )
    if (events.length === 0) return undefined
    const ends = new Uint32Array(events.length)
    let end = -1
    events.forEach((event, index) => {
      end += 1 + Buffer.byteLength(event)
      ends[index] = end
    })
    const meta = { tenant: settings.tenantId, ...(settings.name !== undefined && { tenant_name: settings.name }) }
    return {
      bytes: Buffer.from(events.join('\n')),
      ends,
      meta,
      partition: `${settings.tenantId}/completeness`,
      last: true,
      again: false,
    }
  }

  #told(): Told[] {
    const { settings, state } = this.#options
    return settings.contentTypes.flatMap(contentType => {
      const until = state.ledger.watermark(contentType)
      if (until === undefined) return []
      const delays = state.delays(contentType)
      return [{ contentType, until, p50: delays.quantile(0.5), p99: delays.quantile(0.99) }]
    })
  }
}

/** As users see it: a time, and how provisional that is. */
function factsOf({ until, p50, p99 }: Told): JsonObject {
  return {
    complete_until: new Date(until).toISOString(),
    ...(p50 !== undefined && { delay_p50_ms: p50 }),
    ...(p99 !== undefined && { delay_p99_ms: p99 }),
  }
}
