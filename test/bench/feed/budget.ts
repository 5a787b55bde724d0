// With 100 ms of latency and a budget of 2,000 requests a minute: how much of the budget is used, and whether the service ever refuses.
import type { Bench } from '../bench.ts'
import { HOUR_MS, runFeed, simulated } from './simulated.ts'

const PER_MINUTE = 2_000
const WARM_MS = 15_000
const MEASURED_MS = 60_000

export async function feedBudget(bench: Bench): Promise<void> {
  const { board, engines, rounds } = bench
  for (const engine of engines.slice(0, 1))
    for (let round = 0; round < Math.min(rounds, 2); round++) {
      // Many small blobs: there is more to be fetched than the time allows.
      const service = await simulated(bench, {
        ...{ users: 2_000, historyMs: 24 * HOUR_MS, slotMs: 60_000, latencyMs: 100, requestsPerMinute: PER_MINUTE },
      })
      try {
        await runFeed(bench, engine, service, {
          input: { requests_per_minute: PER_MINUTE },
          async during() {
            await new Promise(resolve => setTimeout(resolve, WARM_MS))
            const before = await service.status()
            const begun = performance.now()
            await new Promise(resolve => setTimeout(resolve, MEASURED_MS))
            const after = await service.status()
            const minutes = (performance.now() - begun) / 60_000
            // One of them asked for the status.
            board.add(
              'budget of 2,000 requests a minute, 100 ms latency: used',
              '%',
              engine.name,
              ((after.requests - before.requests - 1) / minutes / PER_MINUTE) * 100,
            )
            board.add('budget: requests that the service refused', 'requests', engine.name, after.throttled)
            return 'SIGTERM'
          },
        })
      } finally {
        await service.close()
      }
    }
}
