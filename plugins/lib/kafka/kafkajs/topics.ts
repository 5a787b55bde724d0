// Which of the topics that a group wants are there, and when others are.
import type kafkajs from 'kafkajs'
import { asError, isAbort } from '../../../../core/plugin/errors.ts'
import type { Clock } from '../../../../core/plugin/interfaces.ts'
import type { ConsumerOptions } from '../client.ts'

export interface Wanted extends Pick<ConsumerOptions, 'topics' | 'pattern'> {
  readonly clock: Clock
  /** How often it is looked for topics that the pattern may find. */
  readonly everyMs: number
  admin(): Promise<kafkajs.Admin>
}

export interface Topics {
  readonly there: readonly string[]
  /** A sentence on those that are not there, or nothing. */
  readonly missing: string
}

/** How often it is looked for topics that have a name and are not there yet. Milliseconds. */
export const MISSING_MS = 5_000

export async function lookForTopics({ topics, pattern, admin }: Wanted): Promise<Topics> {
  const all = await (await admin()).listTopics()
  const there = all.filter(topic => topics.includes(topic) || pattern?.test(topic)).sort()
  const gone = topics.filter(topic => !there.includes(topic))
  if (gone.length > 0) return { there, missing: `there is no topic ${gone.join(', ')} (or it may not be read)` }
  return { there, missing: there.length === 0 ? `no topic matches ${pattern?.source}` : '' }
}

/** Resolves when there are other topics than these, or `signal` aborts. */
export async function otherTopics(now: readonly string[], wanted: Wanted, signal: AbortSignal): Promise<void> {
  const complete = wanted.topics.every(topic => now.includes(topic))
  try {
    if (complete && !wanted.pattern)
      await new Promise<void>(resolve => signal.addEventListener('abort', () => resolve(), { once: true }))
    for (;;) {
      await wanted.clock.sleep(complete ? wanted.everyMs : MISSING_MS, signal)
      const { there } = await lookForTopics(wanted).catch(() => ({ there: now }))
      if (there.length !== now.length || there.some(topic => !now.includes(topic))) return
    }
  } catch (error) {
    if (!isAbort(error)) throw asError(error)
  }
}
