// How the input reads a source: page by page behind the last key, rows without a key first, with a look back. The rows are made up.
import t from 'tap'
import type { Chunk } from '../../core/plugin/interfaces.ts'
import type { Json } from '../../core/plugin/json.ts'
import { cursorOf, type From, readPage } from '../../plugins/inputs/sql/pages.ts'
import type { Ready, Source } from '../../plugins/inputs/sql/sources.ts'
import { Progress, type SweepOptions } from '../../plugins/inputs/sql/sweep.ts'
import type { FoundColumn, Session } from '../../plugins/lib/sql/dialect.ts'
import { dialectOf } from '../../plugins/lib/sql/dialects.ts'

type Row = readonly [at: string | null, id: string]
const SOURCE: Source = { name: 't', table: 't', key: ['at', 'id'] }
const column = (name: string, sort: FoundColumn['sort'], nullable: boolean): FoundColumn => ({
  ...{ name, sort, nullable, type: sort, typeText: sort, length: undefined, required: false, generated: false },
})
const READY: Ready = {
  ...{ source: SOURCE, from: '"t"', select: '"at", "id"' },
  columns: [
    { name: 'at', sort: 'time', json: false },
    { name: 'id', sort: 'text', json: false },
  ],
  key: [
    { found: column('at', 'time', true), at: 0 },
    { found: column('id', 'text', false), at: 1 },
  ],
}

/** A database of these rows, in pages of `limit`. */
function sourceOf(rows: Row[], limit: number) {
  const asked: From[] = []
  const options = (overlapMs: number, again: boolean): SweepOptions => ({
    ...{ keepNulls: false, overlapMs, maxEventBytes: 1 << 20, again },
    async page(from) {
      asked.push(from)
      const key = ([at, id]: Row) => (from.nulls ? [id] : [at as string, id])
      const found = rows
        .filter(([at]) => (at === null) === from.nulls)
        .filter(([at]) => from.least === undefined || (at as string) >= from.least)
        .filter(row => from.after === undefined || key(row).join('\0') > from.after.join('\0'))
        .sort((a, b) => (key(a).join('\0') < key(b).join('\0') ? -1 : 1))
      const page = found.slice(0, limit)
      return { rows: page, keys: page.map(key), last: found.length <= limit }
    },
  })
  return { asked, options }
}

async function sweep(progress: Progress, options: SweepOptions) {
  const chunks: Chunk[] = []
  for await (const chunk of progress.sweep(READY, options)) chunks.push(chunk)
  const records = chunks.flatMap(({ bytes, ends, starts }) =>
    [...ends].map(
      (end, index) => JSON.parse(Buffer.from(bytes.subarray(starts?.[index], end)).toString('utf8')) as { id: string },
    ),
  )
  return { chunks, ids: records.map(({ id }) => id) }
}

const at = (second: number) => `2026-05-01 10:00:${String(second).padStart(2, '0')}`
const numbered = (count: number): Row[] =>
  Array.from({ length: count }, (_, index) => [at(Math.floor(index / 4)), `r${String(index).padStart(3, '0')}`])

t.test('every row is read once, whatever the pages are cut at, and those without a key first', async t => {
  const rows: Row[] = [...numbered(50), [null, 'n1'], [null, 'n2']]
  for (const limit of [1, 3, 7, 1000]) {
    const { options } = sourceOf(rows, limit)
    const { ids, chunks } = await sweep(new Progress(SOURCE, undefined), options(0, false))
    t.strictSame(ids, ['n1', 'n2', ...numbered(50).map(([, id]) => id)], `pages of ${limit}`)
    t.strictSame(cursorOf(chunks.at(-1)?.position, SOURCE.key), { nulls: false, at: [at(12), 'r049'], end: true })
  }
})

t.test('a run that was stopped goes on behind its position', async t => {
  const rows: Row[] = [[null, 'n1'], [null, 'n2'], ...numbered(20)]
  const positions: [Json, string[]][] = [
    [{ key: SOURCE.key, nulls: true, at: ['n1'], end: false }, ['n2', ...numbered(20).map(([, id]) => id)]],
    [{ key: SOURCE.key, nulls: false, at: [at(4), 'r018'], end: false }, ['r019']],
    [{ key: ['other'], nulls: false, at: ['x'], end: false }, ['n1', 'n2', ...numbered(20).map(([, id]) => id)]],
  ]
  for (const [position, expected] of positions) {
    const { options } = sourceOf(rows, 3)
    t.strictSame((await sweep(new Progress(SOURCE, position), options(3_600_000, false))).ids, expected)
  }
})

t.test('a second way looks back for late rows, and gives none twice', async t => {
  const rows = numbered(20)
  const { options, asked } = sourceOf(rows, 4)
  const progress = new Progress(SOURCE, undefined)
  t.equal((await sweep(progress, options(2_000, true))).ids.length, 20)
  rows.push([at(4), 'late'], [at(0), 'too late'], [at(9), 'new'], [null, 'without'])
  asked.length = 0
  const { ids, chunks } = await sweep(progress, options(2_000, true))
  t.strictSame(ids, ['without', 'late', 'new'])
  t.strictSame(
    asked.find(({ nulls }) => !nulls),
    { nulls: false, least: at(2) },
  )
  t.strictSame(cursorOf(chunks.at(-1)?.position, SOURCE.key), { nulls: false, at: [at(9), 'new'], end: true })
  t.strictSame((await sweep(progress, options(2_000, true))).ids, [])
})

t.test('a look back never takes the position back', async t => {
  const rows = numbered(40)
  const progress = new Progress(SOURCE, { key: SOURCE.key, nulls: false, at: [at(9), 'r039'], end: true } as unknown as Json)
  rows.push([null, 'without'])
  const { chunks } = await sweep(progress, sourceOf(rows, 4).options(5_000, false))
  for (const { position } of chunks)
    t.strictSame(cursorOf(position, SOURCE.key), { nulls: false, at: [at(9), 'r039'], end: true })
})

t.test('pages are asked for by key, in a form for which an index serves, with values as parameters', async t => {
  const asked: { text: string; values: readonly unknown[] }[] = []
  const session = {
    async run(text: string, values: readonly unknown[] = []) {
      asked.push({ text, values })
      return { columns: [], rows: [[at(1), "it's"]], affected: 0 }
    },
  } as unknown as Session
  await readPage(session, dialectOf('postgres'), READY, { nulls: false, after: [at(1), 'r001'] }, 10)
  await readPage(session, dialectOf('postgres'), READY, { nulls: true }, 10)
  t.strictSame(asked, [
    {
      text: 'SELECT "at", "id" FROM "t" WHERE "at" IS NOT NULL AND "at" >= $1 AND ("at" > $2 OR ("at" = $3 AND "id" > $4)) ORDER BY "at", "id" LIMIT 11',
      values: [at(1), at(1), at(1), 'r001'],
    },
    { text: 'SELECT "at", "id" FROM "t" WHERE "at" IS NULL ORDER BY "id" LIMIT 11', values: [] },
  ])
})

t.test('two rows of one key at the border of a page are refused, and so is a key that does not move', async t => {
  const give = (rows: unknown[][]) => ({ run: async () => ({ columns: [], rows, affected: 0 }) }) as unknown as Session
  const read = (rows: unknown[][], from: From, limit: number) => readPage(give(rows), dialectOf('mysql'), READY, from, limit)
  const same = [at(1), 'x']
  await t.rejects(
    read([[at(0), 'w'], same, same], { nulls: false }, 2),
    /two rows of t have the same at, id \(2026-05-01 10:00:01, x\)/,
  )
  await t.rejects(read([same], { nulls: false, after: [at(1), 'x'] }, 2), /two rows of t have the same at, id/)
  t.equal((await read([[`${at(1)}.500000`, 'x']], { nulls: false }, 2)).keys[0]?.[0], `${at(1)}.5`)
})
