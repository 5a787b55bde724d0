// The options of the input: checked, documented and offered by editors from here.
import type { OptionSchemas, OptionValues } from '../../../core/plugin/options.ts'
import { CONNECTION } from '../../lib/sql/connection-options.ts'

export const OPTIONS = {
  ...CONNECTION,
  layout: {
    type: 'string',
    enum: ['o365'],
    description:
      "Tables that are known: o365 are the three of Microsoft's exporter script (auditaad, auditexchange, auditsharepoint), and " +
      'auditgeneral; those that are there are read. Give either layout or tables',
  },
  tables: {
    type: 'array',
    minItems: 1,
    description: 'Tables and queries to read, one after the other',
    items: {
      type: 'object',
      properties: {
        table: { type: 'string', minLength: 1, description: 'A table or view; schema.table for one in a schema' },
        query: { type: 'string', minLength: 1, description: 'A SELECT in the place of a table, without ORDER BY' },
        name: { type: 'string', minLength: 1, description: "The partition's name; the table's when it is not set" },
        key: {
          type: 'array',
          required: true,
          minItems: 1,
          items: { type: 'string', minLength: 1 },
          description:
            'Columns that rows are read in the order of, and that no two rows have the same of, such as [CreationTime, Id]: new rows should have ' +
            'higher values',
        },
      },
      additionalProperties: false,
    },
  },
  json_columns: {
    type: 'array',
    items: { type: 'string', minLength: 1 },
    default: [],
    description: 'Text columns that hold JSON: objects and lists become part of the record, and what is none stays text',
  },
  nulls: {
    type: 'string',
    enum: ['omit', 'keep'],
    default: 'omit',
    description: 'What becomes of columns that are NULL: left out of the record, or null in it',
  },
  page_rows: {
    type: 'integer',
    minimum: 1,
    maximum: 100_000,
    default: 1_000,
    description: 'Rows that are asked for at once',
  },
  poll_interval_ms: {
    type: 'integer',
    minimum: 100,
    description: 'How often new rows are asked for once all are read; without it, the input ends then',
  },
  overlap_ms: {
    type: 'integer',
    minimum: 0,
    default: 3_600_000,
    description:
      'How far back new rows are looked for where the first column of the key is a time, since rows come late; those that were read are ' +
      'passed over, but for the first time after a start',
  },
} as const satisfies OptionSchemas

export type Options = OptionValues<typeof OPTIONS>
