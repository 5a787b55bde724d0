// Reads the audit feed of Microsoft 365 tenants: the Office 365 Management Activity API.
import { setMaxListeners } from 'node:events'
import { defineInput } from '../../../core/plugin/define.ts'
import { isAbort } from '../../../core/plugin/errors.ts'
import type { Chunk, Context } from '../../../core/plugin/interfaces.ts'
import { channel } from '../../lib/channel.ts'
import { type HttpClient, openHttp } from '../../lib/http/client.ts'
import { credentialsOf } from '../../lib/microsoft/service/credentials.ts'
import { tokensOf } from '../../lib/microsoft/service/tokens.ts'
import { TenantFeed } from './tenant-feed.ts'
import { type ConfiguredTenant, configuredTenants, SHARED, TENANT } from './tenants.ts'

/** What the tenants have read and the pipeline has not taken yet. */
const CHANNEL_BYTES = 4 * 1024 * 1024
const GAUGE_MS = 10_000
/** Tenants that are reached in the same way share their connections. */
const wayOf = ({ ca, proxy }: ConfiguredTenant) => JSON.stringify([ca, proxy])

export default defineInput({
  summary: 'Reads the audit feed of Microsoft 365 tenants (Office 365 Management Activity API)',
  description: `Starts the subscriptions that are missing, lists what is new, and reads every blob as a stream. What was listed is kept in
a ledger until every output has confirmed it: a blob that fails is never passed over, and one that was read in part goes on behind what
went on before, also after a restart. An hour after it was made (\`look_again_ms\`) a blob is read once more for what was added to it;
what is the same is skipped. Content, and times, that cannot be had any more lie in the dead letters by their names, and are counted.

Each tenant has its own budget of requests, and waits alone when the service refuses it. Events have \`tenant\`, \`tenant_name\`,
\`content_type\` and \`content_id\` in their \`meta\`. Leave the codec as it is.`,
  codec: 'json',
  options: {
    tenants: {
      type: 'array',
      required: true,
      minItems: 1,
      items: { type: 'object', properties: TENANT, additionalProperties: false },
      description: 'The tenants, each with its credentials; other options of a tenant go before those of all',
    },
    ...SHARED,
    publisher: {
      type: 'string',
      description: "GUID of the organisation whose quota is used; each tenant's own when it is not set",
    },
    poll_interval_ms: {
      type: 'integer',
      minimum: 100,
      default: 60_000,
      description: 'How often a tenant is asked for what is new',
    },
    overlap_ms: {
      type: 'integer',
      minimum: 0,
      maximum: 82_800_000,
      default: 3_600_000,
      description: 'How far back each listing goes over what was listed before, because content may appear late',
    },
    sweep_interval_ms: {
      type: 'integer',
      minimum: 1000,
      default: 21_600_000,
      description: 'How often all seven days are listed again, for content that appeared later still',
    },
    look_again_ms: {
      type: 'integer',
      minimum: 0,
      default: 3_600_000,
      description:
        'How long after it was made a blob that was read before is read once more, because some have grown since; what is the same is ' +
        'skipped. 0: never',
    },
    parallel: {
      type: 'integer',
      minimum: 1,
      maximum: 64,
      default: 8,
      description: 'How many blobs of a tenant are read at once',
    },
    max_blob_bytes: {
      type: 'integer',
      minimum: 1_048_576,
      default: 268_435_456,
      description: 'A blob that is larger when it is decoded is not read further',
    },
    keep_matched_values: {
      type: 'boolean',
      default: false,
      description: 'Keep the texts that DLP rules matched, which are card numbers and the like in clear text',
    },
  },
  examples: [
    {
      tenants: [
        {
          tenant_id: '11111111-1111-1111-1111-111111111111',
          client_id: '33333333-3333-3333-3333-333333333333',
          client_certificate: '/etc/penstock/contoso.pem',
          name: 'contoso.example',
        },
      ],
    },
  ],
  create(options) {
    const {
      tenants,
      publisher,
      poll_interval_ms,
      overlap_ms,
      sweep_interval_ms,
      look_again_ms,
      parallel,
      max_blob_bytes,
      keep_matched_values,
      ...shared
    } = options
    const configured = configuredTenants(tenants, shared, {
      publisher,
      pollMs: poll_interval_ms,
      overlapMs: overlap_ms,
      sweepMs: sweep_interval_ms,
      lookAgainMs: look_again_ms,
      parallel,
      maxBlobBytes: max_blob_bytes,
      keepMatchedValues: keep_matched_values,
    })
    /** By the way in which they reach their hosts. */
    const clients = new Map<string, HttpClient>()
    let context: Context
    let feeds: ReadonlyMap<string, TenantFeed> = new Map()

    return {
      async open(given) {
        context = given
        for (const tenant of configured) {
          const { ca, proxy } = tenant
          const way = wayOf(tenant)
          if (!clients.has(way)) clients.set(way, await openHttp({ clock: given.clock, ca, proxy }))
        }
      },
      async *read(positions, signal) {
        const { clock, rows, log, metrics, codec, maxEventBytes } = context
        const chunks = channel<Chunk>(CHANNEL_BYTES, ({ bytes }) => bytes.length + 1_024)
        const stop = new AbortController()
        const both = AbortSignal.any([signal, stop.signal])
        setMaxListeners(0, signal, both)
        const troubles = new Map<string, string>()
        const all = configured.map(tenant => {
          const { settings, clientId, credentials, authority, audience } = tenant
          const http = clients.get(wayOf(tenant)) as HttpClient
          return new TenantFeed({
            ...{ settings, http, rows, clock, log, metrics, codec, maxEventBytes },
            tokens: tokensOf({
              tenantId: settings.tenantId,
              clientId,
              authority,
              audience,
              http,
              credentials: credentialsOf(credentials),
            }),
            push: chunk => chunks.push(chunk, both),
            trouble(why) {
              if (why === undefined) troubles.delete(settings.label)
              else troubles.set(settings.label, why)
              const [first] = troubles.values()
              const others = troubles.size > 1 ? ` (and ${troubles.size - 1} more tenants)` : ''
              context.health(first === undefined ? 'ok' : 'degraded', first === undefined ? undefined : `${first}${others}`)
            },
          })
        })
        feeds = new Map(all.map((feed, index) => [configured[index]?.settings.tenantId ?? '', feed]))
        const gauges = gaugeAll(all, both).catch(() => {}) // the abort
        const running = Promise.all(all.map(feed => feed.run(positions, both)))
        running.then(
          () => chunks.end(),
          error => chunks.end(isAbort(error) && signal.aborted ? undefined : error),
        )
        try {
          yield* chunks
        } finally {
          stop.abort()
          await Promise.allSettled([running, gauges])
        }
      },
      settled(partition, _, last) {
        feeds.get(partition.slice(0, partition.indexOf('/')))?.settled(partition, last)
      },
      async close() {
        for (const client of clients.values()) await client.close()
        clients.clear()
      },
    }

    async function gaugeAll(all: readonly TenantFeed[], signal: AbortSignal): Promise<void> {
      for (;;) {
        await context.clock.sleep(GAUGE_MS, signal)
        for (const feed of all) feed.gauge()
      }
    }
  },
})
