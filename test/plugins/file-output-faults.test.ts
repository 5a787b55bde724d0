// The file output on a disk that fails: nothing is torn, doubled or lost, and the next try goes through.
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import * as fs from 'node:fs/promises'
import { join } from 'node:path'
import process from 'node:process'
import t from 'tap'
import type { Json } from '../../core/plugin/json.ts'
import type { FileSettings } from '../../plugins/outputs/file/descriptors.ts'
import { disk } from '../../plugins/outputs/file/disk.ts'
import { FileSet, type Group } from '../../plugins/outputs/file/file-set.ts'
import type { Compression } from '../../plugins/outputs/file/members.ts'
import { fc } from '../kit/rounds.ts'
import { type Faults, fakeContext, faultyDisk, itemsOf, tree, unpacked } from './file-output-support.ts'

const settings = (base: string, other: Partial<FileSettings> = {}): FileSettings => ({
  base,
  chosen: false,
  compression: 'none',
  rotateBytes: undefined,
  rotateMs: undefined,
  fsync: true,
  mode: 0o640,
  maxOpen: 64,
  ...other,
})

const groupOf = (path: string, lines: readonly string[]): Group => ({
  path,
  items: itemsOf(lines),
  refuse(error) {
    throw error
  },
})

/** A set on a disk with faults; `fail` puts the next ones in place. */
function faulty(base: string, other: Partial<FileSettings> = {}, context = fakeContext()) {
  let faults: Faults = () => undefined
  const calls: string[] = []
  const files = new FileSet(
    settings(base, other),
    context,
    faultyDisk((call, path) => faults(call, path), calls),
  )
  const fail = (next: Faults = () => undefined) => {
    faults = next
  }
  return { files, calls, context, fail }
}

/** Faults that come once each, in their order, at the call they name. */
function once(...list: [call: string, fault: NonNullable<ReturnType<Faults>>][]): Faults {
  return call => (list[0]?.[0] === call ? list.shift()?.[1] : undefined)
}

t.test('short writes are continued where they stopped', async t => {
  const dir = t.testdir()
  const path = join(dir, 'a')
  for (const bytes of [1, 2, 3, 7]) {
    const { files, fail, calls } = faulty(dir)
    fail(call => (call === 'write' ? { bytes } : undefined))
    await files.write([groupOf(path, ['one', 'two', 'three'])])
    t.equal(await fs.readFile(path, 'utf8'), 'one\ntwo\nthree\n')
    t.ok(calls.filter(call => call.startsWith('write')).length >= 14 / bytes)
    await files.close()
    await fs.rm(path)
  }
})

for (const compression of ['none', 'gzip', 'zstd'] as const) {
  t.test(`${compression}: a write that fails halfway is taken back, and the next try goes through`, async t => {
    for (const code of ['ENOSPC', 'EDQUOT', 'EFBIG', 'EIO']) {
      const dir = t.testdir()
      const path = join(dir, 'a')
      const { files, fail } = faulty(dir, { compression })
      await files.write([groupOf(path, ['before'])])
      const before = await fs.readFile(path)
      fail(once(['write', { bytes: 5 }], ['write', { code }]))
      const message = new RegExp(`^file: ${code} writing ${path}: `)
      await t.rejects(files.write([groupOf(path, ['after'])]), { name: 'RetryableError', code, message })
      t.same(await fs.readFile(path), before)
      fail()
      await files.write([groupOf(path, ['after'])])
      t.equal(unpacked(await fs.readFile(path), compression), 'before\nafter\n')
      await files.close()
    }
  })
}

t.test('when one file of a batch fails, the others are taken back too', async t => {
  const dir = t.testdir()
  const { files, fail, context } = faulty(dir, { rotateBytes: 40 })
  const path = (name: string) => join(dir, `${name}.log`)
  await files.write([groupOf(path('a'), ['a1']), groupOf(path('b'), ['b1'])])
  const before = await tree(dir)
  const batch = [
    groupOf(path('a'), ['a2', 'x'.repeat(30), 'y'.repeat(30)]),
    groupOf(path('b'), ['b2']),
    groupOf(path('new'), ['n1']),
  ]
  for (let tries = 0; tries < 3; tries++) {
    fail((call, at) => (call === 'write' && at.endsWith('/b.log') ? { code: 'ENOSPC' } : undefined))
    await t.rejects(files.write(batch), { code: 'ENOSPC' })
  }
  const kept = Object.entries(await tree(dir)).filter(([, text]) => text !== '')
  t.strictSame(
    kept.map(([, text]) => text).sort(),
    Object.values(before).sort(),
    'no line came, none went, in files of whatever name',
  )
  fail()
  await files.write(batch)
  const all = Object.entries(await tree(dir)).sort()
  t.equal(all.map(([, text]) => text).join(''), `a1\na2\n${'x'.repeat(30)}\n${'y'.repeat(30)}\nb1\nb2\nn1\n`)
  t.notMatch(context.lines.join(), /warn/)
  await files.close()
})

t.test('after a failed sync the bytes are cut off and written again through a new descriptor', async t => {
  const dir = t.testdir()
  const path = join(dir, 'a')
  const { files, fail, calls } = faulty(dir)
  await files.write([groupOf(path, ['1'])])
  fail(once(['datasync', { code: 'EIO' }]))
  calls.length = 0
  await t.rejects(files.write([groupOf(path, ['2'])]), { code: 'EIO', message: /EIO syncing/ })
  t.equal(await fs.readFile(path, 'utf8'), '1\n')
  await files.write([groupOf(path, ['2'])])
  t.equal(await fs.readFile(path, 'utf8'), '1\n2\n')
  const seen = calls
    .map(call => call.split(' ')[0])
    .filter(call => ['open', 'write', 'datasync', 'truncate', 'close'].includes(call as string))
  t.strictSame(seen, ['write', 'datasync', 'close', 'open', 'truncate', 'close', 'open', 'write', 'datasync'])
  await files.close()
})

t.test('a file that cannot be cut back is not written before it could be', async t => {
  const dir = t.testdir()
  const path = join(dir, 'a')
  const { files, fail, context } = faulty(dir)
  await files.write([groupOf(path, ['1'])])
  fail(call => (call === 'truncate' || call === 'datasync' ? { code: 'EIO' } : undefined))
  for (let i = 0; i < 3; i++) await t.rejects(files.write([groupOf(path, ['2'])]), { code: 'EIO' })
  t.equal(await fs.readFile(path, 'utf8'), '1\n2\n', 'what could not be taken back is not there twice')
  t.match(context.lines.join(), /cannot be mended now/)
  fail()
  await files.write([groupOf(path, ['2'])])
  t.equal(await fs.readFile(path, 'utf8'), '1\n2\n')
  await files.close()
})

t.test('a new file and its folders are in their folders before the batch is confirmed', async t => {
  const dir = t.testdir()
  const { files, calls } = faulty(join(dir, 'out'), { chosen: true })
  await files.start(undefined)
  calls.length = 0
  await files.write([groupOf(join(dir, 'out/x/y/a'), ['1'])])
  const synced = calls.filter(call => call.startsWith('sync ')).map(call => call.slice(5 + dir.length))
  t.strictSame(synced, ['/out', '/out/x', '/out/x/y'])
  t.ok(calls.findIndex(call => call.startsWith('sync')) < calls.findIndex(call => call.startsWith('write')))
  calls.length = 0
  await files.write([groupOf(join(dir, 'out/x/y/a'), ['2'])])
  t.strictSame(
    calls.map(call => call.split(' ')[0]),
    ['write', 'datasync'],
    'and the next batch costs one write and one sync',
  )
  await files.close()

  const lax = faulty(join(dir, 'lax'), { fsync: false })
  await lax.files.write([groupOf(join(dir, 'lax/a'), ['1'])])
  await lax.files.close()
  t.notOk(
    lax.calls.some(call => call.includes('sync')),
    'without fsync nothing is synced',
  )
})

t.test('faults around opening and rotating leave everything as it was', async t => {
  for (const [call, code, other] of [
    ['open', 'EMFILE', {}],
    ['create', 'EACCES', {}],
    ['mkdir', 'EROFS', {}],
    ['sync', 'EIO', {}],
    ['realpath', 'EACCES', {}],
    ['rename', 'EACCES', { rotateBytes: 4 }],
    ['lstat', 'EIO', { rotateBytes: 4 }],
  ] as const) {
    const dir = t.testdir()
    const base = join(dir, 'out')
    const path = (name: string) => join(base, 'x', name)
    const { files, fail, context } = faulty(base, { ...other, maxOpen: 2 })
    await files.write([groupOf(path('a'), ['a1']), groupOf(path('b'), ['b1'])])
    const before = await tree(dir)
    const batch = () => files.write([groupOf(path('a'), ['a2', 'a3']), groupOf(join(base, 'y/c'), ['c1'])])
    context.pass(1000)
    fail(once([call, { code }]))
    await t.rejects(batch(), { name: 'RetryableError', code }, `${call} ${code}`)
    const after = Object.entries(await tree(dir)).filter(([, text]) => text !== '')
    t.same(Object.fromEntries(after), before, `${call} ${code}`)
    await batch()
    const lines = Object.values(await tree(dir))
      .join('')
      .split('\n')
      .sort()
      .join()
    t.equal(lines, ',a1,a2,a3,b1,c1', `${call} ${code}`)
    await files.close()
  }
})

t.test('without its row in the store no byte is written', async t => {
  const dir = t.testdir()
  const context = fakeContext()
  const { put } = context.rows
  let full = true
  context.rows.put = async changes => {
    if (full) throw new Error('state: full')
    await put(changes)
  }
  const files = new FileSet(settings(dir), context, disk)
  await t.rejects(files.write([groupOf(join(dir, 'a'), ['1'])]), { name: 'RetryableError', message: /state: full/ })
  t.equal(await fs.readFile(join(dir, 'a'), 'utf8'), '')
  full = false
  await files.write([groupOf(join(dir, 'a'), ['1'])])
  t.equal(context.stored.size, 1)
  await files.close()
})

/** As after kill -9: what lies on the disk and in the store stays, and this process lets go of both. */
async function killed(files: FileSet, stored: Map<string, Json | Uint8Array>): Promise<ReturnType<typeof fakeContext>> {
  const left = new Map(stored)
  await files.close()
  return fakeContext(left)
}

for (const compression of ['none', 'gzip', 'zstd'] as const) {
  t.test(`${compression}: what a killed process left unfinished is cut off at the start, at every length`, async t => {
    const dir = t.testdir()
    const path = join(dir, 'a')
    const first = faulty(dir, { compression })
    await first.files.write([groupOf(path, ['{"n":1}'])])
    await first.files.write([groupOf(path, ['{"n":2}'])])
    const acked = await fs.readFile(path)
    await first.files.write([groupOf(path, ['{"n":3,"text":"three"}'])])
    const whole = await fs.readFile(path)
    const stored = (await killed(first.files, first.context.stored)).stored
    for (let length = acked.length; length <= whole.length; length++) {
      await fs.truncate(path)
      await fs.appendFile(path, whole.subarray(0, length))
      const { files, context } = faulty(dir, { compression }, fakeContext(new Map(stored)))
      await files.start(undefined)
      const expected = length === whole.length ? whole : acked
      t.same(await fs.readFile(path), expected, `${length} bytes`)
      const cut = length - expected.length
      t.equal(context.lines.includes(`warn file: cut ${cut} bytes of an unfinished line`), cut > 0)
      t.equal(context.stored.size, 0)
      await files.close()
    }
  })
}

t.test('pages that a power cut left out are cut off with what follows them', async t => {
  for (const compression of ['none', 'gzip', 'zstd'] as const) {
    const dir = t.testdir()
    const path = join(dir, 'a')
    const first = faulty(dir, { compression })
    const text = (n: number) => Array.from({ length: 400 }, (_, i) => JSON.stringify({ n, i, text: `${Math.sin(n * 1000 + i)}` }))
    await first.files.write([groupOf(path, text(1))])
    const acked = await fs.readFile(path)
    await first.files.write([groupOf(path, text(2))])
    const whole = await fs.readFile(path)
    const context = await killed(first.files, first.context.stored)
    whole.fill(0, acked.length + 100, acked.length + 2000)
    await fs.truncate(path)
    await fs.appendFile(path, whole)
    const { files } = faulty(dir, { compression }, context)
    await files.start(undefined)
    const kept = await fs.readFile(path)
    const lines = unpacked(kept, compression).split('\n')
    t.ok(unpacked(kept, compression).startsWith(`${text(1).join('\n')}\n`), compression)
    t.equal(lines.pop(), '')
    for (const line of lines) JSON.parse(line)
    await files.close()
  }
})

t.test('nothing that others wrote is cut at a start', async t => {
  const dir = t.testdir({ a: '{"old":1}\n', torn: '{"old"', next: '' })
  const path = join(dir, 'a')
  const first = faulty(dir)
  await first.files.write([groupOf(path, ['1']), groupOf(join(dir, 'torn'), ['2'])])
  const context = await killed(first.files, first.context.stored)
  // The torn line was given its end when the file was opened: it lies before what this output wrote.
  await fs.truncate(join(dir, 'torn'), 8)
  // In the place of the file there is another one now, with the same name.
  await fs.rm(path)
  await fs.writeFile(join(dir, 'next'), 'unfinished, and longer than the file before')
  await fs.rename(join(dir, 'next'), path)
  const { files } = faulty(dir, {}, context)
  await files.start(undefined)
  t.same(await tree(dir), { a: 'unfinished, and longer than the file before', torn: '{"old"\n' })
  await files.close()
})

t.test('a file that cannot be looked at is not written before it can be', async t => {
  const dir = t.testdir()
  const path = join(dir, 'a')
  const { files, fail, context } = faulty(dir)
  await files.write([groupOf(path, ['1'])])
  context.pass(1000)
  fail(call => (call === 'lstat' ? { code: 'EIO' } : undefined))
  for (let tries = 0; tries < 3; tries++) {
    await t.rejects(files.write([groupOf(path, ['2'])]), { name: 'RetryableError', code: 'EIO' }, `try ${tries}`)
    context.pass(10)
  }
  fail()
  await files.write([groupOf(path, ['2'])])
  t.equal(await fs.readFile(path, 'utf8'), '1\n2\n')
  await files.close()
})

t.test('random faults and crashes: every confirmed line is there once, in order, and every line is whole', async t => {
  const kinds = ['write', 'datasync', 'truncate', 'open', 'create', 'rename', 'sync', 'lstat']
  const fault = fc.record({ call: fc.constantFrom(...kinds), skip: fc.nat(3), bytes: fc.option(fc.integer({ min: 1, max: 20 })) })
  const step = fc.record({
    lines: fc.integer({ min: 1, max: 8 }),
    faults: fc.array(fault, { maxLength: 3 }),
    crash: fc.boolean(),
    torn: fc.nat(30),
  })
  const folder = t.testdir()
  const compressions: Compression[] = ['none', 'none', 'gzip', 'zstd']
  let faultsSeen = 0
  let crashes = 0
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { minLength: 1, maxLength: 6 }),
      fc.constantFrom(...compressions),
      fc.boolean(),
      async (steps, compression, rotates) => {
        const dir = await fs.mkdtemp(join(folder, 'run-'))
        const other = { compression, ...(rotates && { rotateBytes: compression === 'none' ? 64 : 300 }) }
        let run = faulty(dir, other)
        await run.files.start(undefined)
        const path = (name: string) => join(dir, name)
        const confirmed: string[] = []
        let n = 0
        for (const { lines, faults, crash, torn } of steps) {
          const mine = Array.from({ length: lines }, () => JSON.stringify({ n: ++n, pad: 'x'.repeat(n % 17) }))
          const batch = ['a', 'b']
            .map((name, i) =>
              groupOf(
                path(name),
                mine.filter((_, at) => at % 2 === i),
              ),
            )
            .filter(({ items }) => items.length > 0)
          const left = faults.map(each => ({ ...each }))
          run.fail(call => {
            const due = left.find(each => each.call === call && each.skip-- <= 0)
            if (!due) return undefined
            left.splice(left.indexOf(due), 1)
            faultsSeen++
            return due.bytes !== null && call === 'write' ? { bytes: due.bytes } : { code: 'EIO' }
          })
          for (let tries = 0; ; tries++) {
            const done = await run.files.write(batch).then(
              () => true,
              () => false,
            )
            if (done) break
            if (tries > 10) throw new Error('never goes through')
          }
          confirmed.push(...mine)
          run.fail()
          if (!crash) continue
          crashes++
          const context = await killed(run.files, run.context.stored)
          const beginning =
            compression === 'none'
              ? Buffer.from('{"n":999,"pad":"xxxxxxxxxxxxxxxxxxxx')
              : (await fs.readFile(path('a'))).subarray(0, 30)
          await fs.appendFile(path('a'), beginning.subarray(0, torn))
          run = faulty(dir, other, context)
          await run.files.start(undefined)
        }
        await run.files.close()
        const names = (await fs.readdir(dir)).sort()
        const found: Record<string, number[]> = { a: [], b: [] }
        for (const name of names) {
          const text = unpacked(await fs.readFile(path(name)), compression)
          for (const line of text.split('\n').slice(0, -1)) found[name[0] as string]?.push((JSON.parse(line) as { n: number }).n)
          if (text !== '' && !text.endsWith('\n')) throw new Error(`${name} ends in an unfinished line`)
        }
        const all = [...(found['a'] as number[]), ...(found['b'] as number[])].sort((x, y) => x - y)
        const expected = confirmed.map(line => (JSON.parse(line) as { n: number }).n)
        await fs.rm(dir, { recursive: true })
        return JSON.stringify(all) === JSON.stringify(expected)
      },
    ),
    { numRuns: 40 },
  )
  t.ok(faultsSeen > 10 && crashes > 10, `${faultsSeen} faults and ${crashes} crashes`)
})

const child = join(import.meta.dirname, 'file-output-child.ts')
// The test runner's own signal handlers must not come into the child: it puts them into every environment.
const CLEAN = ['-i', `PATH=${process.env['PATH']}`]

t.test('a full disk holds a batch back until there is room', t => {
  const dir = t.testdir({ disk: {} })
  const script =
    'mount -t tmpfs -o size=256k tmpfs disk || exit 9; head -c 100000 /dev/zero >disk/ballast; "$@" && cat disk/a.ndjson'
  // In a mount namespace of its own nothing is left behind, whatever happens.
  const run = spawnSync('env', [...CLEAN, 'unshare', '-m', 'sh', '-c', script, 'sh', process.execPath, child, 'disk', 'room'], {
    cwd: dir,
    encoding: 'utf8',
  })
  if (run.status === 9 || run.status === 127 || run.stderr.startsWith('unshare')) {
    t.pass(`skipped, it needs root for a disk of its own: ${run.stderr.trim()}`)
    return t.end()
  }
  t.match(run.stderr, /^file: ENOSPC writing .*a\.ndjson: no space is left/)
  const lines = run.stdout.split('\n').filter(line => line.startsWith('{'))
  const confirmed = run.stdout.match(/confirmed \d+/g)?.at(-1)
  const numbers = lines.map(line => (JSON.parse(line) as { n: number }).n)
  t.strictSame(
    numbers,
    Array.from({ length: Number(confirmed?.split(' ')[1]) }, (_, i) => i),
  )
  t.ok(numbers.length > 400, `${numbers.length} lines`)
  t.end()
})

t.test('a limit on the size of files is a fault like a full disk', t => {
  const dir = t.testdir()
  const run = spawnSync('env', [...CLEAN, 'prlimit', '--fsize=100000', process.execPath, child, dir, 'once'], {
    encoding: 'utf8',
  })
  if (run.status === 127) {
    t.pass(`skipped, it needs prlimit: ${run.stderr.trim()}`)
    return t.end()
  }
  t.match(run.stderr, /^file: EFBIG writing .*a\.ndjson: the file may not grow further/)
  const text = readFileSync(join(dir, 'a.ndjson'), 'utf8')
  const lines = text.split('\n').slice(0, -1)
  for (const line of lines) JSON.parse(line)
  t.equal(lines.length, 400)
  t.ok(text.endsWith('\n'))
  t.end()
})
