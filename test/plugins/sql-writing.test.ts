// How a batch is written: transactions, statements that are not too large, and the one row that is refused. The database is made up.
import t from 'tap'
import type { Result, Session, SqlValue, TableShape } from '../../plugins/lib/sql/dialect.ts'
import { dialectOf } from '../../plugins/lib/sql/dialects.ts'
import { SqlFailure } from '../../plugins/lib/sql/failure.ts'
import { type Row, targetOf, writeRows } from '../../plugins/outputs/sql/writing.ts'

const SHAPE: TableShape = {
  name: 't',
  columns: [
    { name: 'id', type: { name: 'string', length: 64 } },
    { name: 'n', type: { name: 'integer' } },
  ],
  key: ['id'],
}
const NONE: Result = { columns: [], rows: [], affected: 0 }

/** A database of one table. `bad`: what it says of a row, if it refuses it. */
function madeUp({
  maxBytes = 1e9,
  bad = () => undefined as SqlFailure | undefined,
}: {
  readonly maxBytes?: number
  readonly bad?: (id: string, n: SqlValue, call: number) => SqlFailure | undefined
} = {}) {
  const committed = new Map<string, SqlValue>()
  let open: Map<string, SqlValue> | undefined
  const statements: { readonly rows: number; readonly text: string; readonly ids: readonly string[] }[] = []
  const log: string[] = []
  let calls = 0
  const session: Session = {
    maxBytes,
    async run(text, values = []) {
      if (!open) throw new Error('a statement outside of a transaction')
      calls++
      const ids: string[] = []
      let affected = 0
      for (let at = 0; at < values.length; at += 2) {
        const id = values[at] as string
        ids.push(id)
        const refusal = bad(id, values[at + 1] as SqlValue, calls)
        if (refusal) throw refusal
        if (!open.has(id)) affected++
        open.set(id, values[at + 1] as SqlValue)
      }
      if (new Set(ids).size < ids.length) throw new Error('a statement has a key twice')
      statements.push({ rows: ids.length, text, ids })
      return { ...NONE, affected }
    },
    async begin() {
      log.push('begin')
      open = new Map(committed)
    },
    async commit() {
      log.push('commit')
      for (const [id, n] of open ?? []) committed.set(id, n)
      open = undefined
    },
    async rollback() {
      log.push('rollback')
      open = undefined
    },
    async close() {},
    destroy() {},
  }
  return { session, committed, statements, log }
}

const rowsOf = (ids: readonly string[]): Row[] => ids.map((id, index) => ({ index, values: [id, index], bytes: 20 }))
const target = targetOf(dialectOf('postgres'), SHAPE, false)
const numbered = (count: number) => Array.from({ length: count }, (_, index) => `id${String(index).padStart(4, '0')}`)
const tooLong = (id: string) => new SqlFailure('row', `value too long: ${id}`)

async function write(session: Session, rows: readonly Row[], to = target) {
  const rejected = new Map<number, Error>()
  const written = await writeRows(session, new Map([[to, rows]]), (index, error) => rejected.set(index, error))
  return { rejected, ...written }
}

t.test('a batch is one transaction of few statements, whose sizes are powers of two', async t => {
  const { session, committed, statements, log } = madeUp()
  const { rejected, affected, rows } = await write(session, rowsOf(numbered(300)))
  t.strictSame(log, ['begin', 'commit'])
  t.strictSame(
    statements.map(({ rows }) => rows),
    [128, 128, 32, 8, 4],
  )
  t.equal(committed.size, 300)
  t.strictSame([rejected.size, affected, rows], [0, 300, 300])
})

t.test('of a batch with bad rows these alone are refused, each with its own reason', async t => {
  const bad = new Set(['id0003', 'id0004', 'id0127', 'id0128', 'id0299'])
  const { session, committed, log } = madeUp({ bad: id => (bad.has(id) ? tooLong(id) : undefined) })
  const { rejected } = await write(session, rowsOf(numbered(300)))
  t.strictSame(
    [...rejected.keys()].sort((a, b) => a - b),
    [3, 4, 127, 128, 299],
  )
  t.equal(rejected.get(127)?.message, 't: value too long: id0127')
  t.equal((rejected.get(127) as { code?: string }).code, 'PEN_SQL_ROW')
  t.equal(committed.size, 295)
  t.equal(log.filter(word => word === 'commit').length, 1, 'all others in one transaction')
})

t.test('a batch of bad rows alone is refused as a whole', async t => {
  const { session, committed } = madeUp({ bad: tooLong })
  const { rejected, rows } = await write(session, rowsOf(numbered(9)))
  t.strictSame([rejected.size, committed.size, rows], [9, 0, 0])
})

t.test('what fails for another reason is nobody’s fault, and nothing of the batch is kept', async t => {
  for (const kind of ['busy', 'configuration'] as const) {
    const { session, committed, log } = madeUp({ bad: id => (id === 'id0200' ? new SqlFailure(kind, 'deadlock') : undefined) })
    await t.rejects(write(session, rowsOf(numbered(300))), { message: 'deadlock', kind })
    t.strictSame([committed.size, log.at(-1)], [0, 'rollback'], kind)
  }
})

t.test('a connection that is gone is not asked to roll back', async t => {
  const { session, log } = madeUp({ bad: () => new SqlFailure('connection', 'gone') })
  await t.rejects(write(session, rowsOf(numbered(3))), { message: 'gone' })
  t.strictSame(log, ['begin'])
})

t.test('rows that fail only together are written one after the other', async t => {
  // A database may find two keys the same that are none to us.
  const { session, committed, statements } = madeUp()
  const { run } = session
  const strict = {
    ...session,
    run: async (text: string, values: readonly SqlValue[] = []) => {
      if (values.length > 2 && values.includes('A') && values.includes('a')) throw tooLong('a')
      return run(text, values)
    },
  }
  const { rejected } = await write(strict, rowsOf(['A', 'a', 'b', 'c']))
  t.strictSame([rejected.size, committed.size], [0, 4])
  t.ok(statements.length > 1)
})

t.test('the same key twice goes in two statements, in the order of the batch', async t => {
  const { session, committed, statements } = madeUp()
  const { rows } = await write(session, rowsOf(['x', 'y', 'x', 'x']))
  t.strictSame(
    statements.map(({ ids }) => ids),
    [['x', 'y'], ['x'], ['x']],
  )
  t.strictSame([rows, committed.get('x')], [4, 3], 'the last one is written last')
})

t.test('of the same key twice the one that is bad does not take the other with it', async t => {
  const { session, committed } = madeUp({ bad: (id, n) => (id === 'x' && n === 0 ? tooLong(id) : undefined) })
  const { rejected } = await write(session, rowsOf(['x', 'y', 'x']))
  t.strictSame([[...rejected.keys()], committed.get('x')], [[0], 2])
})

t.test('statements have no more bytes than the server takes, and a row that has more is refused by itself', async t => {
  const { session, committed, statements } = madeUp({ maxBytes: 200 })
  const rows = rowsOf(numbered(10)).map(row => (row.index === 4 ? { ...row, bytes: 190 } : row))
  const { rejected } = await write(session, rows)
  t.match(rejected.get(4)?.message, /the row has 214 bytes, more than one statement may have \(200/)
  t.equal(committed.size, 9)
  for (const { rows } of statements) t.ok(rows * 44 <= 200, `${rows} rows`)
})

t.test('statements have no more values than the server takes', async t => {
  for (const name of ['mysql', 'postgres', 'sqlserver'] as const) {
    const dialect = dialectOf(name)
    for (const columns of [1, 19, 200, 2000]) {
      const shape = {
        name: 't',
        columns: Array.from({ length: columns }, (_, index) => ({ name: `c${index}`, type: { name: 'integer' } as const })),
        key: ['c0'],
      }
      const { most } = targetOf(dialect, shape, false)
      t.ok(most * columns <= dialect.maxValues, `${name}: ${most} rows of ${columns} columns`)
      t.ok(most >= 1 && Number.isInteger(Math.log2(most)))
    }
  }
})
