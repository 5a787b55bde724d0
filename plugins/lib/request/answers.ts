// What the status of an answer means for the events that were sent, and the error that it is.
import { OptionError, PermanentError, RetryableError, TooLargeError } from '../../../core/plugin/errors.ts'
import type { OptionSchema } from '../../../core/plugin/options.ts'
import type { Answer } from './sender.ts'

const CHOICES = ['success', 'permanent', 'retry', 'too_large'] as const
type Choice = (typeof CHOICES)[number]

/**
 * - `success`: the events are delivered.
 * - `permanent`: no repetition changes the answer.
 * - `retry`: later it may.
 * - `too_large`: fewer events may pass.
 * - `credentials`, `redirect`: somebody must change the configuration, here or there; until then the events wait.
 */
export type Meaning = Choice | 'credentials' | 'redirect'

export const ANSWERS = {
  type: 'object',
  additionalProperties: { type: 'string', enum: CHOICES },
  description:
    'What the status of an answer means, where the destination has its own ways: a status (404) or a class (5xx) → success, permanent ' +
    '(dead letter), retry or too_large (fewer events at once)',
} as const satisfies OptionSchema & { description: string }

/** Later, as RFC 9110 and RFC 6585 have it. */
const RETRY = new Set([408, 421, 423, 425, 429])
const CREDENTIALS = new Set([401, 403, 407])
/** An answer's text that a message repeats. Characters. */
const SHOWN = 300

/** @throws OptionError for a key that is no status */
export function meanings(own: Readonly<Record<string, Choice>> = {}, option = 'answers'): (status: number) => Meaning {
  for (const [key, choice] of Object.entries(own)) {
    const wrong = (why: string) => new OptionError(`${option}["${key}"]`, why)
    if (!/^[2-5](\d\d|xx)$/.test(key)) throw wrong(`"${key}" is no status of an answer; write 404, or 5xx for all of them`)
    if (CREDENTIALS.has(Number(key)) && choice !== 'retry' && choice !== 'success')
      throw wrong('refused credentials never make dead letters: events wait until they are corrected')
  }
  return status =>
    own[status] ?? (CREDENTIALS.has(status) ? 'credentials' : (own[`${Math.floor(status / 100)}xx`] ?? usual(status)))
}

function usual(status: number): Meaning {
  if (status >= 200 && status < 300) return 'success'
  if (status >= 300 && status < 400) return 'redirect'
  if (status === 413) return 'too_large'
  return RETRY.has(status) || status < 400 || status >= 500 ? 'retry' : 'permanent'
}

/** Whether what the events hold may be the reason of a refusal: then it is worth while to find out which of them it is. */
export function blamesContent(status: number): boolean {
  return status === 400 || status === 422
}

/**
 * The error that an answer is. `secrets` never stand in it, even where the destination repeats them; `remedy` says what to do about
 * refused credentials.
 */
export function answerError(
  answer: Answer,
  meaning: Exclude<Meaning, 'success'>,
  remedy: string,
  secrets: readonly string[] = [],
): Error {
  const { host, status, after } = answer
  const said = shownText(answer.text, secrets)
  const what = `${host} answered ${status}${said && `: ${said}`}`
  const retry = (message: string) =>
    new RetryableError(message, { code: 'PEN_HTTP_STATUS', ...(after !== undefined && { after }) })
  switch (meaning) {
    case 'permanent':
      return new PermanentError(what, { code: 'PEN_HTTP_STATUS' })
    case 'too_large':
      return new TooLargeError(what)
    case 'credentials':
      return retry(`${host} refuses the credentials (${status}${said && `: ${said}`}); nothing is lost: ${remedy}`)
    case 'redirect':
      return retry(
        `${host} answered ${status}, which leads to ${targetOf(answer)}; redirects are not followed: put the right address into url`,
      )
    default:
      return retry(what)
  }
}

/** The origin alone: the rest of a location may hold secrets. */
function targetOf({ location, host }: Answer): string {
  if (location === undefined) return 'nowhere'
  return URL.parse(location, `https://${host}`)?.origin ?? 'no URL'
}

/** The beginning of an answer's text, on one line; nothing of a page. */
export function shownText(text: string, secrets: readonly string[] = []): string {
  if (/^\s*</.test(text)) return ''
  let plain = text
  for (const secret of secrets) if (secret) plain = plain.replaceAll(secret, '***')
  plain = plain.replace(/\s+/g, ' ').trim()
  return plain.length > SHOWN ? `${plain.slice(0, SHOWN).toWellFormed()}…` : plain
}
