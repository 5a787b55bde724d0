// How every step of every pipeline is: shown by /health, the log and the end of a run.
import type { Status } from '../plugin/interfaces.ts'
import { masked } from './text.ts'

export interface StepHealth {
  readonly pipeline: string
  readonly step: string
  readonly status: Status
  readonly why?: string
}

/** Characters of a reason: some quote what a destination has answered. */
const LONGEST = 1_000

export class Health {
  readonly #steps = new Map<string, StepHealth>()

  set(pipeline: string, step: string, status: Status, why?: string): void {
    this.#steps.set(`${pipeline}/${step}`, {
      pipeline,
      step,
      status,
      ...(why !== undefined && { why: masked(why).slice(0, LONGEST) }),
    })
  }

  /** The worst status of all steps, of one pipeline or of all. */
  worst(pipeline?: string): Status {
    let worst: Status = 'ok'
    for (const step of this.#steps.values()) {
      if (pipeline !== undefined && step.pipeline !== pipeline) continue
      if (step.status === 'failed') return 'failed'
      if (step.status === 'degraded') worst = 'degraded'
    }
    return worst
  }

  /** Steps that are not well. */
  ailing(): StepHealth[] {
    return [...this.#steps.values()].filter(step => step.status !== 'ok')
  }
}
