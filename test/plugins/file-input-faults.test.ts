// What the file input does with files that are damaged, cannot be read, or change under its hands.
import { spawnSync } from 'node:child_process'
import { appendFileSync, chmodSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { gzipSync, zstdCompressSync } from 'node:zlib'
import t from 'tap'
import { joined, lines, numbered, readAll } from './file-input-support.ts'

/** Runs `fn` as somebody who may not read what is root's alone. */
async function unprivileged<T>(fn: () => Promise<T>): Promise<T> {
  const root = process.geteuid?.() === 0
  if (root) process.seteuid?.(65_534)
  try {
    return await fn()
  } finally {
    if (root) process.seteuid?.(0)
  }
}

t.test('a damaged file: all that can be decoded arrives, the rest is a fault with its place, other files are read', async t => {
  const records = numbered(3000)
  const text = joined(records)
  for (const pack of [gzipSync, zstdCompressSync]) {
    const folder = t.testdir({})
    const whole = pack(text)
    const hit = Buffer.from(pack(text))
    hit.fill(0xaa, hit.length >> 1, (hit.length >> 1) + 40)
    writeFileSync(join(folder, 'a.gz'), Buffer.concat([whole, hit, whole, whole.subarray(0, whole.length >> 1)]))
    writeFileSync(join(folder, 'b.log'), '"last"\n')
    const run = await readAll(t, folder, { paths: '*' })
    t.same(run.records.slice(0, 3000), records)
    const good = run.records.filter(record => records.includes(record))
    t.ok(good.length >= 6000, `${good.length} records`)
    t.equal(run.records.at(-1), '"last"')
    t.match(run.faults, [
      { code: 'PEN_FILE_DAMAGED', reason: new RegExp(`^${join(folder, 'a.gz')}: the .* that begins at byte ${whole.length} `) },
      { code: 'PEN_FILE_TRUNCATED', reason: /is cut off/ },
    ])
    const [{ offset = 0 } = {}] = run.faults
    t.ok(offset > whole.length && offset < 2 * whole.length, 'the place is one in the compressed file')
    t.match(run.summary(), { 'places that could not be decoded': 2 })
    t.equal((await readAll(t, folder, { paths: '*' }, run)).chunks.length, 0, 'and told once')
  }
})

t.test('a file that ended too early and was completed since is read on, and a damage behind is told as well', async t => {
  const folder = t.testdir({})
  const path = join(folder, 'a.gz')
  const whole = gzipSync(joined(numbered(1000)))
  writeFileSync(path, whole.subarray(0, 1000))
  const run = await readAll(t, folder, { paths: '*' })
  t.match(run.faults, [{ code: 'PEN_FILE_TRUNCATED' }])
  appendFileSync(path, Buffer.concat([whole.subarray(1000), Buffer.from('garbage'), gzipSync('"behind"\n')]))
  const rest = await readAll(t, folder, { paths: '*' }, run)
  t.match(rest.faults, [{ code: 'PEN_FILE_DAMAGED', offset: whole.length, length: 7 }])
  t.equal(rest.records.at(-1), '"behind"')
  // The record that the cut fell in came in two parts.
  const text = [...run.records, ...rest.records].join('')
  t.ok(text === [...numbered(1000), '"behind"'].join(''))
})

t.test('records on both sides of a gap are not joined, and a table keeps its header behind it', async t => {
  const folder = t.testdir({})
  writeFileSync(
    join(folder, 'a.gz'),
    Buffer.concat([gzipSync('{"a":1}\n{"b":'), Buffer.from('garbage'), gzipSync('2}\n{"c":3}\n')]),
  )
  t.same((await readAll(t, folder, { paths: '*' })).records, ['{"a":1}', '{"b":', '2}', '{"c":3}'])
})

t.test('a UTF-16 file that ends with half a character says so', async t => {
  const folder = t.testdir({})
  writeFileSync(join(folder, 'a'), Buffer.concat([Buffer.from('\ufeff{"a":1}\n{"b":2}', 'utf16le'), Buffer.of(0x7d)]))
  const run = await readAll(t, folder, { paths: 'a' })
  t.same(run.records, ['{"a":1}', '{"b":2}'])
  t.match(run.faults, [{ code: 'PEN_FILE_TRUNCATED', offset: 32, length: 1, bytes: Buffer.of(0x7d) }])
})

t.test('a line of 40 MB in 40 kB of gzip is one fault and takes no memory', async t => {
  const folder = t.testdir({})
  const bomb = gzipSync(Buffer.alloc(40 << 20, 'x'))
  writeFileSync(join(folder, 'a.gz'), Buffer.concat([gzipSync('1\n'), bomb, gzipSync('\n2\n')]))
  const before = process.memoryUsage.rss()
  let peak = before
  const watch = setInterval(() => {
    peak = Math.max(peak, process.memoryUsage.rss())
  }, 5)
  const run = await readAll(t, folder, { paths: '*' }, { maxEventBytes: 1 << 20 })
  clearInterval(watch)
  t.same(run.records, ['1', '2'])
  t.match(run.faults, [{ offset: 2, length: 40 << 20 }])
  t.ok(peak - before < 60 << 20, `${(peak - before) >> 20} MB more`)
})

t.test('what may not be read is named, and the others are read', async t => {
  const folder = t.testdir({ 'a.log': '1\n', 'b.log': '2\n', 'c.log': '3\n', closed: { 'd.log': '4\n' } })
  symlinkSync('loop.log', join(folder, 'loop.log'))
  chmodSync(folder, 0o755)
  chmodSync(join(folder, 'b.log'), 0)
  chmodSync(join(folder, 'closed'), 0)
  const run = await unprivileged(() => readAll(t, folder, { paths: ['*.log', 'closed/*.log', 'b.log'] }))
  chmodSync(join(folder, 'closed'), 0o755)
  t.same(run.records, ['1', '3'])
  t.equal(run.health.at(-1)?.[0], 'degraded')
  const log = run.logs.join('\n')
  t.match(log, `${join(folder, 'b.log')}: no permission to read it (EACCES)`)
  t.match(log, `${join(folder, 'closed')}: the folder cannot be read (EACCES)`)
  t.match(log, `${join(folder, 'loop.log')}: it cannot be read (ELOOP)`)
  t.match(run.summary(), { 'paths that could not be read': 4 })
  t.same(
    [...run.stored.values()].filter(position => (position as { gone?: number }).gone),
    [],
    'nothing is taken for gone',
  )
})

t.test('what is written while a file is read is for the next run, and no line is torn', async t => {
  const records = numbered(20_000)
  const text = Buffer.from(joined(records))
  for (const [name, parts] of [
    ['plain', [text.subarray(0, 500_010), text.subarray(500_010)]],
    ['gzip', [gzipSync(text).subarray(0, -5000), gzipSync(text).subarray(-5000)]],
  ] as const) {
    const folder = t.testdir({})
    writeFileSync(join(folder, 'a'), parts[0])
    const run = await readAll(
      t,
      folder,
      { paths: 'a' },
      { onChunk: (_, index) => void (index === 0 && appendFileSync(join(folder, 'a'), parts[1])) },
    )
    t.same(run.faults, [], name)
    t.same(run.records, records.slice(0, run.records.length), name)
    t.ok(run.records.length < records.length)
    const rest = await readAll(t, folder, { paths: 'a' }, run)
    t.ok([...run.records, ...rest.records].join() === records.join(), name)
  }
})

t.test('a file that is cut off while it is read is told', async t => {
  const folder = t.testdir({ 'a.log': joined(numbered(20_000)), 'b.log': '1\n' })
  const run = await readAll(
    t,
    folder,
    { paths: '*' },
    { onChunk: (_, index) => void (index === 0 && truncateSync(join(folder, 'a.log'), 10)) },
  )
  t.match(run.health, [['degraded', /a\.log: it was cut off while it was read/]])
  t.equal(run.records.at(-1), '1')
})

t.test('the hole that truncating under a writer leaves is left out', async t => {
  const folder = t.testdir({})
  writeFileSync(join(folder, 'a.log'), Buffer.concat([Buffer.alloc(300_000), Buffer.from('{"a":1}\n{"b":2}\n')]))
  const run = await readAll(t, folder, { paths: '*' })
  t.same(run.records, ['{"a":1}', '{"b":2}'])
  t.match(run.logs.join(), /zero bytes.*300000/)
  appendFileSync(join(folder, 'a.log'), '3\n')
  t.same((await readAll(t, folder, { paths: '*' }, run)).records, ['3'])
})

t.test('an input that throws in its codec ends with that error, and closes its file', async t => {
  const folder = t.testdir({ 'a.log': '1\n' })
  const codec = {
    ...lines,
    framer: () => {
      throw new Error('broken framer')
    },
  }
  await t.rejects(readAll(t, folder, { paths: '*' }, { codec }), { message: 'broken framer' })
})

t.test('with too many open files it waits until there is room', { skip: process.platform === 'win32' }, async t => {
  const folder = t.testdir({ 'a.log': '1\n', 'b.log': '2\n' })
  const child = fileURLToPath(new URL('./file-input-child.ts', import.meta.url))
  const { stdout, stderr } = spawnSync('sh', ['-c', 'ulimit -n 64; exec "$0" "$@"', process.execPath, child, folder], {
    encoding: 'utf8',
  })
  t.same(JSON.parse(stdout || 'null'), { records: ['1', '2'], health: ['degraded', 'ok'] }, stderr)
})
