// CSV files as a table: the value of one column → the row.
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { parse } from 'csv-parse'
import { defineTable } from '../../core/plugin/define.ts'
import { OptionError } from '../../core/plugin/errors.ts'
import { type JsonObject, setOwn } from '../../core/plugin/json.ts'
import { loadTableFile, tableFileOptions, viewTableFile } from '../lib/table-file.ts'

/** A record that long is an unclosed quote. */
const MAX_RECORD_CHARS = 1024 * 1024

export default defineTable({
  summary: 'Looks rows up in a CSV file by the value of one column',
  description:
    'The first line names the columns, unless `columns` does. Values are text; an empty cell is left out of its row, and a row ' +
    'without a key is passed over. The file is UTF-8 (or UTF-16 with a byte order mark), is held in memory, shared by all workers, ' +
    'and read again when it changes. A file with a torn or uneven line is refused as a whole, and the old one stays in use.',
  options: {
    path: { type: 'string', format: 'path', required: true, description: 'The CSV file' },
    key: { type: 'string', required: true, minLength: 1, description: 'Column that holds the key' },
    delimiter: { type: 'string', minLength: 1, default: ',', description: 'What stands between two cells' },
    columns: {
      type: 'array',
      items: { type: 'string', minLength: 1 },
      minItems: 1,
      description: 'Names of the columns, for a file without a line that names them',
    },
    ...tableFileOptions,
  },
  examples: [
    { path: 'owners.csv', key: 'email', ignore_case: true },
    { path: 'sites.csv', key: 'code', delimiter: ';', columns: ['code', 'city', 'country'] },
  ],
  create(options) {
    const { path, key, delimiter, columns } = options
    if (columns && !columns.includes(key)) throw new OptionError('key', `"${key}" is none of the columns ${columns.join(', ')}`)
    if (columns) checkNames(columns, name => new OptionError('columns', `names ${name} twice`))
    return {
      files: [path],
      load: signal =>
        loadTableFile(options, signal, async (text, add) => {
          let names = columns
          let keyAt = columns?.indexOf(key) ?? -1
          let first = true
          const parser = parse({ delimiter, skip_empty_lines: true, max_record_size: MAX_RECORD_CHARS })
          await pipeline(
            Readable.from(text),
            parser,
            async (records: AsyncIterable<string[]>) => {
              for await (const cells of records) {
                if (first && names && cells.length !== names.length)
                  throw new Error(`it has ${cells.length} cells a line for the ${names.length} columns that are named`)
                first = false
                if (names) {
                  add(cells[keyAt], rowOf(names, cells))
                  continue
                }
                names = cells.map(cell => cell.trim())
                checkNames(names, twice => new Error(`its first line names the column ${twice} twice`))
                keyAt = names.indexOf(key)
                if (keyAt < 0) throw new Error(`it has no column "${key}", only ${names.join(', ')}`)
              }
            },
            { signal },
          )
          if (!names) throw new Error('it is empty: not even a line that names the columns')
        }),
      view: image => viewTableFile(options, image),
    }
  },
})

function rowOf(names: readonly string[], cells: readonly string[]): JsonObject {
  const row: JsonObject = {}
  for (let i = 0; i < names.length; i++) if (names[i] !== '' && cells[i] !== '') setOwn(row, names[i] as string, cells[i])
  return row
}

/** Two columns of one name would be one in the row. A column without a name is left out. */
function checkNames(names: readonly string[], error: (name: string) => Error): void {
  const twice = names.find((name, index) => name !== '' && names.indexOf(name) !== index)
  if (twice !== undefined) throw error(twice)
}
