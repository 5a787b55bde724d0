// Subscriptions that are missing, are switched off, or were started a short time ago.
import t from 'tap'
import { until } from '../kit/until.ts'
import { NOON } from './microsoft-support.ts'
import { feed, HOUR_MS } from './o365-support.ts'

t.setTimeout(300_000)

t.test(
  'rows 43, 46: subscriptions that are missing are started; one that is switched off is started again when the service lets it, and the gap is named',
  async t => {
    const { start, came, simulator, letters } = await feed(t, {
      ...{ subscribed: false, backfillMs: 22 * HOUR_MS, speed: 60, historyMs: 24 * HOUR_MS, users: 40, requestsPerMinute: 2_000 },
    })
    const { tenantId } = simulator.apps[0]!
    const { child, ended } = start({ until: undefined, requests_per_minute: 2_000, poll_interval_ms: 500 })
    let stderr = ''
    child.stderr?.on('data', text => {
      stderr += String(text)
    })
    await until(() => came().size > 200)
    t.match(stderr, 'subscription started; its first content may take up to twelve hours')
    simulator.feed.disable(tenantId, 'Audit.Exchange')
    const before = simulator.server.requests
    await until(() => stderr.includes('the service takes the next start later'))
    // What the cooldown asks for are fifteen minutes, which is longer than a test: the other content types go on meanwhile.
    const others = came().size
    await until(() => came().size > others + 50)
    t.ok(simulator.server.requests - before < 400, 'it does not ask in a tight loop')
    t.notMatch(stderr, /"level":"error"/)
    child.kill('SIGTERM')
    t.equal((await ended).code, 0, stderr)
    // A start a quarter of an hour later is taken.
    const now = simulator.now()
    await until(() => simulator.now() > now + HOUR_MS / 4)
    const again = start({ until: undefined, requests_per_minute: 2_000, poll_interval_ms: 500 })
    const gap = await until(async () => (await letters()).find(({ text }) => text.includes('"from"')))
    const { content_type, from, to } = JSON.parse(gap.text) as Record<string, string>
    t.equal(content_type, 'Audit.Exchange')
    t.ok(Date.parse(from!) > NOON - HOUR_MS && Date.parse(to!) > Date.parse(from!), `${from} to ${to}`)
    again.child.kill('SIGTERM')
    t.equal((await again.ended).code, 0)
  },
)
