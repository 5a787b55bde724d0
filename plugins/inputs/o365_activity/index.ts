// Reads the audit feed of Microsoft 365 tenants: the Office 365 Management Activity API.
import { setMaxListeners } from 'node:events'
import { stat } from 'node:fs/promises'
import { defineInput } from '../../../core/plugin/define.ts'
import { asError, isAbort } from '../../../core/plugin/errors.ts'
import type { Chunk, Context } from '../../../core/plugin/interfaces.ts'
import { channel } from '../../lib/channel.ts'
import { verb as simulate } from '../../lib/microsoft/simulator/command/verb.ts'
import { Connections } from './connections.ts'
import { doctorVerb } from './doctor/usage.ts'
import { OPTIONS } from './options.ts'
import { reconcileVerb } from './reconcile/usage.ts'
import { Roster } from './roster.ts'
import { type ConfiguredTenant, configuredTenants } from './tenants.ts'
import { checkWebhook, type Listener, listen } from './webhook.ts'

/** What the tenants have read and the pipeline has not taken yet. */
const CHANNEL_BYTES = 4 * 1024 * 1024
const GAUGE_MS = 5_000
/** Between two looks at the tenants file, and between two writings of what `penstock state show` shows. */
const LOOK_MS = 1_000
const SHOW_MS = 60_000

export default defineInput({
  summary: 'Reads the audit feed of Microsoft 365 tenants (Office 365 Management Activity API)',
  description: `Starts the subscriptions that are missing, lists what is new, and reads every blob as a stream. What was listed is kept in
a ledger until every output has confirmed it: a blob that fails is never passed over, and one that was read in part goes on behind what
went on before, also after a restart. An hour after it was made (\`look_again_ms\`) a blob is read once more for what was added to it;
what is the same is skipped. Content, and times, that cannot be had any more lie in the dead letters by their names, and are counted.

Each tenant has its own budget of requests, and waits alone when the service refuses it. Events have \`tenant\`, \`tenant_name\`,
\`content_type\` and \`content_id\` in their \`meta\`. Leave the codec as it is.`,
  codec: 'json',
  idField: 'Id',
  options: OPTIONS,
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
  verbs: { doctor: doctorVerb, reconcile: reconcileVerb, simulate },
  create(options, site) {
    const { webhook, tenants_file } = options
    const configured = configuredTenants(options, site)
    if (webhook) checkWebhook(webhook)
    let context: Context
    let connections: Connections
    let roster: Roster | undefined

    return {
      async open(given) {
        context = given
        connections = new Connections(given.clock)
        // A CA file that cannot be read stops the start.
        for (const tenant of configured) await connections.http(tenant)
      },
      async *read(positions, signal) {
        const { log, metrics, rows, clock } = context
        const chunks = channel<Chunk>(CHANNEL_BYTES, ({ bytes }) => bytes.length + 1_024)
        const stop = new AbortController()
        const both = AbortSignal.any([signal, stop.signal])
        setMaxListeners(0, signal, both)
        const hint = (tenantIds: readonly string[]) => roster?.hint(tenantIds) ?? 0
        const listener: Listener | undefined = webhook && (await listen(webhook, { rows, log, metrics, clock, hint }))
        const own = new Roster({
          ...{ context, connections, positions, signal: both, webhook: listener },
          push: chunk => chunks.push(chunk, both),
        })
        roster = own
        own.done.then(
          () => chunks.end(),
          error => chunks.end(isAbort(error) && signal.aborted ? undefined : error),
        )
        const failed = (error: unknown) => chunks.end(isAbort(error) && both.aborted ? undefined : error)
        const following = own
          .follow(configured)
          .then(() => Promise.all([followFile(own, both), gauge(own, both), show(own, both)]))
          .catch(failed)
        try {
          yield* chunks
        } finally {
          stop.abort()
          await own.stop()
          await own.show()
          await following
          await listener?.close()
        }
      },
      settled(partition, _, last) {
        roster?.settled(partition, last)
      },
      async close() {
        await connections?.close()
      },
    }

    async function gauge(own: Roster, signal: AbortSignal): Promise<void> {
      for (;;) {
        await context.clock.sleep(GAUGE_MS, signal)
        own.gauge()
      }
    }

    async function show(own: Roster, signal: AbortSignal): Promise<void> {
      for (;;) {
        await context.clock.sleep(SHOW_MS, signal)
        await own.show()
      }
    }

    /** Takes over what changes in the tenants file; a file with a mistake changes nothing. */
    async function followFile(own: Roster, signal: AbortSignal): Promise<void> {
      if (tenants_file === undefined) return
      const { log, clock } = context
      for (let seen = await stampOf(tenants_file); ; ) {
        await clock.sleep(LOOK_MS, signal)
        const stamp = await stampOf(tenants_file)
        if (stamp === seen) continue
        seen = stamp
        let next: ConfiguredTenant[]
        try {
          next = configuredTenants(options, site)
          for (const tenant of next) await connections.http(tenant)
        } catch (thrown) {
          log.error(
            { file: tenants_file, error: asError(thrown).message },
            'the tenants file has a mistake; the tenants stay as they were',
          )
          continue
        }
        log.info({ file: tenants_file, tenants: next.length }, 'the tenants file has changed')
        await own.follow(next)
      }
    }
  },
})

async function stampOf(path: string): Promise<string> {
  try {
    const { ino, size, mtimeNs } = await stat(path, { bigint: true })
    return `${ino}/${size}/${mtimeNs}`
  } catch {
    return 'missing'
  }
}
