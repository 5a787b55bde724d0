// Serves the simulated login and the simulated feed over TLS on loopback, and spoils answers as the scenario says.

import type { IncomingMessage, ServerResponse } from 'node:http'
import { createServer, type Server } from 'node:https'
import type { AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { gzipSync } from 'node:zlib'
import { selfSigned } from './certificate.ts'
import type { Entra } from './entra.ts'
import type { FaultSource, RequestFault } from './faults.ts'
import type { FeedApi } from './feed-api.ts'
import type { Reply } from './reply.ts'

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
const SLOW_PIECES = 20
const SLOW_MS = 100
/** Spellings in which the header of the next page was seen, and one that a page of Microsoft's has. */
const NEXT_PAGE = ['NextPageUri', 'Nextpageuri', 'nextpageuri', 'NextPageUrl'] as const

const LISTING: readonly RequestFault[] = ['page_loop', 'foreign_link']
const ANY: readonly RequestFault[] = [
  ...(['throttle_403', 'throttle_429', 'internal', 'html_503', 'html_200', 'unauthorized'] as const),
  ...(['truncated', 'cut', 'slow', 'reset'] as const),
]

export async function serveSimulator(options: ServerOptions): Promise<SimulatorServer> {
  const { entra, feed, faults, latencyMs, now, own } = options
  const identity = await selfSigned(['localhost', '127.0.0.1', '::1'])
  let server: Server
  let port = options.port
  let requests = 0

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = await bodyOf(request)
    const url = new URL(request.url ?? '/', `https://${request.headers.host ?? 'localhost'}`)
    const method = request.method ?? 'GET'
    if (latencyMs > 0) await sleep(latencyMs)
    requests++
    const mine = own(method, url) ?? entra.answer(method, url.pathname, body, url.origin)
    if (mine) return send(request, response, mine)
    const reply = feed.answer({ method, url, authorization: request.headers.authorization, body })
    if (!reply) return send(request, response, { status: 404, headers: {}, body: '' })
    if (reply.status !== 200) return send(request, response, reply)
    const isList = url.pathname.endsWith('/subscriptions/content')
    const fault = faults.next(isList ? [...ANY, ...LISTING] : ANY)
    await spoiled(fault, request, response, isList ? respelled(reply, requests) : reply, url)
  }

  async function spoiled(
    fault: RequestFault | undefined,
    request: IncomingMessage,
    response: ServerResponse,
    reply: Reply,
    url: URL,
  ) {
    const html = { 'content-type': 'text/html' }
    const bytes = Buffer.from(reply.body)
    const middle = Math.floor(bytes.length / 2)
    switch (fault) {
      case undefined:
        return send(request, response, reply)
      case 'throttle_403':
        return send(request, response, {
          status: 403,
          headers: {},
          body: "{'error':{'code':'AF429','message':'Too many requests.'}}",
        })
      case 'throttle_429':
        return send(request, response, {
          status: 429,
          headers: { 'retry-after': '1' },
          body: '{"error":{"code":"AF429","message":"Too many requests."}}',
        })
      case 'internal':
        return send(request, response, {
          status: 500,
          headers: {},
          body: "{'error':{'code':'AF50000','message':'An internal error occurred. Retry the request.'}}",
        })
      case 'html_503':
        return send(request, response, { status: 503, headers: html, body: '<html><body>Service Unavailable</body></html>' })
      case 'html_200':
        return send(request, response, {
          status: 200,
          headers: html,
          body: '<!DOCTYPE html><html><body>Please wait</body></html>',
        })
      case 'unauthorized':
        return send(request, response, { status: 401, headers: {}, body: '' })
      case 'truncated':
        return send(request, response, { ...reply, body: bytes.subarray(0, middle) })
      case 'cut':
        response.writeHead(200, { ...headersOf(reply), 'content-length': bytes.length })
        response.write(bytes.subarray(0, middle), () => response.destroy())
        return
      case 'reset':
        request.socket.destroy()
        return
      case 'slow': {
        response.writeHead(200, { ...headersOf(reply), 'content-length': bytes.length })
        const piece = Math.ceil(bytes.length / SLOW_PIECES) || 1
        for (let at = 0; at < bytes.length && !response.destroyed; at += piece) {
          response.write(bytes.subarray(at, at + piece))
          await sleep(SLOW_MS)
        }
        response.end()
        return
      }
      case 'page_loop':
        return send(request, response, { ...reply, headers: { ...withoutNext(reply.headers), NextPageUri: url.href } })
      case 'foreign_link': {
        const text = String(reply.body).replaceAll(url.origin, 'https://manage.office.com.attacker.example')
        return send(request, response, { ...reply, body: text })
      }
    }
  }

  const headersOf = (reply: Reply) => ({ ...reply.headers, date: new Date(now()).toUTCString() })

  function send(request: IncomingMessage, response: ServerResponse, reply: Reply): void {
    const bytes = Buffer.from(reply.body)
    const gzip = bytes.length > 1_000 && /\bgzip\b/.test(request.headers['accept-encoding'] ?? '')
    const body = gzip ? gzipSync(bytes, { level: 1 }) : bytes
    response.writeHead(reply.status, {
      ...headersOf(reply),
      ...(gzip && { 'content-encoding': 'gzip' }),
      'content-length': body.length,
    })
    response.end(body)
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
    async restart(downMs) {
      await shut()
      await sleep(downMs)
      await open()
    },
    close: shut,
  }
}

function withoutNext(headers: Reply['headers']): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => !NEXT_PAGE.some(spelling => spelling === name)))
}

/** The header of the next page in one of its spellings. */
function respelled(reply: Reply, turn: number): Reply {
  const { NextPageUri, ...others } = reply.headers
  if (NextPageUri === undefined) return reply
  return { ...reply, headers: { ...others, [NEXT_PAGE[turn % NEXT_PAGE.length] as string]: NextPageUri } }
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  const parts: Buffer[] = []
  let length = 0
  for await (const part of request) {
    length += (part as Buffer).length
    if (length > MOST_BODY_BYTES) throw new Error('the body is too long')
    parts.push(part as Buffer)
  }
  return Buffer.concat(parts).toString('utf8')
}
