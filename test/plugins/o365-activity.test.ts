// The real program on simulated tenants: every record of the feed arrives, whatever the service does; what cannot be had is named.
import t from 'tap'
import { NO_QUIRKS } from '../../plugins/lib/microsoft/simulator/content.ts'
import { SCENARIOS } from '../../plugins/lib/microsoft/simulator/faults.ts'
import { full } from '../kit/rounds.ts'
import { until } from '../kit/until.ts'
import { NOON } from './microsoft-support.ts'
import { feed, HOUR_MS } from './o365-support.ts'

t.setTimeout(300_000)

t.test(
  'row 45: with a clock that differs by years, every record of every tenant arrives once; a second start reads nothing again',
  async t => {
    const { run, compare, came, simulator } = await feed(t, { tenants: 2 })
    const first = await run()
    t.equal(first.code, 0, first.stderr)
    t.same(compare(), { lost: [], invented: [] })
    t.ok(came().size > 1_000, `${came().size} records`)
    t.ok([...came().values()].every(count => count === 1))
    t.match(first.stderr, /reading the feed for the first time/)
    t.match(first.stderr, /the local clock differs from the service's/, 'a clock that differs is told')
    const before = simulator.server.requests
    const second = await run()
    t.equal(second.code, 0, second.stderr)
    t.ok([...came().values()].every(count => count === 1))
    t.ok(
      simulator.server.requests - before < 60,
      `${simulator.server.requests - before} requests: the overlap is listed, no blob is read`,
    )
  },
)

t.test(
  'rows 31, 32, 34, 35, 36, 37, 39, 42: in the scenario everything nothing is lost, nothing invented, and what was never there is named',
  async t => {
    const { run, compare, simulator, letters } = await feed(t, {
      scenario: SCENARIOS['everything']!,
      tenants: full ? 2 : 1,
      users: full ? 30 : 5,
      slotMs: HOUR_MS / 4,
    })
    const { code, stderr } = await run()
    t.equal(code, 0, stderr)
    t.same(compare(), { lost: [], invented: [] })
    const missing = simulator.contents.flatMap(content => content.all(NOON)).filter(blob => blob.missing && blob.created < NOON)
    const named = (await letters()).map(({ text }) => (JSON.parse(text) as { contentId: string }).contentId)
    t.same(named.sort(), missing.map(({ id }) => id).sort(), 'content that is missing lies in the dead letters by its id')
    t.ok(missing.length > 0)
    t.ok(simulator.faults.counts.size >= 8, JSON.stringify(Object.fromEntries(simulator.faults.counts)))
    t.notMatch(stderr, '"level":"error","time":"[^"]*","pipeline":"feed","error"', 'the pipeline was never started again')
  },
)

t.test('killed again and again, it loses nothing, and reads what it had read of a blob over', async t => {
  const { start, run, compare, came } = await feed(t, { users: 40, latencyMs: 2 })
  let kills = 0
  for (let wanted = 300; kills < 6; wanted += 400) {
    const { child, ended } = start()
    let over = false
    void ended.then(() => {
      over = true
    })
    await until(
      () => over || came().size > wanted,
      () => `${came().size} records came`,
    )
    if (over) break
    child.kill('SIGKILL')
    await ended
    kills++
  }
  t.ok(kills >= 4, `${kills} kills`)
  const { code, stderr } = await run()
  t.equal(code, 0, stderr)
  t.same(compare(), { lost: [], invented: [] })
})

t.test('row 33: a tenant whose token lacks the role waits, says so, and disturbs nobody', async t => {
  const { start, simulator, came } = await feed(t, { tenants: 2 })
  const [, other] = simulator.contents
  simulator.apps[0]!.roles = []
  const { child, ended } = start()
  const wanted = other!
    .all(NOON)
    .filter(({ created }) => created < NOON)
    .flatMap(({ records }) => records).length
  await until(
    () => came().size >= wanted,
    () => `${came().size} of ${wanted} came`,
  )
  child.kill('SIGTERM')
  const { code, stderr } = await ended
  t.equal(code, 0, stderr)
  t.match(stderr, /AF10001.*ActivityFeed\.Read/)
  t.equal(came().size, wanted)
  t.notOk(simulator.feed.throttled)
})

t.test('row 31: a token that is not taken any more is renewed once, and the same page asked for again', async t => {
  const { start, simulator, compare, came } = await feed(t, { latencyMs: 2, users: 40 })
  const { ended } = start()
  await until(() => came().size > 300)
  const issued = simulator.entra.issued
  simulator.entra.revoke()
  const { code, stderr } = await ended
  t.equal(code, 0, stderr)
  t.ok(simulator.entra.issued > issued)
  t.same(compare(), { lost: [], invented: [] })
})

t.test('row 44: what was not listed within seven days is named with its interval, and it goes on', async t => {
  const first = await feed(t)
  t.equal((await first.run()).code, 0)
  await first.simulator.close()
  const later = await feed(t, { from: NOON + 10 * 24 * HOUR_MS, historyMs: 11 * 24 * HOUR_MS }, first.folder)
  const { code, stderr } = await later.run({ until: new Date(NOON + 10 * 24 * HOUR_MS).toISOString() })
  t.equal(code, 0, stderr)
  t.match(stderr, /content of this time cannot be had any more/)
  const letters = (await later.letters()).map(({ text }) => JSON.parse(text) as { from: string; to: string })
  t.equal(letters.length, 5, 'one for each content type')
  for (const { from, to } of letters) {
    t.equal(Date.parse(from), NOON)
    t.ok(Math.abs(Date.parse(to) - (NOON + 3 * 24 * HOUR_MS)) < 15 * 60_000, to)
  }
})

t.test('row 40: a blob that appears hours after it was made, among older ones, is found by listing everything again', async t => {
  // An hour passes in a second.
  const until = NOON + 13 * HOUR_MS
  const { run, came, simulator } = await feed(t, {
    ...{ speed: 3_600, historyMs: 4 * HOUR_MS, users: 20 },
    scenario: { requests: {}, content: { ...NO_QUIRKS, late: 0.2 } },
  })
  const { code, stderr } = await run({ until: new Date(until).toISOString(), sweep_interval_ms: HOUR_MS })
  t.equal(code, 0, stderr)
  const blobs = simulator.contents[0]!.all(until).filter(
    ({ created, visible }) => created < until && visible < until - 2 * HOUR_MS,
  )
  const late = blobs.filter(({ created, visible }) => visible > created + 5 * HOUR_MS && visible > NOON + 3 * HOUR_MS)
  t.ok(late.length > 5, `${late.length} came late`)
  const out = came()
  const lost = blobs.filter(blob => simulator.contents[0]!.records(blob, until).some(({ Id }) => !out.has(String(Id))))
  t.same(
    lost.map(({ id }) => id),
    [],
  )
})

t.test('row 41: a blob that grows after it was read is read once more, behind what came before', async t => {
  const until = NOON + 6 * HOUR_MS
  /** @param speed With 3,600 an hour passes in a second; blobs grow half an hour after they were made. */
  const missed = async (look_again_ms: number, speed = 3_600) => {
    const { run, came, simulator } = await feed(
      t,
      { speed, historyMs: HOUR_MS, users: 40, scenario: { requests: {}, content: { ...NO_QUIRKS, growing: 0.5 } } },
      t.testdir({ [`look-${look_again_ms}-${speed}`]: {} }),
    )
    const { code, stderr } = await run({ until: new Date(until).toISOString(), look_again_ms })
    t.equal(code, 0, stderr)
    const out = came()
    t.ok(
      [...out.values()].every(count => count === 1),
      'what was there before does not come again',
    )
    const content = simulator.contents[0]!
    const blobs = content.all(until).filter(({ created }) => created < until - 3 * HOUR_MS)
    return blobs.filter(blob => content.records(blob, until).some(({ Id }) => !out.has(String(Id)))).length
  }
  // Where the machine is busy all of them may have grown before they are read: then the hours pass more slowly.
  const without = (await missed(0)) || (await missed(0, 900)) || (await missed(0, 225))
  t.ok(without > 0, 'without that, something is missed')
  t.equal(await missed(HOUR_MS), 0)
})
