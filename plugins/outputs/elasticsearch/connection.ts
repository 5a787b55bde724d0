// Requests to Elasticsearch through its own client: one at a time or many, never repeated here. Who repeats must know what it may do.
import { readFileSync } from 'node:fs'
import { promisify } from 'node:util'
import { gzip } from 'node:zlib'
import type { Client, ClientOptions } from '@elastic/elasticsearch'
import { asError, errorCode, PenstockError, RetryableError } from '../../../core/plugin/errors.ts'
import type { Clock } from '../../../core/plugin/interfaces.ts'
import { waitOf } from '../../lib/http/retry-after.ts'
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

function tlsOf({ ca, certificate, insecure, nodes }: Target): ClientOptions['tls'] {
  if (nodes.every(node => node.startsWith('http://'))) return undefined
  return {
    minVersion: 'TLSv1.2',
    rejectUnauthorized: !insecure,
    ...(ca !== undefined && { ca: pem(ca, 'ca') }),
    ...(certificate && { cert: pem(certificate.cert, 'client_certificate'), key: pem(certificate.key, 'client_key') }),
  }
}

function pem(path: string, option: string): Buffer {
  try {
    return readFileSync(path)
  } catch (cause) {
    throw new PenstockError('PEN_CREDENTIALS', `the file ${path} (${option}) cannot be read: ${asError(cause).message}`, {
      cause,
    })
  }
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

const TLS: Readonly<Record<string, string>> = {
  ERR_TLS_CERT_ALTNAME_INVALID: 'the certificate is for another host',
  CERT_HAS_EXPIRED: 'the certificate has expired',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'the certificate is signed by itself; name its PEM file with ca',
  SELF_SIGNED_CERT_IN_CHAIN:
    'the certificate is signed by nobody that is trusted here; name the PEM file of who signed it with ca',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    'the certificate is signed by nobody that is trusted here; name the PEM file of who signed it with ca',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    'the certificate is signed by nobody that is trusted here; name the PEM file of who signed it with ca',
}

function sentence(error: Error): string {
  const { cause } = error
  const code = cause instanceof Error ? errorCode(cause) : ''
  const advice = TLS[code]
  return advice ? `${advice} (${error.message})` : error.message
}
