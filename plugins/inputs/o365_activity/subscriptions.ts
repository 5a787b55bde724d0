// The subscriptions of one tenant: what is missing is started, nothing is ever stopped.
import type { Clock, Log } from '../../../core/plugin/interfaces.ts'
import { ServiceError } from '../../lib/microsoft/service/failure.ts'
import type { FeedClient, Subscription } from './feed-client.ts'

export interface Webhook {
  readonly address: string
  /** What the service sends with each notification: the listener's only token. */
  readonly authId: string
}

export interface SubscriptionOptions {
  readonly label: string
  readonly contentTypes: readonly string[]
  readonly client: FeedClient
  readonly clock: Clock
  readonly log: Log
  readonly webhook: Webhook | undefined
  /** This one was off, and is on again. */
  restarted(contentType: string): Promise<void>
}

/** A webhook that was refused is offered again after so long. Milliseconds. */
const HOOK_AGAIN_MS = 3_600_000
/** "The endpoint did not return HTTP 200", or its address is none. */
const HOOK_REFUSED = 'AF20021'

export class Subscriptions {
  readonly #options: SubscriptionOptions
  readonly #on = new Set<string>()
  /** When a start may be tried again; monotonic milliseconds. */
  readonly #waiting = new Map<string, number>()
  #hookAt = Number.NEGATIVE_INFINITY

  constructor(options: SubscriptionOptions) {
    this.#options = options
  }

  /** Starts those that are off, unless the service asked to wait; gives those that are on. */
  async ready(signal: AbortSignal): Promise<readonly string[]> {
    const { contentTypes, client, clock, webhook } = this.#options
    const now = clock.monotonic()
    const due = contentTypes.filter(type => !this.#on.has(type) && (this.#waiting.get(type) ?? now) <= now)
    const hookDue = webhook !== undefined && this.#hookAt <= now
    if (due.length > 0 || hookDue) {
      const there = await client.subscriptions(signal)
      if (hookDue) this.#hookAt = now + HOOK_AGAIN_MS
      for (const type of hookDue ? contentTypes : due)
        if (due.includes(type) || this.#on.has(type))
          await this.#ready(
            type,
            there.find(({ contentType }) => contentType === type),
            signal,
          )
    }
    return contentTypes.filter(type => this.#on.has(type))
  }

  /** The service says that there is none, or that it is disabled. False when that was known. */
  lapsed(contentType: string): boolean {
    return this.#on.delete(contentType)
  }

  async #ready(type: string, there: Subscription | undefined, signal: AbortSignal): Promise<void> {
    const { label, log, webhook } = this.#options
    const { webhook: known } = there ?? {}
    const hooked =
      webhook === undefined || (known?.enabled && known.address === webhook.address && known.authId === webhook.authId)
    if (there?.enabled && hooked) {
      this.#on.add(type)
      return
    }
    try {
      await this.#start(type, webhook, there?.enabled ?? false, signal)
    } catch (error) {
      if (!(error instanceof ServiceError && error.service === HOOK_REFUSED && webhook)) throw error
      log.warn(
        { tenant: label, content_type: type, address: webhook.address, error: error.message },
        'the service cannot reach the webhook; content is asked for without it',
      )
      if (there?.enabled) this.#on.add(type)
      else await this.#start(type, undefined, false, signal)
    }
  }

  async #start(type: string, webhook: Webhook | undefined, enabled: boolean, signal: AbortSignal): Promise<void> {
    const { client, clock, label, log, restarted } = this.#options
    try {
      await client.start(type, webhook, signal)
    } catch (error) {
      if (!(error instanceof ServiceError && error.kind === 'cooldown')) throw error
      const wait = error.after ?? 0
      this.#waiting.set(type, clock.monotonic() + wait)
      log.info(
        { tenant: label, content_type: type, wait_ms: wait },
        'the subscription was started a short time ago; the service takes the next start later',
      )
      // It was on before this start, which would only have changed its webhook.
      if (enabled) this.#on.add(type)
      return
    }
    this.#waiting.delete(type)
    this.#on.add(type)
    if (enabled) log.info({ tenant: label, content_type: type }, 'the service knows the webhook')
    else {
      log.info({ tenant: label, content_type: type }, 'subscription started; its first content may take up to twelve hours')
      await restarted(type)
    }
  }
}
