// Requests to Elasticsearch through its own client: one at a time or many, never repeated here. Who repeats must know what it may do.
import { promisify } from 'node:util'
import { gzip } from 'node:zlib'
import type { Client, ClientOptions } from '@elastic/elasticsearch'
import { asError, RetryableError } from '../../../core/plugin/errors.ts'
import type { Clock } from '../../../core/plugin/interfaces.ts'
import { waitOf } from '../../lib/http/retry-after.ts'
import { tlsAdvice, tlsSettings } from '../../lib/http/tls.ts'
import { type Secret, secretOf } from '../../lib/secret.ts'
import type { Auth, Target } from './connection-options.ts'

export interface Answer {
  readonly status: number
  /** The parsed body; undefined where it was empty, a text where it was no JSON. */
  readonly json: unknown
  /** What `Retry-After` asks for, milliseconds. */
  readonly after: number | undefined
}

export interface Asked {
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE' | 'HEAD'
  readonly path: string
  readonly query?: Readonly<Record<string, string>>
  /** JSON; bytes are NDJSON as they are. */
  readonly body?: object | Buffer
  readonly signal?: AbortSignal
}

export interface Connection {
  /** What was answered, whatever the status. Rejects with a RetryableError where no answer came, or one that cannot be read. */
  request(asked: Asked): Promise<Answer>
  /** The password or key was refused: reads it again. True when there is another one now. */
  renewed(): boolean
  close(): Promise<void>
}

/**
 * Elasticsearch takes the types of its own major version and of the one before it: 9 these of 8, and 8.19 none of 9, which the client
 * of that version would send (`media_type_header_exception`).
 */
const JSON_TYPE = 'application/vnd.elasticsearch+json; compatible-with=8'
const NDJSON_TYPE = 'application/vnd.elasticsearch+x-ndjson; compatible-with=8'
/** The fastest level halves a body of documents already; the others cost several times the rest of the output. */
const GZIP_LEVEL = 1

const zipped = promisify(gzip)

/** Loads the client: to be called in `open`, on the main thread. Files of certificates are read at once. */
export async function connect(target: Target, clock: Pick<Clock, 'now'>, compress = false): Promise<Connection> {
  const { Client, HttpConnection, errors } = await import('@elastic/elasticsearch')
  const { auth, timeoutMs } = target
  const secret: Secret | undefined = auth && secretOf(auth.secret, auth.file)
  const client: Client = new Client({
    nodes: [...target.nodes],
    // Cheaper for large bodies than the client's own choice, as measured.
    Connection: HttpConnection,
    maxRetries: 0,
    requestTimeout: timeoutMs,
    tls: tlsOf(target),
    ...(target.proxy !== undefined && { proxy: target.proxy }),
  } as ClientOptions)

  function headers(type: string, packed: boolean): Record<string, string> {
    return {
      accept: JSON_TYPE,
      'content-type': type,
      ...(auth && secret && { authorization: authorization(auth, secret.value) }),
      ...(packed && { 'content-encoding': 'gzip' }),
    }
  }

  return {
    async request({ method, path, query, body, signal }) {
      const isBytes = Buffer.isBuffer(body)
      const packed = compress && isBytes
      const sent =
        body === undefined
          ? undefined
          : isBytes
            ? packed
              ? await zipped(body, { level: GZIP_LEVEL })
              : body
            : JSON.stringify(body)
      try {
        const {
          statusCode = 0,
          body: json,
          headers: told,
        } = await client.transport.request(
          {
            method,
            path,
            ...(query && { querystring: query }),
            ...(sent !== undefined && (isBytes ? { bulkBody: sent as Buffer } : { body: sent })),
          },
          { meta: true, headers: headers(isBytes ? NDJSON_TYPE : JSON_TYPE, packed), ...(signal && { signal }) },
        )
        return { status: statusCode, json, after: waitOf(told?.['retry-after'] as string | undefined, clock.now()) }
      } catch (thrown) {
        if (thrown instanceof errors.ResponseError) {
          const { statusCode = 0, body: json, headers: told } = thrown.meta
          return {
            status: statusCode,
            json: json === '' || json === null ? undefined : json,
            after: waitOf(told?.['retry-after'] as string | undefined, clock.now()),
          }
        }
        signal?.throwIfAborted()
        throw unanswered(thrown, timeoutMs)
      }
    },
    renewed: () => secret?.renew() ?? false,
    async close() {
      await client.close()
    },
  }
}

/** The header for a user or a key. */
export function authorization(auth: Auth, secret: string): string {
  if (auth.kind === 'basic') return `Basic ${Buffer.from(`${auth.user}:${secret}`).toString('base64')}`
  // Both ways in which Elasticsearch shows a key.
  return `ApiKey ${secret.includes(':') ? Buffer.from(secret).toString('base64') : secret}`
}

function tlsOf({ tls, nodes }: Target): ClientOptions['tls'] {
  return nodes.every(node => node.startsWith('http://')) ? undefined : { minVersion: 'TLSv1.2', ...tlsSettings(tls) }
}

/** No answer, or half of one: whether the request was carried out is unknown. */
function unanswered(thrown: unknown, timeoutMs: number): RetryableError {
  const error = asError(thrown)
  const options = { cause: error, code: 'PEN_ELASTICSEARCH' }
  switch (error.name) {
    case 'TimeoutError':
      return new RetryableError(`elasticsearch: no answer within ${timeoutMs / 1000} s`, options)
    case 'DeserializationError':
      return new RetryableError(
        'elasticsearch: the answer is cut off, or no JSON; what became of the request is unknown, repeating',
        options,
      )
    case 'ProductNotSupportedError':
      return new RetryableError(
        'elasticsearch: whoever answers does not say that it is Elasticsearch (no header X-Elastic-Product); look at hosts, and at what lies in between',
        options,
      )
    default:
      return new RetryableError(`elasticsearch: ${sentence(error)}`, options)
  }
}

/** The client keeps the text of an error of TLS, and not its code. */
const TLS_TEXTS: readonly (readonly [text: RegExp, code: string])[] = [
  [/does not match certificate's altnames/, 'ERR_TLS_CERT_ALTNAME_INVALID'],
  [/certificate has expired/, 'CERT_HAS_EXPIRED'],
  [/certificate is not yet valid/, 'CERT_NOT_YET_VALID'],
  [/self-signed certificate in certificate chain/, 'SELF_SIGNED_CERT_IN_CHAIN'],
  [/self-signed certificate/, 'DEPTH_ZERO_SELF_SIGNED_CERT'],
  [/unable to verify the first certificate/, 'UNABLE_TO_VERIFY_LEAF_SIGNATURE'],
  [/unable to get local issuer certificate/, 'UNABLE_TO_GET_ISSUER_CERT_LOCALLY'],
  [/unsupported protocol/, 'ERR_SSL_UNSUPPORTED_PROTOCOL'],
  [/alert protocol version/, 'ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION'],
  [/wrong version number/, 'ERR_SSL_WRONG_VERSION_NUMBER'],
  [/packet length too long/, 'ERR_SSL_PACKET_LENGTH_TOO_LONG'],
  [/alert certificate required/, 'ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED'],
  [/alert unknown ca/, 'ERR_SSL_TLSV1_ALERT_UNKNOWN_CA'],
  [/alert bad certificate/, 'ERR_SSL_SSLV3_ALERT_BAD_CERTIFICATE'],
]

function sentence({ message }: Error): string {
  const [, code] = TLS_TEXTS.find(([text]) => text.test(message)) ?? []
  if (code === undefined) return message
  const [, subjectaltname] = /altnames: (\S+)$/.exec(message) ?? []
  return tlsAdvice(Object.assign(new Error(message), { code, cert: { subjectaltname } })) ?? message
}
