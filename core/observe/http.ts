// The HTTP server of a running engine: /health, /ready and /metrics. On loopback unless told otherwise, and then with TLS and a token.
import { createHash, timingSafeEqual } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { createServer, type IncomingMessage, type Server, type ServerResponse, STATUS_CODES } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Duplex } from 'node:stream'
import type { HttpConfig } from '../config/types.ts'
import { PenstockError } from '../plugin/errors.ts'
import type { Log } from '../plugin/interfaces.ts'
import type { Health } from './health.ts'
import type { MetricsStore } from './metrics.ts'

export interface ServeParts {
  readonly metrics: MetricsStore
  readonly health: Health
  readonly log: Log
}

type Listener = (request: IncomingMessage, response: ServerResponse) => void

const LOOPBACK = /^(?:localhost|127(?:\.\d{1,3}){3}|::1)$/i
/** A name or address, in brackets where it has colons, and perhaps a port. */
const HOST = /^(?:\[([\da-f:]+)\]|([^:[\]]+))(?::\d+)?$/i
const HEADERS = {
  'Cache-Control': 'no-store',
  'Content-Security-Policy': "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
  'X-Content-Type-Options': 'nosniff',
  'Referrer-Policy': 'no-referrer',
  'Cross-Origin-Resource-Policy': 'same-origin',
  'Cross-Origin-Opener-Policy': 'same-origin',
} as const
/** Limits of a listener that answers small requests only: a slow or greedy client holds nothing up. */
export const LIMITS = {
  headersTimeout: 10_000,
  requestTimeout: 30_000,
  keepAliveTimeout: 5_000,
  connectionsCheckingInterval: 5_000,
  maxHeaderSize: 8_192,
  maxHeadersCount: 64,
  maxConnections: 256,
  maxRequestsPerSocket: 1_000,
  // Who names no host is refused below, with the headers that every answer has.
  requireHostHeader: false,
  /** A client that does not read its answer is left after so long. Milliseconds. */
  timeout: 30_000,
}

/** Starts listening. Rejects with a sentence when the port is taken. */
export async function serve(
  config: HttpConfig,
  parts: ServeParts,
  limits = LIMITS,
): Promise<{ readonly port: number; close(): Promise<void> }> {
  const listening = config.host.replace(/^\[(.*)\]$/, '$1')
  const loopback = LOOPBACK.test(listening)
  const token = config.token === undefined ? undefined : digest(config.token)
  const listener: Listener = (request, response) => {
    handle(request, response).catch(error => {
      parts.log.error({ error: (error as Error).message }, 'a request failed')
      if (!response.headersSent) answer(response, 500, 'text/plain', 'internal error\n')
    })
  }

  async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = (request.url ?? '').split('?')[0]
    // A web page elsewhere may point a name of its own at this address: only the names of loopback are answered there.
    if (loopback && !LOOPBACK.test(hostName(request.headers.host))) return answer(response, 421, 'text/plain', 'unknown host\n')
    if (request.method !== 'GET' && request.method !== 'HEAD')
      return answer(response, 405, 'text/plain', 'only GET\n', { Allow: 'GET, HEAD' })
    if (path === '/health') return health(response)
    if (path !== '/ready' && path !== '/metrics')
      return answer(response, 404, 'text/plain', 'there are /health, /ready and /metrics\n')
    if (token && !authorized(request, token))
      return answer(response, 401, 'text/plain', 'a token is needed\n', { 'WWW-Authenticate': 'Bearer' })
    if (path === '/ready') {
      const ailing = parts.health.ailing()
      const body = { status: parts.health.worst(), steps: ailing }
      return answer(response, body.status === 'ok' ? 200 : 503, 'application/json', `${JSON.stringify(body)}\n`)
    }
    const { type, body } = await parts.metrics.text()
    answer(response, 200, type, body)
  }

  /** Alive unless a pipeline failed; no detail, since it asks for no token. */
  function health(response: ServerResponse): void {
    const status = parts.health.worst()
    answer(response, status === 'failed' ? 503 : 200, 'application/json', `${JSON.stringify({ status })}\n`)
  }

  const server: Server = config.tls ? await secure(config.tls, limits, listener) : createServer(limits, listener)
  const { maxConnections, maxRequestsPerSocket, maxHeadersCount, timeout } = limits
  Object.assign(server, { maxConnections, maxRequestsPerSocket, maxHeadersCount, timeout })
  server.on('checkExpectation', (_request, response) => answer(response, 417, 'text/plain', 'nothing is expected here\n'))
  server.on('clientError', refuse)
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      const why = error.code === 'EADDRINUSE' ? 'the port is taken; choose another http.port' : error.message
      reject(new PenstockError('PEN_CONFIG', `http: cannot listen on ${config.host}:${config.port}: ${why}`, { cause: error }))
    })
    server.listen(config.port, listening, resolve)
  })
  const { port } = server.address() as AddressInfo
  parts.log.info({ host: config.host, port }, 'listening for /health, /ready and /metrics')
  return {
    port,
    close: () =>
      new Promise(resolve => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

async function secure(tls: NonNullable<HttpConfig['tls']>, limits: typeof LIMITS, listener: Listener): Promise<Server> {
  const { createServer: createSecureServer } = await import('node:https')
  const [cert, key] = await Promise.all([readFile(tls.cert), readFile(tls.key)])
  return createSecureServer({ ...limits, cert, key, minVersion: 'TLSv1.2' }, listener) as unknown as Server
}

function answer(
  response: ServerResponse,
  status: number,
  type: string,
  body: string,
  headers: Readonly<Record<string, string>> = {},
): void {
  const { 'content-length': length = '0', 'transfer-encoding': encoding } = response.req.headers
  // Nobody reads a body here: it ends with the connection.
  if (length !== '0' || encoding !== undefined) response.shouldKeepAlive = false
  response.writeHead(status, { ...HEADERS, ...headers, 'Content-Type': type, 'Content-Length': Buffer.byteLength(body) })
  response.end(body)
}

/** Answers what is no request, or comes too slowly: Node's own answers lack the headers. */
function refuse(error: NodeJS.ErrnoException, socket: Duplex): void {
  const status = error.code === 'HPE_HEADER_OVERFLOW' ? 431 : error.code === 'ERR_HTTP_REQUEST_TIMEOUT' ? 408 : 400
  let head = `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\nConnection: close\r\nContent-Length: 0\r\n`
  for (const [name, value] of Object.entries(HEADERS)) head += `${name}: ${value}\r\n`
  socket.end(`${head}\r\n`, () => socket.destroy())
}

/** The host that a request names, without its port; '' for what is none. */
function hostName(header: string | undefined): string {
  const [, address, name] = HOST.exec(header ?? '') ?? []
  return address ?? name ?? ''
}

/** Compares digests: they have one length, and the comparison takes the same time whatever differs. */
function authorized(request: IncomingMessage, token: Buffer): boolean {
  const given = /^Bearer (.+)$/.exec(request.headers.authorization ?? '')?.[1]
  return given !== undefined && timingSafeEqual(digest(given), token)
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest()
}
