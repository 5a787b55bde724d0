// The body of a request that came in.
import type { IncomingMessage } from 'node:http'

/** As text. Rejects when it is longer than `most` bytes, or when the client goes away; the connection is closed then. */
export async function bodyOf(request: IncomingMessage, most: number): Promise<string> {
  const parts: Buffer[] = []
  let length = 0
  for await (const part of request) {
    length += (part as Buffer).length
    if (length > most) throw new Error('the body is too long')
    parts.push(part as Buffer)
  }
  return Buffer.concat(parts).toString('utf8')
}
