// The tally counts what it is told to, within bounds.
import t from 'tap'
import type { JsonObject } from '../../core/plugin/json.ts'
import tally from '../../plugins/outputs/tally.ts'
import { create, deliver, encoded } from './file-output-support.ts'

const tables = (output: ReturnType<typeof create>) => {
  const summary = output.summary?.()
  return Object.fromEntries([summary ?? []].flat().map(({ title, rows }) => [title, rows]))
}

t.test('values are counted, the most frequent first, and the rest together', async t => {
  const output = create(
    tally,
    {
      tables: [
        { title: 'all', field: 'k' },
        { title: 'few', field: 'k', top: 2 },
      ],
    },
    '/',
  )
  const values: unknown[] = ['b', 'a', 'c', 'a', 'd', 'd', 'd', 'e', 7, true, '', null, {}, undefined]
  t.equal(
    (
      await deliver(
        output,
        values.map(k => ({ k })),
      )
    ).size,
    0,
  )
  await deliver(output, [{}])
  t.strictSame(tables(output), {
    all: [
      ['d', 3],
      ['a', 2],
      ['7', 1],
      ['b', 1],
      ['c', 1],
      ['e', 1],
      ['true', 1],
    ],
    few: [
      ['d', 3],
      ['a', 2],
      ['other (5 values)', 5],
    ],
  })
})

t.test('a list counts each of its values once', async t => {
  const output = create(tally, { tables: [{ title: 't', field: 'k' }] }, '/')
  await deliver(output, [{ k: ['a', 'b', 'a', null, {}, ''] }, { k: [] }, { k: ['a'] }])
  t.strictSame(tables(output), {
    t: [
      ['a', 2],
      ['b', 1],
    ],
  })
})

t.test('when and ignore_case', async t => {
  const output = create(
    tally,
    {
      tables: [
        { title: 'failed', field: 'user', when: 'outcome == "failure"', ignore_case: true },
        { title: 'exact', field: 'user' },
      ],
    },
    '/',
  )
  await deliver(output, [
    { user: 'Ada', outcome: 'failure' },
    { user: 'ADA', outcome: 'failure' },
    { user: 'ada', outcome: 'success' },
    { user: 'bob', outcome: 'failure' },
  ])
  t.strictSame(tables(output), {
    failed: [
      ['Ada', 2],
      ['bob', 1],
    ],
    exact: [
      ['ADA', 1],
      ['Ada', 1],
      ['ada', 1],
      ['bob', 1],
    ],
  })
})

t.test('names that are special in JavaScript, and control characters, are values like others', async t => {
  const output = create(tally, { tables: [{ title: 't', field: 'k' }] }, '/')
  const values = ['__proto__', 'constructor', 'a\nb', '\0', '\ud800', '"],[', '😀']
  await deliver(
    output,
    values.map(k => ({ k })),
  )
  t.strictSame((tables(output)['t'] ?? []).map(([label]) => label).sort(), [...values].sort())
})

t.test('memory stays bounded: values beyond 10,000 are one row, and long ones are cut', async t => {
  const output = create(tally, { tables: [{ title: 't', field: 'k', top: 1 }] }, '/')
  await deliver(
    output,
    Array.from({ length: 12_000 }, (_, i) => ({ k: `v${i}` })),
  )
  await deliver(output, [{ k: 'v1' }, { k: 'new' }])
  t.strictSame(tables(output), {
    t: [
      ['v1', 2],
      ['other (more values)', 12_000],
    ],
  })

  const long = create(tally, { tables: [{ title: 't', field: 'k' }] }, '/')
  await deliver(long, [{ k: 'x'.repeat(1e6) }, { k: `${'x'.repeat(255)}yyy` }])
  t.strictSame(tables(long), { t: [[`${'x'.repeat(255)}…`, 2]] })
})

t.test('the counts do not hang on how the items lie in memory', async t => {
  const output = create(tally, { tables: [{ title: 't', field: 'k' }] }, '/')
  const records: JsonObject[] = [{ k: 'a' }, { k: 'b' }, { k: 'a' }]
  const items = [
    ...encoded(output, records).reverse(),
    ...encoded(output, records).map(item => {
      const bytes = Buffer.from(item.bytes)
      return { ...item, bytes, memory: bytes, start: 0, end: bytes.length }
    }),
  ]
  await output.write(items, () => t.fail('rejected'), AbortSignal.timeout(1000))
  t.strictSame(tables(output), {
    t: [
      ['a', 4],
      ['b', 2],
    ],
  })
  t.end()
})

t.test('tables that cannot be told apart or have no field are refused', t => {
  const make =
    (...given: JsonObject[]) =>
    () =>
      create(tally, { tables: given }, '/')
  t.throws(make({ title: 'a', field: 'x' }, { title: 'a', field: 'y' }), {
    path: 'tables[1].title',
    message: /is the title of an earlier table/,
  })
  t.throws(make({ title: 'a', field: 'a..b' }), { path: 'tables[0].field', message: /no field path/ })
  t.end()
})
