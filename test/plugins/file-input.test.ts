// The file input without follow: which files, in which order, in every form, and that a second run reads nothing twice.
import { appendFileSync, linkSync, mkdirSync, renameSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { gzipSync, zstdCompressSync } from 'node:zlib'
import t from 'tap'
import { joined, numbered, readAll, recordsOf, start } from './file-input-support.ts'

const UTF16BE = (text: string) => Buffer.from(text, 'utf16le').swap16()

t.test('every form of a file gives the same records', async t => {
  const records = numbered(20_000)
  const text = joined(records)
  const [first, second] = [text.slice(0, 500_001), text.slice(500_001)]
  const forms: Record<string, Buffer | string> = {
    plain: text,
    'no-last-newline': text.slice(0, -1),
    bom: `\ufeff${text}`,
    utf16le: Buffer.from(text, 'utf16le'),
    'utf16le-bom': Buffer.from(`\ufeff${text}`, 'utf16le'),
    'utf16be-bom': UTF16BE(`\ufeff${text}`),
    gz: gzipSync(text),
    'gz-members': Buffer.concat([gzipSync(first), gzipSync(''), gzipSync(second)]),
    'gz-utf16': gzipSync(Buffer.from(`\ufeff${text}`, 'utf16le')),
    'gz-bom': gzipSync(`\ufeff${text}`),
    zst: zstdCompressSync(text),
    'zst-frames': Buffer.concat([zstdCompressSync(first), zstdCompressSync(second)]),
  }
  const folder = t.testdir(forms as Record<string, string>)
  for (const form of Object.keys(forms)) {
    const run = await readAll(t, folder, { paths: form })
    t.ok(run.records.join('\n') === records.join('\n'), form)
    t.same(run.faults, [], form)
    const again = await readAll(t, folder, { paths: form }, { stored: run.stored })
    t.equal(again.chunks.length, 0, `${form}: nothing twice`)
    t.match(again.summary(), { 'files read': 0, 'files already read to the end before': 1, 'bytes read (decoded)': 0 })
  }
})

t.test('a compression and an encoding that are given are not guessed', async t => {
  const folder = t.testdir({ 'odd.log': Buffer.from('ДаНет', 'utf16le') as never, gz: gzipSync('{"a":1}\n') as never })
  const run = await readAll(t, folder, { paths: 'odd.log', encoding: 'utf-16le' })
  t.same(run.records, ['ДаНет'])
  t.same((await readAll(t, folder, { paths: 'gz', compression: 'gzip' })).records, ['{"a":1}'])
  t.not((await readAll(t, folder, { paths: 'gz', compression: 'none' })).records[0], '{"a":1}')
  const wrong = await readAll(t, folder, { paths: 'odd.log', compression: 'zstd' })
  t.match(wrong.faults, [{ code: 'PEN_FILE_DAMAGED', reason: /odd\.log: no zstd frame begins at byte 0/, offset: 0, length: 10 }])
})

t.test('paths, wildcards and exclusions find files once each, in order', async t => {
  const folder = t.testdir({
    'b.log': '"b"\n',
    'a.log': '"a"\n',
    '.hidden.log': '"hidden"\n',
    'app[1].log': '"brackets"\n',
    sub: { 'c.log': '"c"\n', deep: { 'd.log': '"d"\n', 'e.txt': '"e"\n' } },
  })
  symlinkSync('a.log', join(folder, 'link.log'))
  linkSync(join(folder, 'b.log'), join(folder, 'z.log'))
  symlinkSync('gone.log', join(folder, 'dangling.log'))
  symlinkSync('sub', join(folder, 'other'))
  const cases: [unknown, unknown, string][] = [
    ['a.log', [], 'a'],
    ['*.log', [], 'a brackets b'],
    ['app[1].log', [], 'brackets'],
    [['b.log', 'a.log', '*.log'], [], 'a brackets b'],
    ['**/*.log', [], 'a brackets b c d'],
    ['**', [], 'a brackets b c d e'],
    ['s*/*/*', [], 'd e'],
    ['{sub,sub/deep}/*.log', [], 'c d'],
    ['o*/c.log', [], 'c'],
    [join(folder, 'sub/**/?.log'), [], 'c d'],
    ['sub/../a.log', [], 'a'],
    ['.hid*', [], 'hidden'],
    ['**/*.log', 'b.log', 'a brackets c d b'],
    ['**/*.log', ['[bz].log', 'd*'], 'a brackets c'],
    ['**/*.log', 'sub/**', 'a brackets b'],
    ['**/*.log', join(folder, '*'), 'c d'],
  ]
  for (const [paths, exclude, expected] of cases) {
    const { records } = await readAll(t, folder, { paths, exclude } as never)
    t.equal(records.map(record => JSON.parse(record)).join(' '), expected, JSON.stringify({ paths, exclude }))
  }
})

t.test('order: mtime reads what was written to least recently first', async t => {
  const folder = t.testdir({ 'app.log': '3\n', 'app.log.1': '2\n', 'app.log.2': '1\n' })
  utimesSync(join(folder, 'app.log.2'), 1000, 1000)
  utimesSync(join(folder, 'app.log.1'), 2000, 2000)
  t.same((await readAll(t, folder, { paths: 'app.log*' })).records, ['3', '2', '1'])
  t.same((await readAll(t, folder, { paths: 'app.log*', order: 'mtime' })).records, ['1', '2', '3'])
})

t.test('a chunk names its file, its partition and its place', async t => {
  const folder = t.testdir({ 'a.log': `\ufeff${joined(numbered(9000))}` })
  const { chunks } = await readAll(t, folder, { paths: '*' })
  t.ok(chunks.length > 1)
  const text = Buffer.from(`\ufeff${joined(numbered(9000))}`)
  for (const chunk of chunks) {
    t.equal(chunk.meta?.['path'], join(folder, 'a.log'))
    t.match(chunk.partition, /^a\.log#\d+\.[0-9a-f]{8}$/)
    const record = Buffer.from(recordsOf(chunk)[0] as string)
    const { offset = 0, starts, ends } = chunk
    const at = offset + (starts ? (starts[0] as number) : (ends[0] as number) - record.length)
    t.ok(text.subarray(at, at + record.length).equals(record), 'the offset is the one in the file')
  }
})

t.test('a path that does not exist stops the start and is named; a folder is refused', async t => {
  const folder = t.testdir({ sub: {}, 'a.log': '1\n' })
  await t.rejects(readAll(t, folder, { paths: ['a.log', 'typo.log'] }), {
    code: 'PEN_FILE_MISSING',
    message: `there is no file ${join(folder, 'typo.log')}; `,
  })
  await t.rejects(readAll(t, folder, { paths: 'a.log/x' }), { code: 'PEN_FILE_MISSING' })
  await t.rejects(readAll(t, folder, { paths: 'sub' }), { code: 'PEN_FILE_FOLDER', message: 'is a folder; write' })
})

t.test('wildcards that match nothing are told', async t => {
  const folder = t.testdir({ 'a.log': '1\n' })
  const run = await readAll(t, folder, { paths: ['*.log', 'none/*.log'] })
  t.same(run.records, ['1'])
  t.same(run.health, [['degraded', 'none/*.log: no file matches']])
})

t.test('missing: wait reads a path when it appears', async t => {
  const folder = t.testdir({ 'a.log': '1\n' })
  const run = await start(t, folder, { paths: ['a.log', 'later.log'], missing: 'wait', discover_interval_ms: 50 })
  await run.until(({ records }) => records.length === 1)
  writeFileSync(join(folder, 'later.tmp'), '2\n')
  renameSync(join(folder, 'later.tmp'), join(folder, 'later.log'))
  await run.end()
  t.same(run.records, ['1', '2'])
  const waiting = await start(t, folder, { paths: 'never.log', missing: 'wait' })
  await waiting.stop()
})

t.test('a file that has grown is read on from where it was left, renamed or not', async t => {
  const folder = t.testdir({ 'a.log': '1\n2\n', 'empty.log': '' })
  const { stored } = await readAll(t, folder, { paths: '*' })
  appendFileSync(join(folder, 'a.log'), '3\n')
  t.same((await readAll(t, folder, { paths: '*' }, { stored })).records, ['3'])
  appendFileSync(join(folder, 'a.log'), '4\n')
  renameSync(join(folder, 'a.log'), join(folder, 'b.log'))
  writeFileSync(join(folder, 'a.log'), 'new\n')
  writeFileSync(join(folder, 'empty.log'), 'first\n')
  t.same((await readAll(t, folder, { paths: '*' }, { stored })).records, ['new', '4', 'first'])
  t.equal((await readAll(t, folder, { paths: '*' }, { stored })).chunks.length, 0)
})

t.test('a compressed file that has grown is read on behind what was read', async t => {
  for (const pack of [gzipSync, zstdCompressSync]) {
    const folder = t.testdir({ 'a.log': '' })
    writeFileSync(join(folder, 'a.log'), pack(joined(numbered(10))))
    const { stored } = await readAll(t, folder, { paths: '*' })
    appendFileSync(join(folder, 'a.log'), pack(joined(numbered(10, 10))))
    t.same((await readAll(t, folder, { paths: '*' }, { stored })).records, numbered(10, 10))
    t.equal((await readAll(t, folder, { paths: '*' }, { stored })).chunks.length, 0)
  }
})

t.test('a file that was written anew is read from its beginning, however much it resembles the old one', async t => {
  const header = `${'h'.repeat(2000)}\n`
  const folder = t.testdir({ 'a.csv': `${header}1\n2\n` })
  const { stored } = await readAll(t, folder, { paths: '*' })
  writeFileSync(join(folder, 'a.csv'), `${header}7\n8\n9\n`)
  t.same(
    (await readAll(t, folder, { paths: '*' }, { stored })).records.slice(1),
    ['7', '8', '9'],
    'the same length up to where it was read',
  )
  writeFileSync(join(folder, 'a.csv'), `${header.replace('h', 'H')}7\n8\n9\n`)
  t.same((await readAll(t, folder, { paths: '*' }, { stored })).records.length, 4, 'the same end')
  writeFileSync(join(folder, 'a.csv'), header)
  t.same((await readAll(t, folder, { paths: '*' }, { stored })).records.length, 1, 'shorter')
  rmSync(join(folder, 'a.csv'))
  writeFileSync(join(folder, 'a.csv'), 'x\n')
  t.same((await readAll(t, folder, { paths: '*' }, { stored })).records, ['x'], 'another file, perhaps with the same inode')
  rmSync(join(folder, 'a.csv'))
  writeFileSync(join(folder, 'a.csv'), 'x\n')
  t.same((await readAll(t, folder, { paths: '*' }, { stored })).records, ['x'], 'another file with the same few bytes')
})

t.test('a content that went on in another file is read on there', async t => {
  const records = numbered(40)
  const folder = t.testdir({ 'app.log': joined(records.slice(0, 30)) })
  const path = join(folder, 'app.log')
  const { stored } = await readAll(t, folder, { paths: '*' })
  writeFileSync(join(folder, 'app.log.1.gz'), gzipSync(joined(records)))
  rmSync(path)
  const gz = await readAll(t, folder, { paths: '*' }, { stored })
  t.same(gz.records, records.slice(30), 'compressed')
  t.equal(stored.size, 1, 'one content, one position')
  writeFileSync(path, 'fresh\n')
  rmSync(join(folder, 'app.log.1.gz'))
  writeFileSync(join(folder, 'restored.log'), joined([...records, '"more"']))
  t.same((await readAll(t, folder, { paths: '*' }, { stored })).records, ['fresh', '"more"'], 'a copy under any name')
  const small = await readAll(t, t.testdir({ 'x.log': '1\n' }), { paths: '*' })
  rmSync(join(t.testdirName, 'x.log'))
  writeFileSync(join(t.testdirName, 'y.log'), '1\n')
  t.same((await readAll(t, t.testdirName, { paths: '*' }, small)).records, ['1'], 'a few bytes that are alike are not enough')
})

t.test('a copy beside its original is a file of its own', async t => {
  const records = numbered(30)
  const folder = t.testdir({ 'a.log': joined(records), 'b.log': joined(records) })
  writeFileSync(join(folder, 'a.log.gz'), gzipSync(joined(records)))
  const run = await readAll(t, folder, { paths: '*' })
  t.same(run.records, [...records, ...records, ...records])
  t.equal(run.stored.size, 3)
  t.equal((await readAll(t, folder, { paths: '*' }, run)).chunks.length, 0)
})

t.test('files that are gone are forgotten after a time, and known again when they are back before', async t => {
  const folder = t.testdir({ 'a.log': joined(numbered(5)), 'b.log': 'b\n' })
  const options = { paths: '*.log', forget_after_ms: 60_000 }
  const { stored, clock } = await readAll(t, folder, options)
  renameSync(join(folder, 'a.log'), join(folder, 'a.away'))
  await readAll(t, folder, options, { stored, clock })
  t.match([...stored.values()], [{ gone: Number }, { gone: undefined }])
  renameSync(join(folder, 'a.away'), join(folder, 'a.log'))
  t.same((await readAll(t, folder, options, { stored, clock })).records, [])
  t.notMatch([...stored.values()], [{ gone: Number }])
  rmSync(join(folder, 'a.log'))
  await readAll(t, folder, options, { stored, clock })
  clock.skip(59_000)
  await readAll(t, folder, options, { stored, clock })
  t.equal(stored.size, 2)
  clock.skip(2000)
  await readAll(t, folder, options, { stored, clock })
  t.equal(stored.size, 1)
  rmSync(join(folder, 'b.log'))
  await readAll(t, folder, options, { stored, clock })
  clock.skip(61_000)
  await readAll(t, folder, options, { stored, clock })
  t.equal(stored.size, 0, 'also when nothing matches any more')
})

t.test('a stop between two chunks ends at once', async t => {
  const folder = t.testdir({ 'a.log': joined(numbered(20_000)) })
  const run = await start(t, folder, { paths: '*' })
  await run.until(({ chunks }) => chunks.length === 1)
  await run.stop()
  t.ok(run.chunks.length < 4)
  const rest = await readAll(t, folder, { paths: '*' }, { stored: run.stored })
  t.ok([...run.records, ...rest.records].join() === numbered(20_000).join())
  mkdirSync(join(folder, 'sub'))
})
