// Mends a fault of kafkajs 2.2.4: behind each answer it sets a timer that is overdue by decades, over and over, a thousand times a second
// while nothing is sent; Node 26 warns of it.
import { createRequire } from 'node:module'

interface RequestQueue {
  readonly pending: readonly unknown[]
  scheduleCheckPendingRequests(): void
}

const MENDED = Symbol('mended')

/** The timer looks for requests that wait to be sent: where none does, none is set. Whoever lets one wait sets it. */
export function mendKafkajs(): void {
  let queue: { readonly prototype: RequestQueue & { [MENDED]?: true } }
  try {
    queue = createRequire(import.meta.url)('kafkajs/src/network/requestQueue') as typeof queue
  } catch {
    // Another version has it elsewhere, or not at all.
    return
  }
  const { prototype } = queue
  if (prototype[MENDED] || typeof prototype.scheduleCheckPendingRequests !== 'function') return
  const schedule = prototype.scheduleCheckPendingRequests
  prototype.scheduleCheckPendingRequests = function () {
    if (this.pending.length > 0) schedule.call(this)
  }
  prototype[MENDED] = true
}
