// An HTTP client for services that are asked for ever: certificates of one's own, proxies, limits on everything, no redirects.
import type { IncomingHttpHeaders } from 'node:http'
import { pipeline } from 'node:stream'
import { createGunzip } from 'node:zlib'
import type { Dispatcher } from 'undici'
import { asError, errorCode, isAbort, PenstockError } from '../../../core/plugin/errors.ts'
import type { Clock } from '../../../core/plugin/interfaces.ts'
import { checkHost, PrivateAddressError, publicOnly } from './public-only.ts'
import { type TlsFiles, tlsAdvice, tlsSettings } from './tls.ts'

export interface HttpOptions extends TlsFiles {
  readonly clock: Clock
  /** For every request but those that NO_PROXY names; without it HTTPS_PROXY holds. */
  readonly proxy?: string | undefined
  /** Connections to one host at once. Default: 32. */
  readonly connections?: number
  /** What a connection may take. Default: 10 s. Milliseconds. */
  readonly connectMs?: number
  /** Without a byte for so long, an answer is given up, before its head or in its body. Default: 60 s. Milliseconds. */
  readonly silenceMs?: number
  /** Requests at once have connections of their own: never HTTP/2. */
  readonly http1?: boolean
  /** Connects to addresses of the public internet alone, and through no proxy, since a proxy looks names up itself. */
  readonly publicOnly?: boolean
}

export interface HttpRequest {
  readonly method?: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
  readonly headers?: Readonly<Record<string, string>>
  /** Bytes must stay as they are until the answer is there. */
  readonly body?: string | Uint8Array
  readonly signal: AbortSignal
  /** What the whole exchange may take. Default: 10 minutes. Milliseconds. */
  readonly totalMs?: number
  /** Decoded bytes that an answer may have. Default: 256 MiB. */
  readonly maxBytes?: number
}

export interface HttpResponse {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  /**
   * The decoded body, to be read once. Throws a HttpError when it is cut off, broken or too long. A reader that stops early closes the
   * connection.
   */
  readonly body: AsyncIterable<Buffer>
  /** The body as text, at most `most` bytes of it; what goes wrong while it is read ends it. For errors. */
  text(most?: number): Promise<string>
}

export interface HttpClient {
  request(url: URL, request: HttpRequest): Promise<HttpResponse>
  /** Ends whatever is still under way. */
  close(): Promise<void>
}

/**
 * No answer, or not all of it. `code`: the system's or undici's, `PEN_HTTP_TOO_LONG`, `PEN_HTTP_ENCODING`, `PEN_HTTP_TIMEOUT` or
 * `PEN_PRIVATE_ADDRESS`.
 */
export class HttpError extends PenstockError {}

const CONNECT_MS = 10_000
const SILENCE_MS = 60_000
const TOTAL_MS = 600_000
const MAX_BYTES = 256 * 1024 * 1024
const CONNECTIONS = 32
const ERROR_TEXT_BYTES = 16 * 1024

/** Loads undici: to be called in a plugin's `open`, on the main thread. Rejects with an OptionError when a file cannot be used. */
export async function openHttp(options: HttpOptions): Promise<HttpClient> {
  const { clock, publicOnly: guarded = false } = options
  const { request: send } = await import('undici')
  const agent = await agentOf(options)

  return {
    async request(url, { method = 'GET', headers = {}, body, signal, totalMs = TOTAL_MS, maxBytes = MAX_BYTES }) {
      const limit = new AbortController()
      const stopTimer = clock.after(totalMs, () =>
        limit.abort(new HttpError('PEN_HTTP_TIMEOUT', `${url.host} has not answered in full within ${totalMs / 1000} s`)),
      )
      const both = AbortSignal.any([signal, limit.signal])
      const failed = (thrown: unknown) => {
        stopTimer()
        if (signal.aborted) return signal.reason
        return limit.signal.aborted ? limit.signal.reason : httpError(url, thrown)
      }
      try {
        if (guarded) checkHost(url)
        const answer = await send(url, {
          method,
          headers: { 'accept-encoding': 'gzip', ...headers },
          ...(body !== undefined && { body }),
          signal: both,
          dispatcher: agent,
        })
        const read = () => decoded(answer, maxBytes, url)
        return {
          status: answer.statusCode,
          headers: answer.headers,
          body: (async function* () {
            try {
              yield* read()
            } catch (thrown) {
              throw failed(thrown)
            } finally {
              stopTimer()
            }
          })(),
          async text(most = ERROR_TEXT_BYTES) {
            const parts: Buffer[] = []
            let length = 0
            try {
              for await (const part of read()) {
                parts.push(part)
                length += part.length
                if (length >= most) break
              }
            } catch {
              // The status says what matters, and the beginning of the body the rest.
            }
            stopTimer()
            return Buffer.concat(parts).subarray(0, most).toString('utf8')
          },
        }
      } catch (thrown) {
        throw failed(thrown)
      }
    },
    close: () => agent.destroy(),
  }
}

async function agentOf(options: HttpOptions): Promise<Dispatcher> {
  const { proxy, connections = CONNECTIONS, connectMs = CONNECT_MS, silenceMs = SILENCE_MS, http1, publicOnly: guarded } = options
  const { Agent, EnvHttpProxyAgent } = await import('undici')
  const trusted = tlsSettings(options)
  const shared = {
    connections,
    headersTimeout: silenceMs,
    bodyTimeout: silenceMs,
    ...(http1 && { allowH2: false }),
  }
  const connect = { ...trusted, timeout: connectMs }
  if (guarded) return new Agent({ ...shared, connect: { ...connect, lookup: publicOnly() } })
  return new EnvHttpProxyAgent({
    ...shared,
    ...(proxy !== undefined && { httpProxy: proxy, httpsProxy: proxy }),
    connect,
    requestTls: trusted,
    // A client certificate is for the destination, not for a proxy.
    proxyTls: tlsSettings({ ca: options.ca }),
  })
}

/** The body without its encoding: gzip or none. Two, one on top of the other, are a bomb rather than an answer. */
async function* decoded({ headers, body }: Dispatcher.ResponseData, maxBytes: number, url: URL): AsyncGenerator<Buffer> {
  const encoding = String(headers['content-encoding'] ?? 'identity')
    .trim()
    .toLowerCase()
  if (encoding !== 'identity' && encoding !== 'gzip') {
    body.on('error', () => {}).destroy()
    throw new HttpError(
      'PEN_HTTP_ENCODING',
      `the answer of ${url.host} is encoded as ${JSON.stringify(encoding.slice(0, 60))}; asked for was gzip`,
    )
  }
  let source: AsyncIterable<Buffer> = body
  if (encoding === 'gzip') {
    const gunzip = createGunzip({ chunkSize: 64 * 1024 })
    // What goes wrong comes out of the reading.
    pipeline(body, gunzip, () => {})
    source = gunzip
  }
  let length = 0
  for await (const piece of source) {
    length += piece.length
    if (length > maxBytes)
      throw new HttpError('PEN_HTTP_TOO_LONG', `the answer of ${url.host} is over its limit (${maxBytes} bytes)`)
    yield piece
  }
}

function httpError(url: URL, thrown: unknown): Error {
  if (thrown instanceof HttpError || isAbort(thrown)) return thrown as Error
  const error = asError(thrown)
  const cause = error.cause instanceof Error ? error.cause : error
  const code = errorCode(cause)
  const advice = tlsAdvice(cause)
  const why = advice ?? cause.message
  const known = advice !== undefined || cause instanceof PrivateAddressError || why.includes(code)
  return new HttpError(code, `no answer from ${url.host}: ${why}${known ? '' : ` (${code})`}`, { cause: thrown })
}
