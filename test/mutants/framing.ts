// Faults in the framers: where records are cut, and how far a stream has been taken.
import { type Mutant, mutantsOf } from './mutant.ts'

const FRAMING = ['plugins/framing', 'plugins/framing-chunks']
const CSV = ['plugins/contract-codecs', ...FRAMING]

export const framing: readonly Mutant[] = [
  ...mutantsOf('plugins/lib/framing/newline.ts', FRAMING, [
    {
      name: 'newline-last-line-lost',
      breaks: 'A last line without a newline is dropped at the end of the input',
      find: 'if (view.length > 0) line(view, 0, view.length)',
      replace: '',
    },
    {
      name: 'newline-position-ahead',
      breaks: 'The place to go on from lies behind a line that is not finished',
      find: 'consumed = carry.offset + from',
      replace: 'consumed = carry.offset + view.length',
    },
    {
      name: 'newline-long-untold',
      breaks: 'A line that is too long is left out without a word',
      find: 'cuts.faults.push(tooLong(long, max))',
      replace: '',
    },
    {
      name: 'newline-blank-offsets',
      breaks: 'Behind a line that is left out every record is cut in the wrong place',
      find: "if (blank === 'skip' && isBlank(view, from, to)) return",
      replace: "if (blank === 'skip' && to - from < 2) return",
    },
  ]),
  ...mutantsOf('plugins/lib/framing/csv.ts', CSV, [
    {
      name: 'csv-last-row-lost',
      breaks: 'A last row without a newline is dropped at the end of the input',
      find: 'if (long || row < view.length) endRow(view, view.length)',
      replace: '',
    },
    {
      name: 'csv-open-quote-swallows',
      breaks: 'A quote that is never closed swallows all rows behind it',
      find: 'const behind = rowsBehindQuote(view)',
      replace: 'const behind = 0 * rowsBehindQuote(view)',
    },
    {
      name: 'csv-position-ahead',
      breaks: 'The place to go on from lies behind a row that is not finished',
      find: 'consumed = long ? long.offset : carry.offset + row',
      replace: 'consumed = carry.offset + view.length',
    },
  ]),
  ...mutantsOf('plugins/lib/framing/csv-rows.ts', FRAMING, [
    {
      name: 'csv-quoted-newline-cuts',
      breaks: 'A newline inside quotes ends a row',
      find: 'inside = mark === row || delimiters.has(',
      replace: 'inside = mark < row || delimiters.size > 9 && delimiters.has(',
    },
  ]),
  ...mutantsOf('plugins/lib/framing/carry.ts', FRAMING, [
    {
      name: 'carry-drops-rest',
      breaks: 'The beginning of a record whose end comes with the next piece is lost',
      find: 'if (rest.length > 0) this.push(rest)',
      replace: '',
    },
    {
      name: 'carry-offset-wrong',
      breaks: 'Places in the stream are those of another record',
      find: 'this.offset += keep\n    if (rest',
      replace: 'this.offset += end\n    if (rest',
    },
  ]),
  ...mutantsOf('plugins/lib/framing/cuts.ts', FRAMING, [
    {
      name: 'cuts-starts-lost',
      breaks: 'Records between which something was left out are cut in the wrong places',
      find: 'this.#regular = false',
      replace: 'this.#regular = this.#count > 0',
    },
    {
      name: 'cuts-grow-forgets',
      breaks: 'Of a chunk with more than 256 records the first ones are cut in the wrong places',
      find: 'this.#ends.set(ends)',
      replace: '',
      tests: ['plugins/file-input'],
    },
  ]),
  ...mutantsOf('plugins/lib/framing/fault.ts', FRAMING, [
    {
      name: 'fault-length-wrong',
      breaks: 'The dead letter of a record that is too long names a wrong length',
      find: 'length: this.#length }',
      replace: 'length: bytes.length }',
    },
  ]),
]
