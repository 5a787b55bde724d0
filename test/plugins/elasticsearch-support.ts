// An Elasticsearch that is made up, over real HTTP: data streams with a newest index, and whatever a test wants to go wrong.
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { gunzipSync } from 'node:zlib'
import type { Test } from 'tap'
import { completeOptions } from '../../core/config/creation.ts'
import type { Output } from '../../core/plugin/interfaces.ts'
import type { JsonObject } from '../../core/plugin/json.ts'
import plugin from '../../plugins/outputs/elasticsearch/index.ts'

export interface FakeRequest {
  readonly method: string
  readonly path: string
  readonly query: URLSearchParams
  readonly headers: IncomingMessage['headers']
  readonly body: Buffer
}

/** One answer instead of the usual one; `cut` breaks it off, `lost` carries the request out and says nothing. */
export interface Odd {
  readonly status?: number
  readonly json?: unknown
  readonly text?: string
  readonly headers?: Record<string, string>
  readonly cut?: boolean
  readonly lost?: boolean
  /** Changes what each item of a bulk answer says. */
  readonly item?: (part: JsonObject, id: string) => JsonObject | undefined
}

export interface FakeElasticsearch {
  readonly url: string
  /** Of `_bulk` requests and others, as they came. */
  readonly requests: FakeRequest[]
  /** By name: its indices, the oldest first, each by `_id`. */
  readonly streams: Map<string, Map<string, JsonObject>[]>
  /** Asked for each request; the answer is odd where it gives something. */
  odd: (request: FakeRequest, bulks: number) => Odd | undefined
  rollover(name: string): void
  /** Every document's `_id`, as often as it is there. */
  ids(): string[]
  /** Closes its port and every connection. */
  stop(): Promise<void>
  start(): Promise<void>
}

export async function fakeElasticsearch(t: Test): Promise<FakeElasticsearch> {
  const streams = new Map<string, Map<string, JsonObject>[]>()
  const requests: FakeRequest[] = []
  let bulks = 0
  let port = 0
  const server = createServer((request, response) => {
    const parts: Buffer[] = []
    request.on('data', part => parts.push(part))
    request.on('end', () => {
      const { pathname, searchParams } = new URL(request.url ?? '/', 'http://x')
      const raw = Buffer.concat(parts)
      const body = request.headers['content-encoding'] === 'gzip' ? gunzipSync(raw) : raw
      const one = {
        method: request.method ?? '',
        path: decodeURIComponent(pathname),
        query: searchParams,
        headers: request.headers,
        body,
      }
      requests.push(one)
      if (pathname === '/_bulk') bulks++
      answer(one, response, fake.odd(one, bulks) ?? {})
    })
  })
  const fake: FakeElasticsearch = {
    get url() {
      return `http://127.0.0.1:${port}`
    },
    ...{ requests, streams, odd: () => undefined },
    rollover(name) {
      streams.get(name)?.push(new Map())
    },
    ids: () => [...streams.values()].flatMap(indices => indices.flatMap(index => [...index.keys()])),
    async stop() {
      server.closeAllConnections()
      await new Promise(resolve => server.close(resolve))
    },
    async start() {
      await new Promise<void>(resolve => server.listen(port, '127.0.0.1', resolve))
      port = (server.address() as AddressInfo).port
    },
  }

  function answer(request: FakeRequest, response: ServerResponse, odd: Odd): void {
    const headers = {
      'x-elastic-product': 'Elasticsearch',
      'content-type': 'application/vnd.elasticsearch+json;compatible-with=8',
      ...odd.headers,
    }
    if (odd.status !== undefined) {
      response.writeHead(odd.status, headers).end(odd.text ?? JSON.stringify(odd.json ?? {}))
      return
    }
    const { status, json } = usual(request, odd)
    const text = odd.text ?? JSON.stringify(odd.json ?? json)
    if (odd.lost) response.destroy()
    else if (odd.cut) {
      response.writeHead(status, { ...headers, 'content-length': String(Buffer.byteLength(text)) })
      response.write(text.slice(0, text.length >> 1), () => response.destroy())
    } else response.writeHead(status, headers).end(text)
  }

  function usual({ path, body }: FakeRequest, odd: Odd): { status: number; json: unknown } {
    const [, name = '', verb] = path.split('/')
    if (name === '_bulk') return { status: 200, json: { items: bulk(body, odd) } }
    const indices = streams.get(name)
    if (!indices)
      return { status: 404, json: { error: { type: 'index_not_found_exception', reason: `no such index [${name}]` } } }
    if (verb === '_refresh') return { status: 200, json: {} }
    const { values } = (JSON.parse(body.toString()) as { query: { ids: { values: string[] } } }).query.ids
    const hits = values.filter(id => indices.some(index => index.has(id))).map(_id => ({ _id }))
    return { status: 200, json: hits.length > 0 ? { hits: { hits } } : {} }
  }

  function bulk(body: Buffer, odd: Odd): JsonObject[] {
    const lines = body.toString().split('\n').slice(0, -1)
    const items: JsonObject[] = []
    for (let at = 0; at < lines.length; at += 2) {
      const { create } = JSON.parse(lines[at] as string) as { create: { _index: string; _id: string } }
      const indices = streams.get(create._index) ?? [new Map()]
      streams.set(create._index, indices)
      const newest = indices.at(-1) as Map<string, JsonObject>
      const made: JsonObject = newest.has(create._id)
        ? { status: 409, error: { type: 'version_conflict_engine_exception', reason: 'document already exists' } }
        : { status: 201 }
      const said = odd.item?.(made, create._id) ?? made
      if (said['status'] === 201 && !said['failure_store'])
        newest.set(create._id, JSON.parse(lines[at + 1] as string) as JsonObject)
      items.push({ create: said })
    }
    return items
  }

  await fake.start()
  t.teardown(() => fake.stop())
  return fake
}

/** The output as a pipeline makes it, on this server. */
export async function outputOn({ url }: { readonly url: string }, options: JsonObject = {}): Promise<() => Output> {
  const complete = await completeOptions(plugin, { hosts: [url], namespace: 'test', ...options }, '/')
  return () =>
    plugin.create(complete, {
      ...{ id: 'es', folder: '/', secretFile: (value: string) => (value.startsWith('/') ? value : undefined) },
      expression: () => () => true,
      table: () => ({ lookup: () => undefined }),
      optionsFile: () => {
        throw new Error('there is no such file')
      },
    })
}
