// Reads topics of Kafka, Event Hubs and what else speaks its protocol, as a member of a consumer group.
import { defineInput } from '../../../core/plugin/define.ts'
import { asError, OptionError } from '../../../core/plugin/errors.ts'
import { CONNECTION, connectionOf } from '../../lib/kafka/options.ts'
import { Reading } from './reading.ts'

export default defineInput({
  summary: 'Reads Kafka topics as a member of a consumer group; offsets are committed when every output has confirmed',
  description: `
Several processes with one \`group_id\` share the partitions: when one of them ends or hangs, the others go on where it had committed.
The group's offsets are the truth, and the positions in Penstock's own store are not used: what was read and not yet delivered when a
partition goes to another member comes twice, and is never lost. While the outputs are slow or away the member stays in its group and
reads nothing.

A message is a record for the codec, or holds several: with the codec \`json\` an object, an array of objects, or objects one after the
other. \`unwrap: records\` takes what Azure's diagnostic settings send to Event Hubs: \`{"records": [ … ]}\`, a bare array, single
objects or lines of them. Messages without a value (tombstones) are counted and left out.

Events have \`topic\`, \`partition\` (as topic/number) and \`offset\` in their \`meta\`; where many small messages share a chunk these are
the first offset, and \`last_offset\`. With \`decorate\` every event has its message's own offset, key, timestamp and headers there. A message
that says in its header \`event-id\` which event it is (Penstock's output writes it) gives the event that id, so that what was sent twice
is one document in Elasticsearch.

For Event Hubs: brokers NAMESPACE.servicebus.windows.net:9093, tls: {}, and either the connection string (see sasl) or oauthbearer with
entra and the role Azure Event Hubs Data Receiver.`,
  codec: 'json',
  options: {
    ...CONNECTION,
    group_id: {
      type: 'string',
      required: true,
      minLength: 1,
      description: 'Consumer group; processes with the same one share the work',
    },
    topics: { type: 'array', items: { type: 'string', minLength: 1 }, description: 'Topics to read' },
    topics_pattern: {
      type: 'string',
      minLength: 1,
      description: 'Regular expression for the whole names of topics to read, also of those that are made later',
    },
    from: {
      type: 'string',
      enum: ['earliest', 'latest'],
      default: 'earliest',
      description: 'Where a partition begins that the group has not read before; latest leaves out what is there already',
    },
    unwrap: {
      type: 'string',
      minLength: 1,
      description:
        'Name of the array that holds the records of a message, as records for Event Hubs; messages without it are taken too',
    },
    decorate: {
      type: 'boolean',
      default: false,
      description: "Gives each event its message's own offset, key, timestamp and headers in meta; takes more time",
    },
    id_header: {
      type: 'string',
      pattern: '^[!-~]*$',
      default: 'event-id',
      description: "Header that holds the event's id, where a message has it; an empty text for none",
    },
    session_timeout_ms: {
      type: 'integer',
      minimum: 1_000,
      default: 30_000,
      description: 'A member that is not heard of for so long is put out of its group',
    },
    heartbeat_interval_ms: {
      type: 'integer',
      minimum: 100,
      default: 3_000,
      description: 'How often a member is heard of; at most a third of the session timeout',
    },
    rebalance_timeout_ms: {
      type: 'integer',
      minimum: 1_000,
      default: 60_000,
      description: 'How long the members have to join again when the partitions are shared anew',
    },
    commit_interval_ms: {
      type: 'integer',
      minimum: 10,
      default: 1_000,
      description: 'How often offsets are committed; what was delivered since comes twice after a crash',
    },
    fetch_bytes: {
      type: 'integer',
      minimum: 1_024,
      maximum: 104_857_600,
      default: 4_194_304,
      description: 'Bytes that are asked for at once; a longer message comes all the same',
    },
    fetch_wait_ms: {
      type: 'integer',
      minimum: 10,
      maximum: 30_000,
      default: 500,
      description: 'How long a broker waits for more before it answers that there is nothing',
    },
  },
  examples: [
    { brokers: ['kafka1.example:9092'], group_id: 'penstock', topics: ['m365-audit'] },
    {
      brokers: ['contoso.servicebus.windows.net:9093'],
      group_id: 'penstock',
      topics_pattern: 'insights-logs-.*',
      unwrap: 'records',
      tls: {},
      sasl: {
        mechanism: 'oauthbearer',
        entra: {
          tenant_id: '11111111-1111-1111-1111-111111111111',
          client_id: '33333333-3333-3333-3333-333333333333',
          client_certificate: '/etc/penstock/contoso.pem',
        },
      },
    },
  ],
  create(options, site) {
    const connection = connectionOf(options, site)
    const { topics = [], topics_pattern, session_timeout_ms, heartbeat_interval_ms } = options
    if (topics.length === 0 && topics_pattern === undefined)
      throw new OptionError('', 'say what to read: topics, or topics_pattern')
    topics.forEach((topic, index) => {
      if (!/^[A-Za-z0-9._-]{1,249}$/.test(topic) || topic === '.' || topic === '..')
        throw new OptionError(
          `topics[${index}]`,
          `"${topic}" is no name of a topic; for a regular expression there is topics_pattern`,
        )
    })
    if (heartbeat_interval_ms * 3 > session_timeout_ms)
      throw new OptionError(
        'heartbeat_interval_ms',
        `must be a third of session_timeout_ms (${session_timeout_ms}) at most: a lost one must not put the member out of its group`,
      )
    const pattern = topics_pattern === undefined ? undefined : patternOf(topics_pattern)
    let reading: Reading | undefined

    return {
      positions: 'source',
      async open(context) {
        reading = await Reading.open(context, connection, { ...options, topics, pattern })
      },
      // The group's offsets say where to go on, and never this store's positions: another member may have been at work since.
      read(_positions, signal) {
        if (!reading) throw new Error('read() came before open()')
        return reading.read(signal)
      },
      settled(partition, position) {
        reading?.settled(partition, position)
      },
      async close() {
        await reading?.close()
      },
      summary() {
        return reading?.summary(site.id)
      },
    }
  },
})

function patternOf(text: string): RegExp {
  try {
    return new RegExp(`^(?:${text})$`)
  } catch (cause) {
    throw new OptionError('topics_pattern', `"${text}" is no regular expression: ${asError(cause).message}`, { cause })
  }
}
