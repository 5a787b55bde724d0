// What a simulated service does wrong, and how often: each fault by a name that a command line can give.
import { Draw, STREAM } from '../tenant/draw.ts'
import type { ContentQuirks } from './content.ts'
import { NO_QUIRKS } from './content.ts'

/** Faults of single requests. */
export const REQUEST_FAULTS = {
  throttle_403: 'AF429 with status 403 and no Retry-After, as the service really does it',
  throttle_429: 'AF429 with status 429 and Retry-After',
  internal: 'AF50000 with status 500, in single quotes',
  html_503: 'a page that says 503',
  html_200: 'a page with status 200',
  unauthorized: 'status 401 for a token that is good',
  truncated: 'JSON that ends in its middle, of the right length',
  cut: 'a connection that breaks within the body',
  slow: 'a body that comes in small pieces with pauses',
  reset: 'a connection that is closed without an answer',
  page_loop: 'a next page that is the same page again',
  foreign_link: 'links that lead to another host',
  restart: 'the service goes away for a second',
} as const
export type RequestFault = keyof typeof REQUEST_FAULTS

/** Oddities of what is in the feed. */
export const CONTENT_FAULTS = {
  late: 'blobs that are listed hours after they were made',
  growing: 'blobs that have more records when they are read again',
  repeated: 'records that lie in two blobs',
  missing: 'blobs that are listed and cannot be read',
  expired: 'blobs that are listed and have expired',
  empty: 'blobs without a record',
  sameId: 'two records with one Id that do not say the same',
  noId: 'a record without an Id',
  emptyId: 'a record with an empty Id',
} as const satisfies Record<keyof ContentQuirks, string>
export type ContentFault = keyof typeof CONTENT_FAULTS

/** What goes wrong with notifications of webhooks, each of which tells of some blobs. */
export const HINT_FAULTS = {
  lost: 'notifications that are never sent',
  repeated: 'notifications that are sent twice',
  forged: "notifications of another tenant's content, at another host",
} as const
export type HintFault = keyof typeof HINT_FAULTS

export interface Scenario {
  readonly requests: Readonly<Partial<Record<RequestFault, number>>>
  readonly content: ContentQuirks
  readonly hints?: Readonly<Partial<Record<HintFault, number>>>
}

/** Scenarios by name: shares of requests, of blobs, and of notifications. */
export const SCENARIOS: Readonly<Record<'calm' | 'throttled' | 'flaky' | 'everything', Scenario>> &
  Readonly<Record<string, Scenario>> = {
  calm: { requests: {}, content: NO_QUIRKS },
  throttled: { requests: { throttle_403: 0.03, throttle_429: 0.03 }, content: NO_QUIRKS },
  flaky: {
    requests: { internal: 0.02, html_503: 0.02, cut: 0.02, reset: 0.02, slow: 0.01, truncated: 0.01 },
    content: NO_QUIRKS,
  },
  everything: {
    requests: {
      ...{ throttle_403: 0.001, throttle_429: 0.001, internal: 0.01, html_503: 0.01, html_200: 0.01, unauthorized: 0.01 },
      ...{ truncated: 0.01, cut: 0.02, slow: 0.01, reset: 0.01, page_loop: 0.01, foreign_link: 0.005, restart: 0.0005 },
    },
    content: {
      ...{ late: 0.05, growing: 0.05, repeated: 0.1, missing: 0.01, expired: 0.01, empty: 0.02 },
      // A record without any Id is left out: whoever compares what came by its Ids alone could not do so any more.
      ...{ sameId: 0.02, noId: 0, emptyId: 0.02 },
    },
    hints: { lost: 0.2, repeated: 0.1, forged: 0.1 },
  },
}

export interface FaultSource {
  /** The fault of the next request, if it has one among those that fit. */
  next(fitting: readonly RequestFault[]): RequestFault | undefined
  /** How often each came. */
  readonly counts: ReadonlyMap<RequestFault, number>
}

/** Draws faults: the nth request of a seed has always the same one. */
export function faultSource(seed: number, shares: Scenario['requests']): FaultSource {
  const counts = new Map<RequestFault, number>()
  let requests = 0
  return {
    counts,
    next(fitting) {
      const draw = new Draw(seed, STREAM.quirk, 2 ** 40 + requests++)
      for (const [name, share] of Object.entries(shares) as [RequestFault, number][]) {
        if (!draw.chance(share) || !fitting.includes(name)) continue
        counts.set(name, (counts.get(name) ?? 0) + 1)
        return name
      }
      return undefined
    },
  }
}
