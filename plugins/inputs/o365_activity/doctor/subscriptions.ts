// The subscriptions of a tenant: which are enabled, what they list, and what a start of those that are not comes to.
import { asError } from '../../../../core/plugin/errors.ts'
import { ServiceError } from '../../../lib/microsoft/service/failure.ts'
import type { FeedProbe, Started, SubscriptionState, WebhookState } from './feed-probe.ts'
import { type Finding, finding, inWords, span } from './finding.ts'

export interface Looked {
  readonly contentType: string
  /** Undefined: there never was one. */
  readonly before: SubscriptionState | undefined
  /** What a start came to, where one was tried. */
  readonly started: Started | Error | undefined
  /** Content of the last 23 hours is listed; an error where the listing failed; undefined where none was asked for. */
  readonly content: boolean | Error | undefined
}

/**
 * Looks at each content type; starts those that are not enabled when `start` is set. One that is enabled is never started again: that
 * would take its webhook away.
 */
export async function lookAt(
  contentTypes: readonly string[],
  states: readonly SubscriptionState[],
  { feed, token, start, now }: { readonly feed: FeedProbe; readonly token: string; readonly start: boolean; now(): number },
): Promise<Looked[]> {
  return Promise.all(
    contentTypes.map(async contentType => {
      const before = states.find(state => state.contentType === contentType)
      const started = start && !before?.enabled ? await feed.start(token, contentType).catch(asError) : undefined
      const enabled = before?.enabled || started === 'started' || started === 'enabled'
      const content = enabled ? await feed.hasContent(token, contentType, now()).catch(asError) : undefined
      return { contentType, before, started, content }
    }),
  )
}

/** What a pipeline wants of the subscriptions. */
export interface Wish {
  /** It has a listener for webhooks. */
  readonly webhook: boolean
  /** Content types that any of its inputs reads from this tenant. */
  readonly read: ReadonlySet<string>
}

export function subscriptionFindings(
  looked: readonly Looked[],
  states: readonly SubscriptionState[],
  { webhook, read }: Wish,
): Finding[] {
  const found = looked.map(one => stateFinding(one, webhook))
  const unread = states.filter(({ contentType, enabled }) => enabled && !read.has(contentType))
  if (unread.length > 0) {
    const names = unread.map(({ contentType }) => contentType).join(', ')
    found.push(
      finding(
        'subscriptions',
        'ok',
        `also enabled, and not read by this pipeline: ${names} (another program may; Penstock stops none)`,
      ),
    )
  }
  return found
}

const COOLDOWN = 'the service asks for 15 minutes between two starts of a subscription'

function stateFinding({ contentType, before, started, content }: Looked, webhook: boolean): Finding {
  const tell = (status: Finding['status'], message: string, remedy?: string) =>
    finding('subscriptions', status, `${contentType}: ${message}`, remedy)
  const was = before === undefined ? 'there is no subscription' : 'the subscription is disabled'
  if (!before?.enabled) {
    if (started === 'audit_off')
      return tell('failed', `${was}, and it cannot be started: the audit log is off`, 'Turn the audit log on first.')
    if (started instanceof Error) return notStarted(tell, was, started)
    if (started === undefined && before === undefined)
      return tell(
        'warning',
        was,
        'penstock run starts it, and so does doctor with --start; what came long before that cannot be had.',
      )
    if (started === undefined)
      return tell(
        'failed',
        `${was}: what becomes available in the meantime can never be had`,
        'penstock run starts it again, and so does doctor with --start; find out who stopped it.',
      )
  }
  const state = started === 'started' ? `started; ${COOLDOWN}` : 'enabled'
  if (content instanceof Error) {
    const { message, remedy } = inWords(content)
    return tell('failed', `${state}, but its content cannot be listed: ${message}`, remedy)
  }
  const lists = content ? 'content of the last 23 hours is listed' : 'no content of the last 23 hours is listed'
  const first = started === 'started' && !content ? '; the first may take up to 12 hours' : ''
  const { problem, remedy, said } = webhookState(started === 'started' ? undefined : before?.webhook, webhook)
  return tell(problem ? 'warning' : 'ok', `${state}; ${lists}${first}${said}`, remedy)
}

function notStarted(
  tell: (status: Finding['status'], message: string, remedy?: string) => Finding,
  was: string,
  error: Error,
): Finding {
  if (error instanceof ServiceError && error.kind === 'cooldown') {
    const wait = error.after === undefined ? '' : `, and lets it be started again in ${span(error.after)}`
    return tell('failed', `${was}; ${COOLDOWN}${wait}`, 'Wait for that long; penstock run does so by itself.')
  }
  const { message, remedy } = inWords(error)
  return tell('failed', `${was}, and it cannot be started: ${message}`, remedy)
}

interface WebhookWords {
  readonly said: string
  readonly problem: boolean
  readonly remedy?: string
}

function webhookState(state: WebhookState | undefined, wanted: boolean): WebhookWords {
  if (!state) {
    if (!wanted) return { said: '', problem: false }
    return { said: '; it has no webhook yet', problem: true, remedy: 'penstock run sets it.' }
  }
  const said = `; its webhook (${state.origin}) is ${state.status}`
  if (state.status === 'enabled') return { said, problem: false }
  const why =
    state.status === 'disabled' ? ': the service gave it up after too many failures; content is listed all the same' : ''
  const remedy = wanted
    ? 'See that its address is reached from outside and answers 200; penstock run sets it again.'
    : 'This pipeline has no webhook: whoever set it must look to it.'
  return { said: `${said}${why}`, problem: true, remedy }
}
