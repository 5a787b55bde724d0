// The Office 365 Management Activity API of simulated tenants: subscriptions, listings with pages, content; strict in what it takes.
// Facts and codes: the API's reference, its error table, and what was seen of it in use.
import { CONTENT_TYPES, type ContentType } from '../service/content-types.ts'
import type { Blob, TenantContent } from './content.ts'
import type { Claims } from './entra.ts'
import { failure, jsonReply, type Reply, singleQuoted } from './reply.ts'
import type { Subscriptions } from './subscriptions.ts'

export interface FeedOptions {
  /** By tenant id in small letters. */
  readonly tenants: ReadonlyMap<string, TenantContent>
  /** What a token must be for. */
  readonly resource: string
  /** Requests a minute of one tenant, and of all that name no publisher together. */
  readonly requestsPerMinute: number
  /** How many blobs a page of a listing has. */
  readonly pageSize: number
  /** Windows of exactly 24 hours are allowed. */
  readonly fullDay: boolean
  readonly subscriptions: Subscriptions
  /** Simulated time, milliseconds since 1970. */
  now(): number
  /** Real time, milliseconds that never jump: quotas count in it. */
  monotonic(): number
  verify(token: string): Claims | undefined
}

export interface FeedRequest {
  readonly method: string
  readonly url: URL
  readonly authorization: string | undefined
  readonly body: string
}

export interface FeedApi {
  /** Undefined for a path that is none of the API's. */
  answer(request: FeedRequest): Reply | Promise<Reply> | undefined
  /** Disables a subscription, as an administrator of the tenant or of the service would. */
  disable(tenantId: string, contentType: ContentType, by?: 'tenant' | 'service'): void
  /** The earliest time from which content was listed: milliseconds since 1970; undefined: it was never listed. */
  askedFrom(tenantId: string, contentType: ContentType): number | undefined
  /** How many requests were refused because of the quota. */
  readonly throttled: number
  /** Content type → how often a blob was given out, and how many records were in these. */
  readonly served: ReadonlyMap<ContentType, { readonly blobs: number; readonly records: number }>
}

const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS
const KEPT_MS = 7 * DAY_MS
/** What was seen to be allowed beyond seven days. */
const TOLERANCE_MS = HOUR_MS
const NOBODY = '00000000-0000-0000-0000-000000000000'
const PATH = /^\/api\/v1(?:\.0)?\/([^/]+)\/activity\/feed\/(.+)$/
const TIME = /^\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d(\.\d+)?)?Z?)?$/

export function feedApi(options: FeedOptions): FeedApi {
  const { tenants, resource, requestsPerMinute, pageSize, fullDay, subscriptions, now, monotonic, verify } = options
  /** By whoever has a quota: when requests came in the last minute. */
  const lately = new Map<string, number[]>()
  /** Tenant and content type → from when on content was listed. */
  const asked = new Map<string, number>()
  const served = new Map<ContentType, { blobs: number; records: number }>()
  let throttled = 0

  const overQuota = (who: string): boolean => {
    const at = monotonic()
    const times = lately.get(who) ?? []
    lately.set(who, times)
    while (times.length > 0 && (times[0] as number) <= at - 60_000) times.shift()
    if (times.length >= requestsPerMinute) return true
    times.push(at)
    return false
  }

  const list = (tenantId: string, content: TenantContent, type: ContentType, url: URL): Reply => {
    const refusal = subscriptions.refusal(tenantId, type)
    if (refusal) return refusal
    const query = url.searchParams
    const [from, to] = [query.get('startTime'), query.get('endTime')]
    for (const time of [from, to])
      if (time !== null && !TIME.test(time)) return failure(400, 'AF20002', 'Invalid parameter type: datetime was expected.')
    const window =
      'Start time and end time must both be specified (or both omitted) and must be less than or equal to 24 hours apart, with the start time no more than 7 days in the past.'
    if ((from === null) !== (to === null)) return failure(400, 'AF20055', window)
    const end = to === null ? now() : timeOf(to)
    const begin = from === null ? end - DAY_MS : timeOf(from)
    const width = end - begin
    if (width < 0 || width > DAY_MS || (width === DAY_MS && from !== null && !fullDay) || begin < now() - KEPT_MS - TOLERANCE_MS)
      return failure(400, 'AF20055', window)
    const since = subscriptions.of(tenantId).get(type)?.since ?? 0
    const key = `${tenantId} ${type}`
    // What was made before the subscription cannot be had.
    const first = Math.max(begin, since)
    asked.set(key, Math.min(first, asked.get(key) ?? first))
    const found = content.list(type, first, end, now())
    const page = Number(query.get('nextPage') ?? 0)
    if (!Number.isInteger(page) || page < 0 || (page > 0 && page >= found.length))
      return failure(400, 'AF20031', 'Invalid nextPage Input.')
    const items = found.slice(page, page + pageSize).map(blob => listed(tenantId, blob, url.origin))
    const next = new URL(url)
    next.searchParams.set('startTime', textOf(begin))
    next.searchParams.set('endTime', textOf(end))
    next.searchParams.set('nextPage', String(page + pageSize))
    next.searchParams.delete('PublisherIdentifier')
    const more = page + pageSize < found.length
    return jsonReply(200, items, more ? { NextPageUri: next.href } : {})
  }

  const get = (tenantId: string, content: TenantContent, id: string, readsDlp: boolean): Reply => {
    const blob = content.find(id)
    const expired = blob && now() >= blob.expires
    if (!blob || blob.visible > now() || (blob.missing && !expired))
      return singleQuoted(404, 'AF20050', `The specified content (${id}) does not exist.`)
    const refusal = subscriptions.refusal(tenantId, blob.contentType)
    if (refusal) return refusal
    if (expired) return singleQuoted(400, 'AF20051', `Content requested with the key ${id} has already expired.`)
    const own = served.get(blob.contentType) ?? { blobs: 0, records: 0 }
    served.set(blob.contentType, own)
    own.blobs++
    own.records += now() < blob.grown ? blob.early : blob.count
    const body = content.body(blob, now(), blob.contentType === 'DLP.All' && !readsDlp)
    return { ...jsonReply(200, ''), body }
  }

  const route = (
    claims: Claims,
    rest: string,
    { method, url, body }: FeedRequest,
    content: TenantContent,
  ): Reply | Promise<Reply> | undefined => {
    const tenantId = claims.tid.toLowerCase()
    const path = rest.replace(/\/$/, '')
    if (path === 'subscriptions/list' && method === 'GET') return jsonReply(200, subscriptions.described(tenantId))
    if (path === 'resources/dlpSensitiveTypes' && method === 'GET')
      return jsonReply(200, [{ id: '50842eb7-edc8-4019-85dd-5a5c1f2bb085', name: 'Credit Card Number' }, {}])
    if (path.startsWith('audit/') && method === 'GET')
      return get(tenantId, content, decodeURIComponent(path.slice(6)), claims.roles?.includes('ActivityFeed.ReadDlp') === true)
    const type = url.searchParams.get('contentType')
    if (!['subscriptions/start', 'subscriptions/stop', 'subscriptions/content'].includes(path)) return undefined
    if (type === null) return failure(400, 'AF20001', 'Missing parameter: contentType.')
    const known = CONTENT_TYPES.find(one => one === type)
    if (!known) return failure(400, 'AF20020', 'The specified content type is not valid.')
    if (path === 'subscriptions/content' && method === 'GET') return list(tenantId, content, known, url)
    if (path === 'subscriptions/start' && method === 'POST')
      return subscriptions.start({ tenantId, clientId: claims.appid, origin: url.origin }, known, body)
    if (path === 'subscriptions/stop' && method === 'POST') {
      subscriptions.stop(tenantId, known)
      return { status: 200, headers: {}, body: '' }
    }
    return undefined
  }

  return {
    served,
    get throttled() {
      return throttled
    },
    disable: (tenantId, contentType, by) => subscriptions.stop(tenantId.toLowerCase(), contentType, by),
    askedFrom: (tenantId, contentType) => asked.get(`${tenantId.toLowerCase()} ${contentType}`),
    answer(request) {
      const [, given = '', rest = ''] = PATH.exec(request.url.pathname) ?? []
      if (!given) return undefined
      if (!/^[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}$/i.test(given))
        return failure(400, 'AF20013', 'The tenant ID in the URL is not a valid GUID.')
      const tenantId = given.toLowerCase()
      const claims = verify(request.authorization?.replace(/^Bearer /i, '') ?? '')
      if (!claims || claims.aud !== resource) return { status: 401, headers: { 'www-authenticate': 'Bearer' }, body: '' }
      if (claims.tid.toLowerCase() !== tenantId)
        return failure(
          400,
          'AF20010',
          `The tenant ID passed in the URL (${given}) does not match the tenant ID passed in the access token (${claims.tid}).`,
        )
      const content = tenants.get(tenantId)
      if (!content)
        return failure(400, 'AF20011', `Specified tenant ID (${given}) does not exist in the system or has been deleted.`)
      const roles = claims.roles ?? []
      if (!roles.some(role => role === 'ActivityFeed.Read' || role === 'ActivityFeed.ReadDlp'))
        return failure(
          401,
          'AF10001',
          `The permission set (${roles.join(' ')}) sent in the request does not include the expected permission.`,
        )
      const publisher = request.url.searchParams.get('PublisherIdentifier') ?? NOBODY
      if (overQuota(publisher === NOBODY ? NOBODY : tenantId)) {
        throttled++
        const method = /\/audit\//.test(request.url.pathname) ? 'GetBlob' : 'List'
        return singleQuoted(403, 'AF429', `Too many requests. Method=${method}, PublisherId=${publisher}`)
      }
      return route(claims, rest, request, content)
    },
  }
}

function listed(tenantId: string, { contentType, id, created, expires }: Blob, origin: string): object {
  return {
    contentType,
    contentId: id,
    contentUri: `${origin}/api/v1.0/${tenantId}/activity/feed/audit/${id}`,
    contentCreated: new Date(created).toISOString(),
    contentExpiration: new Date(expires).toISOString(),
  }
}

/** A time without a zone is UTC. */
function timeOf(text: string): number {
  return Date.parse(text.length === 10 || text.endsWith('Z') ? text : `${text}Z`)
}

function textOf(time: number): string {
  return new Date(time).toISOString().slice(0, 19)
}
