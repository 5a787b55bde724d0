// Tables in shared memory: the image itself, threads that share it, encodings and sizes that fixtures cannot say.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Worker } from 'node:worker_threads'
import t, { type Test } from 'tap'
import type { Site, Table, TableHandle } from '../../core/plugin/interfaces.ts'
import type { JsonObject } from '../../core/plugin/json.ts'
import { tableImageBuilder, tableImageView } from '../../plugins/lib/table-image.ts'
import csv from '../../plugins/tables/csv.ts'
import json from '../../plugins/tables/json.ts'
import { fc } from '../kit/rounds.ts'

const { signal } = new AbortController()
const defaults = { delimiter: ',', ignore_case: false, on_duplicate: 'last' }

function tableOf(t: Test, plugin: typeof csv, content: string | Buffer, options: JsonObject): Table & { path: string } {
  const path = join(t.testdir(), 'table')
  writeFileSync(path, content)
  return Object.assign(plugin.create({ path, ...defaults, ...options }, {} as Site) as Table, { path })
}

async function viewOf(t: Test, plugin: typeof csv, content: string | Buffer, options: JsonObject): Promise<TableHandle> {
  const { load, view } = tableOf(t, plugin, content, options)
  return view(await load?.(signal))
}

t.test('an image says of every key what a map would say', async () => {
  const key = fc.oneof(
    fc.string(),
    fc.string({ unit: 'grapheme' }),
    fc.constantFrom('__proto__', 'constructor', '', 'a', 'ä', '\0'),
  )
  fc.assert(
    fc.property(fc.array(fc.tuple(key, fc.jsonValue()), { maxLength: 300, size: 'max' }), fc.array(key), (rows, others) => {
      const builder = tableImageBuilder()
      const map = new Map<string, string>()
      for (const [key, value] of rows) {
        const row = { value }
        builder.add(key, row)
        map.set(key, JSON.stringify(row))
      }
      const view = tableImageView(builder.finish())
      return (
        builder.rows === map.size && [...map.keys(), ...others].every(key => JSON.stringify(view.lookup(key)) === map.get(key))
      )
    }),
    { numRuns: 40 },
  )
})

t.test('a large table is found whole, also behind the rows that the view keeps parsed', async t => {
  const builder = tableImageBuilder()
  const count = 20_000
  for (let i = 0; i < count; i++) builder.add(`user${i}@example.com`, { id: i })
  const view = tableImageView(builder.finish())
  let wrong = 0
  for (let round = 0; round < 2; round++)
    for (let i = 0; i < count; i++) if (view.lookup(`user${i}@example.com`)?.['id'] !== i) wrong++
  t.equal(wrong, 0)
  t.equal(view.lookup('user20000@example.com'), undefined)
})

t.test('keys that share their hash are told apart', async t => {
  const builder = tableImageBuilder()
  builder.add('user449599', { n: 1 })
  const one = tableImageView(builder.finish())
  t.equal(one.lookup('user612382'), undefined)
  builder.add('user612382', { n: 2 })
  const both = tableImageView(builder.finish())
  t.same(both.lookup('user449599'), { n: 1 })
  t.same(both.lookup('user612382'), { n: 2 })
})

t.test('a table that is too large for memory is refused', async t => {
  const builder = tableImageBuilder('last', 100)
  builder.add('a', { text: 'x'.repeat(20) })
  t.throws(() => builder.add('b', { text: 'x'.repeat(80) }), { code: 'PEN_TABLE', message: /larger than 100 bytes/ })
})

t.test('memory that holds no table is refused', async t => {
  t.throws(() => tableImageView(new SharedArrayBuffer(64)), { code: 'PEN_TABLE' })
})

t.test('a worker looks into the very memory that the main thread loaded', async t => {
  const table = tableOf(t, csv, 'id,x\na,1\n', { key: 'id' })
  const image = (await table.load?.(signal)) as SharedArrayBuffer
  const code = `
    const { workerData, parentPort } = require('node:worker_threads')
    import(workerData.url).then(({ tableImageView }) => {
      parentPort.postMessage(tableImageView(workerData.image).lookup('a'))
      new Uint8Array(workerData.image).fill(0)
    })`
  const url = new URL('../../plugins/lib/table-image.ts', import.meta.url).href
  const worker = new Worker(code, { eval: true, workerData: { url, image } })
  const exited = new Promise(resolve => worker.once('exit', resolve))
  const answer = await new Promise((resolve, reject) => worker.once('message', resolve).once('error', reject))
  t.same(answer, { id: 'a', x: '1' })
  await exited
  t.equal(new Uint8Array(image)[0], 0, 'the same memory, not a copy')
})

t.test('a view of a new image says what is new, and the old one what was', async t => {
  const table = tableOf(t, csv, 'id,x\na,1\n', { key: 'id' })
  const before = table.view(await table.load?.(signal))
  t.same(before.lookup('a'), { id: 'a', x: '1' })
  writeFileSync(table.path, 'id,x\na,2\n')
  t.same(table.view(await table.load?.(signal)).lookup('a'), { id: 'a', x: '2' })
  t.same(before.lookup('a'), { id: 'a', x: '1' })
  t.same(table.files, [table.path])
})

t.test('UTF-16 with a byte order mark, as spreadsheets write it', async t => {
  const view = await viewOf(t, csv, Buffer.from('\ufeffid\tname\r\na\tÄnna 😀\r\n', 'utf16le'), { key: 'id', delimiter: '\t' })
  t.same(view.lookup('a'), { id: 'a', name: 'Änna 😀' })
})

for (const [name, plugin, content] of [
  ['csv', csv, 'id,name\na,Änna\n'],
  ['json', json, '{"id":"a","name":"Änna"}'],
] as const) {
  t.test(`${name}: bytes that are no UTF-8 are refused instead of garbled`, async t => {
    const { load } = tableOf(t, plugin as typeof csv, Buffer.from(content, 'latin1'), { key: 'id' })
    await t.rejects(load?.(signal) as Promise<unknown>, { code: 'PEN_TABLE', message: /no utf-8; save it as UTF-8/ })
  })

  t.test(`${name}: loading ends with the abort`, async t => {
    const { load } = tableOf(t, plugin as typeof csv, content, { key: 'id' })
    await t.rejects(load?.(AbortSignal.abort()) as Promise<unknown>, { name: 'AbortError' })
  })
}

t.test('rows and letters that lie across the pieces in which a file is read', async t => {
  const rows = Array.from({ length: 5000 }, (_, i) => ({ id: `k${i}`, name: `${'ä😀'.repeat(i % 40)}${i}` }))
  const lines = `${rows.map(row => JSON.stringify(row)).join('\n')}\n`
  const cells = `id,name\n${rows.map(({ id, name }) => `${id},"${name}"`).join('\n')}`
  t.ok(Buffer.byteLength(lines) > 512 * 1024, 'several pieces')
  const views = [
    await viewOf(t, json as typeof csv, lines, { key: 'id' }),
    await viewOf(t, json as typeof csv, JSON.stringify(rows, null, 1), { key: 'id' }),
    await viewOf(t, csv, cells, { key: 'id' }),
  ]
  for (const view of views)
    t.same(
      rows.filter(row => view.lookup(row.id)?.['name'] !== row.name),
      [],
    )
})

t.test('a line without an end is refused before it fills the memory', async t => {
  const { load } = tableOf(t, json as typeof csv, `{"id":1,"x":"${'x'.repeat(17 * 1024 * 1024)}`, { key: 'id' })
  await t.rejects(load?.(signal) as Promise<unknown>, { message: /line 1 is longer than/ })
})

t.test('a quote without an end is refused before it fills the memory', async t => {
  const { load } = tableOf(t, csv, `id,x\n1,"${'x\n'.repeat(1024 * 1024)}`, { key: 'id' })
  await t.rejects(load?.(signal) as Promise<unknown>, { message: /Max Record Size/ })
})
