// Faults in the file output as an exporter: arrays that are left open, headers that come twice, rows that are torn.
import { type Mutant, mutantsOf } from './mutant.ts'

const EXPORT = ['plugins/file-export-faults', 'plugins/file-export']

export const fileExport: readonly Mutant[] = [
  ...mutantsOf('plugins/outputs/file/structure.ts', EXPORT, [
    {
      name: 'row-ends-in-quotes',
      breaks: 'After a crash a line end within a cell is taken for the end of a row, and the rest of the cell stays as a row',
      find: 'else if (byte === LINE_END && !inQuotes) whole = at + i + 1',
      replace: 'else if (byte === LINE_END) whole = at + i + 1',
    },
    {
      name: 'export-hole-kept',
      breaks: 'Zeros that a power cut left in the middle of an exported file stay there',
      find: 'return hole < 0 ? piece : piece.subarray(0, hole)',
      replace: 'return piece',
    },
    {
      name: 'comma-is-an-element',
      breaks: 'After a crash a comma without its element counts as one, and the array cannot be read',
      find: '(first === OPEN || first === COMMA) && last === CLOSE',
      replace: 'first === OPEN || first === COMMA',
    },
    {
      name: 'reads-behind-the-bracket',
      breaks: 'What lies behind the closing bracket of an array after a power cut counts as elements of it',
      find: 'if (!element && !head) return false',
      replace: '',
    },
    {
      name: 'packed-bracket-kept',
      breaks: 'After a crash a compressed array goes on behind its closing bracket',
      find: 'for (const member of [close, next]) {',
      replace: 'for (const member of [next]) {',
    },
    {
      name: 'packed-comma-kept',
      breaks: 'After a crash a compressed array keeps a comma before nothing',
      find: 'for (const member of [close, next]) {',
      replace: 'for (const member of [close]) {',
    },
    {
      name: 'array-left-open',
      breaks: 'After a crash, or a write that failed, an array stays without its closing bracket',
      find: 'const { bytesWritten } = await handle.writev([close], at)',
      replace: 'const bytesWritten = close.length',
    },
  ]),
  ...mutantsOf('plugins/outputs/file/mending.ts', EXPORT, [
    {
      name: 'empty-array-goes-on',
      breaks: 'An array whose first batch was torn goes on with a comma before its first element',
      find: 'body <= (overwrites(layout) ? head.length : 0) ? 0 :',
      replace: 'body <= 0 ? 0 :',
    },
    {
      name: 'other-columns-appended',
      breaks: 'Rows go below a header with other columns',
      find: 'if (!(await holds(handle, 0, head)) || !(await this.#isClosed(handle, size))) return undefined',
      replace: 'if (!(await this.#isClosed(handle, size))) return undefined',
    },
    {
      name: 'foreign-end-overwritten',
      breaks: 'What another program appended to an array is overwritten',
      find: 'return size > head.length + close.length && holds(handle, size - ending.length, ending)',
      replace: 'return true',
    },
    {
      name: 'quotes-not-counted',
      breaks: 'Rows are appended within the quotes of a cell that another program left open',
      find: '(await wholeRows(handle, 0, size)) < size ? undefined : whole',
      replace: 'whole',
    },
    {
      name: 'format-not-recorded',
      breaks: 'A start after a crash takes an array for lines',
      find: 'real, String(ino), base, this.#compression, this.#layout.format]',
      replace: 'real, String(ino), base, this.#compression]',
    },
  ]),
  ...mutantsOf('plugins/outputs/file/file-set.ts', EXPORT, [
    {
      name: 'array-change-unseen',
      breaks: 'The end of an array is overwritten although another program has made the file longer',
      find: 'else if (overwrites(this.#layout)) await this.#isOurs(file)',
      replace: '',
    },
    {
      name: 'header-in-each-batch',
      breaks: 'Each batch begins with the header, or another bracket',
      find: '[file.size === 0 ? head : next, ...records, close]',
      replace: '[head, ...records, close]',
    },
    {
      name: 'export-too-long',
      breaks: 'A file with a header or brackets grows beyond rotate_bytes',
      find: 'rotateBytes - head.length - close.length',
      replace: 'rotateBytes',
    },
  ]),
  ...mutantsOf('plugins/lib/export/packing.ts', EXPORT, [
    {
      name: 'stored-frame-unchecked',
      breaks: 'A zstd frame that is half written over another one is taken for a whole one',
      find: 'header[4] = 0b1010_0100',
      replace: 'header[4] = 0b1010_0000',
    },
  ]),
  ...mutantsOf(
    'plugins/lib/export/csv.ts',
    ['plugins/file-export', 'plugins/contract-outputs'],
    [
      {
        name: 'formula-runs',
        breaks: 'A log record puts a formula into the spreadsheet of whoever opens the export',
        find: 'escapeFormulas && FORMULA.test(value)',
        replace: 'false',
      },
      {
        name: 'quotes-not-doubled',
        breaks: 'A quote within a cell ends it',
        find: `replaceAll('"', '""')`,
        replace: `replaceAll('"', '"')`,
      },
      {
        name: 'empty-row-lost',
        breaks: 'With one column an event without its field is an empty line, which readers skip',
        find: `if (paths.length === 1 && row === '') row = '""'`,
        replace: '',
      },
    ],
  ),
]
