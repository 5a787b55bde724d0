// A simulated Microsoft 365: tenants with people at work, their login, and their audit feed, on loopback.
import type { Clock } from '../../../../core/plugin/interfaces.ts'
import { Draw, STREAM } from '../tenant/draw.ts'
import { type ContentQuirks, NO_QUIRKS, type TenantContent, tenantContent } from './content.ts'
import { controls } from './controls.ts'
import { type Entra, type SimulatedApp, simulateEntra } from './entra.ts'
import { type FaultSource, faultSource, type Scenario } from './faults.ts'
import { type FeedApi, feedApi } from './feed-api.ts'
import { traceOf } from './records.ts'
import { type SimulatorServer, serveSimulator } from './server.ts'
import { subscriptionsOf } from './subscriptions.ts'
import { type Webhooks, webhooksOf } from './webhooks.ts'

export interface SimulatorOptions {
  readonly clock: Pick<Clock, 'now' | 'monotonic' | 'sleep'>
  /** 0: any port that is free. */
  readonly port: number
  readonly seed: number
  readonly tenants: number
  /** People in each tenant. */
  readonly users: number
  readonly scenario: Scenario
  /** Simulated time begins here. Milliseconds since 1970. */
  readonly from: number
  /** So much has happened before. Milliseconds. */
  readonly historyMs: number
  /** Simulated seconds in a real one. */
  readonly speed: number
  readonly latencyMs: number
  readonly requestsPerMinute: number
  readonly pageSize: number
  readonly tokenSeconds: number
  /** Subscriptions were started long ago. Without it a client starts them, and finds what came `backfillMs` before that. */
  readonly subscribed: boolean
  readonly backfillMs: number
  /** Windows of exactly 24 hours are allowed. */
  readonly fullDay: boolean
  /** How long a blob can be read. Milliseconds. */
  readonly expiryMs: number
  /** Records of so much time lie in one blob of each content type, which is made `delayMs` later, about. */
  readonly slotMs: number
  readonly delayMs: number
  readonly blobRecords: number
  /** Once in each tenant's feed, not long before simulated time begins, lies a blob of about so many bytes; 0: none. */
  readonly bigBlobBytes: number
  /** The first wait before a notification of a webhook is sent again, and how often new content is looked for. Real milliseconds. */
  readonly webhookRetryMs: number
  readonly webhookEveryMs: number
}

const MINUTE_MS = 60_000
const HOUR_MS = 60 * MINUTE_MS
const DAY_MS = 24 * HOUR_MS
/** Slots of time whose blobs are remembered, of all tenants together. */
const KEPT_SLOTS = 40_000

/** What holds where nothing else is asked for: a calm service whose past week can be read. */
export const DEFAULTS = {
  port: 0,
  seed: 1,
  tenants: 1,
  users: 500,
  scenario: { requests: {}, content: NO_QUIRKS } as Scenario,
  historyMs: 7 * DAY_MS,
  speed: 1,
  latencyMs: 0,
  requestsPerMinute: 2_000,
  pageSize: 100,
  tokenSeconds: 3_599,
  subscribed: true,
  backfillMs: 22 * HOUR_MS,
  fullDay: false,
  expiryMs: 20 * DAY_MS,
  slotMs: 5 * MINUTE_MS,
  delayMs: 2 * MINUTE_MS,
  blobRecords: 5_000,
  bigBlobBytes: 0,
  webhookRetryMs: 1_000,
  webhookEveryMs: 500,
} as const satisfies Partial<SimulatorOptions>

/** What a blob holds, as the simulator knows it. */
export interface LedgerEntry {
  readonly tenant: string
  readonly contentType: string
  readonly contentId: string
  /** ISO 8601. */
  readonly created: string
  /** Ids of its records, now; a record that has none is left out. */
  readonly ids: readonly string[]
  /** SHA-256 of each record's bytes as they are served, the first 32 hexadecimal digits. */
  readonly hashes: readonly string[]
}

export interface Simulator {
  /** `https://localhost:PORT`: login and API both. */
  readonly origin: string
  /** PEM text that clients must trust. */
  readonly cert: string
  readonly apps: readonly SimulatedApp[]
  readonly contents: readonly TenantContent[]
  readonly entra: Entra
  readonly feed: FeedApi
  readonly faults: FaultSource
  readonly server: SimulatorServer
  /** Simulated time, milliseconds since 1970. */
  now(): number
  readonly webhooks: Webhooks
  /** Everything that can be read now, or could be read at `time` (milliseconds since 1970). */
  ledger(time?: number): Generator<LedgerEntry>
  close(): Promise<void>
}

/** What tokens for the simulated feed are asked for. */
export const AUDIENCE = 'https://manage.office.com'

export async function startSimulator(options: SimulatorOptions): Promise<Simulator> {
  const { clock, seed, tenants, users, scenario, from, historyMs, speed } = options
  const begun = clock.monotonic()
  const now = () => from + (clock.monotonic() - begun) * speed
  const quirks: ContentQuirks = scenario.content
  const { bigBlobBytes: bytes } = options
  const big = bytes > 0 ? { bytes, at: from - Math.min(historyMs / 2, 6 * HOUR_MS) } : undefined
  const keptSlots = Math.ceil(KEPT_SLOTS / tenants)
  const contents = Array.from({ length: tenants }, (_, number) =>
    tenantContent({ ...options, number, users, start: from - historyMs, quirks, big, keptSlots }),
  )
  const apps = contents.map(({ tenant }): SimulatedApp => {
    const draw = new Draw(seed, STREAM.tenant, 2 ** 32 + tenant.number)
    const clientId = draw.guid()
    return { tenantId: tenant.id, clientId, secret: draw.base64(40), roles: ['ActivityFeed.Read', 'ActivityFeed.ReadDlp'] }
  })
  const { tokenSeconds } = options
  const entra = simulateEntra({ apps, resources: [AUDIENCE], tokenSeconds, seconds: () => clock.now() / 1000 })
  const byId = new Map(contents.map(content => [content.tenant.id, content]))
  const webhooks = webhooksOf({
    ...{ clock, seed, tenants: byId, hints: scenario.hints, now },
    ...{ retryMs: options.webhookRetryMs, everyMs: options.webhookEveryMs },
  })
  const feed = feedApi({
    ...options,
    tenants: byId,
    subscriptions: subscriptionsOf({ ...options, webhooks, now }),
    resource: AUDIENCE,
    now,
    monotonic: () => clock.monotonic(),
    verify: token => entra.verify(token),
  })
  const faults = faultSource(seed, scenario.requests)

  function* ledger(time = now()): Generator<LedgerEntry> {
    for (const content of contents) {
      for (const blob of content.all(time)) {
        if (blob.missing) continue
        const { contentType, id, created } = blob
        const traces = content.records(blob, time).map(traceOf)
        const ids = traces.flatMap(({ id }) => (id === undefined ? [] : [id]))
        yield {
          ...{ tenant: content.tenant.id, contentType, contentId: id, created: new Date(created).toISOString() },
          ...{ ids, hashes: traces.map(({ hash }) => hash) },
        }
      }
    }
  }

  const { port, latencyMs } = options
  const own = controls({ apps, contents, entra, feed, faults, webhooks, now, ledger, server: () => server })
  const server: SimulatorServer = await serveSimulator({ port, entra, feed, faults, latencyMs, now, own })
  return {
    get origin() {
      return server.origin
    },
    cert: server.cert,
    apps,
    contents,
    entra,
    feed,
    faults,
    server,
    webhooks,
    now,
    ledger,
    async close() {
      await webhooks.close()
      await server.close()
    },
  }
}
