// An HTTP client for services that are asked for ever: certificates of one's own, proxies, limits on everything, no redirects.
import { readFileSync } from 'node:fs'
import type { IncomingHttpHeaders } from 'node:http'
import { pipeline } from 'node:stream'
import { createGunzip } from 'node:zlib'
import type { Dispatcher } from 'undici'
import { asError, errorCode, isAbort, OptionError, PenstockError } from '../../../core/plugin/errors.ts'
import type { Clock } from '../../../core/plugin/interfaces.ts'

export interface HttpOptions {
  readonly clock: Clock
  /** A PEM file: certificates that are trusted beside those of the system. */
  readonly ca?: string | undefined
  /** For every request but those that NO_PROXY names; without it HTTPS_PROXY holds. */
  readonly proxy?: string | undefined
  /** Connections to one host at once. Default: 32. */
  readonly connections?: number
}

export interface HttpRequest {
  readonly method?: 'GET' | 'POST'
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string
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

/** No answer, or not all of it. `code`: the system's or undici's, `PEN_HTTP_TOO_LONG`, `PEN_HTTP_ENCODING` or `PEN_HTTP_TIMEOUT`. */
export class HttpError extends PenstockError {}

const CONNECT_MS = 10_000
const HEADERS_MS = 60_000
/** Without a byte for so long, a body is given up. */
const IDLE_MS = 60_000
const TOTAL_MS = 600_000
const MAX_BYTES = 256 * 1024 * 1024
const CONNECTIONS = 32
const ERROR_TEXT_BYTES = 16 * 1024

const SIGNED_BY_NOBODY = 'its certificate is signed by nobody that is trusted here; name the PEM file of who signed it with ca'
/** What an operator can do about a failed TLS handshake. */
const TLS_ADVICE: Readonly<Record<string, string>> = {
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: SIGNED_BY_NOBODY,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: SIGNED_BY_NOBODY,
  SELF_SIGNED_CERT_IN_CHAIN:
    'its certificate is signed by nobody that is trusted here (a proxy that reads along?); name the PEM file of who signed it with ca',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'its certificate is signed by itself; name its PEM file with ca',
  CERT_HAS_EXPIRED: 'its certificate has expired',
  ERR_TLS_CERT_ALTNAME_INVALID: 'its certificate is for another host',
}

/** Loads undici: to be called in a plugin's `open`, on the main thread. */
export async function openHttp({ clock, ca, proxy, connections = CONNECTIONS }: HttpOptions): Promise<HttpClient> {
  const { EnvHttpProxyAgent, request: send } = await import('undici')
  const { rootCertificates } = await import('node:tls')
  const trusted = ca === undefined ? {} : { ca: [...rootCertificates, readPem(ca)] }
  const agent: Dispatcher = new EnvHttpProxyAgent({
    ...(proxy !== undefined && { httpProxy: proxy, httpsProxy: proxy }),
    connections,
    headersTimeout: HEADERS_MS,
    bodyTimeout: IDLE_MS,
    connect: { ...trusted, timeout: CONNECT_MS },
    requestTls: trusted,
    proxyTls: trusted,
  })

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
  const why = TLS_ADVICE[code] ?? cause.message
  return new HttpError(code, `no answer from ${url.host}: ${why}${TLS_ADVICE[code] || why.includes(code) ? '' : ` (${code})`}`, {
    cause: thrown,
  })
}

function readPem(path: string): string {
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch (cause) {
    throw new OptionError('ca', `the file ${path} cannot be read: ${asError(cause).message}`, { cause })
  }
  if (!text.includes('-----BEGIN CERTIFICATE-----')) throw new OptionError('ca', `${path} holds no certificate in PEM`)
  return text
}
