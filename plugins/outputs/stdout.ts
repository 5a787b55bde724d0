// Writes events to standard output, as NDJSON for other programs or readable for people.
import { fstatSync, write as writeTo } from 'node:fs'
import process from 'node:process'
import { isatty } from 'node:tty'
import { promisify } from 'node:util'
import { defineOutput } from '../../core/plugin/define.ts'
import { asError, errorCode, RetryableError } from '../../core/plugin/errors.ts'
import type { Context } from '../../core/plugin/interfaces.ts'
import { isObject, type JsonObject } from '../../core/plugin/json.ts'
import { fieldPath } from '../lib/field-path.ts'
import { slicesOf } from '../lib/slices.ts'

export default defineOutput({
  summary: 'Writes events to standard output, as NDJSON or readable for people',
  description: `
\`pretty\` opens with the time, the action, its outcome, the user and the address of an ECS document, and lists every field below, one a
line. It is coloured when standard output is a terminal and \`NO_COLOR\` is not set; control characters in values are escaped, so that a
log record cannot drive the terminal. When the reader goes away (\`| head -1\`) the pipeline ends.`,
  options: {
    format: {
      type: 'string',
      enum: ['ndjson', 'pretty'],
      default: 'ndjson',
      description: 'ndjson: one JSON document a line; pretty: a header and one line for each field',
    },
  },
  batch: { max_events: 1000, max_bytes: 1024 * 1024, max_ms: 100 },
  examples: [{}, { format: 'pretty' }],
  create({ format }) {
    // In a worker thread process.stdout is no terminal, but descriptor 1 still is.
    const print = prettyPrinter(isatty(1) && !process.env['NO_COLOR'])
    let send: (bytes: Uint8Array, signal: AbortSignal) => Promise<void>
    return {
      encode(event, to) {
        if (format === 'pretty') to.text(print(event.fields))
        else {
          to.json(event.fields)
          to.byte(10)
        }
        return undefined
      },
      open(context) {
        // Without a listener a reader that goes away would end the process; `write` reports it.
        process.stdout.off('error', ignore).on('error', ignore)
        send = isFile() ? (bytes, signal) => appendOut(bytes, signal, context) : writeOut
      },
      async write(items, _, signal) {
        for (const bytes of slicesOf(items)) await send(bytes, signal)
      },
    }
  },
})

function ignore(): void {}

const STDOUT = 1
const RETRY_MS = 1000
/** What a write is answered with when the reader went away. */
const GONE = new Set(['EPIPE', 'ECONNRESET', 'ERR_STREAM_DESTROYED', 'ERR_STREAM_WRITE_AFTER_END'])
const toDescriptor = promisify(writeTo)

function isFile(): boolean {
  try {
    return fstatSync(STDOUT).isFile()
  } catch {
    return false
  }
}

/** Resolves when the system took the bytes. Rejects with an error of code EPIPE when nobody reads any more. */
function writeOut(bytes: Uint8Array): Promise<void> {
  return new Promise((resolve, reject) => {
    process.stdout.write(bytes, error => {
      if (!error) return resolve()
      const code = errorCode(asError(error))
      if (GONE.has(code))
        return reject(
          Object.assign(new Error('stdout: nobody reads standard output any more', { cause: error }), { code: 'EPIPE' }),
        )
      reject(new RetryableError(`stdout: ${code} writing to standard output: ${error.message}`, { cause: error, code }))
    })
  })
}

/**
 * Standard output is a file: Node's own stream drops what a full disk did not take of a write. What was taken cannot be taken back, so
 * that the rest waits here until there is room, and no line is torn.
 */
async function appendOut(bytes: Uint8Array, signal: AbortSignal, context: Context): Promise<void> {
  let failed = false
  for (let done = 0; done < bytes.byteLength; ) {
    try {
      done += (await toDescriptor(STDOUT, bytes, done, bytes.byteLength - done, null)).bytesWritten
    } catch (error) {
      const cause = asError(error)
      context.health(
        'degraded',
        `stdout: ${errorCode(cause)} writing to standard output (${cause.message}); it goes on when there is room`,
      )
      failed = true
      await context.clock.sleep(RETRY_MS, signal)
    }
  }
  if (failed) context.health('ok')
}

const HEADER = ['event.action', 'event.outcome', 'user.name', 'source.ip'].map(path => fieldPath(path))
const TIME = fieldPath('@timestamp')
/** C0 and C1 controls, and the characters that turn the direction of text. */
const UNSAFE = /[\0-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/g

/** An event as text for people: a header line, then each field as `  path: value`. */
export function prettyPrinter(colours: boolean): (fields: JsonObject) => string {
  const paint = (code: number, text: string) => (colours && text ? `\x1b[${code}m${text}\x1b[0m` : text)
  const lines = (value: unknown, path: string): string => {
    if (isObject(value)) {
      const keys = Object.keys(value)
      if (keys.length > 0 || path === '')
        return keys.map(key => lines(value[key], path ? `${path}.${safe(key)}` : safe(key))).join('')
    }
    const text = typeof value === 'string' ? safe(value) : safe(JSON.stringify(value) ?? '')
    return `  ${paint(2, `${path}:`)} ${text}\n`
  }
  return fields => {
    const time = TIME.get(fields)
    const words = HEADER.map(path => path.get(fields)).filter(value => typeof value === 'string')
    const head = [
      typeof time === 'string' ? paint(36, safe(time)) : '',
      ...words.map((word, i) => paint(i === 0 ? 1 : 0, safe(word))),
    ]
    return `${head.filter(Boolean).join('  ') || '-'}\n${lines(fields, '')}`
  }
}

function safe(text: string): string {
  return text.replace(UNSAFE, char => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`)
}
