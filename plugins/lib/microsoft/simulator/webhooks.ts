// Webhooks of simulated subscriptions: validated when they are given, told of every blob as it comes into sight, switched off when they
// fail again and again. Notifications get lost, come twice, or are forged, as a scenario says.
import { randomUUID } from 'node:crypto'
import { request } from 'node:https'
import type { Clock } from '../../../../core/plugin/interfaces.ts'
import type { ContentType } from '../service/content-types.ts'
import { Draw, STREAM } from '../tenant/draw.ts'
import type { Blob, TenantContent } from './content.ts'
import type { HintFault, Scenario } from './faults.ts'

export interface Webhook {
  readonly tenantId: string
  readonly clientId: string
  readonly contentType: ContentType
  /** Where content is fetched: what contentUri begins with. */
  readonly origin: string
  readonly address: string
  /** '' when none was given. */
  readonly authId: string
  /** Simulated time, milliseconds since 1970. */
  readonly expires: number | undefined
}

export interface WebhooksOptions {
  readonly clock: Pick<Clock, 'sleep'>
  readonly seed: number
  /** By tenant id in small letters. */
  readonly tenants: ReadonlyMap<string, TenantContent>
  readonly hints: Scenario['hints']
  /** The first wait before a notification that failed is sent again; each further one is twice as long. Real milliseconds. */
  readonly retryMs: number
  /** How often new content is looked for. Real milliseconds. */
  readonly everyMs: number
  /** Simulated time, milliseconds since 1970. */
  now(): number
}

export interface Webhooks {
  /** Sends the validation; false unless it is answered with 200. */
  validate(webhook: Webhook): Promise<boolean>
  /** From now on it is told of what comes into sight. */
  add(webhook: Webhook): void
  remove(webhook: Webhook): void
  status(webhook: Webhook): 'enabled' | 'disabled' | 'expired'
  /** As the service describes it. */
  described(webhook: Webhook): object
  /** How many notifications arrived, how many did not, and how often each fault came. */
  readonly counts: ReadonlyMap<HintFault | 'sent' | 'failed', number>
  close(): Promise<void>
}

/** So often one notification is sent before its webhook is switched off. */
const MOST_TRIES = 5
/** More blobs than this make another notification. */
const MOST_ITEMS = 100
const ANSWER_MS = 10_000

export function webhooksOf({ clock, seed, tenants, hints = {}, retryMs, everyMs, now }: WebhooksOptions): Webhooks {
  const running = new Map<Webhook, AbortController>()
  const ends = new Set<Promise<void>>()
  const disabled = new WeakSet<Webhook>()
  const counts = new Map<HintFault | 'sent' | 'failed', number>()
  const count = (name: HintFault | 'sent' | 'failed') => counts.set(name, (counts.get(name) ?? 0) + 1)
  let notifications = 0

  const status: Webhooks['status'] = webhook => {
    if (disabled.has(webhook)) return 'disabled'
    return webhook.expires !== undefined && now() >= webhook.expires ? 'expired' : 'enabled'
  }

  /** Looks for new content and tells of it, until the webhook is removed, expires or fails too often. */
  const watch = async (webhook: Webhook, signal: AbortSignal): Promise<void> => {
    const content = tenants.get(webhook.tenantId)
    for (let seen = now(); content && status(webhook) === 'enabled'; ) {
      await clock.sleep(everyMs, signal)
      const upTo = now()
      const blobs = content.appeared(webhook.contentType, seen, upTo)
      seen = upTo
      for (let at = 0; at < blobs.length; at += MOST_ITEMS) await tell(webhook, blobs.slice(at, at + MOST_ITEMS), signal)
    }
  }

  const tell = async (webhook: Webhook, blobs: readonly Blob[], signal: AbortSignal): Promise<void> => {
    const draw = new Draw(seed, STREAM.quirk, 2 ** 41 + notifications++)
    const has = (fault: HintFault) => draw.chance(hints[fault] ?? 0)
    const [lost, repeated, forged] = [has('lost'), has('repeated'), has('forged')]
    if (forged) {
      count('forged')
      await deliver(
        webhook,
        blobs.slice(0, 1).map(blob => forgery(webhook, blob, draw)),
        signal,
      )
    }
    if (lost) return void count('lost')
    const items = blobs.map(blob => itemOf(webhook, blob))
    await deliver(webhook, items, signal)
    if (!repeated) return
    count('repeated')
    await deliver(webhook, items, signal)
  }

  const deliver = async (webhook: Webhook, items: readonly object[], signal: AbortSignal): Promise<void> => {
    const body = JSON.stringify(items)
    for (let tries = 1; !disabled.has(webhook); tries++) {
      signal.throwIfAborted()
      if ((await post(webhook, body, {}, signal)) === 200) return void count('sent')
      count('failed')
      if (tries < MOST_TRIES) await clock.sleep(retryMs * 2 ** (tries - 1), signal)
      else disabled.add(webhook)
    }
  }

  return {
    counts,
    status,
    async validate(webhook) {
      const validationCode = randomUUID()
      const given = { 'Webhook-ValidationCode': validationCode }
      return (await post(webhook, JSON.stringify({ validationCode }), given, undefined)) === 200
    },
    add(webhook) {
      const stop = new AbortController()
      running.set(webhook, stop)
      const end = watch(webhook, stop.signal)
        .catch(() => {}) // it was removed
        .finally(() => {
          running.delete(webhook)
          ends.delete(end)
        })
      ends.add(end)
    },
    remove(webhook) {
      running.get(webhook)?.abort()
    },
    described(webhook) {
      const { address, authId, expires } = webhook
      const expiration = expires === undefined ? null : new Date(expires).toISOString()
      return { status: status(webhook), address, authId, expiration }
    },
    async close() {
      for (const stop of running.values()) stop.abort()
      await Promise.all(ends)
    },
  }
}

function itemOf({ tenantId, clientId, origin, contentType }: Webhook, { id, created, expires }: Blob) {
  return {
    ...{ tenantId, clientId, contentType, contentId: id },
    contentUri: `${origin}/api/v1.0/${tenantId}/activity/feed/audit/${id}`,
    contentCreated: new Date(created).toISOString(),
    contentExpiration: new Date(expires).toISOString(),
  }
}

/** What an attacker would send who knows the address: another tenant's content, or this one's at a host of the attacker's. */
function forgery(webhook: Webhook, blob: Blob, draw: Draw): object {
  const item = itemOf(webhook, blob)
  const tenantId = '99999999-9999-9999-9999-999999999999'
  if (draw.chance(0.5)) return { ...item, tenantId, contentUri: item.contentUri.replace(webhook.tenantId, tenantId) }
  return { ...item, contentUri: item.contentUri.replace(webhook.origin, 'https://manage.office.com.attacker.example') }
}

/** The status of the answer; undefined when there was none in time. */
function post(
  { address, authId }: Webhook,
  body: string,
  others: Readonly<Record<string, string>>,
  signal: AbortSignal | undefined,
): Promise<number | undefined> {
  return new Promise(resolve => {
    let url: URL
    try {
      url = new URL(address)
    } catch {
      return resolve(undefined)
    }
    // A listener under test signs its certificate itself; nobody but this machine hears what is sent to it.
    const loopback = /^(localhost|127\.[\d.]+|\[::1\])$/.test(url.hostname)
    const sent = request(
      url,
      {
        method: 'POST',
        agent: false,
        rejectUnauthorized: !loopback,
        timeout: ANSWER_MS,
        ...(signal && { signal }),
        headers: {
          ...(authId !== '' && { 'Webhook-AuthID': authId }),
          ...others,
          'content-type': 'application/json; charset=utf-8',
          'content-length': Buffer.byteLength(body),
        },
      },
      answer => {
        answer.resume()
        answer.on('error', () => {}) // its status says all
        resolve(answer.statusCode)
      },
    )
    sent.on('timeout', () => sent.destroy(new Error('no answer in time')))
    sent.on('error', () => resolve(undefined))
    sent.end(body)
  })
}
