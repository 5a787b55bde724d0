// What the store says it has done: synced with each commit, in transactions that stay small, and no more than was asked for.
import { join } from 'node:path'
import t from 'tap'
import { openDatabase, pragma } from '../../core/state/database.ts'
import { LETTERS_FORMAT, STATE_FORMAT } from '../../core/state/formats.ts'
import { openStore } from '../../core/state/store.ts'
import type { DeadLetter } from '../../core/state/types.ts'

const FULL = 2

t.test('both files sync with every commit', t => {
  const folder = t.testdir()
  for (const [name, format] of [
    ['state.db', STATE_FORMAT],
    ['letters.db', LETTERS_FORMAT],
  ] as const) {
    const db = openDatabase(join(folder, name), format, false)
    t.equal(pragma(db, 'synchronous'), FULL, name)
    t.equal(db.prepare('PRAGMA journal_mode').get()?.['journal_mode'], 'wal', name)
    db.close()
  }
  t.end()
})

t.test('commits that wait become transactions of about a megabyte, not one that grows with the wait', async t => {
  const store = await openStore(t.testdir())
  t.teardown(() => store.close())
  const large = 'x'.repeat(400_000)
  await Promise.all(Array.from({ length: 20 }, (_, n) => store.commit({ positions: [['p', 'in', `${n}`, large]], rows: [] })))
  t.equal(store.stats.commits, 20)
  t.ok(store.stats.transactions >= 10, `${store.stats.transactions} transactions`)
  t.equal((await store.positions('p', 'in')).size, 20)
})

t.test('a removal beside the engine takes no letter that came while it ran', async t => {
  const folder = t.testdir()
  const engine = await openStore(folder)
  const beside = await openStore(folder, { beside: true })
  t.teardown(async () => {
    await beside.close()
    await engine.close()
  })
  const letter = (n: number): DeadLetter => ({
    pipeline: 'p',
    step: 'out',
    stage: 'output',
    input: 'in',
    code: 'X',
    error: `${n}`,
    meta: {},
    tries: 0,
    bytes: Buffer.from('{}'),
    length: 2,
  })
  await engine.letters.add(Array.from({ length: 5_000 }, (_, n) => letter(n)))
  const removed = beside.letters.remove({})
  const count = async () => (await engine.letters.counts()).reduce((sum, one) => sum + one.count, 0)
  // The first step of it is over, others are still to come.
  while ((await count()) === 5_000) await new Promise(resolve => setImmediate(resolve))
  const left = await count()
  await engine.letters.add([letter(-1), letter(-2)])
  t.ok(left > 0, `${left} letters were left when others came`)
  t.equal(await removed, 5_000)
  t.same(
    (await engine.letters.list({})).map(({ error }) => error),
    ['-1', '-2'],
  )
})
