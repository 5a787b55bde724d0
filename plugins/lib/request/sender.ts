// Sends bodies of events over HTTP, and says what was answered: in full, or that nobody knows what became of them.
import { promisify } from 'node:util'
import { gzip } from 'node:zlib'
import { buffers } from '../../../core/plugin/buffers.ts'
import { asError, RetryableError } from '../../../core/plugin/errors.ts'
import type { Context } from '../../../core/plugin/interfaces.ts'
import { type HttpRequest, type HttpResponse, openHttp } from '../http/client.ts'
import { waitOf } from '../http/retry-after.ts'
import { lengthOf } from '../slices.ts'
import { isPlain, type Way } from './options.ts'

export interface Answer {
  readonly host: string
  readonly status: number
  /** The body of a success in full, of any other answer its beginning. */
  readonly text: string
  /** What `Retry-After` asks for; an hour at most, so that one wrong header does not end an output. Milliseconds. */
  readonly after: number | undefined
  readonly location: string | undefined
}

export interface Sent {
  readonly method: NonNullable<HttpRequest['method']>
  readonly headers: Readonly<Record<string, string>>
  readonly body: readonly Uint8Array[]
  readonly signal: AbortSignal
}

export interface Sender {
  /** Rejects with a RetryableError when no answer came, or half of one. */
  send(url: URL, sent: Sent): Promise<Answer>
  close(): Promise<void>
}

/** A page in the place of an answer is no answer: nobody reads so much of it. */
const MAX_ANSWER_BYTES = 1024 * 1024
const LONGEST_WAIT_MS = 3_600_000
/** The fastest level makes a tenth of a batch of documents already. */
const GZIP_LEVEL = 1

const zipped = promisify(gzip)

/** To be called in `open`, on the main thread. `url` is any URL of the destination, for what there is to warn of. */
export async function openSender(
  context: Pick<Context, 'clock' | 'log' | 'metrics'>,
  way: Way,
  connections: number,
  url: URL,
): Promise<Sender> {
  const { clock, metrics } = context
  const http = await openHttp({ ...way.http, clock, connections })
  warn(context, url, way)

  return {
    async send(url, { method, headers, body, signal }) {
      const plain = joined(body)
      const bytes = way.compress ? await zipped(plain, { level: GZIP_LEVEL }) : plain
      try {
        const response = await http.request(url, {
          method,
          headers: { ...headers, ...(way.compress && { 'content-encoding': 'gzip' }) },
          body: bytes,
          signal,
          totalMs: way.timeoutMs,
          maxBytes: MAX_ANSWER_BYTES,
        })
        const { status, headers: told } = response
        const text = status < 300 ? await whole(response, url) : await response.text()
        count(`${Math.floor(status / 100)}xx`)
        const after = waitOf(header(told['retry-after']), clock.now())
        return {
          ...{ host: url.host, status, text, location: header(told['location']) },
          after: after === undefined ? undefined : Math.min(after, LONGEST_WAIT_MS),
        }
      } catch (thrown) {
        signal.throwIfAborted()
        count('none')
        if (thrown instanceof RetryableError) throw thrown
        // A code of the system would say something else to the engine: EPIPE ends a pipeline.
        throw new RetryableError(asError(thrown).message, { code: 'PEN_NO_ANSWER', cause: thrown })
      }
    },
    close: () => http.close(),
  }

  function count(answer: string): void {
    metrics.count('http_requests', 'Requests by the class of their answer', 1, { answer })
  }
}

function warn({ log, metrics }: Pick<Context, 'log' | 'metrics'>, url: URL, { insecure }: Way): void {
  if (isPlain(url)) log.warn({ host: url.host }, 'events go over plain http: everybody on the way can read and change them')
  if (!insecure) return
  log.warn(
    { host: url.host },
    'tls_insecure: certificates are not looked at; whoever stands between reads and changes everything',
  )
  metrics.gauge('tls_insecure', '1 where certificates are not looked at', 1)
}

/** The body of an answer that says that all is well: one that is cut off may have meant something else. */
async function whole({ body, status }: HttpResponse, { host }: URL): Promise<string> {
  const parts: Buffer[] = []
  try {
    for await (const part of body) parts.push(part)
  } catch (cause) {
    const why = asError(cause).message
    throw new RetryableError(
      `${host} answered ${status}, but not in full (${why}): whether it has the events is not known, they are sent again`,
      { code: 'PEN_NO_ANSWER', cause },
    )
  }
  return Buffer.concat(parts).toString('utf8')
}

/** Bytes of their own: an item's are used again when its write has failed, and a connection may still hold them then. */
function joined(slices: readonly Uint8Array[]): Buffer {
  const all = Buffer.allocUnsafe(lengthOf(slices))
  let at = 0
  for (const slice of slices) {
    buffers.copy(slice, all, at)
    at += slice.byteLength
  }
  return all
}

function header(value: string | string[] | undefined): string | undefined {
  return Array.isArray(value) ? value[0] : value
}
