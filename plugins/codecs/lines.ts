// Plain text, one record a line.
import { defineCodec } from '../../core/plugin/define.ts'
import { fieldPath } from '../lib/field-path.ts'
import { newlineFramer } from '../lib/framing/newline.ts'
import { invalidUtf8Option, recordText } from '../lib/framing/record-text.ts'

export default defineCodec({
  summary: 'Plain text: each line becomes a field of its own event',
  description: `A line ends with \`\\n\` or \`\\r\\n\`, which is not part of it. A byte order mark is left out, and the last
line needs no newline.`,
  options: {
    field: { type: 'string', format: 'field', default: 'message', description: 'Field that gets the line' },
    skip_empty: { type: 'boolean', default: true, description: 'Leave out lines that are empty, or hold only blanks' },
    invalid_utf8: invalidUtf8Option,
  },
  examples: [{}, { field: 'event.original', skip_empty: false }],
  create({ field, skip_empty, invalid_utf8 }) {
    const target = fieldPath(field, 'field')
    return {
      framer: (meta, start) => newlineFramer(meta, start, skip_empty ? 'skip' : 'keep'),
      decode(record) {
        const fields = {}
        target.set(fields, recordText(record, invalid_utf8))
        return fields
      },
    }
  },
})
