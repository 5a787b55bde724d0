// The file output as an exporter: JSON arrays and CSV stay whole across batches, restarts, rotations, and what others do to them.
import * as fs from 'node:fs/promises'
import { join } from 'node:path'
import { parse } from 'csv-parse/sync'
import t from 'tap'
import { ByteWriter } from '../../core/plugin/byte-writer.ts'
import type { JsonObject } from '../../core/plugin/json.ts'
import { csvEncoder } from '../../plugins/lib/export/csv.ts'
import { storedMember } from '../../plugins/lib/export/packing.ts'
import { penstock } from '../kit/process.ts'
import { fc } from '../kit/rounds.ts'
import { awkward, type Form, formOptions, opened, recordsOf } from './file-export-support.ts'
import { deliver, tree, unpacked } from './file-output-support.ts'

const FORMS: readonly Form[] = ['json', 'csv']
const COMPRESSIONS = ['none', 'gzip', 'zstd'] as const

for (const form of FORMS) {
  for (const compression of COMPRESSIONS) {
    t.test(`${form}, ${compression}: a file is whole after each batch, and goes on after a restart`, async t => {
      const dir = t.testdir()
      const options = { path: 'a', ...formOptions(form), compression }
      for (let from = 0; from < 40; from += 20) {
        const { output, context } = await opened(options, dir)
        for (let n = from; n < from + 20; n += 4) {
          t.equal((await deliver(output, awkward(n, n + 4))).size, 0)
          t.strictSame(recordsOf(await fs.readFile(join(dir, 'a')), form, compression), awkward(0, n + 4))
        }
        await output.close?.()
        t.strictSame(context.lines, [], 'nothing had to be mended')
      }
      t.strictSame(Object.keys(await tree(dir)), ['a'])
    })

    t.test(`${form}, ${compression}: what a rotation sets aside is whole, and each file begins anew`, async t => {
      const dir = t.testdir()
      const { output } = await opened({ path: 'a', ...formOptions(form), compression, rotate_bytes: 1024 }, dir)
      for (let n = 0; n < 400; n += 25) await deliver(output, awkward(n, n + 25))
      await deliver(output, awkward(400, 700))
      await output.close?.()
      const names = (await fs.readdir(dir)).sort((a, b) => (a === 'a' ? 1 : b === 'a' ? -1 : a < b ? -1 : 1))
      t.ok(names.length > 2, `${names.length} files`)
      const found: JsonObject[] = []
      for (const name of names) {
        const bytes = await fs.readFile(join(dir, name))
        found.push(...recordsOf(bytes, form, compression))
        // A compressed batch is never split.
        if (compression === 'none') t.ok(bytes.length <= 1024, `${name} has ${bytes.length} bytes`)
      }
      t.strictSame(found, awkward(0, 700))
    })
  }

  t.test(`${form}: what another program has made of a file is not overwritten`, async t => {
    const dir = t.testdir()
    const { output, context } = await opened({ path: 'a', ...formOptions(form) }, dir)
    await deliver(output, awkward(0, 3))
    await fs.appendFile(join(dir, 'a'), 'theirs')
    if (form === 'json')
      await t.rejects(deliver(output, awkward(3, 6)), { name: 'RetryableError', message: /changed by another/ })
    else context.pass(1000)
    await deliver(output, awkward(3, 6))
    await output.close?.()
    const files = await tree(dir)
    t.equal(Object.keys(files).length, 2)
    t.strictSame(recordsOf(Buffer.from(files['a'] as string), form), awkward(3, 6))
    const aside = files[Object.keys(files).find(name => name !== 'a') as string] as string
    t.ok(aside.endsWith('theirs'), 'it has another name now')
    t.strictSame(recordsOf(Buffer.from(aside.slice(0, -'theirs'.length)), form), awkward(0, 3))
    t.match(context.lines.join(), /cannot be appended to/)
  })
}

t.test('a file of another form, or with other columns, is set aside whole', async t => {
  const dir = t.testdir()
  const steps: readonly JsonObject[] = [
    { format: 'json' },
    { format: 'csv', columns: ['n'] },
    { format: 'csv', columns: ['n', 'text'] },
    { format: 'csv', columns: ['n', 'text'], csv_bom: true },
    { format: 'csv', columns: ['n', 'text'], csv_bom: true, compression: 'gzip' },
    { format: 'csv', columns: ['text', 'n'], csv_bom: true, compression: 'gzip' },
    { format: 'json', compression: 'gzip' },
    { format: 'json', compression: 'zstd' },
  ]
  for (const [index, options] of steps.entries()) {
    const { output, context } = await opened({ path: 'a', ...options }, dir)
    await deliver(output, [{ n: index, text: 'x' }])
    await output.close?.()
    t.equal((await fs.readdir(dir)).length, index + 1, JSON.stringify(options))
    t.equal(context.lines.length, index === 0 ? 0 : 1)
  }
  const kept = (number: number) => fs.readFile(join(dir, `a.20260501T101530Z-000${number}`))
  t.equal((await kept(1)).toString(), '[\n{"n":0,"text":"x"}\n]\n')
  t.equal((await kept(2)).toString(), 'n\r\n1\r\n')
  t.equal(unpacked(await kept(6), 'gzip'), '\ufefftext,n\r\nx,5\r\n')
  t.equal(unpacked(await fs.readFile(join(dir, 'a')), 'zstd'), '[\n{"n":7,"text":"x"}\n]\n')
})

t.test('a CSV file that ends within quotes is not appended to, although its last byte is a line end', async t => {
  const dir = t.testdir({ a: 'n,text\r\n1,"half\r\n' })
  const { output } = await opened({ path: 'a', ...formOptions('csv') }, dir)
  await deliver(output, awkward(2, 3))
  await output.close?.()
  t.strictSame(recordsOf(await fs.readFile(join(dir, 'a')), 'csv'), awkward(2, 3))
  t.equal((await tree(dir))['a.20260501T101530Z-0001'], 'n,text\r\n1,"half\r\n')
})

t.test('whatever a cell holds comes back from a reader of CSV', t => {
  const names = ['a', 'b', 'c']
  for (const separator of [',', ';', '\t', '|']) {
    const { header, encode } = csvEncoder(names, { separator, bom: false, escapeFormulas: false })
    fc.assert(
      fc.property(fc.array(fc.array(fc.string({ unit: 'binary' }), { minLength: 3, maxLength: 3 })), rows => {
        const writer = new ByteWriter()
        writer.bytes(header)
        for (const [a, b, c] of rows) encode({ a, b, c } as JsonObject, writer)
        // Half a character becomes U+FFFD in UTF-8, and a NUL what says so.
        const expected = rows.map(row => row.map(cell => cell.toWellFormed().replaceAll('\0', '␀')))
        const read = parse(writer.finish(), { delimiter: separator, relax_column_count: false })
        t.strictSame(read, [names, ...expected])
      }),
      { numRuns: 50 },
    )
  }
  t.end()
})

t.test('no text begins as a formula, and only text that would is changed', t => {
  const { encode } = csvEncoder(['a'], { separator: ',', bom: false, escapeFormulas: true })
  fc.assert(
    fc.property(fc.tuple(fc.constantFrom(...'=+-@\t\r\n＝＋－＠', 'a', '1', ' ', "'"), fc.string()), ([first, rest]) => {
      const writer = new ByteWriter()
      encode({ a: first + rest }, writer)
      const [[cell]] = parse(writer.finish()) as [[string]]
      const safe = !/^[=+\-@\t\r\n＝＋－＠]/.test(cell)
      const same = /^[=+\-@\t\r\n＝＋－＠]/.test(first) ? cell === `'${first}${rest}` : cell === first + rest
      return safe && same
    }),
  )
  t.end()
})

t.test('an event without the only column is a row all the same', t => {
  const { header, encode } = csvEncoder(['a'], { separator: ',', bom: false, escapeFormulas: true })
  const writer = new ByteWriter()
  writer.bytes(header)
  for (const fields of [{ b: 1 }, { a: '' }, { a: null }]) encode(fields, writer)
  t.strictSame(parse(writer.finish(), { skip_empty_lines: true }), [['a'], [''], [''], ['']])
  t.end()
})

t.test('a stored member is read by every reader, also one of several blocks', t => {
  for (const length of [1, 3, 65_535, 65_536, 300_000]) {
    const plain = Buffer.alloc(length, 'header,')
    for (const compression of ['gzip', 'zstd'] as const)
      t.equal(unpacked(storedMember(plain, compression), compression), plain.toString(), `${compression}, ${length} bytes`)
  }
  t.end()
})

t.test('the real program exports through worker threads', async t => {
  const dir = t.testdir({
    'export.yaml': `name: export
workers: 2
inputs: [{ type: stdin }]
outputs:
  - { type: file, id: array, path: out/a.json.gz, format: json, compression: gzip }
  - { type: file, id: table, path: 'out/%{kind}.csv', format: csv, columns: [n, text], csv_escape_formulas: false }
`,
  })
  const records = awkward(0, 5_000)
  const input = records.map((record, n) => `${JSON.stringify({ ...record, kind: n % 2 ? 'odd' : 'even' })}\n`).join('')
  const { code, stderr } = await penstock(['run', 'export.yaml', '--log-level', 'error'], { cwd: dir, input })
  t.equal(code, 0, stderr)
  const array = recordsOf(await fs.readFile(join(dir, 'out/a.json.gz')), 'json', 'gzip')
  t.strictSame(
    array.map(({ n, text }) => ({ n, text })),
    records,
  )
  for (const [kind, rest] of [
    ['even', 0],
    ['odd', 1],
  ] as const)
    t.strictSame(
      recordsOf(await fs.readFile(join(dir, `out/${kind}.csv`)), 'csv'),
      records.filter((_, n) => n % 2 === rest),
    )
})
