// How complete a tenant is: as a metric, in `penstock state show`, and as events of its own; and what is lost is never in it.
import t from 'tap'
import type { JsonObject } from '../../core/plugin/json.ts'
import { NO_QUIRKS } from '../../plugins/lib/microsoft/simulator/content.ts'
import { until } from '../kit/until.ts'
import { NOON } from './microsoft-support.ts'
import { feed, HOUR_MS } from './o365-support.ts'

t.setTimeout(300_000)

/** Events of the project's own, with what they say. */
function told(lines: readonly JsonObject[]): { type: string; until: number; p50: number; p99: number; line: JsonObject }[] {
  return lines.flatMap(line => {
    const { penstock } = line as { penstock?: { completeness: Record<string, string | number> } }
    if (!penstock) return []
    const { content_type, complete_until, delay_p50_ms, delay_p99_ms } = penstock.completeness
    return [
      {
        type: String(content_type),
        until: Date.parse(String(complete_until)),
        p50: Number(delay_p50_ms),
        p99: Number(delay_p99_ms),
        line,
      },
    ]
  })
}

t.test(
  'when all is read it is complete up to where was listed: as events, through the ecs filter, and in state show',
  async t => {
    const { run, lines, command, simulator } = await feed(t, { users: 40 }, t.testdir({}), { filters: [{ type: 'ecs' }] })
    const { code, stderr } = await run({ completeness_event_ms: 1_000 })
    t.equal(code, 0, stderr)
    const events = told(lines())
    const last = new Map(events.map(event => [event.type, event]))
    t.equal(last.size, 5)
    const exchange = last.get('Audit.Exchange')
    t.equal(exchange?.until, NOON)
    t.match(exchange?.line, {
      event: { kind: 'metric', dataset: 'penstock.completeness', module: 'penstock' },
      organization: { id: simulator.apps[0]!.tenantId, name: 't0' },
    })
    // A blob is made up to four minutes after its slot of five minutes is over.
    t.ok(exchange!.p50 > 60_000 && exchange!.p50 < 480_000, `${exchange!.p50} ms`)
    t.ok(exchange!.p99 >= exchange!.p50 && exchange!.p99 < 900_000, `${exchange!.p99} ms`)
    const ids = events.map(({ line }) => (line as { event: { id: string } }).event.id)
    t.equal(new Set(ids).size, ids.length)

    const shown = await command('state', 'show')
    t.equal(shown.code, 0, shown.stderr)
    t.match(shown.stdout, /step +of +part +complete_until +delay_p50_ms +delay_p99_ms/)
    t.match(shown.stdout, /feed\/o365_activity +t0 +Audit\.Exchange +2026-05-06T12:00:00\.000Z/)
    const json = await command('state', 'show', 'feed', '--json')
    const facts = json.stdout
      .split('\n')
      .filter(Boolean)
      .map(line => JSON.parse(line) as JsonObject)
    t.ok(
      facts.some(
        ({ name, part, complete_until }) => name === 't0' && part === 'DLP.All' && complete_until === '2026-05-06T12:00:00.000Z',
      ),
    )
  },
)

t.test('a blob that cannot be fetched holds the watermark back, until it is given up and named', async t => {
  const { start, lines, simulator, letters } = await feed(
    t,
    { users: 40, historyMs: 6 * HOUR_MS, scenario: { requests: {}, content: { ...NO_QUIRKS } } },
    t.testdir({}),
    { http: { port: 0 } },
  )
  // The subscription of one content type goes off once all is listed: its blobs cannot be fetched.
  const { child, ended } = start({
    completeness_event_ms: 1_000,
    until: undefined,
    requests_per_minute: 1_200,
    parallel: 1,
    poll_interval_ms: 600_000,
  })
  const { tenantId } = simulator.apps[0]!
  await until(() => lines().some(({ Workload }) => Workload === 'Exchange'))
  simulator.feed.disable(tenantId, 'Audit.Exchange')
  const oldest = () => {
    const came = new Set(lines().map(({ Id }) => String(Id)))
    const open = [...simulator.ledger()].filter(
      ({ contentType, created, ids }) =>
        contentType === 'Audit.Exchange' && Date.parse(created) < NOON && ids.some(id => !came.has(id)),
    )
    return Math.min(...open.map(({ created }) => Date.parse(created)))
  }
  const held = await until(() => told(lines()).findLast(({ type }) => type === 'Audit.Exchange'))
  t.ok(held.until <= oldest(), 'nothing that is not read lies before it')
  t.ok(held.until < NOON - HOUR_MS, new Date(held.until).toISOString())
  child.kill('SIGTERM')
  const { code, stderr } = await ended
  t.equal(code, 0, stderr)
  t.same(await letters(), [])
})
