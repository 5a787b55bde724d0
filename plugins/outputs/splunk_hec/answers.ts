// What HEC's answers mean: its own codes first, and the status of HTTP where something else has answered.
import { PermanentError, RetryableError, TooLargeError } from '../../../core/plugin/errors.ts'
import { isObject } from '../../../core/plugin/json.ts'
import { answerError, meanings, shownText } from '../../lib/request/answers.ts'
import type { Answer } from '../../lib/request/sender.ts'

/**
 * - `taken`: HEC has the events; with acknowledgement, under `ackId`.
 * - `blames`: one of the events is wrong, the one with this number in the request where HEC names it; `error` is what it gets when it
 *   is refused alone.
 * - `too_large`: fewer may pass.
 * - `wait`: all of it again, later, with `error`; `channel`: through another channel.
 */
export type Verdict =
  | { readonly kind: 'taken'; readonly ackId: number | undefined }
  | { readonly kind: 'blames'; readonly number: number | undefined; readonly error: Error }
  | { readonly kind: 'too_large'; readonly error: Error }
  | { readonly kind: 'wait'; readonly error: RetryableError }

export interface Judge {
  /** Events choose their index. */
  readonly eventsChooseIndex: boolean
  readonly token: string
}

const TOKEN_REMEDY = 'correct token, or the token in Splunk; a token that came from a file is read again by itself'
const NO_ACK =
  'this token has no indexer acknowledgement: switch it on for the token in Splunk, or set ack: false, and what an indexer loses before it has written it is lost'
/** Longer than the engine's first waits: only somebody who changes Splunk's configuration ends it. Milliseconds. */
const CONFIGURATION_MS = 30_000
const meaningOf = meanings()

export function judge(answer: Answer, { eventsChooseIndex, token }: Judge): Verdict {
  const { host, status, after } = answer
  const body = bodyOf(answer)
  const code = body?.['code']
  const said = shownText(String(body?.['text'] ?? ''), [token])
  const what = `${host} answered ${status}, code ${String(code)}${said && ` (${said})`}`
  const wait = (message: string, least?: number): Verdict => {
    const longest = Math.max(after ?? 0, least ?? 0)
    return { kind: 'wait', error: new RetryableError(message, { code: 'PEN_HEC', ...(longest > 0 && { after: longest }) }) }
  }
  const blames = (): Verdict => ({ kind: 'blames', number: numberOf(body), error: new PermanentError(what, { code: 'PEN_HEC' }) })
  if (status === 413) return { kind: 'too_large', error: new TooLargeError(`${host} takes no request of this size`) }
  switch (code) {
    case 0:
      return status < 300 ? { kind: 'taken', ackId: ackIdOf(body) } : wait(what)
    case 1:
      return wait(`${what}: the token is disabled; nothing is lost: ${TOKEN_REMEDY}`)
    case 2:
    case 3:
    case 4:
      return wait(`${what}: the token is refused; nothing is lost: ${TOKEN_REMEDY}`)
    case 6:
    case 12:
    case 13:
    case 15:
      return blames()
    case 7:
      return eventsChooseIndex
        ? blames()
        : wait(
            `${what}: the index does not exist, or this token may not write to it; make it in Splunk, or correct index`,
            CONFIGURATION_MS,
          )
    case 10:
    case 11:
      return wait(`${what}: Splunk does not take the channel; another one is used`)
    case 14:
      return wait(`${what}: ${NO_ACK}`, CONFIGURATION_MS)
    default:
      break
  }
  if (typeof code === 'number' && status === 400) return blames()
  const meaning = meaningOf(status)
  if (meaning === 'success')
    return wait(`${host} answered ${status}, but not as HEC does: ${shownText(answer.text, [token]) || 'a page'}; look at url`)
  if (meaning === 'retry' && said) return wait(what)
  if (meaning === 'too_large') return { kind: 'too_large', error: new TooLargeError(`${host} takes no request of this size`) }
  // What is not HEC's own refusal comes from something in between, or from another path: no event is to blame.
  if (meaning === 'permanent') return wait(`${answerError(answer, 'retry', '').message}: this is no answer of HEC; look at url`)
  const error = answerError(answer, meaning, TOKEN_REMEDY, [token])
  return { kind: 'wait', error: error instanceof RetryableError ? error : new RetryableError(error.message, { cause: error }) }
}

/** Events were taken without an ackId, although acknowledgement is asked for. */
export function noAckId(host: string): RetryableError {
  return new RetryableError(`${host} took events without an ackId: ${NO_ACK}`, { code: 'PEN_HEC', after: CONFIGURATION_MS })
}

/** What an answer to a question for acks says of one: true when Splunk has it, undefined when it is no such answer. */
export function ackOf(answer: Answer, ackId: number): boolean | undefined {
  const acks = bodyOf(answer)?.['acks']
  if (answer.status >= 300 || !isObject(acks)) return undefined
  return acks[String(ackId)] === true
}

/** HEC says that the token has no acknowledgement. */
export function ackDisabled(answer: Answer): RetryableError | undefined {
  if (bodyOf(answer)?.['code'] !== 14) return undefined
  return new RetryableError(`${answer.host}: ${NO_ACK}`, { code: 'PEN_HEC', after: CONFIGURATION_MS })
}

function bodyOf({ text }: Answer): Record<string, unknown> | undefined {
  try {
    const body: unknown = JSON.parse(text)
    return isObject(body) ? body : undefined
  } catch {
    return undefined
  }
}

function ackIdOf(body: Record<string, unknown> | undefined): number | undefined {
  const id = body?.['ackId']
  return Number.isSafeInteger(id) ? (id as number) : undefined
}

function numberOf(body: Record<string, unknown> | undefined): number | undefined {
  const number = body?.['invalid-event-number']
  return Number.isSafeInteger(number) ? (number as number) : undefined
}
