// The options of the output: checked, documented and offered by editors from here.
import type { OptionSchemas, OptionValues } from '../../../core/plugin/options.ts'
import { CONNECTION } from '../../lib/sql/connection-options.ts'

const TYPE =
  'text, string(N) for at most N characters, integer (32 bits), bigint, double, boolean, time (UTC), or json; text when it is not set'

export const OPTIONS = {
  ...CONNECTION,
  layout: {
    type: 'string',
    enum: ['o365'],
    description:
      "Tables that are known: o365 are the three of Microsoft's exporter script (auditaad, auditexchange, auditsharepoint) with its columns, " +
      'and auditgeneral for all other records, which that script left out. Give either layout or tables',
  },
  tables: {
    type: 'array',
    minItems: 1,
    description: "Tables of one's own; an event goes into the first whose when it fits",
    items: {
      type: 'object',
      properties: {
        table: { type: 'string', required: true, minLength: 1, description: 'Its name; schema.table for one in a schema' },
        when: { type: 'string', format: 'expression', description: 'Which events go there; all when it is not set' },
        columns: {
          type: 'object',
          required: true,
          description: 'Column → the path of its field, or a map with field or meta, and a type',
          additionalProperties: {
            type: ['string', 'object'],
            properties: {
              field: { type: 'string', minLength: 1, description: 'Path of the field; . is the whole record' },
              meta: {
                type: 'string',
                format: 'field',
                description: "Path in the event's meta, such as tenant, in the place of field",
              },
              type: { type: 'string', default: 'text', description: TYPE },
            },
            additionalProperties: false,
          },
        },
        key: {
          type: ['string', 'array'],
          required: true,
          items: { type: 'string' },
          description: 'The column, or columns, that tell rows apart: the primary key',
        },
      },
      additionalProperties: false,
    },
  },
  record: {
    type: 'string',
    minLength: 1,
    default: 'auto',
    description:
      'Where the record lies: auto (with layout the event, or behind the ecs filter o365.audit with what that filter has moved; else the ' +
      'event), original (the bytes that were read, as JSON: no filter has changed them), . (the event), or the path of a field',
  },
  record_column: {
    type: 'string',
    minLength: 1,
    description:
      'With layout: a column for the whole record as JSON in the three tables too, so that nothing is lost that has no column there',
  },
  keep_matched_values: {
    type: 'boolean',
    default: false,
    description: 'With layout: keep the texts that DLP rules matched, which are card numbers and the like in clear text',
  },
  on_conflict: {
    type: 'string',
    enum: ['ignore', 'update'],
    default: 'ignore',
    description: 'What becomes of a row whose key is there: ignore leaves the row as it is, update writes it anew',
  },
  connections: {
    type: 'integer',
    minimum: 1,
    maximum: 32,
    default: 1,
    description: 'How many batches are written at once; with 1 they keep their order',
  },
} as const satisfies OptionSchemas

export type Options = OptionValues<typeof OPTIONS>
export type TableOptions = NonNullable<Options['tables']>[number]
