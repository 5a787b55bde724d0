// JSON records, one a line.
import { defineCodec } from '../../core/plugin/define.ts'
import { parseRecord } from '../lib/framing/json-record.ts'
import { newlineFramer } from '../lib/framing/newline.ts'
import { invalidUtf8Option } from '../lib/framing/record-text.ts'

export default defineCodec({
  summary: 'JSON objects, one a line (NDJSON, JSON Lines)',
  description: `A line ends with \`\\n\` or \`\\r\\n\`; blank lines and a byte order mark are left out, and the last line
needs no newline. A line that is no JSON object, or has over 2 KiB and nests deeper than 64 levels, goes to the dead letters.
Numbers are those of JavaScript: integers beyond 2^53 lose digits (the source bytes keep them), numbers beyond 1.8e308
become null, and -0 becomes 0; of equal names in an object the last one counts.`,
  options: { invalid_utf8: invalidUtf8Option },
  examples: [{}, { invalid_utf8: 'replace' }],
  create({ invalid_utf8 }) {
    return {
      framer: (meta, start) => newlineFramer(meta, start, 'skip'),
      decode: record => parseRecord(record, invalid_utf8, '; for a JSON array use the codec json'),
    }
  },
})
