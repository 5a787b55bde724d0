// One tenant's feed from round to round, on a service that is made up on the spot, and a clock that the test moves.
import t from 'tap'
import { memoryStore } from '../../core/cli/memory-store.ts'
import { rowsIn } from '../../core/flow/rows.ts'
import type { Log, Metrics } from '../../core/plugin/interfaces.ts'
import type { FeedClient } from '../../plugins/inputs/o365_activity/feed-client.ts'
import { TenantFeed } from '../../plugins/inputs/o365_activity/tenant-feed.ts'
import type { TenantSettings } from '../../plugins/inputs/o365_activity/tenant-settings.ts'
import { TenantState } from '../../plugins/inputs/o365_activity/tenant-state.ts'
import { virtualClock } from '../kit/virtual-clock.ts'

const TENANT = '11111111-1111-1111-1111-111111111111'
const HOUR_MS = 3_600_000
const HINT_MS = 5_000
const quiet: Log = { debug() {}, info() {}, warn() {}, error() {} }

t.test('a hint makes the feed list again, also one that comes while it lists', async t => {
  const clock = virtualClock()
  const rows = rowsIn(memoryStore(), 'p/s')
  const webhook = { address: 'https://hook.example/', authId: 'x'.repeat(32) }
  let rounds = 0
  let duringRound: (() => void) | undefined
  const client = {
    ...{ requests: 0, now: () => clock.now(), listing: () => new URL('https://api.example/') },
    subscriptions: async () => [{ contentType: 'DLP.All', enabled: true, webhook: { ...webhook, enabled: true } }],
    async page() {
      rounds++
      duringRound?.()
      return { items: [], next: undefined }
    },
  } as unknown as FeedClient
  const settings = {
    ...{ tenantId: TENANT, label: 't', contentTypes: ['DLP.All'], since: { ago: HOUR_MS }, pollMs: 24 * HOUR_MS },
    ...{ overlapMs: HOUR_MS, sweepMs: 1e12, parallel: 1 },
  } as unknown as TenantSettings
  const feed = new TenantFeed({
    ...{ settings, client, rows, clock, webhook, log: quiet, state: new TenantState(rows, TENANT) },
    ...{ metrics: { count() {}, gauge() {} } as unknown as Metrics, tokens: {} as never, codec: {} as never },
    ...{ positions: new Map() as never, maxEventBytes: 1e6 },
    async push() {},
    trouble() {},
  })
  const stop = new AbortController()
  const running = feed.run(stop.signal)
  await clock.advance(2 * HINT_MS)
  t.equal(rounds, 1, 'nothing is asked for without a hint')

  feed.hint()
  await clock.advance(HINT_MS)
  t.equal(rounds, 2, 'a hint is followed at once')

  duringRound = () => {
    duringRound = undefined
    feed.hint()
  }
  feed.hint()
  await clock.advance(1)
  t.equal(rounds, 3)
  await clock.advance(HINT_MS)
  t.equal(rounds, 4, 'a hint during a round is followed after it')
  await clock.advance(HOUR_MS)
  t.equal(rounds, 4, 'and once')
  stop.abort()
  await t.rejects(running, { name: 'AbortError' })
})
