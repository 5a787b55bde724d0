// Events as rows of CSV (RFC 4180): chosen columns, quoted where they must be, and no formulas unless they are asked for.
import type { ByteWriter } from '../../../core/plugin/byte-writer.ts'
import { OptionError } from '../../../core/plugin/errors.ts'
import type { JsonObject } from '../../../core/plugin/json.ts'
import { type FieldPath, fieldPath } from '../field-path.ts'

export type Column = string | { readonly name: string; readonly field: string }

export interface CsvRules {
  readonly separator: string
  /** The file begins with a byte order mark. */
  readonly bom: boolean
  /** Text that a spreadsheet would run gets a ' before it. */
  readonly escapeFormulas: boolean
}

export interface CsvEncoder {
  /** What a file begins with. */
  readonly header: Uint8Array
  /** Writes one row. Pure. */
  encode(fields: JsonObject, to: ByteWriter): void
}

/** RFC 4180, section 2. A line end within a cell is any; a row's is always this one. */
const ROW_END = '\r\n'
/** What spreadsheets take for the beginning of a formula, its forms of double width with it (OWASP, CSV injection). */
const FORMULA = /^[=+\-@\t\r\n＝＋－＠]/
/** Readers end text at it, and a file system leaves it where a write was lost. */
const NUL = /\0/g

/** @throws OptionError for a column that is no field path, or has the name of another */
export function csvEncoder(columns: readonly Column[], { separator, bom, escapeFormulas }: CsvRules): CsvEncoder {
  // A reader that trims would take the spaces of a cell without quotes.
  const special = new RegExp(`["\\r\\n\\0${separator === '\t' ? '\\t' : separator}]|^[\\s\\ufeff]|\\s$`)
  const quoted = (text: string) => (special.test(text) ? `"${text.replaceAll('"', '""').replace(NUL, '␀')}"` : text)
  const cell = (value: unknown): string => {
    if (typeof value === 'string') return quoted(escapeFormulas && FORMULA.test(value) ? `'${value}` : value)
    if (value === undefined || value === null) return ''
    if (typeof value === 'object') return quoted(JSON.stringify(value))
    return String(value)
  }
  const names: string[] = []
  const paths: FieldPath[] = columns.map((column, index) => {
    const at = `columns[${index}]`
    const { name, field } = typeof column === 'string' ? { name: column, field: column } : column
    if (names.includes(name)) throw new OptionError(at, `two columns are called "${name}"; give one of them another name`)
    names.push(name)
    return fieldPath(field, typeof column === 'string' ? at : `${at}.field`)
  })
  const [first] = paths as [FieldPath]
  return {
    header: Buffer.from(`${bom ? '\ufeff' : ''}${names.map(quoted).join(separator)}${ROW_END}`),
    encode(fields, to) {
      let row = cell(first.get(fields))
      // An empty line is no row for most readers: the event would not be there.
      if (paths.length === 1 && row === '') row = '""'
      for (let i = 1; i < paths.length; i++) row += separator + cell((paths[i] as FieldPath).get(fields))
      to.text(row + ROW_END)
    },
  }
}
