// Ids of audit records: the record's own, a hash where it has none, and a second one for other content under the same id.

import t, { type Test } from 'tap'
import { memoryStore } from '../../core/cli/memory-store.ts'
import { rowsIn } from '../../core/flow/rows.ts'
import { Delays } from '../../plugins/inputs/o365_activity/delays.ts'
import { addedIds, idSum, NO_IDS } from '../../plugins/inputs/o365_activity/id-sum.ts'
import { IdTable } from '../../plugins/inputs/o365_activity/id-table.ts'
import { KnownIds } from '../../plugins/inputs/o365_activity/known-ids.ts'
import { headOf } from '../../plugins/inputs/o365_activity/record-head.ts'
import { idWords } from '../../plugins/inputs/o365_activity/record-key.ts'
import { NO_QUIRKS } from '../../plugins/lib/microsoft/simulator/content.ts'
import { fc } from '../kit/rounds.ts'
import { NOON } from './microsoft-support.ts'
import { feed } from './o365-support.ts'

t.setTimeout(300_000)

t.test('the head of a record is what its JSON says, however it is written', async t => {
  const time = Date.UTC(2026, 4, 1, 9, 12, 33)
  for (const text of [
    '{"CreationTime":"2026-05-01T09:12:33","Id":"a-1","Operation":"x"}',
    '{"CreationTime":"2026-05-01T09:12:33Z","Id":"a-1"}',
    ' { "Id" : "a-1", "CreationTime" : "2026-05-01T09:12:33" }',
    '{"Nested":{"Id":"b","CreationTime":"2020-01-01T00:00:00"},"Id":"a-1","CreationTime":"2026-05-01T11:12:33+02:00"}',
    '{"CreationTime":"2026-05-01T09:12:33","\\u0049d":"a-1"}',
  ])
    t.same(headOf(Buffer.from(text)), { id: 'a-1', time }, text)
  for (const text of ['{"Id":""}', '{"Id":7}', '[]', 'no JSON', '{}', 'null'])
    t.same(headOf(Buffer.from(text)), { id: undefined, time: Number.NaN }, text)
})

t.test('the table of ids finds what it holds, and forgets the oldest', async t => {
  fc.assert(
    fc.property(fc.uniqueArray(fc.tuple(fc.nat(0xffffffff), fc.nat(0xffffffff)), { selector: String, minLength: 1 }), keys => {
      const used = keys.filter(([a, b]) => a !== 0 || b !== 0)
      const table = new IdTable(1_000)
      for (const [index, [a, b]] of used.entries()) table.set(a, b, index, index + 1)
      return used.every(([a, b], index) => String(table.get(a, b)) === `${index},${index + 1}`)
    }),
  )
  const small = new IdTable(100)
  for (let key = 1; key <= 1_000; key++) small.set(key, key, key, key)
  t.same(small.get(1_000, 1_000), [1_000, 1_000])
  t.same(small.get(901, 901), [901, 901], 'the last hundred are there')
  t.equal(small.get(700, 700), undefined)
  t.ok(small.bytes < 20_000, `${small.bytes} bytes`)
})

t.test('one id with two contents is two events, also after a restart, in whatever order they come again', async t => {
  const store = memoryStore()
  const rows = rowsIn(store, 'p/s')
  const record = (id: string | undefined, content: string) => ({ id, words: idWords(id ?? ''), bytes: Buffer.from(content) })
  const first = new KnownIds(rows, 'T')
  await first.load()
  const one = first.judge([record('a', '1'), record('b', '1'), record('a', '1'), record('a', '2'), record(undefined, '1')])
  t.equal(one.conflicts, 1)
  t.same([...one.ids.keys()], [3])
  const second = one.ids.get(3)
  t.match(second, /^a~[\da-f]{16}$/)
  await rows.put(one.rows)
  const next = new KnownIds(rows, 't')
  await next.load()
  const again = next.judge([record('a', '2'), record('a', '1'), record('a', '3')])
  t.equal(again.ids.get(0), second, 'the second content keeps its second id')
  t.notOk(again.ids.has(1), 'the first keeps the id')
  t.equal(again.conflicts, 1, 'what was known is counted once')
  t.not(again.ids.get(2), second)
})

t.test('what is remembered of ids stays bounded, in memory and in rows', async t => {
  const known = new KnownIds({ get: async () => undefined, list: async () => [], put: async () => {} }, 't')
  const there = new Map<string, number>()
  for (let chunk = 0; chunk < 400; chunk++) {
    const records = Array.from({ length: 1_000 }, (_, index) => ({
      id: `${chunk}/${index}`,
      words: idWords(`${chunk}/${index}`),
      bytes: Buffer.from('x'),
    }))
    for (const [key, value] of known.judge(records).rows)
      if (value === null) there.delete(key)
      else there.set(key, (value as Uint8Array).length)
  }
  const bytes = [...there.values()].reduce((sum, length) => sum + length, 0)
  t.ok(bytes >= 130_000 * 16 && bytes < 133_000 * 16, `${bytes} bytes in ${there.size} rows`)
})

t.test('what a GUID is known by has bits of all of it, in either case of its letters', async t => {
  const guid = '81234567-89ab-4def-9123-456789abcde0'
  const all = [...guid].flatMap((char, index) =>
    char === '-' ? [] : [`${guid.slice(0, index)}${char === '7' ? '8' : '7'}${guid.slice(index + 1)}`],
  )
  t.equal(all.length, 32)
  t.notOk(all.some(one => String(idWords(one)) === String(idWords(guid))))
  t.same(idWords(guid), idWords(guid.toUpperCase()))
  t.not(String(idWords(`${guid}~0`)), String(idWords(guid)))
  t.not(String(idWords('00000000-0000-0000-0000-000000000000')), '0,0')
})

t.test('the sum of ids does not depend on their order, and can be gone on with', async t => {
  const record = (id: string) => ({ words: idWords(id) })
  fc.assert(
    fc.property(fc.array(fc.string()), fc.array(fc.string()), (a, b) => {
      const whole = addedIds(NO_IDS, idSum([...b, ...a].map(record)))
      return addedIds(addedIds(NO_IDS, idSum(a.map(record))), idSum(b.map(record))) === whole
    }),
  )
  t.not(addedIds(NO_IDS, idSum(['a', 'a'].map(record))), addedIds(NO_IDS, idSum(['b', 'b'].map(record))))
})

t.test('delays are told as quantiles, a fifth too high at most', async t => {
  const delays = new Delays()
  t.equal(delays.quantile(0.5), undefined)
  for (let minute = 1; minute <= 1_000; minute++) delays.add(minute * 60_000)
  for (const share of [0.5, 0.99]) {
    const told = delays.quantile(share) as number
    t.ok(told >= share * 60_000_000 && told <= share * 60_000_000 * 1.2, `${told}`)
  }
  delays.add(-5)
  t.equal(delays.quantile(0.0001), 1_000, 'what was made before it happened came at once')
})

/** With ids that two records share, and records without one. */
async function shared(t: Test, workers: number): Promise<void> {
  const { run, simulator, lines } = await feed(
    t,
    { users: 20, scenario: { requests: {}, content: { ...NO_QUIRKS, sameId: 0.5, noId: 0.3, emptyId: 0.3, repeated: 0.3 } } },
    t.testdir({ [`workers-${workers}`]: {} }),
    { workers, filters: [{ type: 'dedupe' }], http: { port: 0 } },
  )
  const { code, stderr } = await run({ keep_matched_values: true })
  t.equal(code, 0, stderr)
  const wanted = new Set([...simulator.ledger()].flatMap(({ created, hashes }) => (Date.parse(created) < NOON ? hashes : [])))
  const { hash } = await import('node:crypto')
  const came = lines().map(line => hash('sha256', JSON.stringify(line), 'hex').slice(0, 32))
  t.same(
    [...wanted].filter(one => !came.includes(one)),
    [],
    'none is missing',
  )
  t.equal(came.length, new Set(came).size, 'and none came twice')
  const ids = lines().map(({ Id }) => Id)
  t.ok(ids.length - new Set(ids).size > 10, 'some shared an id')
}

t.test('records that share an id, or have none, all go on, with 0 workers, and dedupe takes none of them', t => shared(t, 0))
t.test('records that share an id, or have none, all go on, with 2 workers, and dedupe takes none of them', t => shared(t, 2))
