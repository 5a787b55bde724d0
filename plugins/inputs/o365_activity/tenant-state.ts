// What is known of a tenant however often its settings change: its ledger, its ids, and what of it is on its way through the pipeline.
import type { Rows } from '../../../core/plugin/interfaces.ts'
import type { Json } from '../../../core/plugin/json.ts'
import { Bell } from '../../lib/bell.ts'
import { Delays } from './delays.ts'
import { KnownIds } from './known-ids.ts'
import { Ledger } from './ledger.ts'
import type { Blob, Look } from './ledger-rows.ts'

export class TenantState {
  readonly ledger: Ledger
  readonly known: KnownIds
  /** By content type: how long after they happened records can be read. */
  readonly #delays = new Map<string, Delays>()
  /** Partitions whose last chunk is on its way, with the blob that it closes. */
  readonly closing = new Map<string, Blob>()
  /** Readings once more that are on their way, by the hash of their blob. */
  readonly looks = new Map<string, Look>()
  /** By partition: the position behind what was handed to the pipeline, stored or not. */
  readonly pushed = new Map<string, Json>()
  /** Rings when something was settled, listed, or ended. */
  readonly bell = new Bell()
  #loaded = false

  constructor(rows: Rows, tenantId: string) {
    this.ledger = new Ledger(rows, tenantId)
    this.known = new KnownIds(rows, tenantId)
  }

  async load(): Promise<void> {
    if (this.#loaded) return
    await this.ledger.load()
    await this.known.load()
    this.#loaded = true
  }

  /** Nothing of it is on its way, and nothing waits. */
  get isSettled(): boolean {
    return this.ledger.settled && this.closing.size === 0
  }

  delays(contentType: string): Delays {
    let delays = this.#delays.get(contentType)
    if (!delays) {
      delays = new Delays()
      this.#delays.set(contentType, delays)
    }
    return delays
  }

  /** What was being read when a reading was broken off is read again. */
  requeue(): void {
    const closing = new Set([...this.closing.values()].map(({ hash }) => hash))
    this.ledger.requeue(closing)
  }

  /** The engine has stored what it was given of a partition: of a blob, when this was the last of it. */
  settled(partition: string, last: boolean): void {
    if (!last) return
    this.pushed.delete(partition)
    const blob = this.closing.get(partition)
    if (!blob) return
    this.closing.delete(partition)
    this.ledger.closed(blob)
    this.looks.delete(blob.hash)
    this.bell.ring()
  }
}
