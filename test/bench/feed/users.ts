// Tenants of a thousand to a hundred thousand people: what a day of theirs costs, and whether their peak is kept up with.
import { createReadStream } from 'node:fs'
import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Bench } from '../bench.ts'
import { HOUR_MS, NOON, OUTPUT, runFeed, simulated } from './simulated.ts'

const DAY_S = 86_400
/** Records of a person in a day, over the week (the simulator's timeline). */
const PER_DAY = 470 / 7
/** From Wednesday noon on, two and a half times the clock is five times the average of the week. */
const SPEED = 2.5
const FOLLOWED_MS = 90_000

export async function feedUsers(bench: Bench): Promise<void> {
  const { board, engines, folder } = bench
  const [engine] = engines
  if (!engine) return
  for (const users of [1_000, 10_000, 100_000]) {
    const name = `${users.toLocaleString('en-US')} people`
    const historyMs = users < 100_000 ? 6 * HOUR_MS : HOUR_MS / 2
    const service = await simulated(bench, { users, historyMs, slotMs: 5 * 60_000, blobRecords: 750 })
    try {
      const { cpuMs } = await runFeed(bench, engine, service, {
        filters: [{ type: 'ecs' }],
        outputs: [{ type: 'file', id: 'out', path: join(folder, OUTPUT), compression: 'gzip' }],
      })
      const packed = (await stat(join(folder, OUTPUT))).size
      const raw = await runFeed(bench, engine, service, {})
      const { size } = await stat(join(folder, OUTPUT))
      const records = size / 1_450
      board.note(
        `${name}: about ${Math.round(records).toLocaleString('en-US')} records were read for it, peak RSS ${raw.rssMb.toFixed(0)} MB`,
      )
      const perDay = users * PER_DAY
      const state = (await stat(join(folder, 'feed-state', 'state.db'))).size / 1e6
      board.add(`${name}: state`, 'MB', engine.name, state)
      board.add(`${name}: records as they come`, 'GB/day', engine.name, (perDay * (size / records)) / 1e9)
      board.add(`${name}: of one core, with ecs and gzip`, '%', engine.name, ((cpuMs / 1_000 / records) * perDay * 100) / DAY_S)
      board.add(`${name}: documents packed by gzip`, 'GB/day', engine.name, ((packed / records) * perDay) / 1e9)
    } finally {
      await service.close()
    }
  }
  await peak(bench)
}

/** A hundred thousand people at five times their average rate, followed as it comes: how far behind it is. */
async function peak(bench: Bench): Promise<void> {
  const { board, engines } = bench
  const [engine] = engines
  if (!engine) return
  const delayMs = 60_000
  const service = await simulated(bench, {
    users: 100_000,
    historyMs: HOUR_MS / 12,
    slotMs: 60_000,
    delayMs,
    blobRecords: 750,
    speed: SPEED,
  })
  const told = join(bench.folder, 'told.ndjson')
  let behind = Number.NaN
  try {
    const { cpuMs, wallMs, rssMb } = await runFeed(bench, engine, service, {
      input: {
        since: new Date(NOON - HOUR_MS / 12).toISOString(),
        until: undefined,
        poll_interval_ms: 2_000,
        completeness_event_ms: 1_000,
      },
      filters: [{ type: 'ecs' }],
      outputs: [
        { type: 'file', id: 'out', path: join(bench.folder, OUTPUT), when: 'event.module != "penstock"' },
        { type: 'file', id: 'told', path: told, when: 'event.module == "penstock"' },
      ],
      unmatched: 'drop',
      async during() {
        await new Promise(resolve => setTimeout(resolve, FOLLOWED_MS))
        const { now } = await service.status()
        behind = (Date.parse(now) - (await completeUntil(told))) / 1_000
        return 'SIGTERM'
      },
    })
    const name = '100,000 people at five times their rate'
    board.add(`${name}: everything is acknowledged up to so long ago`, 's', engine.name, behind)
    board.add(`${name}: of one core`, '%', engine.name, (cpuMs / wallMs) * 100)
    board.add(`${name}: peak RSS`, 'MB', engine.name, rssMb)
    board.note('simulated seconds; it asks every five of them')
  } finally {
    await service.close()
  }
}

/** Up to when everything is acknowledged, of every content type: the newest word of it in the output. Milliseconds since 1970. */
async function completeUntil(path: string): Promise<number> {
  const latest = new Map<string, number>()
  for await (const line of createInterface(createReadStream(path))) {
    const { penstock } = JSON.parse(line) as { penstock: { completeness: { content_type: string; complete_until: string } } }
    latest.set(penstock.completeness.content_type, Date.parse(penstock.completeness.complete_until))
  }
  return Math.min(...latest.values())
}
