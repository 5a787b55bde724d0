// What the ledger knows, in rows: what waits, what is acknowledged, how complete it is, and what becomes of old rows.
import t from 'tap'
import { memoryStore } from '../../core/cli/memory-store.ts'
import { rowsIn } from '../../core/flow/rows.ts'
import type { Rows } from '../../core/plugin/interfaces.ts'
import type { Listed } from '../../plugins/inputs/o365_activity/feed-client.ts'
import { Ledger } from '../../plugins/inputs/o365_activity/ledger.ts'
import { blobOf, type Progress } from '../../plugins/inputs/o365_activity/ledger-rows.ts'
import { NOON } from './microsoft-support.ts'

const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS
const TENANT = '11111111-1111-1111-1111-11111111111A'
const TYPE = 'Audit.Exchange'
const ALL: ReadonlySet<string> = new Set()

const rowsOf = () => rowsIn(memoryStore(), 'p/s')

function item(number: number, created = NOON + number * 60_000, expires = created + 7 * DAY_MS): Listed {
  return { id: `content ${number}`, uri: `https://localhost/${number}`, created, expires }
}

function progress(records: number): Progress {
  return { at: records * 100, digest: 'd', state: null, records, ids: '1.1' }
}

/** As the commit that settles a blob's last chunk does it. */
async function close(rows: Rows, ledger: Ledger, one: Listed, fate: Parameters<Ledger['closing']>[1]): Promise<void> {
  const blob = blobOf(TYPE, one)
  await rows.put(ledger.closing(blob, fate))
  ledger.closed(blob)
}

t.test('everything before the watermark is acknowledged, also after a restart, and more than memory holds', async t => {
  const rows = rowsOf()
  const ledger = new Ledger(rows, TENANT)
  await ledger.load()
  t.equal(ledger.watermark(TYPE), undefined)
  const items = Array.from({ length: 5 }, (_, number) => item(number))
  t.equal(await ledger.listed(TYPE, items), 5)
  t.equal(await ledger.listed(TYPE, items), 0, 'what was listed is known')
  await ledger.listedTo(TYPE, NOON, NOON + HOUR_MS)
  t.equal(ledger.watermark(TYPE), NOON)
  for (const number of [0, 2, 3]) await close(rows, ledger, items[number]!, progress(7))
  t.equal(ledger.watermark(TYPE), items[1]!.created)
  const next = new Ledger(rows, TENANT.toLowerCase())
  await next.load()
  t.equal(next.watermark(TYPE), items[1]!.created)
  t.equal(next.take(ALL)?.id, 'content 1')
  t.equal(next.take(ALL)?.id, 'content 4')
  t.equal(next.take(ALL), undefined)
  next.requeue(new Set([blobOf(TYPE, items[4]!).hash]))
  t.equal(next.take(ALL)?.id, 'content 1', 'what was taken and is not on its way waits again')
  t.equal(next.take(ALL), undefined)
  for (const number of [1, 4]) await close(rows, next, items[number]!, { lost: 'gone' })
  t.equal(next.watermark(TYPE), NOON + HOUR_MS)
  t.ok(next.settled)

  const many = Array.from({ length: 21_000 }, (_, number) => item(1_000 + number, NOON + HOUR_MS + number))
  await next.listed(TYPE, many)
  t.equal(next.watermark(TYPE), undefined, 'nobody knows what is open beyond what memory holds')
  const again = new Ledger(rows, TENANT)
  await again.load()
  const seen = new Set<string>()
  for (;;) {
    if (again.waiting === 0) await again.refill()
    const blob = again.take(ALL)
    if (!blob) break
    seen.add(blob.id)
    await close(rows, again, blob, progress(1))
  }
  t.equal(seen.size, 21_000, 'and each of them is had in its turn')
})

t.test('blobs of a type that is off stay, and those of others go on', async t => {
  const ledger = new Ledger(rowsOf(), TENANT)
  await ledger.load()
  await ledger.listed(TYPE, [item(1)])
  await ledger.listed('DLP.All', [item(2)])
  const off = new Set([TYPE])
  t.equal(ledger.take(off)?.id, 'content 2')
  t.equal(ledger.take(off), undefined)
  t.equal(ledger.take(ALL)?.id, 'content 1')
})

t.test('rows become counts when nothing is listed or to be had any more, not before', async t => {
  const rows = rowsOf()
  const ledger = new Ledger(rows, TENANT)
  await ledger.load()
  // One that expired at once, as the service sometimes has it: it is listed for seven days all the same.
  const items = [item(0, NOON, NOON), item(1, NOON, NOON + 20 * DAY_MS), item(2, NOON + 60_000)]
  await ledger.listed(TYPE, items)
  await close(rows, ledger, items[0]!, { lost: 'it has expired' })
  await close(rows, ledger, items[1]!, progress(10))
  await close(rows, ledger, items[2]!, progress(5))
  t.equal(await ledger.fold(NOON + 7 * DAY_MS), 0)
  t.equal(await ledger.listed(TYPE, items), 0, 'what is listed again is known')
  t.equal(await ledger.fold(NOON + 8 * DAY_MS + HOUR_MS), 2)
  t.same(await rows.list(`f/${TENANT.toLowerCase()}/`), [
    [`f/${TENANT.toLowerCase()}/${TYPE}/2026-05-06`, { blobs: 2, records: 5, lost: 1 }],
  ])
  t.equal(await ledger.fold(NOON + 22 * DAY_MS), 1)
  t.same(await rows.list(`f/${TENANT.toLowerCase()}/`), [
    [`f/${TENANT.toLowerCase()}/${TYPE}/2026-05-06`, { blobs: 3, records: 15, lost: 1 }],
  ])
  t.same(await rows.list(`b/${TENANT.toLowerCase()}/`), [])
})

t.test('what is reopened is fetched again, all of it or what lies behind what was read', async t => {
  const rows = rowsOf()
  const ledger = new Ledger(rows, TENANT)
  await ledger.load()
  const items = [item(0), item(1)]
  await ledger.listed(TYPE, items)
  for (const one of items) await close(rows, ledger, one, progress(3))
  t.match(await ledger.known(TYPE, items[0]!), { state: 'acknowledged', progress: { records: 3, at: 300, ids: '1.1' } })
  await ledger.reopen([{ blob: blobOf(TYPE, items[0]!) }, { blob: blobOf(TYPE, items[1]!), progress: progress(3) }])
  const next = new Ledger(rows, TENANT)
  await next.load()
  t.match(await next.known(TYPE, items[0]!), { state: 'waiting' })
  t.match(await next.known(TYPE, item(9)), { state: 'missing' })
  t.equal(next.take(ALL)?.id, 'content 0')
  t.same(
    (await next.due(NOON)).map(({ blob }) => blob.id),
    ['content 1'],
  )
})

t.test('a time that was lost is told once, also when the program dies before it is', async t => {
  const rows = rowsOf()
  const ledger = new Ledger(rows, TENANT)
  await ledger.load()
  await ledger.listedTo(TYPE, NOON, NOON + HOUR_MS)
  const gap = { from: NOON + HOUR_MS, to: NOON + DAY_MS, code: 'PEN_WINDOW_LOST' } as const
  await ledger.gap(TYPE, gap)
  const next = new Ledger(rows, TENANT)
  await next.load()
  t.equal(next.cursor(TYPE), gap.to)
  t.same(await next.gaps(), [[TYPE, gap]])
  await rows.put([next.told(TYPE, gap)])
  t.same(await next.gaps(), [])
})
