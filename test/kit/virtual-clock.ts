// A clock whose time moves only when the test says so: nothing sleeps, and a run with the same commands does the same again.
import type { Clock } from '../../core/plugin/interfaces.ts'

export interface VirtualClock extends Clock {
  /** How many timers are waiting. */
  readonly timers: number
  /** Runs what is due now, and everything that follows from it, until nothing moves any more. */
  settle(): Promise<void>
  /** Lets time pass; each timer fires at its own time, and all is quiet before the next one does. */
  advance(ms: number): Promise<void>
  /** Advances to the next timer; false when there is none. */
  next(): Promise<boolean>
  /** Forgets all timers, and takes no more: the process died. */
  kill(): void
}

interface Timer {
  readonly due: number
  readonly fn: () => void
}

/** So many timers at one moment are a loop that waits for nothing. */
const MOST_AT_ONCE = 1_000

/** `start`: wall-clock time at the beginning, milliseconds since 1970. */
export function virtualClock(start = Date.UTC(2026, 0, 1)): VirtualClock {
  // In the order in which they were set: of those that are due at one time the first is the first.
  const timers = new Set<Timer>()
  let passed = 0
  let dead = false

  const earliest = (): Timer | undefined => {
    let first: Timer | undefined
    for (const timer of timers) if (!first || timer.due < first.due) first = timer
    return first
  }

  const settle = async (): Promise<void> => {
    await quiet()
    for (let fired = 0; ; fired++) {
      const timer = earliest()
      if (!timer || timer.due > passed) return
      if (fired === MOST_AT_ONCE) throw new Error(`${fired} timers fired and time did not move: something waits for nothing`)
      timers.delete(timer)
      timer.fn()
      await quiet()
    }
  }

  const advance = async (ms: number): Promise<void> => {
    const until = passed + ms
    await settle()
    for (let timer = earliest(); timer && timer.due <= until; timer = earliest()) {
      passed = timer.due
      await settle()
    }
    passed = until
  }

  const after = (ms: number, fn: () => void): (() => void) => {
    if (dead) return () => {}
    const timer = { due: passed + Math.max(0, ms), fn }
    timers.add(timer)
    return () => timers.delete(timer)
  }

  return {
    get timers() {
      return timers.size
    },
    now: () => start + passed,
    monotonic: () => passed,
    after,
    sleep(ms, signal) {
      return new Promise((resolve, reject) => {
        const aborted = () => {
          cancel()
          reject(new DOMException('The operation was aborted', 'AbortError'))
        }
        if (signal?.aborted) {
          reject(new DOMException('The operation was aborted', 'AbortError'))
          return
        }
        const cancel = after(ms, () => {
          signal?.removeEventListener('abort', aborted)
          resolve()
        })
        signal?.addEventListener('abort', aborted, { once: true })
      })
    },
    settle,
    advance,
    async next() {
      const timer = earliest()
      if (timer) await advance(timer.due - passed)
      return timer !== undefined
    },
    kill() {
      dead = true
      timers.clear()
    },
  }
}

/**
 * Resolves when nothing moves any more. A turn of the loop lets all promises and all of `process.nextTick` run dry, streams included;
 * what waits for a turn of its own is seen among the active resources. Whatever else could move must go through the test.
 */
export async function quiet(): Promise<void> {
  do await new Promise(resolve => setImmediate(resolve))
  while (process.getActiveResourcesInfo().includes('Immediate'))
}
