// JSON texts of any size: the elements of an array, or values one after the other.
import { defineCodec } from '../../core/plugin/define.ts'
import { OptionError } from '../../core/plugin/errors.ts'
import { fieldPath } from '../lib/field-path.ts'
import { jsonFramer } from '../lib/framing/json.ts'
import { parseRecord } from '../lib/framing/json-record.ts'
import { invalidUtf8Option } from '../lib/framing/record-text.ts'

export default defineCodec({
  summary: 'JSON texts of any size: an array of objects, an array inside an object, or objects one after the other',
  description: `An array is cut into its elements as it streams by, so it may be larger than memory; an object is one record.
Objects may follow each other with or without newlines or commas between them, on one line or many. With \`path\` the records
are the elements of the array below these names (\`value\` for answers of Microsoft Graph, \`Records\` for exports), and what
else the object holds is left out.

An element that is no object, or has over 2 KiB and nests deeper than 64 levels, goes to the dead letters. So does what is no
JSON value at all: a bracket or quote that is not closed, text between records, an array that is cut off. Records go on with
the next line that begins as records do (their indentation, then a brace); in a text without newlines all that is left becomes
one dead letter.`,
  options: {
    path: {
      type: 'string',
      format: 'field',
      description: 'Names, such as value or a.b, that lead from a top-level object to the array whose elements are the records',
    },
    invalid_utf8: invalidUtf8Option,
  },
  examples: [{}, { path: 'value' }],
  create({ path, invalid_utf8 }) {
    const names = path === undefined ? [] : fieldPath(path, 'path').segments.map(nameOf)
    return {
      framer: (meta, start) => jsonFramer(meta, start, names),
      decode: record => parseRecord(record, invalid_utf8),
    }
  },
})

function nameOf(segment: string | number): string {
  if (typeof segment === 'string') return segment
  throw new OptionError('path', `leads through element ${segment} of a list; only names of objects can lead to the records`)
}
