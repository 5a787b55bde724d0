// The reference divides on some points: the input is right under either reading of them.
import t from 'tap'
import type { ContentType } from '../../plugins/lib/microsoft/service/content-types.ts'
import { NO_QUIRKS } from '../../plugins/lib/microsoft/simulator/content.ts'
import type { SimulatorOptions } from '../../plugins/lib/microsoft/simulator/simulator.ts'
import { NOON } from './microsoft-support.ts'
import { feed, HOUR_MS } from './o365-support.ts'

t.setTimeout(300_000)

const DAY_MS = 24 * HOUR_MS
/** What a client gets as `requests_per_minute` where nothing is set. */
const DEFAULT_BUDGET = 2_000

interface Reading {
  readonly says: string
  readonly service: Partial<SimulatorOptions>
}

const READINGS: readonly Reading[] = [
  {
    says: '2,000 requests a minute, content for 7 days, nothing from before the subscription, less than 24 hours, blobs that grow',
    service: {
      ...{ requestsPerMinute: 2_000, expiryMs: 7 * DAY_MS, backfillMs: 0, fullDay: false },
      scenario: { requests: {}, content: { ...NO_QUIRKS, growing: 0.5 } },
    },
  },
  {
    says: '60,000 requests a minute, content for 20 days, 22 hours from before the subscription, 24 hours at once, blobs that stay',
    service: { requestsPerMinute: 60_000, expiryMs: 20 * DAY_MS, backfillMs: 22 * HOUR_MS, fullDay: true },
  },
]

t.test('a backfill ends at the moment of its start, or where nothing is left to be read, and says so', async t => {
  const { run, came, simulator } = await feed(t, { users: 20, historyMs: 6 * HOUR_MS })
  const none = await run({ since: '2h', until: '3h' })
  t.equal(none.code, 0, none.stderr)
  t.match(none.stderr, 'there is nothing to read: until lies before since')
  t.equal(came().size, 0)
  const { code, stderr } = await run({ until: '0m' })
  t.equal(code, 0, stderr)
  t.equal(stderr.split('reading the feed for the first time').length, 1, 'where it began is stored')
  const all = new Set(
    [...simulator.ledger(NOON)].filter(({ created }) => Date.parse(created) < NOON - 3 * HOUR_MS).flatMap(({ ids }) => ids),
  )
  const late = [...simulator.ledger(NOON)].filter(
    ({ created }) => Date.parse(created) >= NOON - 3 * HOUR_MS && Date.parse(created) < NOON,
  )
  t.same(
    late.flatMap(({ ids }) => ids).filter(id => !came().has(id)),
    [],
  )
  t.ok(all.size > 0)
})

for (const { says, service } of READINGS)
  for (const requests_per_minute of [DEFAULT_BUDGET, 60_000])
    t.test(`${says}; asked for at up to ${requests_per_minute} a minute`, async t => {
      const end = NOON + 4 * HOUR_MS
      const { run, came, simulator } = await feed(
        t,
        { subscribed: false, speed: 1_800, historyMs: DAY_MS, users: 20, slotMs: HOUR_MS / 3, ...service },
        t.testdir({ [`${requests_per_minute}-${service.requestsPerMinute}`]: {} }),
      )
      const { code, stderr } = await run({ requests_per_minute, poll_interval_ms: 500, until: new Date(end).toISOString() })
      t.equal(code, 0, stderr)
      const out = came()
      const known = new Set([...simulator.ledger()].flatMap(({ ids }) => ids))
      const wanted = [...simulator.ledger()].filter(({ tenant, contentType, created }) => {
        const time = Date.parse(created)
        return time >= (simulator.feed.askedFrom(tenant, contentType as ContentType) ?? 0) && time < end - 2 * HOUR_MS
      })
      t.ok(wanted.length > 10, `${wanted.length} blobs`)
      t.same(
        wanted.flatMap(({ ids }) => ids).filter(id => !out.has(id)),
        [],
      )
      t.same(
        [...out.keys()].filter(id => !known.has(id)),
        [],
      )
      t.ok(
        [...out.values()].every(count => count === 1),
        'and nothing twice',
      )
      if (requests_per_minute <= (service.requestsPerMinute ?? 0)) t.equal(simulator.feed.throttled, 0)
    })
