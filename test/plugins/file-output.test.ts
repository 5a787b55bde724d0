// The file output on real files: what it writes, where, how files rotate, and what it leaves alone.
import { spawnSync } from 'node:child_process'
import * as fs from 'node:fs/promises'
import { basename, join } from 'node:path'
import process from 'node:process'
import t from 'tap'
import type { JsonObject } from '../../core/plugin/json.ts'
import { slicesOf } from '../../plugins/lib/slices.ts'
import file from '../../plugins/outputs/file/index.ts'
import { create, deliver, encoded, event, fakeContext, tree, unpacked } from './file-output-support.ts'

const ndjson = (records: readonly JsonObject[]) => records.map(record => `${JSON.stringify(record)}\n`).join('')
const numbered = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => ({ n: from + i }))

async function opened(options: JsonObject, folder: string, context = fakeContext()) {
  const output = create(file, options, folder)
  await output.open?.(context)
  return { output, context }
}

t.test('appends one line for each event, and says so in its summary', async t => {
  const dir = t.testdir({ out: { 'a.ndjson': '{"old":1}\n' } })
  const { output } = await opened({ path: 'out/a.ndjson' }, dir)
  t.equal((await deliver(output, [{ text: 'tab\tnewline\n\u2028 ü 😀 \ud800' }, { n: 2 }])).size, 0)
  await deliver(output, [{ n: 3 }])
  t.equal((await tree(dir))['out/a.ndjson'], '{"old":1}\n{"text":"tab\\tnewline\\n\u2028 ü 😀 \\ud800"}\n{"n":2}\n{"n":3}\n')
  t.match(output.summary?.(), {
    rows: [
      ['file', 'out/a.ndjson'],
      ['events', 3],
      ['bytes', Number],
    ],
  })
  await output.close?.()
})

t.test('neighbours in one buffer become one slice', t => {
  const output = create(file, { path: 'a' }, '/')
  const items = encoded(output, numbered(0, 100))
  t.equal(slicesOf(items).length, 1)
  t.equal(slicesOf([...items.slice(0, 50), ...items.slice(51)]).length, 2)
  t.equal(slicesOf([...items].reverse()).length, 100)
  t.equal(
    Buffer.concat(slicesOf([...items.slice(90), ...items.slice(0, 90)])).toString(),
    ndjson([...numbered(90, 100), ...numbered(0, 90)]),
  )
  t.same(slicesOf([]), [])
  t.end()
})

t.test('each event goes to the path that its fields give, and one address is one object', async t => {
  const dir = t.testdir()
  const { output } = await opened({ path: 'out/%{kind:-none}/%{+yyyy-MM-dd}.ndjson' }, dir)
  const time = '2026-05-01T10:00:00Z'
  const records = [{ kind: 'a' }, { kind: 'b' }, {}, { kind: 'a', n: 2 }].map(record => ({ '@timestamp': time, ...record }))
  const items = encoded(output, records)
  t.equal(items[0]?.address, items[3]?.address)
  t.equal((await deliver(output, records)).size, 0)
  t.same(await tree(dir), {
    'out/a/2026-05-01.ndjson': ndjson([records[0], records[3]] as JsonObject[]),
    'out/b/2026-05-01.ndjson': ndjson([records[1]] as JsonObject[]),
    'out/none/2026-05-01.ndjson': ndjson([records[2]] as JsonObject[]),
  })
  t.throws(() => output.encode(event({ '@timestamp': time, kind: '../x' }), { json() {}, byte() {} } as never), {
    code: 'PEN_PATH',
  })
  t.match(output.summary?.(), {
    rows: [
      ['files', 3],
      ['events', 4],
      ['bytes', Number],
    ],
  })
  await output.close?.()
})

t.test('options that cannot work are refused', t => {
  const refused = (options: JsonObject) => () => create(file, options, '/')
  t.throws(refused({ path: '%{user}' }), { path: 'path', message: /needs a folder/ })
  t.throws(refused({ path: 'out/' }), { path: 'path', message: /is a folder; name a file, such as out\/events.ndjson/ })
  t.throws(refused({ path: '/' }), { path: 'path', message: /is a folder/ })
  t.end()
})

t.test('new files get the mode that was asked for, whatever the umask is', async t => {
  const dir = t.testdir()
  const before = process.umask(0o077)
  t.teardown(() => process.umask(before))
  const { output } = await opened({ path: 'out/a', mode: '0644' }, dir)
  await deliver(output, [{}])
  t.equal((await fs.stat(join(dir, 'out/a'))).mode & 0o777, 0o644)
  await output.close?.()
})

t.test('a start fails with a sentence when the files can never be written', async t => {
  const dir = t.testdir({ file: 'text', folder: {}, target: '', link: t.fixture('symlink', 'target') })
  const cases: [path: string, message: RegExp][] = [
    ['folder', /EISDIR opening .*folder: it is a folder/],
    ['file/a.ndjson', /ENOTDIR opening .*: a file stands where a folder should be/],
    ['file/%{user}.ndjson', /ENOTDIR opening/],
    ['link', /ELOOP opening .*link: a symbolic link/],
    ['/dev/null', /is no regular file/],
  ]
  for (const [path, message] of cases) {
    const output = create(file, { path }, dir)
    await t.rejects(Promise.resolve(output.open?.(fakeContext())), { message }, path)
    await output.close?.()
  }
  spawnSync('mkfifo', [join(dir, 'fifo')])
  const output = create(file, { path: 'fifo' }, dir)
  await t.rejects(Promise.resolve(output.open?.(fakeContext())), { message: /regular file/ }, 'a pipe does not block the start')
})

t.test('rotation by size keeps lines whole and names in order', async t => {
  const dir = t.testdir()
  const context = fakeContext()
  const { output } = await opened({ path: 'out/a.ndjson', rotate_bytes: 1024 }, dir, context)
  const records = numbered(1000, 1500)
  await deliver(output, records.slice(0, 200))
  context.pass(2000)
  for (let i = 200; i < 500; i += 10) await deliver(output, records.slice(i, i + 10))
  const files = await tree(dir)
  const names = Object.keys(files).sort()
  t.match(names[0], /^out\/a\.20260501T101530Z-0001\.ndjson$/)
  t.equal(names.at(-1), 'out/a.ndjson', 'the file in use sorts last')
  t.equal(names.map(name => files[name]).join(''), ndjson(records))
  for (const name of names.slice(0, -1)) {
    const bytes = Buffer.byteLength(files[name] as string)
    t.ok(bytes <= 1024 && bytes > 1024 - 11, `${name} has ${bytes} bytes`)
  }
  const huge = { text: 'x'.repeat(3000) }
  await deliver(output, [huge, { n: 1 }])
  t.ok(Object.values(await tree(dir)).includes(ndjson([huge])), 'an event longer than a file gets one of its own')
  await output.close?.()
})

t.test('rotated names keep their endings, are never overwritten, and leave room in long names', async t => {
  const dir = t.testdir({ out: { 'a.b.20260501T101530Z-0001.json.gz': 'mine' } })
  const { output } = await opened({ path: 'out/%{name}', rotate_bytes: 1024 }, dir)
  const long = 'x'.repeat(233)
  for (const name of ['a.b.json.gz', '.hidden', 'plain', long])
    for (let i = 0; i < 2; i++) await deliver(output, [{ name, text: 'x'.repeat(700) }])
  t.same(Object.keys(await tree(dir)).sort(), [
    'out/.hidden',
    'out/.hidden.20260501T101530Z-0001',
    'out/a.b.20260501T101530Z-0001.json.gz',
    'out/a.b.20260501T101530Z-0002.json.gz',
    'out/a.b.json.gz',
    'out/plain',
    'out/plain.20260501T101530Z-0001',
    `out/${long}`,
    `out/${long}.20260501T101530Z-0001`,
  ])
  t.equal((await tree(dir))['out/a.b.20260501T101530Z-0001.json.gz'], 'mine')
  await output.close?.()
})

t.test('rotation by time happens at the end of a period, also when nothing comes any more', async t => {
  const dir = t.testdir()
  const context = fakeContext()
  const { output } = await opened({ path: 'a.ndjson', rotate_ms: 3_600_000 }, dir, context)
  const early = numbered(0, 12)
  for (const record of early) {
    await deliver(output, [record])
    context.pass(4 * 60_000 - (record.n === 11 ? 30_000 : 0))
  }
  await deliver(output, [])
  t.same(Object.keys(await tree(dir)), ['a.20260501T110300Z-0001.ndjson'], 'by the timer')
  await deliver(output, [{ n: 12 }])
  t.same(await tree(dir), { 'a.20260501T110300Z-0001.ndjson': ndjson(early), 'a.ndjson': ndjson([{ n: 12 }]) })
  await output.close?.()
})

t.test('a file of an earlier period is rotated at the first write of a later run', async t => {
  const dir = t.testdir({ 'a.ndjson': '{"n":1}\n' })
  const hour = new Date('2026-05-01T08:59:00Z')
  await fs.utimes(join(dir, 'a.ndjson'), hour, hour)
  const { output } = await opened({ path: 'a.ndjson', rotate_ms: 3_600_000 }, dir)
  await deliver(output, [{ n: 2 }])
  t.same(await tree(dir), { 'a.20260501T101530Z-0001.ndjson': '{"n":1}\n', 'a.ndjson': '{"n":2}\n' })
  await output.close?.()
})

for (const compression of ['gzip', 'zstd']) {
  t.test(`${compression}: each batch is whole on the disk, and other programs read the file`, async t => {
    const dir = t.testdir()
    const path = join(dir, 'a')
    const { output } = await opened({ path: 'a', compression }, dir)
    const records = numbered(0, 3000)
    for (let i = 0; i < 3000; i += 500) {
      await deliver(output, records.slice(i, i + 500))
      t.equal(unpacked(await fs.readFile(path), compression), ndjson(records.slice(0, i + 500)))
    }
    await output.close?.()
    const program = spawnSync(compression, ['-dc'], { input: await fs.readFile(path), maxBuffer: 1 << 24 })
    if (program.error) t.comment(`${compression} is not installed: ${program.error.message}`)
    else t.equal(program.stdout.toString(), ndjson(records), `${compression} -dc`)

    const again = await opened({ path: 'a', compression }, dir)
    await deliver(again.output, [{ n: 3000 }])
    await again.output.close?.()
    t.equal(unpacked(await fs.readFile(path), compression), ndjson(numbered(0, 3001)), 'a second run appends')
    t.same(Object.keys(await tree(dir)), ['a'])
  })

  t.test(`${compression}: a file that nothing can be appended to is kept under another name`, async t => {
    const foreign = { text: 'plain text\n', torn: '' }
    const dir = t.testdir(foreign)
    const { output } = await opened({ path: 'whole', compression }, dir)
    await deliver(output, [{ n: 1 }])
    await output.close?.()
    const whole = await fs.readFile(join(dir, 'whole'))
    await fs.writeFile(join(dir, 'torn'), whole.subarray(0, whole.length - 1))
    for (const path of ['text', 'torn']) {
      const before = await fs.readFile(join(dir, path))
      const { output, context } = await opened({ path, compression }, dir)
      await deliver(output, [{ n: 2 }])
      await output.close?.()
      t.same(await fs.readFile(join(dir, `${path}.20260501T101530Z-0001`)), before)
      t.equal(unpacked(await fs.readFile(join(dir, path)), compression), ndjson([{ n: 2 }]))
      t.match(context.lines.join(), /cannot be appended to/)
    }
    const plain = await opened({ path: 'whole' }, dir)
    await deliver(plain.output, [{ n: 2 }])
    await plain.output.close?.()
    t.same(await fs.readFile(join(dir, 'whole.20260501T101530Z-0001')), whole, 'no lines go behind compressed data')
    t.equal((await tree(dir))['whole'], ndjson([{ n: 2 }]))
  })
}

t.test("another program's unfinished last line is neither cut nor joined", async t => {
  const dir = t.testdir({ 'a.ndjson': '{"n":1}\n{"by hand"' })
  const { output, context } = await opened({ path: 'a.ndjson' }, dir)
  await deliver(output, [{ n: 2 }])
  await output.close?.()
  t.equal((await tree(dir))['a.ndjson'], '{"n":1}\n{"by hand"\n{"n":2}\n')
  t.match(context.lines.join(), /warn file: its last line was unfinished/)
})

t.test('what logrotate does is noticed', async t => {
  const dir = t.testdir()
  const context = fakeContext()
  const { output } = await opened({ path: 'a.ndjson' }, dir, context)
  const path = join(dir, 'a.ndjson')
  const moved = join(dir, 'a.1')
  await deliver(output, [{ n: 1 }])
  await fs.rename(path, moved)
  await deliver(output, [{ n: 2 }])
  t.same(await tree(dir), { 'a.1': ndjson(numbered(1, 3)) }, 'within a second the moved file is still written')
  context.pass(1000)
  await deliver(output, [{ n: 3 }])
  t.same(await tree(dir), { 'a.1': ndjson(numbered(1, 3)), 'a.ndjson': ndjson([{ n: 3 }]) }, 'renamed')

  await fs.rename(path, join(dir, 'a.2'))
  await fs.writeFile(path, '')
  context.pass(1000)
  await deliver(output, [{ n: 4 }])
  t.equal((await tree(dir))['a.ndjson'], ndjson([{ n: 4 }]), 'renamed and created')

  await fs.rename(path, join(dir, 'a.3'))
  await fs.writeFile(path, ndjson([{ n: 0 }]))
  context.pass(1000)
  await deliver(output, [{ n: 5 }])
  t.equal((await tree(dir))['a.ndjson'], ndjson([{ n: 0 }, { n: 5 }]), 'another file of the same length')

  await fs.truncate(path)
  context.pass(1000)
  await deliver(output, [{ n: 5 }])
  t.equal((await tree(dir))['a.ndjson'], ndjson([{ n: 5 }]), 'copied and truncated: no hole of zeros')

  await fs.appendFile(path, '{"by hand"')
  context.pass(1000)
  await deliver(output, [{ n: 6 }])
  t.equal((await tree(dir))['a.ndjson'], `${ndjson([{ n: 5 }])}{"by hand"\n${ndjson([{ n: 6 }])}`, 'appended to')
  await output.close?.()
})

t.test('a batch is not confirmed in a file that was removed or truncated meanwhile', async t => {
  const dir = t.testdir()
  const { output } = await opened({ path: 'a.ndjson' }, dir)
  const path = join(dir, 'a.ndjson')
  await deliver(output, numbered(0, 5))
  await fs.rm(path)
  await t.rejects(deliver(output, [{ n: 1 }]), { name: 'RetryableError', message: /was removed while it was written/ })
  await deliver(output, [{ n: 1 }])
  t.same(await tree(dir), { 'a.ndjson': ndjson([{ n: 1 }]) })
  await fs.truncate(path)
  await t.rejects(deliver(output, [{ n: 2 }]), { message: /was cut by another program/ })
  await deliver(output, [{ n: 2 }])
  t.same(await tree(dir), { 'a.ndjson': ndjson([{ n: 2 }, { n: 2 }]) }, 'twice rather than never')
  await output.close?.()
})

t.test('many paths share few descriptors', async t => {
  const dir = t.testdir()
  const { output } = await opened({ path: 'out/%{k}.ndjson', max_open_files: 3 }, dir)
  const before = (await fs.readdir('/proc/self/fd').catch(() => [])).length
  for (let round = 0; round < 3; round++)
    await deliver(
      output,
      numbered(0, 40).map(({ n }) => ({ k: n % 20, n: n + round * 40 })),
    )
  const after = (await fs.readdir('/proc/self/fd').catch(() => [])).length
  t.ok(after - before <= 3, `${after - before} descriptors`)
  const files = await tree(dir)
  t.equal(Object.keys(files).length, 20)
  for (const [name, text] of Object.entries(files)) t.match(text.split('\n').length, 7, name)
  await output.close?.()
})

t.test('idle files are closed', async t => {
  const dir = t.testdir()
  const context = fakeContext()
  const { output } = await opened({ path: 'out/%{k}' }, dir, context)
  await deliver(output, [{ k: 'yesterday' }])
  context.pass(5 * 60_000)
  await deliver(output, [{ k: 'today' }])
  await deliver(output, [{ k: 'new' }])
  const names = (context.stored.get('open') as string[][]).map(([path]) => basename(path as string))
  t.strictSame(names, ['today', 'new'])
  await output.close?.()
  t.equal(context.stored.size, 0, 'after a clean end the store knows of no open file')
})

t.test('two outputs do not write one file, and two names of one file are one', async t => {
  const dir = t.testdir()
  const first = await opened({ path: 'out/a' }, dir)
  await deliver(first.output, [{ n: 1 }])
  const second = create(file, { path: 'out/a' }, dir)
  await t.rejects(Promise.resolve(second.open?.(fakeContext())), {
    name: 'RetryableError',
    message: /written by another output too/,
  })
  await first.output.close?.()
  await fs.link(join(dir, 'out/a'), join(dir, 'out/b'))
  const both = await opened({ path: 'out/%{k}', rotate_bytes: 1024 }, dir)
  await deliver(both.output, [{ k: 'a' }, { k: 'b' }, { k: 'a' }, { k: 'c' }])
  t.equal((await tree(dir))['out/b'], ndjson([{ n: 1 }, { k: 'a' }, { k: 'a' }, { k: 'b' }]))
  await both.output.close?.()
})
