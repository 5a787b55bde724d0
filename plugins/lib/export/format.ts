// How outputs that make files write an event: NDJSON, a JSON array, or CSV; and what stands before, between and behind the records.
import type { ByteWriter } from '../../../core/plugin/byte-writer.ts'
import { OptionError } from '../../../core/plugin/errors.ts'
import type { JsonObject } from '../../../core/plugin/json.ts'
import type { OptionValues } from '../../../core/plugin/options.ts'
import { csvEncoder } from './csv.ts'

export const FORMATS = ['ndjson', 'json', 'csv'] as const
export type FormatName = (typeof FORMATS)[number]

/** The options that say it; an output spreads them into its own. */
export const FORMAT_OPTIONS = {
  format: {
    type: 'string',
    enum: FORMATS,
    default: 'ndjson',
    description: 'How events are written: ndjson is one JSON document a line, json one array a file, csv one row an event',
  },
  columns: {
    type: 'array',
    minItems: 1,
    items: {
      type: ['string', 'object'],
      properties: {
        name: { type: 'string', minLength: 1, required: true, description: 'What the header calls it' },
        field: { type: 'string', minLength: 1, required: true, description: "Path of the event's field" },
      },
      additionalProperties: false,
    },
    description: 'Columns of csv in their order: field paths, or a `name` for the header and its `field`',
  },
  csv_separator: {
    type: 'string',
    enum: [',', ';', '\t', '|'],
    description: 'What stands between the cells of csv; a comma when it is not set',
  },
  csv_bom: {
    type: 'boolean',
    description: 'Lets csv begin with a byte order mark, by which Excel knows UTF-8; false when it is not set',
  },
  csv_escape_formulas: {
    type: 'boolean',
    description:
      "Puts a ' before text in csv that a spreadsheet would run as a formula; true when it is not set, false for programs that need every value as it is",
  },
} as const

export interface Format {
  readonly name: FormatName
  /** What a whole file of it is. */
  readonly contentType: string
  /** Before the first record of a file. */
  readonly head: Uint8Array
  /** Before the first record of a later batch of the same file. */
  readonly next: Uint8Array
  /** Behind the last record; a later batch is written over it. */
  readonly close: Uint8Array
  /** Bytes that the first record of each batch goes without. */
  readonly skip: number
  /** Writes one record. Pure. */
  encode(fields: JsonObject, to: ByteWriter): void
}

const NOTHING = new Uint8Array(0)
const COMMA = 44
const LINE_END = 10

/**
 * A record a line, and the comma at the line's beginning: what is torn off is then the end of a line, and the batch that goes on adds no
 * byte to a line that was there before.
 */
const ARRAY = { head: Buffer.from('[\n'), next: Buffer.from(','), close: Buffer.from(']\n'), skip: 1 }

/** @throws OptionError for columns that are missing, or options that the format does not have */
export function formatOf(options: OptionValues<typeof FORMAT_OPTIONS>): Format {
  const { format: name, columns } = options
  if (name !== 'csv') {
    for (const option of ['columns', 'csv_separator', 'csv_bom', 'csv_escape_formulas'] as const)
      if (options[option] !== undefined) throw new OptionError(option, `is for csv alone; write format: csv, or leave it out`)
    return name === 'json' ? JSON_ARRAY : NDJSON
  }
  if (!columns)
    throw new OptionError('columns', 'csv needs its columns: a list of field paths, such as ["@timestamp", user.name, source.ip]')
  const { header, encode } = csvEncoder(columns, {
    separator: options.csv_separator ?? ',',
    bom: options.csv_bom ?? false,
    escapeFormulas: options.csv_escape_formulas ?? true,
  })
  return { name, contentType: 'text/csv; charset=utf-8', head: header, next: NOTHING, close: NOTHING, skip: 0, encode }
}

const NDJSON: Format = {
  ...{ name: 'ndjson', contentType: 'application/x-ndjson', head: NOTHING, next: NOTHING, close: NOTHING, skip: 0 },
  encode(fields, to) {
    to.json(fields)
    to.byte(LINE_END)
  },
}

const JSON_ARRAY: Format = {
  ...{ name: 'json', contentType: 'application/json', ...ARRAY },
  encode(fields, to) {
    to.byte(COMMA)
    to.json(fields)
    to.byte(LINE_END)
  },
}
