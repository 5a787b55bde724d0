// What a simulated service answers, before a scenario spoils it.
import { randomUUID } from 'node:crypto'

export interface Reply {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: string | Buffer | LongBody
}

/** A body that is made piece by piece, while it is sent. */
export interface LongBody {
  /** Bodies of one key are the same bytes; undefined: of no other. */
  readonly key: string | undefined
  /** About so many bytes. */
  readonly bytes: number
  pieces(): Iterable<Buffer>
}

export function isLong(body: Reply['body']): body is LongBody {
  return typeof body === 'object' && 'pieces' in body
}

export function jsonReply(status: number, value: unknown, headers: Readonly<Record<string, string>> = {}): Reply {
  return { status, headers: { 'content-type': 'application/json; charset=utf-8', ...headers }, body: JSON.stringify(value) }
}

/** An error as the API words it. */
export function failure(status: number, code: string, message: string): Reply {
  return jsonReply(status, { error: { code, message } }, { 'client-request-id': randomUUID() })
}

/** Retrievals print their errors with single quotes, which is no JSON. */
export function singleQuoted(status: number, code: string, message: string): Reply {
  const headers = { 'content-type': 'application/json; charset=utf-8' }
  return { status, headers, body: `{'error':{'code':'${code}','message':'${message}'}}` }
}
