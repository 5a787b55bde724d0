// A record's bytes as text, with a word on those that are no UTF-8.
import { isUtf8 } from 'node:buffer'
import { PermanentError } from '../../../core/plugin/errors.ts'

/** The option of every codec whose records are text. */
export const invalidUtf8Option = {
  type: 'string',
  enum: ['dead_letter', 'replace'],
  default: 'dead_letter',
  description: 'What becomes of a record with bytes that are no UTF-8: a dead letter, or U+FFFD in the place of such bytes',
} as const

// Works on any view; a Buffer over each record would cost more than its text.
const { utf8Slice } = Buffer.prototype

/**
 * The text of a record, whose bytes may lie in shared memory.
 * @throws PermanentError for bytes that are no UTF-8, unless they are to be replaced.
 */
export function recordText(record: Uint8Array, invalid: 'dead_letter' | 'replace'): string {
  const text = utf8Slice.call(record as Buffer, 0, record.length)
  // Only text with U+FFFD in it can come from such bytes: asking it costs a fifth of asking every record's bytes.
  if (invalid === 'dead_letter' && text.includes('\uFFFD') && !isUtf8(record))
    throw new PermanentError(
      'The record holds bytes that are no UTF-8; with invalid_utf8: replace the codec would replace them.',
      {
        code: 'PEN_UTF8',
      },
    )
  return text
}
