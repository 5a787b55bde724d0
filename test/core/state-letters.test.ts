// Dead letters: kept whole, found again, marked, removed, bounded, and shared with a command line beside the engine.
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import t from 'tap'
import { openStore } from '../../core/state/store.ts'
import type { DeadLetter, StateStore } from '../../core/state/types.ts'
import { failure, letter, position, transactionsInLog } from '../fixtures/state/parts.ts'

const ids = async (store: StateStore, filter = {}) => (await store.letters.list(filter)).map(({ id }) => id)

t.test('a letter comes back as it was written, also after a restart', async t => {
  const folder = join(t.testdir(), 'state')
  const bytes = new Uint8Array(new SharedArrayBuffer(300), 20, 256).map((_, index) => index)
  const full: DeadLetter = {
    ...letter({ step: 'ecs', stage: 'transform', event: 'id#1', code: 'PEN_X', error: 'no \ud800 good\0', tries: 2 }),
    ...{
      meta: { path: 'ä.log', deep: { list: [1, null] } },
      offset: 2 ** 41,
      bytes,
      length: 20_000_000,
      sha256: 'ab'.repeat(32),
    },
  }
  const small = letter({ bytes: new Uint8Array(), meta: JSON.parse('{"__proto__": {"a": 1}}') })
  let store = await openStore(folder, { clock: { now: () => Date.UTC(2026, 4, 6) } })
  const added = store.letters.add([full, small])
  bytes.fill(0)
  await added
  for (let round = 0; round < 2; round++) {
    const [first, second, ...none] = await store.letters.list({})
    t.same(first, {
      ...{ ...full, id: 1, at: '2026-05-06T00:00:00.000Z', replay: false, error: 'no \ufffd good\0' },
      bytes: new Uint8Array(256).map((_, index) => index),
    })
    t.same(second, { ...small, id: 2, at: '2026-05-06T00:00:00.000Z', replay: false })
    t.same(Object.keys(second?.meta ?? {}), ['__proto__'])
    t.notOk('event' in (second ?? {}))
    t.equal(none.length, 0)
    await store.close()
    store = await openStore(folder)
  }
  await store.close()
})

t.test('filters, pages and counts', async t => {
  let now = Date.UTC(2026, 0, 1)
  const store = await openStore(t.testdir(), { clock: { now: () => now } })
  t.teardown(() => store.close())
  await store.letters.add([
    letter({ pipeline: 'a' }),
    letter({ pipeline: 'a', step: 'ecs', code: 'X' }),
    letter({ pipeline: 'b' }),
  ])
  now = Date.UTC(2026, 0, 2)
  await store.letters.add([letter({ pipeline: 'a', bytes: Buffer.alloc(1000) }), letter({ pipeline: 'b', code: 'X' })])
  await store.letters.add([])
  t.same(await ids(store), [1, 2, 3, 4, 5])
  t.same(await ids(store, { pipeline: 'a' }), [1, 2, 4])
  t.same(await ids(store, { pipeline: 'a', step: 'out' }), [1, 4])
  t.same(await ids(store, { ids: [5, 2, 77] }), [2, 5])
  t.same(await ids(store, { ids: [] }), [])
  t.same(await ids(store, { before: '2026-01-02' }), [1, 2, 3])
  t.same(await ids(store, { limit: 2 }), [1, 2])
  t.same(await ids(store, { limit: 2, after: 2 }), [3, 4])
  t.same(await ids(store, { limit: 0 }), [])
  t.same(await ids(store, { after: 5 }), [])
  const texts = 'refused'.length + '{"path":"a.log"}'.length + 256
  t.same(await store.letters.counts(), [
    { pipeline: 'a', step: 'ecs', code: 'X', count: 1, bytes: 7 + texts },
    { pipeline: 'a', step: 'out', code: 'PEN_PERMANENT', count: 2, bytes: 1007 + 2 * texts },
    { pipeline: 'b', step: 'out', code: 'PEN_PERMANENT', count: 1, bytes: 7 + texts },
    { pipeline: 'b', step: 'out', code: 'X', count: 1, bytes: 7 + texts },
  ])
  t.equal(await store.letters.remove({ pipeline: 'a', step: 'out' }), 2)
  t.equal(await store.letters.remove({ pipeline: 'a', step: 'out' }), 0)
  t.same(await ids(store), [2, 3, 5])
  t.same(
    (await store.letters.counts()).map(({ count }) => count),
    [1, 1, 1],
  )
  t.equal(await store.letters.remove({ limit: 2 }), 2)
  t.same(await ids(store), [5])
})

t.test('marks are set, found, counted and go with their letters; ids are never given again', async t => {
  const folder = t.testdir()
  const store = await openStore(folder)
  t.teardown(() => store.close())
  await store.letters.add(Array.from({ length: 5 }, () => letter()))
  t.equal(await store.letters.mark({ ids: [2, 4, 9] }), 2)
  t.equal(await store.letters.mark({ ids: [4, 5] }), 2, 'marked before or not')
  t.same(await ids(store, { replay: true }), [2, 4, 5])
  t.same(await ids(store, { replay: false }), [1, 3])
  t.same(
    (await store.letters.list({})).map(({ replay }) => replay),
    [false, true, false, true, true],
  )
  t.equal(await store.letters.remove({ replay: true }), 3)
  t.same(await ids(store, { replay: true }), [])
  t.equal(await store.letters.remove({}), 2)
  t.same(await store.letters.counts(), [])
  const other = new DatabaseSync(join(folder, 'letters.db'), { timeout: 5000 })
  t.equal(other.prepare('SELECT count(*) AS n FROM marks').get()?.['n'], 0)
  other.close()
  await store.letters.add([letter()])
  t.same(await ids(store), [6])
  t.same(await ids(store, { replay: true }), [], 'an old mark does not fall on a new letter')
})

t.test('a list ends before it fills the memory, and pages lead to its end', async t => {
  const store = await openStore(t.testdir())
  t.teardown(() => store.close())
  for (const mib of [0, 20, 20, 33, 0]) await store.letters.add([letter({ bytes: Buffer.alloc(mib * 1024 * 1024) })])
  const pages: number[][] = []
  for (let after = 0; ; after = pages.at(-1)?.at(-1) ?? 0) {
    const page = await ids(store, { after })
    if (page.length === 0) break
    pages.push(page)
  }
  t.same(pages, [[1, 2], [3], [4], [5]])
})

t.test('row 14: at the limit a letter is refused with the ways out, others of the same moment are not', async t => {
  const folder = t.testdir()
  const store = await openStore(folder, { maxLetterBytes: 10_000 })
  t.teardown(() => store.close())
  const big = letter({ bytes: Buffer.alloc(6000) })
  await store.letters.add([big])
  // Somebody else's lock keeps both calls waiting until they are in one transaction.
  const other = new DatabaseSync(join(folder, 'letters.db'), { timeout: 5000 })
  other.exec('BEGIN IMMEDIATE')
  const refused = failure(store.letters.add([letter(), big]))
  const small = store.letters.add([letter()])
  await store.allPositions()
  other.close()
  const { code, message } = await refused
  t.equal(code, 'PEN_DEAD_LETTERS_FULL')
  t.match(
    message,
    `state: the dead letters in ${folder} have reached their limit of 10000 bytes: see why with \`penstock dlq list\`, then make room with \`penstock dlq purge\``,
  )
  await small
  t.same(await ids(store), [1, 2], 'nothing of the refused call is there')

  const beside = await openStore(folder, { beside: true })
  await beside.letters.remove({ ids: [1] })
  await beside.close()
  await store.letters.add([big])
  t.same(await ids(store), [2, 3], 'what was removed by another process counts no more')
})

t.test('calls that come while one waits become one transaction', async t => {
  const folder = t.testdir()
  const store = await openStore(folder)
  t.teardown(() => store.close())
  await store.letters.add([letter()])
  const other = new DatabaseSync(join(folder, 'letters.db'), { timeout: 5000 })
  other.exec('BEGIN IMMEDIATE')
  const log = () => transactionsInLog(join(folder, 'letters.db'))
  const before = log()
  let settled = 0
  const adds = Array.from({ length: 30 }, () => store.letters.add([letter()]).then(() => settled++))
  await store.allPositions()
  t.equal(settled, 0, 'and a lock on the dead letters does not hold up the positions')
  await store.commit(position('a', 1))
  other.exec('COMMIT')
  other.close()
  await Promise.all(adds)
  t.equal(log(), before + 1)
  t.equal((await ids(store)).length, 31)
})

t.test('row 8: a letter whose bytes have changed on the disk is shown as damaged and not replayed', async t => {
  const folder = t.testdir()
  const store = await openStore(folder)
  t.teardown(() => store.close())
  await store.letters.add([letter({ bytes: Buffer.from('aaaa') }), letter({ bytes: Buffer.from('bbbb') })])
  const other = new DatabaseSync(join(folder, 'letters.db'), { timeout: 5000 })
  other.exec("UPDATE letters SET bytes = x'61616162' WHERE id = 1")
  other.close()
  await store.letters.mark({})
  t.same(
    (await store.letters.list({})).map(({ id, damaged }) => [id, damaged]),
    [
      [1, true],
      [2, undefined],
    ],
  )
  t.same(await ids(store, { replay: true }), [2])
  t.same(await ids(store, { replay: true, limit: 1 }), [2], 'a page is not empty before the end')
})

t.test('beside an engine everything can be read, letters marked and removed, and nothing else', async t => {
  const folder = t.testdir()
  const store = await openStore(folder)
  t.teardown(() => store.close())
  await store.commit({ positions: [['p', 'in', 'a', 1]], rows: [['p/in', 'k', 2]] })
  await store.letters.add([letter(), letter()])
  const beside = await openStore(folder, { beside: true })
  t.same(await beside.positions('p', 'in'), new Map([['a', 1]]))
  t.same(await beside.get('p/in', 'k'), 2)
  t.equal(await beside.letters.mark({ ids: [1] }), 1)
  t.same(await ids(store, { replay: true }), [1])
  t.equal(await beside.letters.remove({ ids: [2] }), 1)
  t.same(await ids(store), [1])
  for (const refused of [beside.commit(position('a', 2)), beside.reset('p'), beside.letters.add([letter()])]) {
    t.match(await failure(refused), { code: 'PEN_STATE_BESIDE', message: `stop the engine that works on ${folder} first` })
  }
  await store.commit(position('a', 3))
  t.same(await beside.positions('p', 'in'), new Map([['a', 3]]), 'it sees what is committed later')
  await beside.close()
  await store.commit(position('a', 4))
  t.same(await store.positions('p', 'in'), new Map([['a', 4]]))
})

t.test(
  'a long removal beside an engine lets the engine’s letters through, leaves those alone, and gives the disk its room back',
  async t => {
    const folder = t.testdir()
    const store = await openStore(folder)
    t.teardown(() => store.close())
    for (let n = 0; n < 4; n++) await store.letters.add(Array.from({ length: 2000 }, () => letter({ bytes: Buffer.alloc(500) })))
    const pages = () =>
      new DatabaseSync(join(folder, 'letters.db'), { readOnly: true }).prepare('PRAGMA page_count').get()?.[
        'page_count'
      ] as number
    const before = pages()
    const beside = await openStore(folder, { beside: true })
    t.teardown(() => beside.close())
    let isOver = false
    const removed = beside.letters.remove({}).finally(() => {
      isOver = true
    })
    let added = 0
    while (!isOver) {
      await store.letters.add([letter()])
      added++
    }
    const gone = await removed
    const left = (await store.letters.counts())[0]?.count ?? 0
    t.ok(left >= 8, `${left} of the ${added} letters that were written meanwhile came after its beginning`)
    t.equal(gone + left, 8000 + added)
    t.ok(pages() < before / 10, `${before} pages became ${pages()}`)
  },
)
