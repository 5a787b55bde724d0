// The system's clock. Everything that asks for the time or waits does so through a Clock, so that tests can put another in its place.
import { performance } from 'node:perf_hooks'
import { setTimeout as wait } from 'node:timers/promises'
import type { Clock } from '../plugin/interfaces.ts'

export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  after(ms, fn) {
    const timer = setTimeout(fn, ms)
    return () => clearTimeout(timer)
  },
  async sleep(ms, signal) {
    await wait(ms, undefined, signal ? { signal } : {})
  },
}
