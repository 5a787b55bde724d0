// penstock reconcile: names what the feed lists and the ledger does not know, and fetches exactly that.
import { join } from 'node:path'
import t from 'tap'
import { NO_QUIRKS } from '../../plugins/lib/microsoft/simulator/content.ts'
import { until } from '../kit/until.ts'
import { NOON } from './microsoft-support.ts'
import { feed, forget, HOUR_MS, parsed } from './o365-support.ts'

t.setTimeout(300_000)

t.test('it finds no gap after a run; three blobs taken out of the ledger are named, and exactly these are fetched', async t => {
  const made = await feed(t, { users: 60, tenants: 2 })
  const { run, command, came } = made
  t.equal((await run()).code, 0)
  const clean = await command('reconcile', 'feed.yaml')
  t.equal(clean.code, 0, clean.stdout + clean.stderr)
  t.match(clean.stdout, /nothing is missing/)
  t.match(clean.stdout, /Audit\.Exchange +2026-04-29T13:\d\d.* to 2026-05-06T12:00:00\.000Z +\d+ +0/)

  const gone = await forget(made, 3)
  t.equal(gone.size, 3)
  const before = came()
  const named = await command('reconcile', 'feed.yaml', '--json')
  t.equal(named.code, 1, named.stderr)
  const missing = parsed(named.stdout).filter(({ state }) => state === 'missing')
  t.same(missing.map(({ content_id }) => content_id).sort(), [...gone.keys()].sort())
  t.same(came(), before, 'without --refill nothing is fetched')
  t.equal((await command('reconcile', 'feed.yaml')).code, 1)

  const filled = await command('reconcile', 'feed.yaml', '--refill')
  t.equal(filled.code, 0, filled.stderr)
  t.match(filled.stdout, /3 fetched and acknowledged/)
  const again = [...came()].filter(([id, count]) => count !== before.get(id)).map(([id]) => id)
  t.same(new Set(again), new Set([...gone.values()].flat()), 'what was fetched again is what they hold')
  t.equal((await command('reconcile', 'feed.yaml', '--deep')).code, 0)
})

t.test('--deep finds a blob that grew after it was read, and a refill fetches what is new of it', async t => {
  const end = NOON + 4 * HOUR_MS
  const made = await feed(t, {
    ...{ speed: 3_600, historyMs: HOUR_MS, users: 60 },
    scenario: { requests: {}, content: { ...NO_QUIRKS, growing: 0.5 } },
  })
  const { run, command, came, simulator } = made
  t.equal((await run({ look_again_ms: 0, until: new Date(end).toISOString() })).code, 0)
  const missed = () => {
    const out = came()
    const all = [...simulator.ledger()].filter(({ created }) => Date.parse(created) < end).flatMap(({ ids }) => ids)
    return all.filter(id => !out.has(id))
  }
  await until(() => simulator.now() > end + HOUR_MS)
  t.ok(missed().length > 0)
  t.equal((await command('reconcile', 'feed.yaml')).code, 0, 'nobody sees it from outside')
  const deep = await command('reconcile', 'feed.yaml', '--deep', '--json')
  t.equal(deep.code, 1)
  t.match(parsed(deep.stdout).find(({ state }) => state === 'grown')?.['why'], /it has \d+ records, and had \d+ when it was read/)
  const before = came()
  const filled = await command('reconcile', 'feed.yaml', '--deep', '--refill')
  t.equal(filled.code, 0, filled.stdout + filled.stderr)
  t.same(missed(), [])
  const after = came()
  t.ok(
    [...before].every(([id, count]) => after.get(id) === count),
    'only what is new was handed on',
  )
})

t.test('beside a running engine it compares, and does not refill; what is waiting is no gap', async t => {
  const { start, command, came } = await feed(t, { users: 20 })
  const { child, ended } = start({ until: undefined })
  await until(() => came().size > 100)
  const beside = await command('reconcile', 'feed.yaml', '--json')
  t.ok([0, 1].includes(beside.code as number), beside.stderr)
  t.ok(parsed(beside.stdout).some(({ counts }) => counts !== undefined))
  const refill = await command('reconcile', 'feed.yaml', '--refill')
  t.equal(refill.code, 75, refill.stderr)
  child.kill('SIGTERM')
  await ended
})

t.test('what it cannot do it says: no such tenant, no such input, no state, a tenant that is refused', async t => {
  const { run, command, simulator, folder } = await feed(t, { users: 5, historyMs: HOUR_MS, tenants: 2 })
  const { writeFileSync } = await import('node:fs')
  const first = await run()
  t.equal(first.code, 0, first.stderr)
  const other = await command('reconcile', 'feed.yaml', '--tenant', 'nobody')
  t.equal(other.code, 2)
  t.match(other.stderr, 'the pipeline has no tenant nobody')
  const nowhere = await command('reconcile', 'feed.yaml', '--state-dir', 'nowhere')
  t.equal(nowhere.code, 78, nowhere.stderr)
  writeFileSync(join(folder, 'other.yaml'), 'inputs: [{ type: stdin }]\noutputs: [{ type: stdout }]\n')
  const none = await command('reconcile', 'other.yaml')
  t.equal(none.code, 2)
  t.match(none.stderr, 'has no input of the type o365_activity')
  simulator.apps[0]!.roles = []
  const refused = await command('reconcile', 'feed.yaml')
  t.equal(refused.code, 1)
  t.match(refused.stdout, /it cannot be compared.*AF10001/)
  t.notMatch(refused.stdout, 'nothing is missing')
  t.equal((await command('reconcile', 'feed.yaml', '--tenant', 't1')).code, 0)
})
