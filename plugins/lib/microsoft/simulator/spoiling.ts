// What a fault makes of a good answer.
import type { IncomingMessage, ServerResponse } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import type { RequestFault } from './faults.ts'
import { failure, type Reply, singleQuoted } from './reply.ts'
import { firstHalf, isTooLong, type Sending, whole } from './sending.ts'

export interface Exchange {
  readonly request: IncomingMessage
  readonly response: ServerResponse
  readonly url: URL
  /** What would be answered. */
  readonly reply: Reply
}

const SLOW_PIECES = 20
const SLOW_MS = 100
/** Spellings in which the header of the next page was seen, and one that a page of Microsoft's has. */
const NEXT_PAGE = ['NextPageUri', 'Nextpageuri', 'nextpageuri', 'NextPageUrl'] as const
const HTML = { 'content-type': 'text/html' }

/** Answers of faults that have nothing of the good one. */
const INSTEAD: Partial<Record<RequestFault, Reply>> = {
  throttle_403: singleQuoted(403, 'AF429', 'Too many requests.'),
  throttle_429: { ...failure(429, 'AF429', 'Too many requests.'), headers: { 'retry-after': '1' } },
  internal: singleQuoted(500, 'AF50000', 'An internal error occurred. Retry the request.'),
  html_503: { status: 503, headers: HTML, body: '<html><body>Service Unavailable</body></html>' },
  html_200: { status: 200, headers: HTML, body: '<!DOCTYPE html><html><body>Please wait</body></html>' },
  unauthorized: { status: 401, headers: {}, body: '' },
}

/** Answers with a fault; `restart` takes the service away for a while. */
export async function spoil(
  fault: RequestFault,
  exchange: Exchange,
  { send, headers }: Sending,
  restart: () => void,
): Promise<void> {
  const { request, response, url, reply } = exchange
  const instead = INSTEAD[fault]
  if (instead) return send(request, response, instead)
  switch (fault) {
    case 'reset':
      request.socket.destroy()
      return
    case 'restart':
      restart()
      return
    case 'page_loop':
      return send(request, response, { ...reply, headers: { ...withoutNext(reply.headers), NextPageUri: url.href } })
    case 'foreign_link': {
      const text = String(reply.body).replaceAll(url.origin, 'https://manage.office.com.attacker.example')
      return send(request, response, { ...reply, body: text })
    }
  }
  if (isTooLong(reply.body)) {
    const half = firstHalf(reply.body)
    if (fault === 'truncated') return send(request, response, { ...reply, body: half })
    if (fault === 'slow') return send(request, response, reply)
    response.writeHead(200, { ...headers(reply), 'content-length': reply.body.bytes })
    for (const piece of half.pieces()) if (!response.write(piece)) await drained(response)
    response.destroy()
    return
  }
  const bytes = await whole(reply.body)
  const middle = Math.floor(bytes.length / 2)
  if (fault === 'truncated') return send(request, response, { ...reply, body: bytes.subarray(0, middle) })
  response.writeHead(200, { ...headers(reply), 'content-length': bytes.length })
  if (fault === 'cut') {
    response.write(bytes.subarray(0, middle), () => response.destroy())
    return
  }
  const piece = Math.ceil(bytes.length / SLOW_PIECES) || 1
  for (let at = 0; at < bytes.length && !response.destroyed; at += piece) {
    response.write(bytes.subarray(at, at + piece))
    await sleep(SLOW_MS)
  }
  response.end()
}

function drained(response: ServerResponse): Promise<void> {
  return new Promise(resolve => response.once('drain', resolve).once('close', resolve))
}

function withoutNext(headers: Reply['headers']): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => !NEXT_PAGE.some(spelling => spelling === name)))
}

/** The header of the next page in one of its spellings. */
export function respelled(reply: Reply, turn: number): Reply {
  const { NextPageUri, ...others } = reply.headers
  if (NextPageUri === undefined) return reply
  return { ...reply, headers: { ...others, [NEXT_PAGE[turn % NEXT_PAGE.length] as string]: NextPageUri } }
}
