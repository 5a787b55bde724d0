// A simulated HTTP Event Collector: real HTTP, the answers that HEC is generally known for, and ways to misbehave.
import type { ServerResponse } from 'node:http'
import type { Test } from 'tap'
import type { JsonObject } from '../../core/plugin/json.ts'
import { type Destination, destination, type Identity, type Seen } from './http-output-support.ts'

export const TOKEN = '00000000-0000-0000-0000-000000000000'

export interface HecEvent {
  readonly time?: number
  readonly host?: string
  readonly source?: string
  readonly sourcetype?: string
  readonly index?: string
  readonly fields: Readonly<Record<string, string>>
  readonly event: JsonObject | string
}

export interface Hec extends Destination {
  /** Of every event that was written: how often, by its id. */
  readonly indexed: Map<string, number>
  /** Every event that was written, in order. */
  readonly events: HecEvent[]
  /** Requests to the collector, without those for acks. */
  readonly batches: Seen[]
  token: string
  /** The token has indexer acknowledgement. */
  ack: boolean
  /** Says how many questions for an ack are answered with false before true; Infinity: never. */
  lateness: number
  /** Takes events for good only once their ack was asked for and given: a crash loses the others. */
  careless: boolean
  /** Answers in the place of the collector; undefined lets it answer. */
  interfere:
    | ((seen: Seen, count: number) => { status: number; body: unknown; headers?: Record<string, string> } | undefined)
    | undefined
  /** Events that are refused by the collector, and with which code. */
  refuses: (event: HecEvent) => number | undefined
  /** Ends like a crash: connections, channels and what is not written are gone. */
  crash(): Promise<void>
}

interface Pending {
  readonly events: readonly HecEvent[]
  asked: number
}

const TEXTS: Readonly<Record<number, readonly [status: number, text: string]>> = {
  1: [403, 'Token disabled'],
  2: [401, 'Token is required'],
  3: [401, 'Invalid authorization'],
  4: [403, 'Invalid token'],
  6: [400, 'Invalid data format'],
  7: [400, 'Incorrect index'],
  9: [503, 'Server is busy'],
  10: [400, 'Data channel is missing'],
  12: [400, 'Event field is required'],
  14: [400, 'ACK is disabled'],
}

export async function hec(t: Test, tls?: Identity): Promise<Hec> {
  /** By channel, then by ackId. */
  let channels = new Map<string, Map<number, Pending>>()
  const say = (response: ServerResponse, status: number, body: unknown, headers = {}) =>
    response
      .writeHead(status, { 'content-type': 'application/json', ...headers })
      .end(typeof body === 'string' ? body : JSON.stringify(body))
  const refuse = (response: ServerResponse, code: number, more = {}) => {
    const [status, text] = TEXTS[code] ?? [400, 'unknown']
    say(response, status, { text, code, ...more })
  }
  const target = await destination(
    t,
    (seen, response) => {
      const url = new URL(seen.url, 'http://hec')
      const isAck = url.pathname === '/services/collector/ack'
      if (!isAck) own.batches.push(seen)
      const instead = own.interfere?.(seen, own.batches.length)
      if (instead)
        return instead.status < 0 ? void response.socket?.destroy() : say(response, instead.status, instead.body, instead.headers)
      const { authorization } = seen.headers
      if (authorization === undefined) return refuse(response, 2)
      if (!authorization.startsWith('Splunk ')) return refuse(response, 3)
      if (authorization !== `Splunk ${own.token}`) return refuse(response, 4)
      const channel = url.searchParams.get('channel') ?? (seen.headers['x-splunk-request-channel'] as string | undefined)
      if (own.ack && channel === undefined) return refuse(response, 10)
      if (isAck) return own.ack ? answerAcks(seen, response, channel as string) : refuse(response, 14)
      if (url.pathname !== '/services/collector/event')
        return say(response, 404, { text: 'The requested URL was not found on this server.', code: 404 })
      take(seen, response, channel)
    },
    tls,
  )

  function take(seen: Seen, response: ServerResponse, channel: string | undefined): unknown {
    const events = seen.body
      .trim()
      .split('\n')
      .map(line => JSON.parse(line) as HecEvent)
    for (const [number, event] of events.entries()) {
      const code = own.refuses(event)
      if (code !== undefined) return refuse(response, code, { 'invalid-event-number': number })
    }
    if (!own.ack || channel === undefined) {
      write(events)
      return say(response, 200, { text: 'Success', code: 0 })
    }
    const pending = channels.get(channel) ?? new Map<number, Pending>()
    channels.set(channel, pending)
    const ackId = counters.get(channel) ?? 0
    counters.set(channel, ackId + 1)
    pending.set(ackId, { events, asked: 0 })
    if (!own.careless) write(events)
    return say(response, 200, { text: 'Success', code: 0, ackId })
  }

  function answerAcks(seen: Seen, response: ServerResponse, channel: string): void {
    const { acks } = JSON.parse(seen.body) as { acks: number[] }
    const pending = channels.get(channel)
    say(response, 200, {
      acks: Object.fromEntries(
        acks.map(id => {
          const one = pending?.get(id)
          if (!one || one.asked++ < own.lateness) return [id, false]
          // An ack that was given is forgotten.
          pending?.delete(id)
          if (own.careless) write(one.events)
          return [id, true]
        }),
      ),
    })
  }

  function write(events: readonly HecEvent[]): void {
    for (const event of events) {
      own.events.push(event)
      const id = event.fields['event_id'] ?? ''
      own.indexed.set(id, (own.indexed.get(id) ?? 0) + 1)
    }
  }

  let counters = new Map<string, number>()
  const own: Hec = {
    ...{ url: target.url, port: target.port, seen: target.seen, die: target.die, back: target.back },
    get server() {
      return target.server
    },
    ...{ indexed: new Map(), events: [], batches: [], token: TOKEN, ack: true, lateness: 0, careless: false },
    ...{ interfere: undefined, refuses: () => undefined },
    crash() {
      channels = new Map()
      counters = new Map()
      return target.die()
    },
  }
  return own
}
