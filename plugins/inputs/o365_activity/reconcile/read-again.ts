// Reads a blob that was acknowledged once more, and tells whether it is what was read before.
import type { Clock, Codec } from '../../../../core/plugin/interfaces.ts'
import type { HttpResponse } from '../../../lib/http/client.ts'
import { BlobReading } from '../blob-reading.ts'
import { examinees } from '../examinees.ts'
import { idSum } from '../id-sum.ts'
import type { Blob, Fate, Progress } from '../ledger-rows.ts'

export interface ReadAgainOptions {
  readonly blob: Blob
  /** How far it was read before. */
  readonly progress: Progress
  readonly codec: Codec
  readonly maxEventBytes: number
  readonly clock: Clock
  readonly signal: AbortSignal
  /** The service's time, milliseconds since 1970. */
  now(): number
  get(): Promise<HttpResponse>
}

export type Again =
  | { readonly kind: 'same' | 'changed' | 'gone' }
  /** `records`: how many it has now. */
  | { readonly kind: 'grown'; readonly records: number }

/** Rejects with a ServiceError when the service cannot be asked now. */
export async function readAgain({ progress, ...options }: ReadAgainOptions): Promise<Again> {
  let fate: Fate | undefined
  let otherwise = false
  const reading = new BlobReading({
    ...options,
    meta: {},
    resume: { ...progress },
    again: false,
    examine: chunk => ({ ids: undefined, rows: [], sum: idSum(examinees(chunk)) }),
    async push() {},
    close(own) {
      fate = own
      return []
    },
    restarted() {
      otherwise = true
    },
  })
  await reading.run()
  if (!fate || 'lost' in fate) return { kind: 'gone' }
  if (!otherwise && fate.records > progress.records) return { kind: 'grown', records: fate.records }
  // Its bytes differ, and its records may be the same all the same: in another order, for instance.
  return { kind: fate.records === progress.records && fate.ids === progress.ids ? 'same' : 'changed' }
}
