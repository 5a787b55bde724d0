// What a plugin gets in `open`: log, metrics, clock, rows of its own, and a place for its health.
import type { Health } from '../observe/health.ts'
import type { MetricsStore } from '../observe/metrics.ts'
import { PenstockError } from '../plugin/errors.ts'
import type { Clock, Codec, Context, Log } from '../plugin/interfaces.ts'
import type { Store } from '../state/types.ts'
import { rowsIn } from './rows.ts'

export interface ContextParts {
  readonly pipeline: string
  readonly store: Store
  readonly clock: Clock
  readonly log: Log
  readonly metrics: MetricsStore
  readonly health: Health
  readonly maxEventBytes: number
}

/** The context of one step. `codec`: an input's. */
export function contextOf(id: string, log: Log, parts: ContextParts, codec?: Codec): Context {
  const { pipeline, store, clock, metrics, health, maxEventBytes } = parts
  return {
    id,
    log,
    clock,
    metrics: metrics.of(pipeline, id),
    rows: rowsIn(store, `${pipeline}/${id}`),
    health: (status, why) => health.set(pipeline, id, status, why),
    maxEventBytes,
    get codec(): Codec {
      if (!codec) throw new PenstockError('PEN_CONTEXT', `step ${id} is no input: it has no codec`)
      return codec
    },
  }
}
