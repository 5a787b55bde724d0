// A small Blob service for tests: what the output asks of one, with faults where a test wants them. The real emulator is in test/services.
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { createServer as createTls } from 'node:https'
import type { AddressInfo } from 'node:net'
import type { Test } from 'tap'
import { systemClock } from '../../core/observe/clock.ts'
import type { Item, Output } from '../../core/plugin/interfaces.ts'
import type { Json, JsonObject } from '../../core/plugin/json.ts'
import azureBlob from '../../plugins/outputs/azure_blob/index.ts'
import { create, encoded, type FakeContext, fakeContext } from './file-output-support.ts'

export const KEY = Buffer.from('a key of nobody').toString('base64')

export interface Asked {
  /** create, append, put, look, read, container */
  readonly what: string
  readonly blob: string
  readonly headers: IncomingMessage['headers']
  readonly url: string
  readonly body: Buffer
}
export interface Refusal {
  readonly status: number
  readonly code?: string
  readonly headers?: Readonly<Record<string, string>>
  /** The request is carried out all the same: its answer is lost. */
  readonly done?: boolean
}
interface Blob {
  readonly type: string
  readonly headers: IncomingMessage['headers']
  content: Buffer
  blocks: number
}

export interface Service {
  readonly origin: string
  readonly asked: Asked[]
  readonly blobs: Map<string, Blob>
  containers: Set<string>
  /** What a request is answered with in the place of what it asked for; `gone`: its connection ends without an answer. */
  fault: (asked: Asked) => Refusal | 'gone' | undefined
  /** Answers what is no request to the Blob service (a login). */
  other?: (request: IncomingMessage, body: string) => { status: number; headers: object; body: string | Buffer } | undefined
}

export async function blobService(t: Test, tls?: { key: string; cert: string }): Promise<Service> {
  const asked: Asked[] = []
  const blobs = new Map<string, Blob>()
  const listener = async (request: IncomingMessage, response: ServerResponse) => {
    const parts: Buffer[] = []
    for await (const part of request) parts.push(part as Buffer)
    const body = Buffer.concat(parts)
    const other = service.other?.(request, body.toString())
    if (other) {
      response.writeHead(other.status, other.headers as never).end(other.body)
      return
    }
    const url = new URL(request.url ?? '', 'http://localhost')
    const [, , container = '', ...names] = url.pathname.split('/').map(decodeURIComponent)
    const blob = names.join('/')
    const { headers, method } = request
    const query = url.searchParams
    const what =
      query.get('restype') === 'container'
        ? 'container'
        : query.get('comp') === 'appendblock'
          ? 'append'
          : method === 'HEAD'
            ? 'look'
            : method === 'GET'
              ? 'read'
              : headers['x-ms-blob-type'] === 'AppendBlob'
                ? 'create'
                : 'put'
    const one: Asked = { what, blob, headers, url: request.url ?? '', body }
    asked.push(one)
    const answer = (status: number, more: Readonly<Record<string, string>> = {}, content: Buffer | string = '') => {
      response.writeHead(status, { 'x-ms-version': '2026-02-06', 'x-ms-request-id': '1', ...more }).end(content)
    }
    const refuse = ({ status, code, headers: more = {} }: Refusal) => {
      const text = `<?xml version="1.0" encoding="utf-8"?><Error><Code>${code}</Code><Message>Said by the service.</Message></Error>`
      if (code === undefined) return answer(status, more)
      answer(status, { 'content-type': 'application/xml', 'x-ms-error-code': code, ...more }, method === 'HEAD' ? '' : text)
    }
    const fault = service.fault(one)
    const lost = fault === 'gone' || (fault?.done ?? false)
    if (fault && !lost) return refuse(fault as Refusal)
    const reply = carryOut(one, container)
    if (fault === 'gone') request.socket.destroy()
    else if (fault) refuse(fault)
    else if ('code' in reply) refuse(reply)
    else answer(reply.status, reply.headers, reply.content)
  }
  type Reply = { status: number; headers?: Record<string, string>; content?: Buffer } | Refusal
  const carryOut = (
    { what, blob, headers, body }: Asked,
    container: string,
  ): Reply & { content?: Buffer; headers?: Record<string, string> } => {
    if (what === 'container') {
      service.containers.add(container)
      return { status: 201 }
    }
    if (!service.containers.has(container)) return { status: 404, code: 'ContainerNotFound' }
    const there = blobs.get(blob)
    if (what === 'create' || what === 'put') {
      if (there && headers['if-none-match'] === '*') return { status: 409, code: 'BlobAlreadyExists' }
      blobs.set(blob, { type: what === 'put' ? 'BlockBlob' : 'AppendBlob', headers, content: body, blocks: 0 })
      return { status: 201, headers: { etag: '"1"', 'last-modified': new Date(0).toUTCString() } }
    }
    if (!there) return { status: 404, code: 'BlobNotFound' }
    if (what === 'append') {
      if (Number(headers['x-ms-blob-condition-appendpos']) !== there.content.length)
        return { status: 412, code: 'AppendPositionConditionNotMet' }
      there.content = Buffer.concat([there.content, body])
      there.blocks++
      return { status: 201, headers: { etag: '"2"', 'x-ms-blob-committed-block-count': String(there.blocks) } }
    }
    const metadata = Object.fromEntries(
      Object.entries(there.headers).flatMap(([name, value]) => (name.startsWith('x-ms-meta-') ? [[name, String(value)]] : [])),
    )
    const shared = { etag: '"3"', 'last-modified': new Date(0).toUTCString(), 'x-ms-blob-type': there.type, ...metadata }
    if (what === 'look')
      return {
        status: 200,
        headers: {
          ...shared,
          'content-length': String(there.content.length),
          'x-ms-blob-committed-block-count': String(there.blocks),
        },
      }
    const [, from = 0, to = there.content.length - 1] = (
      /bytes=(\d+)-(\d+)/.exec(String(headers['x-ms-range'] ?? headers['range'])) ?? []
    ).map(Number)
    const content = there.content.subarray(from, to + 1)
    const range = `bytes ${from}-${to}/${there.content.length}`
    return { status: 206, headers: { ...shared, 'content-range': range, 'content-length': String(content.length) }, content }
  }
  const server = tls ? createTls(tls, listener) : createServer(listener)
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => {
    server.close()
    server.closeAllConnections()
  })
  const { port } = server.address() as AddressInfo
  const service: Service = {
    ...{ asked, blobs, containers: new Set(['audit']), fault: () => undefined },
    origin: `http${tls ? 's' : ''}://localhost:${port}`,
  }
  return service
}

export interface Opened {
  readonly output: Output
  readonly context: FakeContext
  /** Writes records; resolves to the messages of the rejects, by index. The same items again with `again`. */
  write(records: readonly JsonObject[]): Promise<Map<number, string>>
  send(items: readonly Item[]): Promise<Map<number, string>>
  items(records: readonly JsonObject[]): Item[]
}

/** The state of an engine that calls itself so, which it has again after a restart. */
const own = () => new Map<string, Json | Uint8Array>([['writer', 'abcdefgh']])

/** The output with these options, opened. */
export function openedOn(t: Test, options: JsonObject, stored = own()): Promise<Opened> {
  return opening(t, create(azureBlob, { container: 'audit', blob: 'a.ndjson', ...options }, t.testdirName), stored)
}

export async function opening(t: Test, output: Output, stored = own()): Promise<Opened> {
  const context = Object.assign(fakeContext(stored), { clock: systemClock })
  await output.open?.(context)
  t.teardown(() => output.close?.())
  const send = async (items: readonly Item[]) => {
    const rejected = new Map<number, string>()
    const refuse = (index: number, error: Error) => void rejected.set(index, `${error.name}: ${error.message}`)
    await output.write(items, refuse, new AbortController().signal)
    return rejected
  }
  return { output, context, send, items: records => encoded(output, records), write: records => send(encoded(output, records)) }
}

export function withKey({ origin }: Pick<Service, 'origin'>): JsonObject {
  return { account: 'contoso', account_key: KEY, endpoint: `${origin}/contoso` }
}

export const lines = (records: readonly JsonObject[]) => records.map(record => `${JSON.stringify(record)}\n`).join('')
export const numbered = (from: number, to: number): JsonObject[] => Array.from({ length: to - from }, (_, i) => ({ n: from + i }))
