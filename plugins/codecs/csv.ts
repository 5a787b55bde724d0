// CSV: a row is an object, its values are text.
import { defineCodec } from '../../core/plugin/define.ts'
import { OptionError, PermanentError } from '../../core/plugin/errors.ts'
import { type JsonObject, setOwn } from '../../core/plugin/json.ts'
import { csvFramer } from '../lib/framing/csv.ts'
import { rowValues } from '../lib/framing/csv-row.ts'
import { invalidUtf8Option, recordText } from '../lib/framing/record-text.ts'

export default defineCodec({
  summary: 'CSV: each row becomes an object with the names of the columns',
  description: `The first row names the columns, unless \`columns\` does: blanks around a name are cut off, an empty one
becomes \`column_3\` by its place, and a second \`name\` becomes \`name_2\`. Values are text as it stands; inside quotes they
may hold newlines, delimiters and doubled quotes, and a quote in the middle of a value is text. A byte order mark, empty
lines, and the \`#TYPE\` line of PowerShell's Export-Csv are left out. A row with too few or too many values goes to the dead
letters, as does one whose quotes do not close.`,
  options: {
    columns: {
      type: 'array',
      items: { type: 'string', minLength: 1 },
      minItems: 1,
      description: 'Names of the columns, for a source whose first row does not name them',
    },
    delimiter: {
      type: 'string',
      minLength: 1,
      default: ',',
      description: 'Character between two values; auto takes comma, semicolon, tab or bar, by the first row',
    },
    quote: {
      type: 'string',
      minLength: 1,
      default: '"',
      description: 'Character around values that hold delimiters or newlines',
    },
    relax_columns: {
      type: 'boolean',
      default: false,
      description:
        'Take rows of any length: missing values are left out, those beyond the last name become column_9 by their place',
    },
    invalid_utf8: invalidUtf8Option,
  },
  examples: [{}, { delimiter: 'auto' }, { delimiter: ';', columns: ['code', 'city', 'country'] }],
  create({ columns, delimiter, quote, relax_columns, invalid_utf8 }) {
    const given = delimiter === 'auto' ? undefined : delimiter
    if (given !== undefined) checkCharacter('delimiter', given, ', or auto')
    checkCharacter('quote', quote, '')
    if ((given ?? ',;\t|').includes(quote)) throw new OptionError('quote', 'must not be the delimiter')
    const twice = columns?.findIndex((name, index) => columns.indexOf(name) < index) ?? -1
    if (columns && twice >= 0) throw new OptionError(`columns[${twice}]`, `the name ${columns[twice]} stands there twice`)
    return {
      framer: (meta, start) => csvFramer(meta, start, { delimiter: given, quote, columns }),
      decode(record, meta) {
        // The framer puts both there; a record that comes without one (a replayed fault) is read by the options.
        const names = Array.isArray(meta['columns']) ? (meta['columns'] as string[]) : (columns ?? [])
        const between = typeof meta['delimiter'] === 'string' ? meta['delimiter'] : (given ?? ',')
        const values = rowValues(recordText(record, invalid_utf8), between, quote)
        if (values.length !== names.length && !relax_columns)
          throw new PermanentError(`The row has ${count(values, 'value')} for ${count(names, 'column')}.`, { code: 'PEN_CSV' })
        const fields: JsonObject = {}
        for (let i = 0; i < values.length; i++) setOwn(fields, names[i] ?? `column_${i + 1}`, values[i])
        return fields
      },
    }
  },
})

function checkCharacter(option: string, value: string, more: string): void {
  if (!/^[\x01-\x09\x0b\x0c\x0e-\x7f]$/.test(value))
    throw new OptionError(option, `"${value}" must be one ASCII character that ends no line${more}`)
}

function count(list: readonly string[], noun: string): string {
  return `${list.length} ${noun}${list.length === 1 ? '' : 's'}`
}
