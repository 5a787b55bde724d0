// Subscriptions of simulated tenants: started with or without a webhook, stopped, disabled, and for how long they must rest.
import { CONTENT_TYPES, type ContentType } from '../service/content-types.ts'
import { failure, jsonReply, type Reply } from './reply.ts'
import type { Webhook, Webhooks } from './webhooks.ts'

export interface SubscriptionsOptions {
  /** Every content type of every tenant was subscribed to long ago. */
  readonly subscribed: boolean
  /** How far before a subscription's start content can be had. Milliseconds. */
  readonly backfillMs: number
  readonly webhooks: Webhooks
  /** Simulated time, milliseconds since 1970. */
  now(): number
}

export interface Subscription {
  enabled: boolean
  /** Who switched it off, as the service says it. */
  disabledBy: 'tenant' | 'service'
  /** Content made before this time is not for it. Milliseconds since 1970. */
  readonly since: number
  /** When it was last started. */
  readonly started: number
  readonly webhook: Webhook | undefined
}

/** Who starts a subscription, and where from: notifications name both. */
export interface Starter {
  readonly tenantId: string
  readonly clientId: string
  readonly origin: string
}

export interface Subscriptions {
  /** Those of a tenant; its id in small letters. */
  of(tenantId: string): ReadonlyMap<ContentType, Subscription>
  /** `body`: what the request brought. */
  start(starter: Starter, type: ContentType, body: string): Reply | Promise<Reply>
  stop(tenantId: string, type: ContentType, by?: Subscription['disabledBy']): void
  /** What is answered instead, where the subscription is none or off. */
  refusal(tenantId: string, type: ContentType): Reply | undefined
  described(tenantId: string): object[]
}

const COOLDOWN_MS = 15 * 60_000

interface GivenWebhook {
  readonly address?: unknown
  readonly authId?: unknown
  readonly expiration?: unknown
}

export function subscriptionsOf({ subscribed, backfillMs, webhooks, now }: SubscriptionsOptions): Subscriptions {
  const all = new Map<string, Map<ContentType, Subscription>>()

  const ofTenant = (tenantId: string): Map<ContentType, Subscription> => {
    let own = all.get(tenantId)
    if (!own) {
      const long: Subscription = { enabled: true, disabledBy: 'tenant', since: 0, started: 0, webhook: undefined }
      own = new Map(subscribed ? CONTENT_TYPES.map(type => [type, { ...long }]) : [])
      all.set(tenantId, own)
    }
    return own
  }

  const describedOne = (contentType: ContentType, { enabled, webhook }: Subscription) => ({
    contentType,
    status: enabled ? 'enabled' : 'disabled',
    webhook: webhook ? webhooks.described(webhook) : null,
  })

  return {
    of: ofTenant,
    start(starter, type, body) {
      const { tenantId, clientId, origin } = starter
      const own = ofTenant(tenantId)
      const old = own.get(type)
      let given: GivenWebhook | undefined
      try {
        given = body.trim() === '' ? undefined : (JSON.parse(body) as { webhook?: GivenWebhook } | null)?.webhook
      } catch {
        return failure(400, 'AF20002', 'Invalid parameter type: the body is no JSON.')
      }
      const webhook = given?.address ? webhookOf(given, { tenantId, clientId, origin, contentType: type }) : undefined
      if (webhook && !webhook.address.startsWith('https://')) return failure(400, 'AF20021', 'The address must begin with HTTPS.')
      if (webhook?.expires !== undefined && !(webhook.expires > now()))
        return failure(400, 'AF20003', 'The expiration date of the webhook lies in the past.')
      // A webhook that was switched off, or has expired, is started again by the same call.
      const same = webhook?.address === old?.webhook?.address && webhook?.authId === old?.webhook?.authId
      const works = !old?.webhook || webhooks.status(old.webhook) === 'enabled'
      if (old?.enabled && same && works && webhook?.expires === old.webhook?.expires)
        return failure(400, 'AF20024', 'The subscription is already enabled. No property change.')
      const rest = old ? old.started + COOLDOWN_MS - now() : 0
      if (rest > 0) {
        const wait = `${Math.floor(rest / 60_000)}m ${Math.ceil((rest % 60_000) / 1000)}s`
        return failure(400, 'AF20001', `Too many frequent subscription start requests. Please try again in ${wait}.`)
      }
      const begin = (): Reply => {
        if (old?.webhook) webhooks.remove(old.webhook)
        const since = old?.since ?? now() - backfillMs
        const subscription: Subscription = { enabled: true, disabledBy: 'tenant', since, started: now(), webhook }
        own.set(type, subscription)
        if (webhook) webhooks.add(webhook)
        return jsonReply(200, describedOne(type, subscription))
      }
      if (!webhook) return begin()
      return webhooks
        .validate(webhook)
        .then(valid => (valid ? begin() : failure(400, 'AF20021', 'The endpoint did not return HTTP 200.')))
    },
    stop(tenantId, type, by = 'tenant') {
      const own = ofTenant(tenantId).get(type)
      if (!own) return
      own.enabled = false
      own.disabledBy = by
      if (own.webhook) webhooks.remove(own.webhook)
    },
    refusal(tenantId, type) {
      const own = ofTenant(tenantId).get(type)
      if (!own) return failure(400, 'AF20022', 'No subscription found for the specified content type.')
      return own.enabled ? undefined : failure(400, 'AF20023', `The subscription was disabled by a ${own.disabledBy} admin.`)
    },
    described: tenantId => [...ofTenant(tenantId)].map(([type, subscription]) => describedOne(type, subscription)),
  }
}

function webhookOf(given: GivenWebhook, place: Pick<Webhook, 'tenantId' | 'clientId' | 'origin' | 'contentType'>): Webhook {
  const { address, authId, expiration } = given
  const expires = expiration ? Date.parse(String(expiration)) : undefined
  return { ...place, address: String(address), authId: String(authId ?? ''), expires }
}
