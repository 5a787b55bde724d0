// What the doctor finds: checks with a state, a sentence and a remedy, for each tenant of an input.
import { asError } from '../../../../core/plugin/errors.ts'
import { ServiceError } from '../../../lib/microsoft/service/failure.ts'
import { remedyOf } from '../../../lib/microsoft/service/remedies.ts'
import { TokenError } from '../../../lib/microsoft/service/tokens.ts'

/** In the order in which they are told. Scripts rely on the names. */
export const CHECKS = [
  ...(['configuration', 'network', 'clock', 'token', 'roles', 'credential'] as const),
  ...(['audit_log', 'subscriptions', 'quota', 'progress'] as const),
] as const
export type Check = (typeof CHECKS)[number]

/**
 * - `ok`: as it should be.
 * - `warning`: the tenant is read, and something will want attention.
 * - `failed`: the tenant cannot be read, or not as the pipeline asks for it.
 * - `unknown`: nobody can tell, because something else failed or because only a change would show it.
 */
export type Status = 'ok' | 'warning' | 'failed' | 'unknown'

export interface Finding {
  readonly check: Check
  readonly status: Status
  /** A sentence in plain words, without a final full stop. */
  readonly message: string
  /** What to do about it; sentences with their full stops. */
  readonly remedy?: string
}

/** A tenant of an input, and the way to look at it: what an input brings so that the doctor knows it. */
export interface Patient {
  /** The id of the input's step. */
  readonly input: string
  /** Its name, or its id. */
  readonly tenant: string
  readonly tenantId: string
  /** Never rejects for anything that is wrong with the tenant. */
  examine(): Promise<Finding[]>
}

export function finding(check: Check, status: Status, message: string, remedy?: string): Finding {
  return { check, status, message, ...(remedy !== undefined && { remedy }) }
}

/** An error in plain words; its code is explained where it is known. */
export function inWords(thrown: unknown): { readonly message: string; readonly remedy?: string } {
  const error = asError(thrown)
  const code = codeOf(error)
  const known = code === undefined ? undefined : remedyOf(code)
  if (known) return { message: `${code}: ${known.meaning}`, remedy: known.remedy }
  const message = code?.startsWith('HTTP ') ? `the service answers with ${error.message}` : error.message
  return error instanceof ServiceError && error.kind === 'passing' ? { message, remedy: PASSES } : { message }
}

const PASSES = 'This passes by itself, unless something between here and the service answers in its place.'

/** `AF20022`, `AADSTS7000215` or `HTTP 503`; undefined for an error that is no answer of the service. */
export function codeOf(thrown: unknown): string | undefined {
  return thrown instanceof ServiceError || thrown instanceof TokenError ? thrown.service : undefined
}

const SECOND_MS = 1_000
const MINUTE_MS = 60 * SECOND_MS
const HOUR_MS = 60 * MINUTE_MS
const DAY_MS = 24 * HOUR_MS

/** A length of time for people: `12 s`, `9 min`, `3 h`, `5 days`. */
export function span(ms: number): string {
  const length = Math.abs(ms)
  if (length < 2 * MINUTE_MS) return `${Math.round(length / SECOND_MS)} s`
  if (length < 2 * HOUR_MS) return `${Math.round(length / MINUTE_MS)} min`
  if (length < 2 * DAY_MS) return `${Math.round(length / HOUR_MS)} h`
  return `${Math.floor(length / DAY_MS)} days`
}

/** A time for people, in UTC and whole seconds. */
export function at(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 19)}Z`
}
