// Writes events to Elasticsearch: created under their own ids, so that what comes twice is there once.
import { hash } from 'node:crypto'
import { defineOutput } from '../../../core/plugin/define.ts'
import { asError, PermanentError } from '../../../core/plugin/errors.ts'
import type { Address, Context, Item, Output } from '../../../core/plugin/interfaces.ts'
import { compile } from '../../lib/template.ts'
import { connect } from './connection.ts'
import { targetOf } from './connection-options.ts'
import { INDEX_RULES, STREAM_RULES } from './names.ts'
import { OPTIONS } from './options.ts'
import { setupVerb } from './setup/usage.ts'
import { Writing } from './writing.ts'

/** Elasticsearch takes no longer `_id`. Bytes. */
const ID_BYTES = 512
/** Addresses that are kept as objects; more are forgotten all at once. */
const REMEMBERED = 1024

export default defineOutput({
  summary: 'Writes events to Elasticsearch, into data streams or indices, each under its own id',
  description: `
Each event is created under its id (\`event.id\`, or what its input says): one that is there already is refused by Elasticsearch, counted as
delivered before, and not written again. By default events go into the data streams \`logs-<event.dataset>-<namespace>\`; one
without \`event.dataset\` is a dead letter. \`penstock setup elasticsearch\` installs the templates for them. An index of one's own may be named after the event's time, as in \`audit-%{+yyyy.MM}\`; it
begins with literal text, so that no event chooses another one.

A data stream refuses an id only within its newest index. So events that may have been sent before (a lost answer, a restart, a replay of
dead letters) are looked up in the whole stream first.

What Elasticsearch refuses for good (a field that does not fit the mapping) becomes a dead letter with its reason. What it refuses
because it is busy, its disk is full or an index is blocked waits. A refused password or key waits too, is read again from its file, and never loses an event. A request that
is too large is halved. A document that a data stream puts into its failure store counts apart (\`elasticsearch_failure_store\`).

Works with Elasticsearch 8.19 and 9.`,
  options: OPTIONS,
  batch: { max_events: 2_000, max_bytes: 2 * 1024 * 1024, max_ms: 500 },
  examples: [
    { hosts: ['https://es1.example:9200', 'https://es2.example:9200'], api_key: 'aWQ6a2V5', ca: '/etc/penstock/es-ca.pem' },
    {
      hosts: ['https://es.example:9200'],
      username: 'penstock',
      password: 'made-up-password',
      index: 'audit-%{+yyyy.MM}',
      max_requests: 2,
    },
  ],
  setup: setupVerb,
  create(options, site) {
    const target = targetOf(options, site)
    const { index, namespace, compression, max_requests } = options
    const name =
      index === undefined
        ? compile(`logs-%{event.dataset}-${namespace}`, 'index', STREAM_RULES)
        : compile(index, 'index', INDEX_RULES)
    const dataStream = options.data_stream ?? index === undefined
    // Without a template it would make an index that is none of a stream, and keep the name from it.
    const onlyStreams = dataStream ? '"require_data_stream":true,' : ''
    const addresses = new Map<string, { readonly address: Address; readonly head: string }>()
    let writing: Writing | undefined
    let connection: Awaited<ReturnType<typeof connect>> | undefined

    const placeOf = (to: string) => {
      let place = addresses.get(to)
      if (!place) {
        if (addresses.size >= REMEMBERED) addresses.clear()
        place = { address: { to }, head: `{"create":{"_index":${JSON.stringify(to)},${onlyStreams}"_id":` }
        addresses.set(to, place)
      }
      return place
    }

    const output: Output = {
      concurrency: max_requests,
      encode(event, to) {
        const { address, head } = placeOf(name.render(event.fields))
        to.text(`${head}${JSON.stringify(documentId(event.id))}}}\n`)
        to.json(event.fields)
        to.byte(10)
        return address
      },
      async open(context: Context) {
        if (target.tls.insecure) {
          context.log.warn({}, 'tls_insecure is on: nobody looks at the certificates of Elasticsearch')
          context.metrics.gauge('elasticsearch_tls_insecure', 'Certificates are not looked at', 1)
        }
        connection = await connect(target, context.clock, compression === 'gzip')
        writing = new Writing({
          ...{ context, connection, idOf: (item: Item) => documentId(item.id), mostRequests: max_requests },
          dataStream,
          ingest: options.pipeline,
          lookUp: options.look_up_repeats,
          replace: options.existing === 'replace',
          missingWaitMs: options.on_missing_index === 'wait' ? options.missing_index_wait_ms : 0,
          failureStore: options.on_failure_store,
        })
      },
      async write(items, reject, signal) {
        if (!writing) throw asError('the output is not open')
        await writing.write(items, reject, signal)
      },
      async close() {
        await connection?.close()
      },
      summary: () => writing?.summary(),
    }
    return output
  },
})

/** The `_id` of an event: its id, or a hash of one that is too long. */
function documentId(id: string): string {
  if (id === '') throw new PermanentError('the event has an empty id, which Elasticsearch does not take', { code: 'PEN_ID' })
  return id.length * 3 <= ID_BYTES || Buffer.byteLength(id) <= ID_BYTES ? id : hash('sha256', id)
}
