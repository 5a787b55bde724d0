// The listener that the service tells of new content. Nothing that it is told is believed but that a look may be worth it.
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { createServer as createSecureServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { asError, OptionError, PenstockError } from '../../../core/plugin/errors.ts'
import type { Clock, Log, Metrics, Rows } from '../../../core/plugin/interfaces.ts'
import { isObject } from '../../../core/plugin/json.ts'
import { bodyOf } from '../../lib/http/body.ts'
import type { Webhook } from './subscriptions.ts'
import type { Options } from './tenants.ts'

export type WebhookOptions = NonNullable<Options['webhook']>

export interface WebhookParts {
  readonly rows: Rows
  readonly log: Log
  readonly metrics: Metrics
  readonly clock: Clock
  /** New content of these tenants; gives how many of them are known. */
  hint(tenantIds: readonly string[]): number
}

export interface Listener extends Webhook {
  readonly port: number
  close(): Promise<void>
}

const LOOPBACK = /^(?:localhost|127(?:\.\d{1,3}){3}|::1|\[::1\])$/i
const MOST_BYTES = 1024 * 1024
/** A slow or greedy client holds nothing up. Milliseconds. */
const LIMITS = { headersTimeout: 10_000, requestTimeout: 30_000, keepAliveTimeout: 5_000, maxHeaderSize: 16_384 }
const MOST_CONNECTIONS = 256
/** One line of the log for so much time: whoever knocks without the token must not fill it. Milliseconds. */
const QUIET_MS = 60_000

/** @throws OptionError when the listener would be open to others without TLS, or its address is none */
export function checkWebhook({ address, host, tls }: WebhookOptions): void {
  const url = URL.parse(address)
  if (url?.protocol !== 'https:')
    throw new OptionError('webhook.address', `"${address}" is no https:// address, and the service takes no other`)
  if (!tls && !LOOPBACK.test(host))
    throw new OptionError('webhook.host', `${host} is reached by others: set tls, or listen on 127.0.0.1 behind what serves TLS`)
}

/** Starts listening. Rejects with a sentence when that cannot be. */
export async function listen(options: WebhookOptions, parts: WebhookParts): Promise<Listener> {
  const { host, port, tls, address } = options
  const { log } = parts
  const authId = await authIdOf(parts.rows)
  const handler = handlerOf(authId, new URL(address).pathname, parts)
  const identity = tls && { cert: await readFile(tls.cert), key: await readFile(tls.key) }
  const server = identity ? createSecureServer({ ...LIMITS, ...identity }, handler) : createServer(LIMITS, handler)
  server.maxConnections = MOST_CONNECTIONS
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, host, resolve)
  }).catch(error => {
    throw new PenstockError('PEN_LISTEN', `webhook: cannot listen on ${host}:${port}: ${asError(error).message}`, {
      cause: error,
    })
  })
  const { port: open } = server.address() as AddressInfo
  log.info({ host, port: open, address }, 'listening for notifications')
  return {
    ...{ address, authId, port: open },
    close: () =>
      new Promise(resolve => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

/** Random, and the same after a restart: the service knows it until the subscription is started with another one. */
async function authIdOf(rows: Rows): Promise<string> {
  const known = await rows.get('webhook')
  if (isObject(known) && typeof known['auth_id'] === 'string') return known['auth_id']
  const authId = randomBytes(24).toString('base64url')
  await rows.put([['webhook', { auth_id: authId }]])
  return authId
}

function handlerOf(authId: string, path: string, { log, metrics, clock, hint }: WebhookParts) {
  const digest = (text: string) => createHash('sha256').update(text).digest()
  const wanted = digest(authId)
  let told = Number.NEGATIVE_INFINITY

  const refuse = (request: IncomingMessage) => {
    metrics.count('o365_webhook_refused', 'Notifications without the right AuthID')
    if (clock.monotonic() - told < QUIET_MS) return
    told = clock.monotonic()
    log.warn({ from: request.socket.remoteAddress ?? '' }, 'webhook: bad AuthID')
  }

  const handle = async (request: IncomingMessage): Promise<number> => {
    if (new URL(request.url ?? '/', 'https://localhost').pathname !== path) return 404
    if (request.method !== 'POST') return 405
    const given = request.headers['webhook-authid']
    if (typeof given !== 'string' || !timingSafeEqual(digest(given), wanted)) {
      refuse(request)
      return 401
    }
    const body = await bodyOf(request, MOST_BYTES)
    if (request.headers['webhook-validationcode'] !== undefined) {
      log.info({}, 'the service has checked the webhook')
      return 200
    }
    let items: unknown
    try {
      items = JSON.parse(body)
    } catch {
      return 400
    }
    const tenants = (Array.isArray(items) ? items : []).map(item => (isObject(item) ? String(item['tenantId']) : ''))
    metrics.count('o365_notifications', 'Notifications of new content')
    if (hint(tenants) === 0) metrics.count('o365_notifications_foreign', 'Notifications of tenants that are not read here')
    return 200
  }

  return (request: IncomingMessage, response: ServerResponse): void => {
    handle(request).then(
      status => {
        response.writeHead(status, { 'content-length': 0 })
        response.end()
      },
      () => response.destroy(), // a client that went away, or would not end
    )
  }
}
