// Serves the simulated login and the simulated feed over TLS on loopback, and spoils answers as the scenario says.

import type { IncomingMessage, ServerResponse } from 'node:http'
import { createServer, type Server } from 'node:https'
import type { AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { bodyOf } from '../../http/body.ts'
import { selfSigned } from './certificate.ts'
import type { Entra } from './entra.ts'
import type { FaultSource, RequestFault } from './faults.ts'
import type { FeedApi } from './feed-api.ts'
import type { Reply } from './reply.ts'
import { sending } from './sending.ts'
import { respelled, spoil } from './spoiling.ts'

export interface ServerOptions {
  readonly port: number
  readonly entra: Entra
  readonly feed: FeedApi
  readonly faults: FaultSource
  /** What every answer waits. Milliseconds. */
  readonly latencyMs: number
  /** Simulated time, for the Date of answers. Milliseconds since 1970. */
  now(): number
  /** Other paths, for whoever drives the simulator. */
  own(method: string, url: URL): Reply | undefined
}

export interface SimulatorServer {
  readonly port: number
  /** `https://localhost:PORT`. */
  readonly origin: string
  /** PEM text of the certificate that clients must trust. */
  readonly cert: string
  /** Requests that were answered. */
  readonly requests: number
  /** Closes the port and all connections, and opens the same port again. */
  restart(downMs: number): Promise<void>
  close(): Promise<void>
}

const MOST_BODY_BYTES = 1024 * 1024
/** How long a restart takes that a scenario asks for. */
const RESTART_MS = 1_000

const LISTING: readonly RequestFault[] = ['page_loop', 'foreign_link']
const ANY: readonly RequestFault[] = [
  ...(['throttle_403', 'throttle_429', 'internal', 'html_503', 'html_200', 'unauthorized'] as const),
  ...(['truncated', 'cut', 'slow', 'reset', 'restart'] as const),
]

export async function serveSimulator(options: ServerOptions): Promise<SimulatorServer> {
  const { entra, feed, faults, latencyMs, now, own } = options
  const identity = await selfSigned(['localhost', '127.0.0.1', '::1'])
  let server: Server
  let port = options.port
  let requests = 0
  let closed = false
  let restarting: Promise<void> | undefined
  const { send, headers } = sending(now)

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = await bodyOf(request, MOST_BODY_BYTES)
    const url = new URL(request.url ?? '/', `https://${request.headers.host ?? 'localhost'}`)
    const method = request.method ?? 'GET'
    if (latencyMs > 0) await sleep(latencyMs)
    requests++
    const mine = own(method, url) ?? entra.answer(method, url.pathname, body, url.origin)
    if (mine) return send(request, response, mine)
    const reply = await feed.answer({ method, url, authorization: request.headers.authorization, body })
    if (!reply) return send(request, response, { status: 404, headers: {}, body: '' })
    if (reply.status !== 200) return send(request, response, reply)
    const isList = url.pathname.endsWith('/subscriptions/content')
    const fault = faults.next(isList ? [...ANY, ...LISTING] : ANY)
    const good = isList ? respelled(reply, requests) : reply
    if (fault === undefined) return send(request, response, good)
    const down = () => void restart(RESTART_MS).catch(() => {}) // somebody else has taken the port: whoever asks next will see
    await spoil(fault, { request, response, url, reply: good }, { send, headers }, down)
  }

  const open = async (): Promise<void> => {
    server = createServer({ key: identity.key, cert: identity.cert }, (request, response) => {
      answer(request, response).catch(() => response.destroy()) // a client that went away
    })
    await new Promise<void>((resolve, reject) => server.once('error', reject).listen(port, '127.0.0.1', resolve))
    port = (server.address() as AddressInfo).port
  }
  const shut = (): Promise<void> =>
    new Promise(resolve => {
      server.close(() => resolve())
      server.closeAllConnections()
    })

  /** One at a time; not any more once it is closed. */
  const restart = (downMs: number): Promise<void> => {
    restarting ??= (async () => {
      await shut()
      await sleep(downMs)
      if (!closed) await open()
    })().finally(() => {
      restarting = undefined
    })
    return restarting
  }

  await open()
  return {
    get port() {
      return port
    },
    get origin() {
      return `https://localhost:${port}`
    },
    cert: identity.cert,
    get requests() {
      return requests
    },
    restart,
    async close() {
      closed = true
      await restarting?.catch(() => {})
      await shut()
    },
  }
}
