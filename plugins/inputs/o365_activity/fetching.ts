// Reads the blobs of one tenant, several at once: the one that expires next comes first, and none is passed over.
import type { Chunk, Clock, Codec, Log, Metrics, Positions } from '../../../core/plugin/interfaces.ts'
import { ServiceError } from '../../lib/microsoft/service/failure.ts'
import { BlobReading, type Examined } from './blob-reading.ts'
import { examinees } from './examinees.ts'
import type { FeedClient } from './feed-client.ts'
import { idSum } from './id-sum.ts'
import type { Blob, Fate, Look } from './ledger-rows.ts'
import type { Patience } from './patience.ts'
import { redactedChunk } from './redact.ts'
import type { TenantSettings } from './tenant-settings.ts'
import type { TenantState } from './tenant-state.ts'

export interface FetchingOptions {
  readonly settings: TenantSettings
  readonly state: TenantState
  readonly client: FeedClient
  readonly patience: Patience
  readonly positions: Positions
  readonly clock: Clock
  readonly log: Log
  readonly metrics: Metrics
  readonly codec: Codec
  readonly maxEventBytes: number
  push(chunk: Chunk): Promise<void>
  /** The service says that the subscription is off. */
  lapsed(contentType: string, error: ServiceError): void
  /** Everything that there will ever be is listed. */
  isOver(): boolean
}

export class Fetching {
  readonly #options: FetchingOptions
  readonly #readings = new Map<string, BlobReading>()
  /** False while what the service offers is not listed to its end: what cannot be listed any more is lost sooner than what is. */
  open = false
  /** Content types whose subscription is off: their blobs wait until it is on again, and hold nobody else up. */
  readonly #off = new Set<string>()

  constructor(options: FetchingOptions) {
    this.#options = options
  }

  /** Runs until `signal` aborts, or until all is over and acknowledged. */
  async run(given: AbortSignal): Promise<void> {
    const { settings, state, isOver } = this.#options
    const { ledger, bell } = state
    const active = new Set<Promise<void>>()
    const stop = new AbortController()
    const signal = AbortSignal.any([given, stop.signal])
    let failure: { readonly error: unknown } | undefined
    try {
      for (;;) {
        signal.throwIfAborted()
        if (failure) throw failure.error
        if (this.open && active.size < settings.parallel) {
          if (ledger.waiting === 0) await ledger.refill()
          const blob = ledger.take(this.#off)
          if (blob) {
            const one = this.#insist(blob, signal)
              .catch(error => {
                failure ??= { error }
              })
              .finally(() => {
                active.delete(one)
                bell.ring()
              })
            active.add(one)
            continue
          }
        }
        if (active.size === 0 && isOver() && state.isSettled) return
        await bell.heard(signal)
      }
    } finally {
      stop.abort()
      await Promise.allSettled(active)
    }
  }

  /** These are on; others of the configured ones are off. */
  subscribed(contentTypes: readonly string[]): void {
    for (const type of this.#options.settings.contentTypes) {
      if (contentTypes.includes(type)) this.#off.delete(type)
      else this.#off.add(type)
    }
    this.#options.state.bell.ring()
  }

  async #insist(blob: Blob, signal: AbortSignal): Promise<void> {
    const { patience, state, settings, lapsed } = this.#options
    const { contentType } = blob
    await patience.insist(signal, async () => {
      try {
        await this.#fetch(blob, state.looks.get(blob.hash), signal)
      } catch (error) {
        if (!(error instanceof ServiceError && error.kind === 'subscription' && settings.contentTypes.includes(contentType)))
          throw error
        this.#off.add(contentType)
        state.ledger.putBack(blob)
        lapsed(contentType, error)
      }
    })
  }

  async #fetch(blob: Blob, look: Look | undefined, signal: AbortSignal): Promise<void> {
    const { settings, state, client, codec, maxEventBytes, clock, positions, push } = this.#options
    const partition = `${settings.tenantId}/${blob.contentType}/${blob.id}`
    const reading =
      this.#readings.get(blob.hash) ??
      new BlobReading({
        ...{ blob, codec, maxEventBytes, clock, signal },
        now: () => client.now(),
        meta: {
          tenant: settings.tenantId,
          ...(settings.name !== undefined && { tenant_name: settings.name }),
          content_type: blob.contentType,
          content_id: blob.id,
        },
        resume: state.pushed.get(partition) ?? (look ? look.progress : positions.get(partition)),
        again: look !== undefined,
        get: () => client.content(blob, signal, settings.maxBlobBytes),
        examine: chunk => this.#examine(blob, chunk),
        push: async chunk => {
          signal.throwIfAborted()
          if (chunk.last) state.closing.set(partition, blob)
          if (chunk.position !== undefined) state.pushed.set(partition, chunk.position)
          await push({ ...(settings.keepMatchedValues ? chunk : redactedChunk(chunk)), partition })
        },
        close: fate => this.#close(blob, look, fate),
        restarted: records =>
          this.#count('o365_records_repeated', 'Records read again, because a blob began otherwise than before', records),
      })
    this.#readings.set(blob.hash, reading)
    await reading.run()
    this.#readings.delete(blob.hash)
  }

  #examine(blob: Blob, chunk: Chunk): Examined {
    const { state } = this.#options
    const delays = state.delays(blob.contentType)
    const records = examinees(chunk, time => delays.add(blob.created - time))
    const { ids, conflicts, rows } = state.known.judge(records)
    if (conflicts > 0)
      this.#count('o365_id_conflicts', 'Records that came with the id of another one, kept under a second id', conflicts)
    return { ids: ids.size > 0 ? ids : undefined, rows, sum: idSum(records) }
  }

  #close(blob: Blob, look: Look | undefined, fate: Fate): Chunk['rows'] {
    const { settings, state, client, log } = this.#options
    if (look) {
      const more = 'lost' in fate ? 0 : fate.records - Number((look.progress as { records?: number }).records ?? 0)
      if (more > 0) this.#count('o365_records_grown', 'Records that blobs had more when they were read once more', more)
      return state.ledger.closing(blob, fate, { look: look.key })
    }
    if ('lost' in fate) {
      this.#count('o365_blobs_lost', 'Blobs, or rests of blobs, that could not be read')
      log.error(
        { tenant: settings.label, content_type: blob.contentType, content_id: blob.id, reason: fate.lost },
        'content could not be read; its name lies in the dead letters',
      )
    } else this.#count('o365_blobs_read', 'Blobs that were read to their end')
    const due = blob.created + settings.lookAgainMs
    return state.ledger.closing(blob, fate, { due: settings.lookAgainMs > 0 && due > client.now() ? due : undefined })
  }

  #count(name: string, help: string, by = 1): void {
    this.#options.metrics.count(name, help, by, { tenant: this.#options.settings.label })
  }
}
