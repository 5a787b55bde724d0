// What a pipeline file may say beside the plugins' own options: checked, documented and offered by editors from here.
import type { Kind } from '../plugin/define.ts'
import type { OptionSchema, OptionSchemas } from '../plugin/options.ts'

const MIB = 1024 * 1024
const ID = '^[a-z0-9][a-z0-9_-]*$'

const type = (what: string) =>
  ({
    type: 'string',
    required: true,
    minLength: 1,
    description: `Which ${what} plugin: its name, a path (./my-plugin.ts, from the pipeline's folder) or a package`,
  }) as const
const id = {
  type: 'string',
  pattern: ID,
  description:
    'Name of this step in metrics, dead letters and positions; the type when absent, and needed for the second step of one type',
} as const
const when = (what: string) => ({ type: 'string', format: 'expression', description: what }) as const

const tableStep = { type: type('table'), id } as const satisfies OptionSchemas
const filterStep = {
  type: type('filter'),
  id,
  when: when('CEL expression: other events pass this filter by'),
} as const satisfies OptionSchemas

/** A list of steps: what else stands in a step is its plugin's. */
const steps = (properties: OptionSchemas): OptionSchema => ({ type: 'object', properties, additionalProperties: true })

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
  filter: filterStep,
  table: tableStep,
  codec: { type: type('codec') },
  output: {
    type: type('output'),
    id,
    when: when('CEL expression: the output takes these events only; `unmatched` takes what no other output took'),
    filters: {
      type: 'array',
      items: steps(filterStep),
      description: 'Filters for this output alone, run on a copy of each event',
    },
    batch: {
      type: 'object',
      description: 'A batch goes out when one of these limits is reached',
      properties: {
        max_events: {
          type: 'integer',
          minimum: 1,
          maximum: 1_000_000,
          description: 'Events in a batch (1000 unless the plugin says otherwise)',
        },
        max_bytes: {
          type: 'integer',
          minimum: 1,
          maximum: 1024 * MIB,
          description: 'Bytes in a batch (1 MiB unless the plugin says otherwise)',
        },
        max_ms: {
          type: 'integer',
          minimum: 0,
          maximum: 600_000,
          description: 'Milliseconds that a batch waits for more (200 unless the plugin says otherwise)',
        },
      },
    },
    retry: {
      type: 'object',
      default: {},
      description: 'Waits between tries of a write that failed: doubled from the shortest to the longest, with jitter',
      properties: {
        min_ms: { type: 'integer', minimum: 1, maximum: 3_600_000, default: 200, description: 'Shortest wait in milliseconds' },
        max_ms: { type: 'integer', minimum: 1, maximum: 3_600_000, default: 30_000, description: 'Longest wait in milliseconds' },
      },
    },
    max_tries: {
      type: 'integer',
      minimum: 1,
      maximum: 1000,
      default: 10,
      description: 'How often an event is tried that the destination rejects, before it goes to the dead letters',
    },
  },
}

/** What a batch holds when neither the pipeline nor the plugin says so. */
export const BATCH = { max_events: 1000, max_bytes: MIB, max_ms: 200 } as const
/** The codec of an input when neither the pipeline nor the plugin says so. */
export const CODEC = 'ndjson'

const test: OptionSchema = {
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

/** A pipeline file's top level. */
export const PIPELINE = {
  name: {
    type: 'string',
    pattern: ID,
    description: "Name in logs, metrics and state; the file's name when absent. Positions hang on it",
  },
  description: { type: 'string', description: 'What the pipeline is for' },
  inputs: { type: 'array', required: true, minItems: 1, items: steps(STEP.input), description: 'Where events come from' },
  filters: { type: 'array', default: [], items: steps(STEP.filter), description: 'What happens to every event, in this order' },
  tables: {
    type: 'array',
    default: [],
    items: steps(STEP.table),
    description: 'What filters look things up in, by the id of the table',
  },
  outputs: {
    type: 'array',
    required: true,
    minItems: 1,
    items: steps(STEP.output),
    description: 'Where events go: to each output whose `when` takes them',
  },
  unmatched: { type: 'string', description: 'Where events go that no `when` of an output took: an id of an output, or `drop`' },
  workers: {
    type: 'integer',
    minimum: 0,
    maximum: 64,
    default: 0,
    description: 'Worker threads that decode, filter and encode; 0 does it in the main thread, which is best for a small machine',
  },
  worker_timeout_ms: {
    type: 'integer',
    minimum: 100,
    maximum: 3_600_000,
    default: 30_000,
    description:
      'Milliseconds after which a worker that gives no answer is ended; its events are tried again one by one, and the one that hangs is dead-lettered',
  },
  in_flight_bytes: {
    type: 'integer',
    minimum: 1,
    maximum: 4096 * MIB,
    default: 8 * MIB,
    description: 'Cap in bytes on what was read and is not yet delivered; inputs wait when it is reached',
  },
  commit_interval_ms: {
    type: 'integer',
    minimum: 0,
    maximum: 60_000,
    default: 100,
    description: 'Milliseconds between two writes of positions to the disk',
  },
  max_event_bytes: {
    type: 'integer',
    minimum: 1,
    maximum: 256 * MIB,
    default: 16 * MIB,
    description: 'A longer record goes to the dead letters without being parsed; in bytes',
  },
  grace_ms: {
    type: 'integer',
    minimum: 0,
    maximum: 3_600_000,
    default: 15_000,
    description: 'Milliseconds that a stop waits for the outputs',
  },
  http: {
    type: 'object',
    description: 'Serves /health, /ready and /metrics',
    properties: {
      host: {
        type: 'string',
        minLength: 1,
        default: '127.0.0.1',
        description: 'Address to listen on; any but a loopback address needs tls and a token',
      },
      port: {
        type: 'integer',
        required: true,
        minimum: 0,
        maximum: 65_535,
        description: 'Port to listen on; 0 takes a free one',
      },
      token: { type: 'string', secret: true, minLength: 8, description: 'What clients must send as "Authorization: Bearer …"' },
      tls: {
        type: 'object',
        description: 'Serves https',
        properties: {
          cert: { type: 'string', format: 'path', required: true, description: 'Certificate chain, a PEM file' },
          key: { type: 'string', format: 'path', required: true, description: 'Private key, a PEM file' },
        },
      },
    },
  },
  tests: {
    type: 'array',
    default: [],
    items: test,
    description: 'Records and what must become of them, for `penstock test`; environment variables are not filled in here',
  },
} as const satisfies OptionSchemas
