// Sends answers: packed where the client takes that, long bodies piece by piece, what was lately packed without packing it again.
import type { IncomingMessage, ServerResponse } from 'node:http'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { setImmediate as turn } from 'node:timers/promises'
import { promisify } from 'node:util'
import { createGzip, gzip } from 'node:zlib'
import { LRUCache } from 'lru-cache'
import { isLong, type LongBody, type Reply } from './reply.ts'

/** Bodies up to about this size are packed whole, and kept. */
const WHOLE_BYTES = 16 * 1024 * 1024
const KEPT_BYTES = 64 * 1024 * 1024
/** Shorter ones are not packed. */
const LEAST_BYTES = 1_000
const FAST = { level: 1 }

const packed = promisify<Buffer, { level: number }, Buffer>(gzip)

export interface Sending {
  /** Resolves when the answer has been handed over; rejects when the client goes away. */
  send(request: IncomingMessage, response: ServerResponse, reply: Reply): Promise<void>
  headers(reply: Reply): Record<string, string>
}

/** `now`: simulated time, for the Date of answers. Milliseconds since 1970. */
export function sending(now: () => number): Sending {
  const kept = new LRUCache<string, Buffer>({ maxSize: KEPT_BYTES, sizeCalculation: body => body.length + 1 })
  const headers = (reply: Reply) => ({ ...reply.headers, date: new Date(now()).toUTCString() })

  return {
    headers,
    async send(request, response, reply) {
      const { status, body } = reply
      const packs = /\bgzip\b/.test(request.headers['accept-encoding'] ?? '')
      const coding = { 'content-encoding': 'gzip' }
      if (isLong(body) && body.bytes > WHOLE_BYTES) {
        response.writeHead(status, { ...headers(reply), ...(packs && coding) })
        const pieces = Readable.from(inTurns(body))
        return packs ? pipeline(pieces, createGzip(FAST), response) : pipeline(pieces, response)
      }
      const key = packs && isLong(body) ? body.key : undefined
      let bytes = key === undefined ? undefined : kept.get(key)
      let isPacked = bytes !== undefined
      if (!bytes) {
        bytes = await whole(body)
        isPacked = packs && bytes.length > LEAST_BYTES
        if (isPacked) bytes = await packed(bytes, FAST)
        if (key !== undefined && isPacked) kept.set(key, bytes)
      }
      response.writeHead(status, { ...headers(reply), ...(isPacked && coding), 'content-length': bytes.length })
      response.end(bytes)
    },
  }
}

/** A body in one piece. */
export async function whole(body: Reply['body']): Promise<Buffer> {
  if (!isLong(body)) return Buffer.from(body)
  const pieces: Buffer[] = []
  for await (const piece of inTurns(body)) pieces.push(piece)
  return Buffer.concat(pieces)
}

/** Making a piece takes a while: other requests are answered between two of them. */
async function* inTurns(body: LongBody): AsyncGenerator<Buffer> {
  for (const piece of body.pieces()) {
    yield piece
    await turn()
  }
}

/** The first half of a long body, about. */
export function firstHalf(body: LongBody): LongBody {
  return {
    key: undefined,
    bytes: body.bytes / 2,
    *pieces() {
      let sent = 0
      for (const piece of body.pieces()) {
        if (sent + piece.length > body.bytes / 2) return
        sent += piece.length
        yield piece
      }
    },
  }
}

/** True for a body that is too long to be held whole. */
export function isTooLong(body: Reply['body']): body is LongBody {
  return isLong(body) && body.bytes > WHOLE_BYTES
}
