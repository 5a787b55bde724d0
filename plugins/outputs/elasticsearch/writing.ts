// Writes batches: leaves out what is there, sends the rest as one bulk request, and says what became of each item.
import { PermanentError, RetryableError, TooLargeError } from '../../../core/plugin/errors.ts'
import type { Context, Item, Summary } from '../../../core/plugin/interfaces.ts'
import { ANSWER_PARTS, bodyOf, type Fate, type Judged, judge, partsOf, reasonOf, replacing } from './bulk.ts'
import type { Answer, Asked, Connection } from './connection.ts'
import { found, type Place } from './look-up.ts'
import { Pace } from './pace.ts'

export interface WritingOptions {
  readonly context: Context
  readonly connection: Connection
  readonly mostRequests: number
  /** Only data streams are written to. */
  readonly dataStream: boolean
  /** The ingest pipeline. */
  readonly ingest: string | undefined
  readonly lookUp: boolean
  /** Events take the place of documents with their ids. */
  readonly replace: boolean
  /** How long an event waits for a missing index. Milliseconds. */
  readonly missingWaitMs: number
  readonly failureStore: 'count' | 'dead_letter'
  /** An item's `_id`. */
  idOf(item: Item): string
}

type Reject = (index: number, error: Error) => void

/** Between two lines of the log on documents in failure stores. Milliseconds. */
const TELL_MS = 60_000

export class Writing {
  readonly #options: WritingOptions
  readonly #pace: Pace
  readonly #query: Readonly<Record<string, string>>
  /** By index: since when it is known to be missing; monotonic milliseconds. */
  readonly #missing = new Map<string, number>()
  readonly #counts = { created: 0, replaced: 0, before: 0, spilled: 0, again: 0, refused: 0 }
  #toldSpilled = Number.NEGATIVE_INFINITY

  constructor(options: WritingOptions) {
    this.#options = options
    this.#pace = new Pace(options.mostRequests)
    this.#query = {
      filter_path: ANSWER_PARTS,
      ...(options.ingest !== undefined && { pipeline: options.ingest }),
    }
  }

  async write(items: readonly Item[], reject: Reject, signal: AbortSignal): Promise<void> {
    const { replace, connection } = this.#options
    const there = await this.#there(items, signal)
    if (!replace) this.#delivered(there.size, 'before')
    const indices = items.flatMap((_, index) => (there.has(index) && !replace ? [] : [index]))
    if (indices.length === 0) return
    const sent = indices.map(index => items[index] as Item)
    const body = replace ? replacing(sent, there, this.#options.idOf) : bodyOf(sent)
    const answer = await this.#pace.run(() =>
      connection.request({ method: 'POST', path: '/_bulk', query: this.#query, body, signal }),
    )
    const parts = answer.status === 200 ? partsOf(answer.json) : undefined
    if (!parts) throw this.#failure(answer, sent.length)
    if (parts.length !== sent.length)
      throw new RetryableError(
        `elasticsearch: ${sent.length} sent, ${parts.length} answered; what became of them is unknown, repeating`,
        { code: 'PEN_ELASTICSEARCH' },
      )
    const judged = parts.map(judge)
    const busy = judged.some(({ fate }) => fate === 'busy')
    if (busy) this.#pace.slower()
    else this.#pace.faster()
    this.#gauge()
    for (const [at, index] of indices.entries()) {
      const error = this.#judged(judged[at] as Judged, items[index] as Item)
      if (error) reject(index, error)
    }
  }

  summary(): Summary {
    const { created, replaced, before, spilled, again, refused } = this.#counts
    return {
      title: `Elasticsearch output ${this.#options.context.id}`,
      rows: [
        ['created', created],
        ...(replaced > 0 ? [['replaced', replaced] as const] : []),
        ['there before', before],
        ...(spilled > 0 ? [['in failure stores', spilled] as const] : []),
        ...(again > 0 ? [['tried again', again] as const] : []),
        ...(refused > 0 ? [['refused', refused] as const] : []),
      ],
    }
  }

  /** Those of a batch that may have been sent before, and are there. */
  async #there(items: readonly Item[], signal: AbortSignal): Promise<ReadonlyMap<number, Place>> {
    const { lookUp, replace } = this.#options
    const suspects = lookUp || replace ? items.flatMap((item, index) => (item.again || replace ? [index] : [])) : []
    if (suspects.length === 0) return new Map()
    const ask = async (asked: Asked): Promise<Answer> => {
      const answer = await this.#options.connection.request(asked)
      if (answer.status === 200 || answer.status === 404) return answer
      const failure = this.#failure(answer, 0)
      if (answer.status !== 403) throw failure
      throw new RetryableError(
        `${failure.message}; events that may have been sent before are looked up: give the key the rights read and maintenance, or set look_up_repeats: false`,
        { code: 'PEN_ELASTICSEARCH' },
      )
    }
    const there = await found(
      suspects.map(index => items[index] as Item),
      this.#options.idOf,
      ask,
      signal,
    )
    return new Map([...there].map(([at, place]) => [suspects[at] as number, place]))
  }

  /** Counts an item. Gives the error that it is rejected with; undefined where it is delivered. */
  #judged({ fate, why }: Judged, item: Item): Error | undefined {
    const to = item.address.to ?? ''
    if (fate !== 'missing') this.#missing.delete(to)
    switch (fate) {
      case 'made':
        this.#delivered(1, 'created')
        return undefined
      case 'replaced':
        this.#count('replaced', 'elasticsearch_replaced', 'Documents whose place an event has taken')
        return undefined
      case 'there':
        // Somebody has changed it since it was looked up.
        if (this.#options.replace) return this.#later(fate, to, 'the document has changed meanwhile')
        this.#delivered(1, 'before')
        return undefined
      case 'spilled':
        return this.#spilled(to, why)
      case 'refused':
        this.#count('refused', 'elasticsearch_refused', 'Events that Elasticsearch refused for good')
        return new PermanentError(`elasticsearch: ${why}`, { code: 'PEN_ELASTICSEARCH_REFUSED' })
      case 'missing':
        return this.#absent(to, why)
      default:
        return this.#later(fate, to, why)
    }
  }

  #later(fate: Fate, to: string, why: string): Error {
    this.#count('again', 'elasticsearch_retried_items', 'Events that are sent again because Elasticsearch did not take them')
    const text =
      fate === 'barred'
        ? `${to} may not be written (${why}); nothing is lost: give the key the right create_doc`
        : `${to}: ${why}`
    return new RetryableError(`elasticsearch: ${text}`, { code: 'PEN_ELASTICSEARCH', patient: true })
  }

  #absent(to: string, why: string): Error {
    const { context, missingWaitMs, dataStream } = this.#options
    const now = context.clock.monotonic()
    const since = this.#missing.get(to) ?? now
    this.#missing.set(to, since)
    const help = dataStream
      ? 'penstock setup elasticsearch installs the templates'
      : 'make it, or let Elasticsearch make it (action.auto_create_index)'
    const text = `elasticsearch: ${to} does not exist (${why}); ${help}`
    if (now - since >= missingWaitMs) return new PermanentError(text, { code: 'PEN_ELASTICSEARCH_MISSING' })
    this.#count('again', 'elasticsearch_retried_items', 'Events that are sent again because Elasticsearch did not take them')
    return new RetryableError(text, { code: 'PEN_ELASTICSEARCH', patient: true })
  }

  #spilled(to: string, why: string): Error | undefined {
    const { context, failureStore } = this.#options
    this.#count('spilled', 'elasticsearch_failure_store', 'Events that a data stream put into its failure store')
    const now = context.clock.monotonic()
    if (now - this.#toldSpilled >= TELL_MS) {
      this.#toldSpilled = now
      context.log.warn(
        { stream: to, so_far: this.#counts.spilled },
        `events lie in a failure store (GET ${to}::failures/_search)`,
      )
    }
    return failureStore === 'dead_letter'
      ? new PermanentError(`elasticsearch: ${to}: ${why}`, { code: 'PEN_ELASTICSEARCH_FAILURE_STORE' })
      : undefined
  }

  /** The error for an answer that says nothing of single items. */
  #failure({ status, json, after }: Answer, count: number): Error {
    const { connection } = this.#options
    const error = typeof json === 'object' && json !== null ? (json as { error?: never }).error : undefined
    const { type, why } = reasonOf(error)
    const said = why ? `${status}, ${why}` : `status ${status}`
    const retry = (message: string) =>
      new RetryableError(`elasticsearch: ${message}`, { code: 'PEN_ELASTICSEARCH', ...(after !== undefined && { after }) })
    if (status === 413) return new TooLargeError(`elasticsearch: a request is too large (${said})`)
    if (status === 401) {
      const next = connection.renewed()
        ? 'another one is in its file now'
        : 'nothing is lost; put another one into its file, or reload'
      return retry(`authentication failed (${said}); ${next}`)
    }
    if (status === 403 && type !== 'cluster_block_exception') return retry(`the key lacks a right (${said}); nothing is lost`)
    if (status === 429 || status === 503) this.#pace.slower()
    // One of them is what Elasticsearch does not understand: halved again and again, it is found.
    if (status === 400 && count > 0 && type !== 'media_type_header_exception')
      return new TooLargeError(`elasticsearch: the request is refused (${said})`)
    if (status === 200) return retry('the answer is no answer to a bulk request; what became of it is unknown, repeating')
    return retry(said)
  }

  #delivered(by: number, how: 'created' | 'before'): void {
    if (by === 0) return
    if (how === 'created') this.#count('created', 'elasticsearch_created', 'Documents that were created', by)
    else this.#count('before', 'elasticsearch_there_before', 'Events whose document was there already', by)
  }

  #count(what: 'created' | 'replaced' | 'before' | 'spilled' | 'again' | 'refused', name: string, help: string, by = 1): void {
    this.#counts[what] += by
    this.#options.context.metrics.count(name, help, by)
  }

  #gauge(): void {
    this.#options.context.metrics.gauge(
      'elasticsearch_requests_limit',
      'Requests that may be under way at once now',
      this.#pace.limit,
    )
  }
}
