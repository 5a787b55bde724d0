// The file input with follow: what is written arrives, whole and once, through every way of rotating files.
import {
  appendFileSync,
  copyFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { gzipSync, zstdCompressSync } from 'node:zlib'
import t, { type Test } from 'tap'
import { joined, numbered, type Run, type RunOptions, recordsOf, type Stored, settle, start } from './file-input-support.ts'

/** Short times; those that a test waits for in vain are set forward with the clock. */
const TIMES = { follow: true, poll_interval_ms: 20, discover_interval_ms: 50, rotate_wait_ms: 60_000 }

function begin(t: Test, folder: string, options: object = {}, given: RunOptions = {}): Promise<Run> {
  return start(t, folder, { paths: 'app.log*', ...TIMES, ...options }, given)
}

const has =
  (...records: string[]) =>
  (run: Run) =>
    records.every(record => run.records.includes(record))

/** Waits until the input has certainly looked at every file again: it reads a line that is written now to another one. */
let marks = 0
async function lookedAgain(run: Run, folder: string): Promise<void> {
  for (let i = 0; i < 2; i++) {
    const mark = `"mark ${marks++}"`
    writeFileSync(join(folder, `app.log.mark${marks}`), `${mark}\n`)
    await run.until(has(mark))
  }
}

const withoutMarks = (run: Run) => run.records.filter(record => !record.startsWith('"mark '))

t.test('what is written is read at once, in files that are there and in new ones', async t => {
  const folder = t.testdir({ 'app.log': '1\n', 'app.log.empty': '' })
  // Polling and looking around far apart: only hints can be so quick.
  const run = await begin(t, folder, { poll_interval_ms: 60_000, discover_interval_ms: 60_000 })
  await run.until(has('1'))
  // It has nothing more to do by then, and waits: a hint must wake it.
  await run.clock.sleep(60)
  appendFileSync(join(folder, 'app.log'), '2\n')
  await run.until(has('2'))
  await run.clock.sleep(60)
  appendFileSync(join(folder, 'app.log.empty'), '3\n')
  await run.until(has('3'))
  writeFileSync(join(folder, 'app.log.new'), '4\n')
  await run.until(has('4'))
  await run.stop()
  t.same(run.records, ['1', '2', '3', '4'])
})

t.test('without hints polling finds what is written', async t => {
  const folder = t.testdir({ sub: { 'app.log': '1\n' } })
  // The folder of the link is watched, not that of the file.
  symlinkSync('sub/app.log', join(folder, 'app.log'))
  const run = await begin(t, folder)
  await run.until(has('1'))
  appendFileSync(join(folder, 'sub/app.log'), '2\n')
  await run.until(has('2'))
})

t.test('a line is read when its newline comes; at a stop it is left for the next start, and comes whole', async t => {
  const folder = t.testdir({ 'app.log': '{"a":1}\n{"b":' })
  const run = await begin(t, folder)
  await run.until(has('{"a":1}'))
  await lookedAgain(run, folder)
  t.same(withoutMarks(run), ['{"a":1}'])
  appendFileSync(join(folder, 'app.log'), '2}\n{"c":')
  await run.until(has('{"b":2}'))
  await run.stop()
  appendFileSync(join(folder, 'app.log'), '3}\n')
  const next = await begin(t, folder, {}, { stored: run.stored })
  await next.until(has('{"c":3}'))
  await next.stop()
  t.same([...withoutMarks(run), ...next.records], ['{"a":1}', '{"b":2}', '{"c":3}'])
})

t.test('rename and create: the old file is read to its end, the new one from its beginning', async t => {
  const folder = t.testdir({ 'app.log': joined(numbered(10)) })
  for (const paths of ['app.log*', 'app.log']) {
    const path = join(folder, 'app.log')
    writeFileSync(path, joined(numbered(10)))
    const run = await begin(t, folder, { paths })
    await run.until(has(...numbered(10)))
    renameSync(path, `${path}.1`)
    appendFileSync(`${path}.1`, joined(numbered(5, 10)))
    writeFileSync(path, joined(numbered(5, 20)))
    await run.until(has(...numbered(5, 10), ...numbered(5, 20)))
    appendFileSync(`${path}.1`, joined(numbered(5, 15)))
    await run.until(has(...numbered(5, 15)))
    await run.stop()
    t.same([...run.records].sort(), numbered(25).sort(), paths)
    rmSync(`${path}.1`)
  }
})

t.test('rename: the last line without its newline counts as whole after the wait', async t => {
  const folder = t.testdir({ 'app.log': '1\nlast' })
  const run = await begin(t, folder)
  await run.until(has('1'))
  renameSync(join(folder, 'app.log'), join(folder, 'app.log.1'))
  await run.until(({ logs }) => logs.some(log => log.includes('renamed')))
  await lookedAgain(run, folder)
  t.notOk(run.records.includes('last'))
  run.clock.skip(61_000)
  await run.until(has('last'))
  await run.stop()
  t.same(withoutMarks(run), ['1', 'last'])
})

t.test('removed while unread: what was written is read to the end, and the position goes', async t => {
  const records = numbered(20_000)
  const folder = t.testdir({ 'app.log': joined(records) })
  const path = join(folder, 'app.log')
  const run = await begin(
    t,
    folder,
    { forget_after_ms: 0, rotate_wait_ms: 0 },
    { onChunk: (_, index) => void (index === 0 && rmSync(path)) },
  )
  await run.until(({ records }) => records.length === 20_000)
  t.ok(run.records.join() === records.join())
  await run.until(({ stored }) => stored.size === 0)
})

t.test('copy and truncate: the copy goes on where the original was cut off, and nothing comes twice', async t => {
  for (const related of ['app.log.1', 'app.log.gz', 'app.log.zst']) {
    const folder = t.testdir({ 'app.log': `${joined(numbered(5))}{"torn":` })
    const path = join(folder, 'app.log')
    const run = await begin(t, folder)
    await run.until(has(...numbered(5)))
    const rest = `1}\n${joined(numbered(5, 5))}`
    const whole = `${joined(numbered(5))}{"torn":${rest}`
    const copy = join(folder, related)
    const pack = related.endsWith('gz') ? gzipSync : related.endsWith('zst') ? zstdCompressSync : (text: string) => text
    // The copy has more than was read: as when lines come in between.
    writeFileSync(copy, pack(whole))
    utimesSync(copy, 1000, 1000)
    await lookedAgain(run, folder)
    truncateSync(path)
    await run.until(has('{"torn":1}', ...numbered(5, 5)))
    appendFileSync(path, joined(numbered(5, 10)))
    await run.until(has(...numbered(5, 10)))
    await run.stop()
    t.same(withoutMarks(run).sort(), [...numbered(15), '{"torn":1}'].sort(), related)
  }
})

t.test('truncated and written anew between two looks, longer than before: it is read from its beginning', async t => {
  const folder = t.testdir({ 'app.log': joined(numbered(5)) })
  const run = await begin(t, folder)
  await run.until(has(...numbered(5)))
  writeFileSync(join(folder, 'app.log'), joined(numbered(50, 100)))
  await run.until(has(...numbered(50, 100)))
  await run.stop()
  t.same(run.records, [...numbered(5), ...numbered(50, 100)])
})

t.test('truncated without a copy: the same line again is read again, and the unfinished one counts after the wait', async t => {
  const folder = t.testdir({ 'app.log': '"hello"\nunfinished' })
  const path = join(folder, 'app.log')
  const run = await begin(t, folder)
  await run.until(has('"hello"'))
  truncateSync(path)
  await run.until(({ logs }) => logs.some(log => log.includes('cut off')))
  run.clock.skip(61_000)
  await run.until(has('unfinished'))
  appendFileSync(path, '"hello"\n')
  await run.until(({ records }) => records.filter(record => record === '"hello"').length === 2)
})

t.test(
  'truncated after its last line: the same lines again are read again, though nothing but the time tells them apart',
  async t => {
    const folder = t.testdir({ 'app.log': '"hello"\n' })
    const path = join(folder, 'app.log')
    const run = await begin(t, folder, { rotate_wait_ms: 0 })
    await run.until(has('"hello"'))
    truncateSync(path)
    await run.until(({ stored }) => [...stored.values()].some(position => (position as { gone?: number }).gone !== undefined))
    appendFileSync(path, '"hello"\n')
    await run.until(({ records }) => records.length === 2)
  },
)

/** Makes the input give a chunk, so that a condition is looked at again. */
function pokes(folder: string): false {
  writeFileSync(join(folder, `app.log.poke${marks}`), `"mark ${marks++}"\n`)
  return false
}

t.test('an inode that is used again is another file', async t => {
  const folder = t.testdir({ 'app.log': '"same"\n' })
  const path = join(folder, 'app.log')
  const run = await begin(t, folder, { rotate_wait_ms: 0 })
  await run.until(has('"same"'))
  const { ino } = statSync(path)
  let again = 0
  for (let round = 2; round < 12; round++) {
    rmSync(path)
    await run.until(({ chunks }) => chunks.some(({ position }) => (position as { gone?: number })?.gone !== undefined))
    writeFileSync(path, '"same"\n')
    if (statSync(path).ino === ino) again++
    await run.until(({ records }) => records.filter(record => record === '"same"').length === round)
  }
  t.comment(`${again} of 10 new files had the old inode`)
})

t.test('a rotated file that is compressed is not read again', async t => {
  const folder = t.testdir({ 'app.log': joined(numbered(10)) })
  const path = join(folder, 'app.log')
  const run = await begin(t, folder)
  await run.until(has(...numbered(10)))
  renameSync(path, `${path}.1`)
  writeFileSync(path, joined(numbered(5, 10)))
  await run.until(has(...numbered(5, 10)))
  // As gzip does it: written beside the original, which goes when all is there.
  const packed = gzipSync(joined(numbered(10)))
  writeFileSync(`${path}.1.gz`, packed.subarray(0, 40))
  await lookedAgain(run, folder)
  appendFileSync(`${path}.1.gz`, packed.subarray(40))
  utimesSync(`${path}.1.gz`, 1000, 1000)
  await lookedAgain(run, folder)
  rmSync(`${path}.1`)
  await run.until(({ logs }) => logs.some(log => log.includes('this file holds what was read before')))
  await lookedAgain(run, folder)
  await run.stop()
  t.same(withoutMarks(run), numbered(15))
  t.same(run.faults, [])
  const next = await begin(t, folder, {}, { stored: run.stored })
  await lookedAgain(next, folder)
  t.same(withoutMarks(next), [])
})

t.test('a compressed file is read when it has been left alone, whole', async t => {
  const folder = t.testdir({ 'app.log': '1\n' })
  const run = await begin(t, folder)
  const packed = gzipSync(joined(numbered(3000)))
  const path = join(folder, 'app.log.gz')
  writeFileSync(path, packed.subarray(0, 2000))
  run.clock.skip(3000)
  await run.until(has('1'))
  await lookedAgain(run, folder)
  t.same(run.faults, [], 'it ends too early, and may still be written')
  appendFileSync(path, packed.subarray(2000))
  run.clock.skip(3000)
  await run.until(has(...numbered(3000)))
  t.equal(withoutMarks(run).length, 3001)
  const cut = join(folder, 'app.log.cut.gz')
  writeFileSync(cut, gzipSync(joined(numbered(3000, 9000))).subarray(0, -100))
  run.clock.skip(130_000)
  await run.until(({ faults }) => faults.length > 0 || pokes(folder))
  t.match(run.faults, [{ code: 'PEN_FILE_TRUNCATED' }])
})

t.test('a link that is swapped: the old target is read to its end, the new one from its beginning', async t => {
  const folder = t.testdir({ 'day1.txt': joined(numbered(5)), 'day2.txt': joined(numbered(5, 10)) })
  const link = join(folder, 'app.log')
  symlinkSync('day1.txt', link)
  const run = await begin(t, folder)
  await run.until(has(...numbered(5)))
  symlinkSync('day2.txt', `${link}.tmp`)
  appendFileSync(join(folder, 'day1.txt'), joined(numbered(5, 5)))
  renameSync(`${link}.tmp`, link)
  await run.until(has(...numbered(15)))
  await run.stop()
  t.same([...run.records].sort(), numbered(15).sort())
})

t.test('rotated while nothing ran: each record comes once', async t => {
  const folder = t.testdir({ 'app.log': joined(numbered(40)) })
  const path = join(folder, 'app.log')
  const run = await begin(t, folder)
  await run.until(has(...numbered(40)))
  await run.stop()
  appendFileSync(path, joined(numbered(5, 40)))
  renameSync(path, `${path}.1`)
  writeFileSync(path, joined(numbered(45, 45)))
  const second = await begin(t, folder, {}, { stored: run.stored })
  await second.until(has(...numbered(50, 40)))
  await second.stop()
  writeFileSync(`${path}.2.gz`, gzipSync(joined(numbered(45))))
  utimesSync(`${path}.2.gz`, 1000, 1000)
  renameSync(path, `${path}.1`)
  copyFileSync(`${path}.1`, `${path}.1.copy`)
  rmSync(`${path}.1`)
  appendFileSync(`${path}.1.copy`, joined(numbered(5, 90)))
  const third = await begin(t, folder, {}, { stored: second.stored })
  await third.until(has(...numbered(5, 90)))
  await lookedAgain(third, folder)
  await third.stop()
  t.same([...run.records, ...second.records, ...withoutMarks(third)].sort(), numbered(95).sort())
})

t.test('start_at: end leaves out what is there at the first start, and only then', async t => {
  const folder = t.testdir({ 'app.log': 'old\nhalf ', 'app.log.bin': '' })
  writeFileSync(join(folder, 'app.log.bin'), Buffer.from('\ufeffalt\n', 'utf16le'))
  writeFileSync(join(folder, 'app.log.gz'), gzipSync('old too\n'))
  const options = { start_at: 'end' }
  const run = await begin(t, folder, options)
  await run.until(({ stored }) => stored.size === 4)
  appendFileSync(join(folder, 'app.log'), 'a line\n')
  appendFileSync(join(folder, 'app.log.bin'), Buffer.from('neu\n', 'utf16le'))
  await run.until(has('half a line', 'neu'))
  writeFileSync(join(folder, 'app.log.new'), 'new\n')
  await run.until(has('new'))
  await run.stop()
  t.same([...run.records].sort(), ['half a line', 'neu', 'new'])
  writeFileSync(join(folder, 'app.log.later'), 'later\n')
  const next = await begin(t, folder, options, { stored: run.stored })
  await next.until(has('later'))
  t.same(next.records, ['later'])
})

t.test('start_at: end at a start without files: those that come while nothing runs are read', async t => {
  const folder = t.testdir({})
  const run = await begin(t, folder, { start_at: 'end' })
  await run.until(({ stored }) => stored.size === 1)
  await run.stop()
  writeFileSync(join(folder, 'app.log'), '1\n')
  const next = await begin(t, folder, { start_at: 'end' }, { stored: run.stored })
  await next.until(has('1'))
})

t.test('several files that grow at once are read in turn, and none waits for the others', async t => {
  const folder = t.testdir({
    'app.log.a': joined(numbered(30_000)),
    'app.log.b': joined(numbered(30_000, 100_000)),
    'app.log.c': '"c"\n',
  })
  const run = await begin(t, folder)
  await run.until(has('"c"'))
  t.ok(run.chunks.length < 8, `after ${run.chunks.length} chunks`)
  await run.until(({ records }) => records.length === 60_001)
})

t.test('files that have not grown for long are closed, and read on when they grow', async t => {
  const folder = t.testdir({ 'app.log': '1\n' })
  const run = await begin(t, folder)
  await run.until(has('1'))
  await lookedAgain(run, folder)
  run.clock.skip(6 * 60_000)
  await run.until(({ chunks }) => chunks.some(({ position }) => (position as { seen?: object })?.seen))
  appendFileSync(join(folder, 'app.log'), '2\n')
  await run.until(has('2'))
  t.same(withoutMarks(run), ['1', '2'])
})

t.test('killed at any time while files rotate: each record comes, and what was settled does not come again', async t => {
  const folder = t.testdir({})
  const path = join(folder, 'app.log')
  let written = 0
  const write = (count: number) => {
    appendFileSync(path, joined(numbered(count, written)))
    written += count
  }
  write(10)
  const stored: Stored = new Map()
  const got: string[] = []
  for (let round = 0; round < 12; round++) {
    let settled = 0
    const limit = round % 4
    const run = await begin(
      t,
      folder,
      {},
      {
        stored: new Map(stored),
        onChunk(chunk) {
          if (settled++ > limit) return
          settle(stored, chunk)
          got.push(...recordsOf(chunk))
        },
      },
    )
    write(3)
    if (round % 3 === 0) {
      renameSync(path, `${path}.${round}`)
      write(4)
    } else if (round % 3 === 1) {
      copyFileSync(path, `${path}.${round}`)
      truncateSync(path)
      write(4)
    } else {
      const old = `${path}.${round - 2}`
      copyFileSync(old, `${old}.keep`)
      rmSync(old)
    }
    await run
      .until(({ records }) => records.some(record => JSON.parse(record).n === written - 1) || Boolean(write(1)))
      .catch(() => {})
    await run.stop()
  }
  const last = await begin(t, folder, { rotate_wait_ms: 100 }, { stored })
  await last.until(({ records }) => new Set([...got, ...records]).size === written)
  await last.stop()
  const all = [...got, ...last.records]
  t.equal(new Set(all).size, written)
  t.equal(all.length, written, 'none of those that were settled came again')
})
