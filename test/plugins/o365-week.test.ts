// A week of a service that does everything wrong, read by a program that is killed again and again: every record is there in the end.
import { hash } from 'node:crypto'
import { readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { SCENARIOS } from '../../plugins/lib/microsoft/simulator/faults.ts'
import { full } from '../kit/rounds.ts'
import { until } from '../kit/until.ts'
import { NOON } from './microsoft-support.ts'
import { feed, forget, HOUR_MS, parsed } from './o365-support.ts'

t.setTimeout(1_500_000)

const WEEK_MS = 7 * 24 * HOUR_MS - HOUR_MS
/** People of each tenant, and how often the program is killed. */
const SIZE = full ? { users: 230, kills: 52, slotMs: HOUR_MS / 2 } : { users: 6, kills: 3, slotMs: 8 * HOUR_MS }

/** Everything, and records without an Id: no other test could tell those. */
const { requests, content, hints } = SCENARIOS['everything']!
const WORST = { requests, content: { ...content, noId: 0.02 }, ...(hints && { hints }) }

function sizeOf(folder: string): number {
  return statSync(join(folder, 'out.ndjson'), { throwIfNoEntry: false })?.size ?? 0
}

const contentOf = (text: string) => hash('sha256', text, 'hex').slice(0, 32)

/** Lines of the output by the hash of what they say. */
function linesOf(folder: string): Map<string, number> {
  const counts = new Map<string, number>()
  for (const line of readFileSync(join(folder, 'out.ndjson'), 'utf8').split('\n').slice(0, -1)) {
    const key = contentOf(JSON.stringify(JSON.parse(line)))
    counts.set(key, (counts.get(key) ?? 0) + 1)
  }
  return counts
}

t.test(
  `killed ${SIZE.kills} times in a week of everything, it loses nothing and invents nothing, and reconcile proves it`,
  async t => {
    const made = await feed(t, {
      ...{ tenants: 2, users: SIZE.users, slotMs: SIZE.slotMs, historyMs: WEEK_MS, scenario: WORST },
    })
    const { start, run, command, folder, simulator, letters } = made
    const options = { keep_matched_values: true, poll_interval_ms: 200 }
    const known = [...simulator.ledger(NOON)].filter(({ created }) => Date.parse(created) < NOON)
    const wanted = new Set(known.flatMap(({ hashes }) => hashes))
    const records = known.reduce((sum, { hashes }) => sum + hashes.length, 0)
    const bytes = records * 1_300
    let kills = 0
    while (kills < SIZE.kills) {
      const { child, ended } = start(options)
      let over = false
      void ended.then(() => {
        over = true
      })
      // Some are killed while they list, some while they read.
      const goal = sizeOf(folder) + (kills % 5 === 0 ? 1 : (bytes / SIZE.kills) * 0.8)
      await until(
        () => over || sizeOf(folder) >= goal,
        () => `${sizeOf(folder)} of ${goal} bytes`,
        { ms: 120_000 },
      )
      if (over) break
      child.kill('SIGKILL')
      await ended
      kills++
    }
    t.ok(kills >= SIZE.kills, `${kills} kills`)
    const { code, stderr } = await run(options)
    t.equal(code, 0, stderr.slice(-5_000))
    const came = linesOf(folder)
    t.comment(
      `${records} records in ${known.length} blobs, ${kills} kills, ${[...came.values()].reduce((a, b) => a + b, 0) - came.size} repeats`,
    )
    t.same(
      [...wanted].filter(one => !came.has(one)),
      [],
      'none is lost',
    )
    const everything = new Set([...simulator.ledger()].flatMap(({ hashes }) => hashes))
    t.same(
      [...came.keys()].filter(one => !everything.has(one)),
      [],
      'none was invented',
    )
    if (full) t.ok(records >= 200_000, `${records} records`)

    const clean = await command('reconcile', 'feed.yaml', '--json')
    t.equal(clean.code, 0, clean.stdout.slice(0, 3_000) + clean.stderr)
    const lost = parsed(clean.stdout).filter(({ state }) => state === 'lost')
    const named = (await letters()).map(({ text }) => (JSON.parse(text) as { contentId: string }).contentId)
    t.same(new Set(named), new Set(lost.map(({ content_id }) => content_id as string)), 'what never was there is named')

    const gone = await forget(made, 3, { least: 4 })
    t.equal(gone.size, 3)
    const missing = await command('reconcile', 'feed.yaml', '--json')
    t.equal(missing.code, 1, missing.stderr)
    t.same(
      parsed(missing.stdout)
        .filter(({ state }) => state === 'missing')
        .map(({ content_id }) => content_id)
        .sort(),
      [...gone.keys()].sort(),
    )
    const before = linesOf(folder)
    const filled = await command('reconcile', 'feed.yaml', '--refill')
    t.equal(filled.code, 0, filled.stderr.slice(-3_000))
    const after = linesOf(folder)
    const again = new Set([...after].filter(([key, count]) => count !== before.get(key)).map(([key]) => key))
    const theirs = new Set(known.filter(({ contentId }) => gone.has(contentId)).flatMap(({ hashes }) => hashes))
    t.same(
      [...again].filter(key => !theirs.has(key)),
      [],
      'nothing but what they hold was fetched',
    )
    t.same(
      [...theirs].filter(key => !again.has(key)),
      [],
      'and all of it',
    )
  },
)
