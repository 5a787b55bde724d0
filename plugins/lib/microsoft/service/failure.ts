// What an answer of the Management Activity API that is no success means for whoever asked.
import { PenstockError } from '../../../../core/plugin/errors.ts'
import { waitOf } from '../../http/retry-after.ts'
import { explained } from './remedies.ts'

/**
 * - `throttled`: too many requests; `after` when the service said how long.
 * - `cooldown`: a subscription was started too short a time ago; `after` is the rest of it.
 * - `token`: the token was not taken; a new one may be.
 * - `permission`: the token lacks a role, or the tenant is not what the configuration says: nothing but an administrator helps.
 * - `subscription`: there is none, or it is disabled.
 * - `enabled`: the subscription was started before.
 * - `window`, `page`: what a listing asked for is not allowed, or not known any more.
 * - `gone`: this content cannot be had, now or ever.
 * - `passing`: an error of the service, of the network, or of something between.
 * - `refused`: anything else; asking again would change nothing.
 */
export type FailureKind =
  | 'throttled'
  | 'cooldown'
  | 'token'
  | 'permission'
  | 'subscription'
  | 'enabled'
  | 'window'
  | 'page'
  | 'gone'
  | 'passing'
  | 'refused'

export class ServiceError extends PenstockError {
  readonly kind: FailureKind
  /** `AF20022` and the like; `HTTP 503` where the body has none. */
  readonly service: string
  /** How long the service asks to wait. Milliseconds. */
  readonly after: number | undefined

  constructor(
    kind: FailureKind,
    service: string,
    message: string,
    options?: ErrorOptions & { readonly after?: number | undefined },
  ) {
    super('PEN_SERVICE', message, options)
    this.kind = kind
    this.service = service
    this.after = options?.after
  }
}

const KINDS: Readonly<Record<string, FailureKind>> = {
  AF10001: 'permission',
  AF20010: 'permission',
  AF20011: 'permission',
  AF20012: 'permission',
  AF20013: 'permission',
  AF20022: 'subscription',
  AF20023: 'subscription',
  AF20024: 'enabled',
  AF20030: 'window',
  AF20031: 'page',
  AF20050: 'gone',
  AF20051: 'gone',
  AF20052: 'gone',
  AF20055: 'window',
  AF429: 'throttled',
  AF50000: 'passing',
  AF50005: 'passing',
  AF50006: 'passing',
}
/** The cooldown of subscription starts has no code of its own in what was seen of it, but says how long it lasts. */
const COOLDOWN = /too many frequent subscription start/i
const COOLDOWN_REST = /(?:(\d+)\s*m(?:in\w*)?)?\s*(?:(\d+)\s*s)/i
const COOLDOWN_MS = 15 * 60_000
/** Characters of a message that are kept. */
const LONGEST = 300

export interface Answer {
  readonly status: number
  /** `Retry-After`, as it came. */
  readonly retryAfter?: string | undefined
  readonly body: string
}

/**
 * The error that an answer is. Bodies of failed retrievals are printed with single quotes, which is no JSON (troubleshooting page):
 * the code is looked for in the text.
 *
 * @param now For a `Retry-After` that is a date. Milliseconds since 1970.
 */
export function serviceError({ status, retryAfter, body }: Answer, now: number): ServiceError {
  const code = /\bAF\d{3,5}\b/.exec(body)?.[0]
  const after = waitOf(retryAfter, now)
  const text = messageOf(body)
  if (COOLDOWN.test(body))
    return new ServiceError('cooldown', code ?? `HTTP ${status}`, text, { after: after ?? cooldownOf(body) })
  const kind = (code && KINDS[code]) || kindOf(status, code !== undefined)
  const named = code ?? `HTTP ${status}`
  const message = code ? `${explained(code)}${text ? ` (${text})` : ''}` : `${named}${text ? `: ${text}` : ''}`
  return new ServiceError(kind, named, message, { after })
}

function kindOf(status: number, coded: boolean): FailureKind {
  if (status === 401) return 'token'
  if (status === 403) return 'permission'
  if (status === 429) return 'throttled'
  if (status === 408 || status >= 500) return 'passing'
  if (status === 404 || status === 410) return 'gone'
  // A redirect, or a 400 without a code, comes from something between here and the service.
  return coded ? 'refused' : 'passing'
}

function cooldownOf(body: string): number {
  const rest = COOLDOWN_REST.exec(body)
  return rest ? (Number(rest[1] ?? 0) * 60 + Number(rest[2])) * 1000 : COOLDOWN_MS
}

/** The message of an error body in either spelling; nothing of an HTML page. */
function messageOf(body: string): string {
  const quoted = /['"]message['"]\s*:\s*(?:"((?:[^"\\]|\\.)*)"|'((?:[^'\\]|\\.)*)')/i.exec(body)
  const text = quoted ? (quoted[1] ?? quoted[2] ?? '') : /^\s*</.test(body) ? '' : body
  const plain = text.replace(/\s+/g, ' ').trim()
  return plain.length > LONGEST ? `${plain.slice(0, LONGEST)}…` : plain
}
