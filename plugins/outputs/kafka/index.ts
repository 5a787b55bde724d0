// Writes events to topics of Kafka, Event Hubs and what else speaks its protocol.
import { defineOutput } from '../../../core/plugin/define.ts'
import type { Context, Output } from '../../../core/plugin/interfaces.ts'
import { COMPRESSIONS, type KafkaClient, type Producer } from '../../lib/kafka/client.ts'
import { CONNECTION, connectionOf } from '../../lib/kafka/options.ts'
import { addressesOf } from './addresses.ts'
import { Writing } from './writing.ts'

export default defineOutput({
  summary: 'Writes events to Kafka topics, one JSON document a message, acknowledged by all replicas in sync',
  description: `
The \`topic\` may hold places for an event's values, as in \`m365-%{event.dataset}\`: events choose among topics that begin with the
literal text before the first place, and a value that makes no name of a topic makes the event a dead letter. A topic that does not exist
is waited for, and health says so.

Messages with the same \`key\` go to the same partition, which is the one that Java's clients choose (murmur2), and stay in order there;
without a key each batch goes to one partition, in turns. The event's id goes along in a header, so that consumers can leave out what
comes twice: Penstock's own kafka input takes it from there.

A batch that fails is sent again, message for message, until it is confirmed. With \`idempotent\` the broker stores it once, also where
only its answer was lost. When the broker has lost count, another producer goes on in the place of this one ("kafka: producer reset"),
and what was under way may be there twice. A message that is longer than its topic takes becomes a dead letter; nothing else does:
refused credentials and rights are waited for.`,
  options: {
    ...CONNECTION,
    topic: {
      type: 'string',
      required: true,
      minLength: 1,
      description: 'Topic to write to; may hold `%{field}` and `%{+yyyy-MM}` behind a literal beginning',
    },
    key: {
      type: 'string',
      minLength: 1,
      description: 'Field whose value is the key, as user.id, or a template, as `%{tenant}/%{user.id:-none}`; without one, none',
    },
    headers: {
      type: 'object',
      additionalProperties: { type: 'string' },
      description: 'Headers of each message, name to text, which may hold `%{field}`',
    },
    id_header: {
      type: 'string',
      pattern: '^[!-~]*$',
      default: 'event-id',
      description: "Header that gets the event's id; an empty text for none",
    },
    idempotent: {
      type: 'boolean',
      default: true,
      description: 'Lets the broker leave out what is sent again; switch it off for brokers that cannot',
    },
    compression: {
      type: 'string',
      enum: COMPRESSIONS,
      default: 'none',
      description: 'Packs each batch; zstd packs best for its time',
    },
    max_request_bytes: {
      type: 'integer',
      minimum: 1_024,
      maximum: 104_857_600,
      default: 1_000_000,
      description:
        'Longest request, and so the longest batch of a partition; below message.max.bytes of the brokers (1048588 unless somebody changed ' +
        'it) and what Event Hubs takes (1046528). A longer message goes by itself',
    },
    create_topics: {
      type: 'boolean',
      default: false,
      description: 'Asks for topics in a way that brokers with auto.create.topics.enable make them',
    },
  },
  batch: { max_events: 2_000, max_bytes: 800_000, max_ms: 100 },
  examples: [
    {
      brokers: ['kafka1.example:9092', 'kafka2.example:9092'],
      topic: 'm365-%{event.dataset}',
      key: 'user.id',
      compression: 'zstd',
    },
    {
      brokers: ['contoso.servicebus.windows.net:9093'],
      topic: 'audit',
      tls: {},
      sasl: {
        mechanism: 'plain',
        username: '$ConnectionString',
        password: 'Endpoint=sb://contoso.servicebus.windows.net/;SharedAccessKeyName=send;SharedAccessKey=…',
      },
    },
  ],
  create(options, site) {
    const settings = connectionOf(options, site)
    const address = addressesOf(options)
    const writing = new Writing({ maxRequestBytes: options.max_request_bytes, idHeader: options.id_header })
    let client: KafkaClient | undefined
    let producer: Producer | undefined
    let sent = 0
    let resets = 0

    const reset = ({ log, metrics }: Context) => {
      return (why: string, unsure: number) => {
        resets++
        metrics.count('kafka_producer_resets', 'Producers that were put in the place of one that could not go on')
        metrics.count('kafka_possible_duplicates', 'Messages that may be stored twice because of that', unsure)
        log.warn({ why, possible_duplicates: unsure }, 'kafka: producer reset')
      }
    }

    const output: Output = {
      encode(event, to) {
        const found = address(event.fields)
        to.json(event.fields)
        return found
      },
      async open(context) {
        const { openKafka } = await import('../../lib/kafka/kafkajs/client.ts')
        client = await openKafka(settings, context)
        producer = client.producer({
          idempotent: options.idempotent,
          compression: options.compression,
          createTopics: options.create_topics,
          reset: reset(context),
        })
      },
      async write(items, reject, signal) {
        if (!producer) throw new Error('the output is not open')
        let refused = 0
        const count = (index: number, error: Error) => {
          refused++
          reject(index, error)
        }
        await unlessAborted(writing.write(items, count, producer), signal)
        sent += items.length - refused
      },
      async close() {
        await client?.close()
      },
      summary() {
        return {
          title: `Kafka output ${site.id}`,
          rows: [['messages', sent], ...(resets > 0 ? [['producer resets', resets] as const] : [])],
        }
      },
    }
    return output
  },
})

/** A batch may be tried for as long as a broker is away; whoever gives up does not wait for it. */
function unlessAborted(work: Promise<void>, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const stop = () => reject(signal.reason)
    if (signal.aborted) stop()
    signal.addEventListener('abort', stop, { once: true })
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', stop))
  })
}
