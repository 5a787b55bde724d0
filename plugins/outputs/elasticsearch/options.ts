// What can be set for the output elasticsearch.
import type { OptionSchemas, OptionValues } from '../../../core/plugin/options.ts'
import { CONNECTION } from './connection-options.ts'

export const OPTIONS = {
  ...CONNECTION,
  namespace: {
    type: 'string',
    default: 'default',
    pattern: '^[^-\\\\/*?"<>| ,#:A-Z]+$',
    description: 'The last part of the data streams’ names, logs-<event.dataset>-<namespace>; in lower case, without a hyphen',
  },
  index: {
    type: 'string',
    minLength: 1,
    description:
      'Index, data stream or alias to write to, in the place of logs-<event.dataset>-<namespace>; may hold `%{field}` and `%{+yyyy.MM}`',
  },
  data_stream: {
    type: 'boolean',
    description:
      'Writes to data streams only: where no template makes one, nothing is made. Default: true without `index`, else false',
  },
  pipeline: { type: 'string', minLength: 1, description: 'Ingest pipeline that Elasticsearch runs on each document' },
  compression: {
    type: 'string',
    enum: ['none', 'gzip'],
    default: 'none',
    description: 'Packs the requests: for slow networks, since it takes as much time as all the rest of a pipeline',
  },
  max_requests: {
    type: 'integer',
    minimum: 1,
    maximum: 64,
    default: 4,
    description:
      'Requests under way at once, at most; fewer while Elasticsearch refuses some of what it gets. With 1 the order is kept',
  },
  look_up_repeats: {
    type: 'boolean',
    default: true,
    description:
      'Looks up events that may have been sent before, and leaves out those that are there; needs the rights read and maintenance',
  },
  existing: {
    type: 'string',
    enum: ['keep', 'replace'],
    default: 'keep',
    description:
      'What becomes of a document that is there already: it stays as it is, or the event takes its place where it lies',
  },
  on_missing_index: {
    type: 'string',
    enum: ['wait', 'dead_letter'],
    default: 'wait',
    description:
      'What becomes of an event whose index does not exist and is not made: it waits for missing_index_wait_ms first, or not',
  },
  missing_index_wait_ms: {
    type: 'integer',
    minimum: 0,
    default: 600_000,
    description: 'How long events wait for an index that does not exist, until they are dead letters',
  },
  on_failure_store: {
    type: 'string',
    enum: ['count', 'dead_letter'],
    default: 'count',
    description:
      'What becomes of an event that a data stream put into its failure store: it is counted apart, or it is a dead letter too',
  },
} as const satisfies OptionSchemas

export type Options = OptionValues<typeof OPTIONS>
