// Positions and rows: what is kept, found, grouped into transactions, and forgotten.
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import t from 'tap'
import { openStore } from '../../core/state/store.ts'
import { failure, position, rows, transactionsInLog } from '../fixtures/state/parts.ts'

t.test('positions and rows are there after a commit and after a restart', async t => {
  const folder = join(t.testdir(), 'state')
  const first = await openStore(folder, { clock: { now: () => Date.UTC(2026, 0, 2, 3, 4, 5, 6) } })
  await first.commit({
    positions: [
      ['p', 'in', 'b', { offset: 2 ** 40, deep: [null, 'ü', { __proto__: null, x: false }] }],
      ['p', 'in', 'a', 'text'],
      ['p', 'other', 'a', 1],
      ['q', 'in', 'a', 2],
      ['p', 'in', 'nul\0in it', 3],
    ],
    rows: [
      ['p/in', 'json', { list: [1, 2] }],
      ['p/in', 'bytes', new Uint8Array([0, 255, 7])],
      ['p/in', 'empty', new Uint8Array()],
    ],
  })
  const expected = new Map<string, unknown>([
    ['a', 'text'],
    ['b', { offset: 2 ** 40, deep: [null, 'ü', { x: false }] }],
    ['nul\0in it', 3],
  ])
  t.same(await first.positions('p', 'in'), expected)
  await first.close()

  const second = await openStore(folder)
  t.teardown(() => second.close())
  t.same(await second.positions('p', 'in'), expected)
  t.same([...(await second.positions('p', 'in')).keys()], ['a', 'b', 'nul\0in it'])
  t.same(await second.positions('p', 'none'), new Map())
  t.same(await second.get('p/in', 'json'), { list: [1, 2] })
  t.same(await second.get('p/in', 'bytes'), new Uint8Array([0, 255, 7]))
  t.same(await second.get('p/in', 'empty'), new Uint8Array())
  t.equal(await second.get('p/in', 'none'), undefined)
  t.same((await second.allPositions())[0], ['p', 'in', 'a', 'text', '2026-01-02T03:04:05.006Z'])
  t.equal((await second.allPositions()).length, 5)
})

t.test('null deletes, the last change of a key wins, and a rewrite replaces', async t => {
  const store = await openStore(t.testdir())
  t.teardown(() => store.close())
  await store.commit({ positions: [['p', 'in', 'a', 1]], rows: [['s', 'k', 1]] })
  await store.commit({
    positions: [
      ['p', 'in', 'a', 2],
      ['p', 'in', 'b', 1],
      ['p', 'in', 'b', null],
    ],
    rows: [
      ['s', 'k', new Uint8Array([1])],
      ['s', 'k', 'json after bytes'],
      ['s', 'm', 'json'],
      ['s', 'm', new Uint8Array([2])],
      ['s', 'gone', 1],
      ['s', 'gone', null],
    ],
  })
  t.same(await store.positions('p', 'in'), new Map([['a', 2]]))
  t.same(await store.list('s', ''), [
    ['k', 'json after bytes'],
    ['m', new Uint8Array([2])],
  ])
  await store.commit({ positions: [['p', 'in', 'a', null]], rows: [] })
  t.equal((await store.positions('p', 'in')).size, 0)
})

t.test('list gives the keys with a prefix, sorted, whatever characters it holds', async t => {
  const store = await openStore(t.testdir())
  t.teardown(() => store.close())
  const keys = [
    '',
    'a',
    'a%',
    'a%b',
    'a_b',
    'ab',
    'aZ',
    'a😀',
    'b',
    '\ud7ff',
    '\ue000',
    'é',
    '😀',
    '😀x',
    '\u{10ffff}',
    '\u{10ffff}z',
  ]
  await store.commit(rows('s', ...keys.map(key => [key, key] as const)))
  await store.commit(rows('s2', ['a%z', 1]))
  const found = async (prefix: string) => (await store.list('s', prefix)).map(([key]) => key)
  for (const prefix of ['a%', 'a_', 'a', '\ud7ff', '\ue000', '😀', '\u{10ffff}', 'zz', 'é']) {
    t.same((await found(prefix)).toSorted(), keys.filter(key => key.startsWith(prefix)).toSorted(), JSON.stringify(prefix))
  }
  t.same(await found('a'), ['a', 'a%', 'a%b', 'aZ', 'a_b', 'ab', 'a😀'])
  t.equal((await found('')).length, keys.length)
  for (const prefix of ['', 'a', 'zz', '\u{10ffff}', '😀']) {
    for (const limit of [1, 2, 3]) {
      const paged: string[] = []
      for (let after: string | undefined; ; ) {
        const page = await store.list('s', prefix, { limit, ...(after !== undefined && { after }) })
        t.ok(page.length <= limit)
        paged.push(...page.map(([key]) => key))
        after = page.at(-1)?.[0]
        if (page.length < limit) break
      }
      t.same(paged, await found(prefix), `${JSON.stringify(prefix)}, ${limit} at a time`)
    }
  }
  t.same(
    (await store.list('s', 'ab', { after: 'a' })).map(([key]) => key),
    ['ab'],
    'a place before the prefix changes nothing',
  )
})

t.test('what is handed over may be changed at once', async t => {
  const store = await openStore(t.testdir())
  t.teardown(() => store.close())
  const shared = new Uint8Array(new SharedArrayBuffer(8), 2, 3).fill(1)
  const value = { n: 1 }
  const committed = store.commit({ positions: [['p', 'in', 'a', value]], rows: [['s', 'k', shared]] })
  value.n = 2
  shared.fill(2)
  await committed
  t.same((await store.positions('p', 'in')).get('a'), { n: 1 })
  t.same(await store.get('s', 'k'), new Uint8Array([1, 1, 1]))
})

t.test('what is read after a commit was called sees it, awaited or not', async t => {
  const store = await openStore(t.testdir())
  t.teardown(() => store.close())
  const calls: Promise<unknown>[] = []
  for (let n = 1; n <= 50; n++) {
    calls.push(store.commit(rows('s', ['k', n])))
    calls.push(store.get('s', 'k').then(value => t.equal(value, n)))
  }
  await Promise.all(calls)
})

t.test('commits that come while one waits become one transaction', async t => {
  const folder = t.testdir()
  const store = await openStore(folder)
  t.teardown(() => store.close())
  await store.commit(position('first', 0))
  const before = { ...store.stats, log: transactionsInLog(join(folder, 'state.db')) }
  t.ok(before.log > 0)

  const other = new DatabaseSync(join(folder, 'state.db'), { timeout: 5000 })
  other.exec('BEGIN IMMEDIATE')
  let settled = 0
  const commits = Array.from({ length: 100 }, (_, n) => store.commit(position(`partition ${n}`, n)).then(() => settled++))
  // This answer comes after the thread has taken them all.
  await store.letters.counts()
  t.equal(settled, 0)
  t.equal(store.stats.commits, before.commits)
  other.exec('COMMIT')
  other.close()
  await Promise.all(commits)

  t.equal(store.stats.commits, before.commits + 100)
  t.equal(store.stats.transactions, before.transactions + 1)
  t.equal(transactionsInLog(join(folder, 'state.db')), before.log + 1)
  t.equal((await store.positions('p', 'in')).size, 101)
})

t.test('a commit that is awaited is a transaction of its own', async t => {
  const folder = t.testdir()
  const store = await openStore(folder)
  t.teardown(() => store.close())
  await store.commit(position('a', 0))
  const before = transactionsInLog(join(folder, 'state.db'))
  for (let n = 1; n <= 5; n++) await store.commit(position('a', n))
  t.equal(store.stats.transactions, 6)
  t.equal(transactionsInLog(join(folder, 'state.db')), before + 5)
})

t.test('a transaction that fails rejects all its callers, writes nothing of them, and does not stop the next one', async t => {
  const folder = t.testdir()
  const store = await openStore(folder)
  t.teardown(() => store.close())
  await store.commit(rows('s', ['kept', 1]))
  const other = new DatabaseSync(join(folder, 'state.db'), { timeout: 5000 })
  other.exec(`CREATE TRIGGER refuse BEFORE INSERT ON rows WHEN new.key = 'secret key' BEGIN SELECT RAISE(ABORT, 'refused'); END`)
  other.exec('BEGIN IMMEDIATE')
  const calls = ['a', 'b', 'secret key', 'c'].map(key =>
    store.commit({ positions: [['p', 'in', key, 1]], rows: [['s', key, 1]] }),
  )
  const failures = Promise.all(calls.map(failure))
  await store.letters.counts()
  other.exec('COMMIT')
  for (const { code, message, cause } of await failures) {
    t.equal(code, 'PEN_STATE_FAILED')
    t.match(message, /^state: cannot save positions in .*: constraint failed/)
    t.notMatch(message + cause, 'secret')
    t.type(cause, Error)
  }
  t.same(await store.list('s', ''), [['kept', 1]])
  t.equal((await store.positions('p', 'in')).size, 0)

  other.exec('DROP TRIGGER refuse')
  other.close()
  await store.commit(rows('s', ['secret key', 2]))
  t.equal(await store.get('s', 'secret key'), 2)
})

t.test('a value that is no JSON is refused alone, and is not quoted', async t => {
  const store = await openStore(t.testdir())
  t.teardown(() => store.close())
  const loop: Record<string, unknown> = {}
  loop['my secret'] = loop
  const bad = failure(store.commit(position('a', loop as never)))
  const good = store.commit(position('b', 1))
  const { code, message, cause } = await bad
  t.equal(code, 'PEN_STATE_VALUE')
  t.notMatch(message + cause, 'my secret')
  t.equal((await failure(store.commit(rows('s', ['k', 1n as never])))).code, 'PEN_STATE_VALUE')
  await good
  t.same([...(await store.positions('p', 'in')).keys()], ['b'])
})

t.test('a stored value that somebody spoiled is an error that does not quote it', async t => {
  const folder = t.testdir()
  const store = await openStore(folder)
  t.teardown(() => store.close())
  await store.commit(rows('s', ['k', 1]))
  const other = new DatabaseSync(join(folder, 'state.db'), { timeout: 5000 })
  other.exec(`UPDATE rows SET value = 'my secret'`)
  other.close()
  const { code, message } = await failure(store.get('s', 'k'))
  t.equal(code, 'PEN_STATE_DAMAGED')
  t.notMatch(message, 'my secret')
})

t.test('reset forgets a pipeline, or one step of it, and nothing beside it', async t => {
  const store = await openStore(t.testdir())
  t.teardown(() => store.close())
  const fill = () =>
    store.commit({
      positions: [
        ['p', 'in', 'a', 1],
        ['p', 'in2', 'a', 1],
        ['p2', 'in', 'a', 1],
      ],
      rows: [
        ['p/in', 'k', 1],
        ['p/in', 'k2', 1],
        ['p/in2', 'k', 1],
        ['p2/in', 'k', 1],
        ['p-x/in', 'k', 1],
        ['p', 'k', 1],
      ],
    })
  const left = async () => {
    const scopes = await Promise.all(
      ['p', 'p/in', 'p/in2', 'p2/in', 'p-x/in'].map(async scope => [scope, (await store.list(scope, '')).length]),
    )
    return { positions: (await store.allPositions()).map(([p, i]) => `${p} ${i}`), rows: Object.fromEntries(scopes) }
  }
  await fill()
  t.equal(await store.reset('p', 'in'), 3)
  t.same(await left(), { positions: ['p in2', 'p2 in'], rows: { p: 1, 'p/in': 0, 'p/in2': 1, 'p2/in': 1, 'p-x/in': 1 } })
  await fill()
  t.equal(await store.reset('p'), 6)
  t.same(await left(), { positions: ['p2 in'], rows: { p: 0, 'p/in': 0, 'p/in2': 0, 'p2/in': 1, 'p-x/in': 1 } })
  t.equal(await store.reset('p'), 0)
})

t.test('close waits for what is under way, leaves one file each, and ends the store', async t => {
  const folder = t.testdir()
  const store = await openStore(folder)
  const commits = Array.from({ length: 20 }, (_, n) => store.commit(position(`${n}`, n)))
  const closed = store.close()
  t.equal((await failure(store.commit(position('late', 1)))).code, 'PEN_STATE_CLOSED')
  await closed
  await Promise.all(commits)
  await store.close()
  t.match((await failure(store.get('s', 'k'))).message, /is closed/)
  t.same(readdirSync(folder).toSorted(), ['letters.db', 'lock.db', 'state.db'])
  const again = await openStore(folder)
  t.equal((await again.positions('p', 'in')).size, 20)
  await again.close()
})
