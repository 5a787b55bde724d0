// What a pipeline file may say beside the plugins' own options: checked, documented and offered by editors from here.
import type { Kind } from '../plugin/define.ts'
import type { OptionSchema, OptionSchemas } from '../plugin/options.ts'

type Described = OptionSchemas[string]

const MIB = 1024 * 1024
const none = undefined
const HOUR_MS = 3_600_000
/** What a name of a pipeline or a step looks like. */
export const NAME = '^[a-z0-9][a-z0-9_-]*$'

const whole = (minimum: number, maximum: number, fallback: number | undefined, description: string): Described => ({
  type: 'integer',
  minimum,
  maximum,
  default: fallback,
  description,
})
const list = (items: OptionSchema, description: string, more: OptionSchema = {}): Described => ({
  type: 'array',
  ...more,
  items,
  description,
})
const needed: OptionSchema = { required: true, minItems: 1 }
const type = (what: string): Described => ({
  type: 'string',
  required: true,
  minLength: 1,
  description: `Which ${what} plugin: its name, a path (./my-plugin.ts, from the pipeline's folder) or a package`,
})
const id: Described = {
  type: 'string',
  pattern: NAME,
  description:
    'Name of this step in metrics, dead letters and positions; the type when absent, and needed for the second step of one type',
}
const when = (description: string): Described => ({ type: 'string', format: 'expression', description })
const filter: OptionSchemas = { type: type('filter'), id, when: when('CEL expression: other events pass this filter by') }

/** A step: what else stands in it is its plugin's. */
const step = (properties: OptionSchemas): OptionSchema => ({ type: 'object', properties, additionalProperties: true })

/** The keys that every step of a kind may have beside its plugin's options. */
export const STEP: Readonly<Record<Kind, OptionSchemas>> = {
  input: {
    type: type('input'),
    id,
    codec: {
      type: ['string', 'object'],
      description:
        "How bytes become records: a codec's name, or its type with options; the plugin's own codec when absent, mostly ndjson",
      properties: { type: type('codec') },
      additionalProperties: true,
    },
  },
  filter,
  table: { type: type('table'), id },
  codec: { type: type('codec') },
  output: {
    type: type('output'),
    id,
    when: when('CEL expression: the output takes these events only; `unmatched` takes what no other output took'),
    filters: list(step(filter), 'Filters for this output alone, run on a copy of each event'),
    batch: {
      type: 'object',
      description: 'A batch goes out when one of these limits is reached',
      properties: {
        max_events: whole(1, 1_000_000, none, 'Events in a batch (1000 unless the plugin says otherwise)'),
        max_bytes: whole(1, 1024 * MIB, none, 'Bytes in a batch (1 MiB unless the plugin says otherwise)'),
        max_ms: whole(0, 600_000, none, 'Milliseconds that a batch waits for more (200 unless the plugin says otherwise)'),
      },
    },
    retry: {
      type: 'object',
      default: {},
      description: 'Waits between tries of a write that failed: doubled from the shortest to the longest, with jitter',
      properties: {
        min_ms: whole(1, HOUR_MS, 200, 'Shortest wait in milliseconds'),
        max_ms: whole(1, HOUR_MS, 4_000, 'Longest wait in milliseconds'),
      },
    },
    queue: {
      type: 'object',
      default: {},
      description: 'Where events wait that the output has not taken; while there is room, a dead output does not stop the others',
      properties: {
        type: {
          type: 'string',
          enum: ['memory', 'disk'],
          default: 'memory',
          description:
            'memory: within the in_flight_bytes of the pipeline. disk: in a file of the state folder; an event counts as settled once it lies there durably',
        },
        max_bytes: whole(
          1,
          1024 * 1024 * MIB,
          none,
          'Size in bytes of a disk queue, compressed (1 GiB when absent); a full one holds the inputs back',
        ),
      },
    },
    max_tries: whole(1, 1000, 10, 'How often an event is tried that the destination rejects, before it is a dead letter'),
  },
}

/** What a batch holds when neither the pipeline nor the plugin says so. */
export const BATCH = { max_events: 1000, max_bytes: MIB, max_ms: 200 } as const
/** Size of a disk queue when the pipeline does not say. Bytes. */
export const QUEUE_BYTES = 1024 * MIB
/** The codec of an input when neither the pipeline nor the plugin says so. */
export const CODEC = 'ndjson'

/** An entry of `tests:`. */
export const TEST: OptionSchema = {
  type: 'object',
  properties: {
    name: { type: 'string', required: true, minLength: 1, description: 'What the test proves' },
    input_id: { type: 'string', description: 'The input whose codec the records go through; the first one when absent' },
    input: {
      type: ['object', 'string', 'array'],
      required: true,
      items: { type: ['object', 'string'] },
      description: 'One record or a list of them: objects as they are, text as it would come from the source',
    },
    output: {
      type: ['object', 'array'],
      items: { type: 'object' },
      description: 'The events that come out, in order, each with the fields that matter; [] when none does',
    },
    exact: { type: 'boolean', default: false, description: 'Fields that the expected events do not name are an error too' },
    outputs: {
      type: 'object',
      additionalProperties: { type: 'integer', minimum: 0 },
      description: 'How many events reach each output, by id',
    },
    dead_letters: {
      type: ['string', 'array'],
      items: { type: 'string' },
      description: 'Parts of the errors of the expected dead letters, in order',
    },
    duplicates: { type: 'integer', minimum: 0, description: 'How many events a filter such as dedupe holds back' },
  },
}

const http: OptionSchemas = {
  host: {
    type: 'string',
    minLength: 1,
    default: '127.0.0.1',
    description: 'Address to listen on; any but a loopback address needs tls and a token',
  },
  port: { type: 'integer', required: true, minimum: 0, maximum: 65_535, description: 'Port to listen on; 0 takes a free one' },
  token: { type: 'string', secret: true, minLength: 8, description: 'What clients must send as "Authorization: Bearer …"' },
  tls: {
    type: 'object',
    description: 'Serves https',
    properties: {
      cert: { type: 'string', format: 'path', required: true, description: 'Certificate chain, a PEM file' },
      key: { type: 'string', format: 'path', required: true, description: 'Private key, a PEM file' },
    },
  },
}

/** A pipeline file's top level. */
export const PIPELINE: OptionSchemas = {
  name: {
    type: 'string',
    pattern: NAME,
    description: "Name in logs, metrics and state; the file's name when absent. Positions hang on it",
  },
  description: { type: 'string', description: 'What the pipeline is for' },
  inputs: list(step(STEP.input), 'Where events come from', needed),
  filters: list(step(filter), 'What happens to every event, in this order', { default: [] }),
  tables: list(step(STEP.table), 'What filters look things up in, by the id of the table', { default: [] }),
  outputs: list(step(STEP.output), 'Where events go: to each output whose `when` takes them', needed),
  unmatched: { type: 'string', description: 'Where events go that no `when` of an output took: an id of an output, or `drop`' },
  workers: whole(0, 64, 0, 'Worker threads that decode, filter and encode; 0: the main thread does it, best for a small machine'),
  worker_timeout_ms: whole(
    100,
    HOUR_MS,
    30_000,
    'Milliseconds after which a worker that gives no answer is ended; its events are tried again one by one, and the one that hangs is dead-lettered',
  ),
  in_flight_bytes: whole(
    1,
    4096 * MIB,
    8 * MIB,
    'Cap in bytes on what is read and not yet delivered; inputs wait when it is reached',
  ),
  commit_interval_ms: whole(0, 60_000, 100, 'Milliseconds between two writes of positions to the disk'),
  max_event_bytes: whole(1, 256 * MIB, 16 * MIB, 'A longer record goes to the dead letters unparsed; in bytes'),
  grace_ms: whole(0, HOUR_MS, 15_000, 'Milliseconds that a stop waits for the outputs'),
  http: { type: 'object', description: 'Serves /health, /ready and /metrics', properties: http },
  tests: list(TEST, 'Records and what must become of them, for `penstock test`; environment variables are not filled in here', {
    default: [],
  }),
}
