// Asks one tenant's feed what the doctor wants to know. What passes is asked once more, without the long waits of the input.
import { isObject } from '../../../../core/plugin/json.ts'
import { HttpError, type HttpRequest } from '../../../lib/http/client.ts'
import { ServiceError, serviceError } from '../../../lib/microsoft/service/failure.ts'
import { AUDIT_LOG_OFF } from '../../../lib/microsoft/service/remedies.ts'
import { timeText } from '../feed-client.ts'
import { WINDOW_MS } from '../listing.ts'
import type { ConfiguredTenant } from '../tenants.ts'
import type { Probe } from './probe.ts'

export interface WebhookState {
  /** `enabled`, `disabled` or `expired`, as the service says it. */
  readonly status: string
  /** Origin of its address: what follows may hold a secret. */
  readonly origin: string
}

export interface SubscriptionState {
  readonly contentType: string
  readonly enabled: boolean
  readonly webhook: WebhookState | undefined
}

/** What a start came to. `audit_off`: the tenant has no audit log that could be subscribed to. */
export type Started = 'started' | 'enabled' | 'audit_off'

export interface FeedProbe {
  /** Requests so far that count against the tenant's quota. */
  readonly requests: number
  /** Asks without a token: any answer shows that the host can be reached. */
  reach(): Promise<void>
  subscriptions(token: string): Promise<SubscriptionState[]>
  start(token: string, contentType: string): Promise<Started>
  /** True when content of the 23 hours before `now` (milliseconds since 1970, the service's clock) is listed. */
  hasContent(token: string, contentType: string, now: number): Promise<boolean>
}

const never = new AbortController().signal
/** The first page of a listing. */
const MAX_BYTES = 16 * 1024 * 1024
/** Of an answer that only has to come. */
const REACHED_BYTES = 1_024

export function feedProbe({ settings }: ConfiguredTenant, probe: Probe, now: () => number): FeedProbe {
  const root = new URL(`/api/v1.0/${settings.tenantId}/activity/feed/`, settings.api)
  let requests = 0

  const send = (path: string, query: Readonly<Record<string, string>>, request: Omit<HttpRequest, 'signal'>) => {
    const url = new URL(path, root)
    for (const [name, value] of Object.entries({ ...query, PublisherIdentifier: settings.publisher }))
      url.searchParams.set(name, value)
    requests++
    return probe.request(url, { ...request, signal: never, maxBytes: MAX_BYTES })
  }

  /** A service that has one bad answer is not ill. */
  const ask: typeof askOnce = async (...args) => {
    try {
      return await askOnce(...args)
    } catch (error) {
      if (!(error instanceof HttpError || (error instanceof ServiceError && error.kind === 'passing'))) throw error
      return askOnce(...args)
    }
  }
  /** The body of an answer with status 200. Rejects with a ServiceError for any other, and with a HttpError without one. */
  const askOnce = async (token: string, path: string, query: Readonly<Record<string, string>>, method: 'GET' | 'POST') => {
    const answer = await send(path, query, { method, headers: { authorization: `Bearer ${token}` } })
    if (answer.status !== 200) {
      const retryAfter = answer.headers['retry-after']
      const body = await answer.text()
      if (AUDIT_LOG_OFF.test(body)) return 'audit_off' as const
      throw serviceError({ status: answer.status, retryAfter, body }, now())
    }
    const parts: Buffer[] = []
    for await (const part of answer.body) parts.push(part)
    const text = Buffer.concat(parts).toString('utf8')
    try {
      return { json: JSON.parse(text) as unknown }
    } catch (cause) {
      const page = /^\s*</.test(text) ? ', but with a page, as a proxy or a sign-in between here and the service does' : ''
      throw new ServiceError('passing', 'no JSON', `${root.host} answers with status 200 and no JSON${page}`, { cause })
    }
  }
  const list = async (token: string, path: string, query: Readonly<Record<string, string>>): Promise<unknown[]> => {
    const answer = await ask(token, path, query, 'GET')
    if (answer === 'audit_off') throw new ServiceError('refused', 'audit_off', 'the audit log of the tenant is off')
    if (!Array.isArray(answer.json)) throw new ServiceError('passing', 'no list', `${root.host} answers with no list`)
    return answer.json
  }

  return {
    get requests() {
      return requests
    },
    async reach() {
      const answer = await send('subscriptions/list', {}, {})
      await answer.text(REACHED_BYTES)
    },
    async subscriptions(token) {
      return (await list(token, 'subscriptions/list', {})).filter(isObject).map(({ contentType, status, webhook }) => ({
        contentType: String(contentType),
        // One of Microsoft's samples lacks the status.
        enabled: status === undefined || String(status).toLowerCase() === 'enabled',
        webhook: isObject(webhook)
          ? {
              status: String(webhook['status'] ?? '').toLowerCase(),
              origin: URL.parse(String(webhook['address']))?.origin ?? '?',
            }
          : undefined,
      }))
    },
    async start(token, contentType) {
      try {
        return (await ask(token, 'subscriptions/start', { contentType }, 'POST')) === 'audit_off' ? 'audit_off' : 'started'
      } catch (error) {
        if (error instanceof ServiceError && error.kind === 'enabled') return 'enabled'
        throw error
      }
    },
    async hasContent(token, contentType, now) {
      const [startTime, endTime] = [timeText(now - WINDOW_MS), timeText(now)]
      return (await list(token, 'subscriptions/content', { contentType, startTime, endTime })).length > 0
    },
  }
}
