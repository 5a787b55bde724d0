// One tenant's feed: requests with its token, within its budget, to its own hosts; answers as data, or as errors that say what they mean.
import type { Clock } from '../../../core/plugin/interfaces.ts'
import { isObject } from '../../../core/plugin/json.ts'
import type { HttpClient, HttpResponse } from '../../lib/http/client.ts'
import { HttpError } from '../../lib/http/client.ts'
import type { Budget } from '../../lib/microsoft/service/budget.ts'
import { ServiceError, serviceError } from '../../lib/microsoft/service/failure.ts'
import { pinnedLink } from '../../lib/microsoft/service/links.ts'
import type { Tokens } from '../../lib/microsoft/service/tokens.ts'

export interface FeedClientOptions {
  readonly tenantId: string
  /** Whose quota the requests count against: the tenant that wrote the client. */
  readonly publisher: string
  /** Origin of the API. */
  readonly api: string
  readonly http: HttpClient
  readonly tokens: Tokens
  readonly budget: Budget
  readonly clock: Clock
  /** A link in an answer was refused. */
  foreign(error: Error): void
  /** The service takes no more for so long. Milliseconds. */
  throttled(ms: number, error: ServiceError): void
}

/** Content as a listing names it. Times in milliseconds since 1970. */
export interface Listed {
  readonly id: string
  readonly uri: string
  readonly created: number
  readonly expires: number
}

export interface Page {
  readonly items: readonly Listed[]
  readonly next: URL | undefined
}

export interface Subscription {
  readonly contentType: string
  readonly enabled: boolean
  readonly webhook: { readonly address: string; readonly authId: string; readonly enabled: boolean } | undefined
}

/** A listing, or an error, is short. */
const LISTING_BYTES = 64 * 1024 * 1024
const LISTING_MS = 120_000
/** Spellings of the header that leads to the next page; Node gives names in small letters. */
const NEXT_PAGE = ['nextpageuri', 'nextpageurl'] as const

export class FeedClient {
  readonly root: URL
  readonly #options: FeedClientOptions
  /** The service's clock less ours, milliseconds. */
  #ahead: number | undefined
  #requests = 0

  constructor(options: FeedClientOptions) {
    this.#options = options
    this.root = new URL(`/api/v1.0/${options.tenantId}/activity/feed/`, options.api)
  }

  /** The service's time, as its last answer tells; ours before the first. Milliseconds since 1970. */
  now(): number {
    return this.#options.clock.now() + (this.#ahead ?? 0)
  }

  /** How many requests were sent. */
  get requests(): number {
    return this.#requests
  }

  /** How far the service's clock is ahead of ours, milliseconds; undefined before the first answer. */
  get ahead(): number | undefined {
    return this.#ahead
  }

  async subscriptions(signal: AbortSignal): Promise<Subscription[]> {
    const list = await this.#json(this.#url('subscriptions/list'), signal)
    if (!Array.isArray(list)) throw malformed('subscriptions/list', 'no list')
    // One of Microsoft's samples lacks the status.
    const on = (status: unknown) => status === undefined || String(status).toLowerCase() === 'enabled'
    return list.filter(isObject).map(({ contentType, status, webhook }) => ({
      contentType: String(contentType),
      enabled: on(status),
      webhook: isObject(webhook)
        ? { address: String(webhook['address']), authId: String(webhook['authId']), enabled: on(webhook['status']) }
        : undefined,
    }))
  }

  /** Starts a subscription, or changes its webhook. Resolves when it is enabled, also when it was before. */
  async start(contentType: string, webhook: { address: string; authId: string } | undefined, signal: AbortSignal): Promise<void> {
    const body = webhook ? JSON.stringify({ webhook: { ...webhook, expiration: '' } }) : undefined
    try {
      const answer = await this.#send(this.#url('subscriptions/start', { contentType }), signal, { method: 'POST', body })
      await answer.text()
    } catch (error) {
      if (!(error instanceof ServiceError && error.kind === 'enabled')) throw error
    }
  }

  /** Content that was made from `from` to `to` (exclusive); milliseconds since 1970, at most 24 hours apart. */
  listing(contentType: string, from: number, to: number): URL {
    return this.#url('subscriptions/content', { contentType, startTime: timeText(from), endTime: timeText(to) })
  }

  /** One page of a listing. */
  async page(url: URL, signal: AbortSignal): Promise<Page> {
    const answer = await this.#send(this.#published(url), signal, {})
    const list = await parsed(answer, url)
    if (!Array.isArray(list)) throw malformed('a listing', list === null ? 'null' : `a ${typeof list} where a list should be`)
    const links = new Set(NEXT_PAGE.flatMap(name => answer.headers[name] ?? []).filter(link => link !== ''))
    // To take one of them, or none, would pass over pages without a word.
    if (links.size > 1) throw new ServiceError('page', 'two pages', 'a listing names two next pages')
    const [next] = links
    return { items: list.map(item => this.#own(listed(item))), next: this.#next(next) }
  }

  /** Asks for a blob; its link is checked before a token goes with it, again: it may have been listed when the API was elsewhere. */
  content(item: Listed, signal: AbortSignal, maxBytes: number): Promise<HttpResponse> {
    return this.#send(this.#published(pinnedLink(this.#own(item).uri, this.root)), signal, { maxBytes })
  }

  #url(path: string, query: Readonly<Record<string, string>> = {}): URL {
    const url = new URL(path, this.root)
    for (const [name, value] of Object.entries(query)) url.searchParams.set(name, value)
    return this.#published(url)
  }

  #next(link: string | undefined): URL | undefined {
    if (link === undefined) return undefined
    try {
      return pinnedLink(link, this.root)
    } catch (error) {
      this.#options.foreign(error as Error)
      throw new ServiceError('passing', 'link', (error as Error).message, { cause: error })
    }
  }

  /** A link that leads elsewhere is never kept: where this content must lie is known. */
  #own(item: Listed): Listed {
    try {
      pinnedLink(item.uri, this.root)
      return item
    } catch (error) {
      this.#options.foreign(error as Error)
      return { ...item, uri: new URL(`audit/${encodeURIComponent(item.id)}`, this.root).href }
    }
  }

  /** Links in answers lack the publisher. */
  #published(url: URL): URL {
    const own = new URL(url)
    own.searchParams.set('PublisherIdentifier', this.#options.publisher)
    return own
  }

  async #json(url: URL, signal: AbortSignal): Promise<unknown> {
    return parsed(await this.#send(url, signal, {}), url)
  }

  /** Resolves with an answer of status 200. Waits for as long as the service takes no more requests. */
  async #send(
    url: URL,
    signal: AbortSignal,
    { method = 'GET', body, maxBytes }: { method?: 'GET' | 'POST'; body?: string | undefined; maxBytes?: number },
  ): Promise<HttpResponse> {
    const { budget, tokens, http, clock, throttled } = this.#options
    for (let renewed = false; ; ) {
      await budget.take(signal)
      const token = await tokens.get(signal)
      this.#requests++
      const answer = await http
        .request(url, {
          method,
          headers: {
            authorization: `Bearer ${token}`,
            ...(body !== undefined && { 'content-type': 'application/json; charset=utf-8' }),
          },
          ...(body !== undefined && { body }),
          ...(maxBytes === undefined ? { maxBytes: LISTING_BYTES, totalMs: LISTING_MS } : { maxBytes }),
          signal,
        })
        .catch(passing)
      const date = Date.parse(String(answer.headers.date))
      if (!Number.isNaN(date)) this.#ahead = date - clock.now()
      if (answer.status === 200) {
        budget.answered()
        return answer
      }
      const retryAfter = answer.headers['retry-after']
      const error = serviceError({ status: answer.status, retryAfter, body: await answer.text() }, clock.now())
      if (error.kind === 'token' && !renewed) {
        tokens.refuse(token)
        renewed = true
      } else if (error.kind === 'throttled') throttled(budget.refused(error.after), error)
      else throw error
    }
  }
}

/** What a body that is no success of its own kind means: an error of the service or of something between, which passes. */
function malformed(what: string, why: string): ServiceError {
  return new ServiceError('passing', 'no JSON', `${what} of the service is not what it should be: ${why}`)
}

function passing(error: unknown): never {
  if (error instanceof HttpError) throw new ServiceError('passing', error.code, error.message, { cause: error })
  throw error
}

async function parsed(answer: HttpResponse, url: URL): Promise<unknown> {
  const parts: Buffer[] = []
  try {
    for await (const part of answer.body) parts.push(part)
  } catch (error) {
    return passing(error)
  }
  const body = Buffer.concat(parts)
  try {
    return JSON.parse(body.toString('utf8'))
  } catch (error) {
    const what = `the answer to ${url.pathname.split('/').slice(-2).join('/')}`
    throw malformed(what, body.length === 0 ? 'it is empty' : (error as Error).message)
  }
}

function listed(item: unknown): Listed {
  if (!isObject(item)) throw malformed('a listing', 'an item that is no object')
  const { contentId, contentUri, contentCreated, contentExpiration } = item
  const created = Date.parse(String(contentCreated))
  const expires = Date.parse(String(contentExpiration))
  if (typeof contentId !== 'string' || contentId === '' || typeof contentUri !== 'string' || Number.isNaN(created))
    throw malformed('a listing', 'an item without contentId, contentUri or contentCreated')
  return { id: contentId, uri: contentUri, created, expires: Number.isNaN(expires) ? created + EXPIRY_MS : expires }
}

/** Where no expiry is given: the shortest that is documented, 7 days. */
const EXPIRY_MS = 7 * 86_400_000

/** A time as listings take it: UTC, without a zone, whole seconds. */
export function timeText(ms: number): string {
  return new Date(ms).toISOString().slice(0, 19)
}
