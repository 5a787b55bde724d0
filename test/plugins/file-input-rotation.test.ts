// The real program follows files that are rotated in every way, stopped and killed meanwhile: each line comes, and no more often than
// the promise says.
import {
  copyFileSync,
  existsSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  statSync,
  symlinkSync,
  truncateSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import t, { type Test } from 'tap'
import { deadLetters, type Engine, engine, imbalances, pipeline, until } from '../kit/limits.ts'
import { Delivered, FILE, GATE, linesOf, offsets, Source } from './file-rotation-support.ts'

t.jobs = 3

/** True while a process holds a file open; where nobody can tell, it does not. */
function isOpen(pid: number, path: string): boolean {
  const fds = `/proc/${pid}/fd`
  if (!existsSync(fds)) return false
  return readdirSync(fds).some(fd => {
    try {
      return readlinkSync(join(fds, fd)).startsWith(path)
    } catch {
      return false
    }
  })
}

const logged = (running: Engine, message: RegExp, path: string) =>
  running.log().some(line => message.test(line.message) && JSON.stringify(line).includes(path))

type Case = (source: Source, t: Test, running: Engine) => Promise<void>

const CASES: Readonly<Record<string, Case>> = {
  async 'copy and truncate'(s) {
    for (let i = 1; i <= 3; i++) {
      s.append(20)
      await s.all()
      // Lines that come between the last look and the truncation are in the copy alone.
      s.append(5)
      copyFileSync(s.path, `${s.path}.${i}`)
      truncateSync(s.path)
      s.append(10)
      await s.all()
    }
  },

  async 'rename and create'(s) {
    s.append(20)
    await s.all()
    renameSync(s.path, `${s.path}.1`)
    s.append(10)
    // Whoever has it open goes on writing to the old one.
    s.append(10, `${s.path}.1`)
    await s.all()
  },

  async 'inode used again'(s, t, running) {
    let again = 0
    for (let round = 0; round < 4 && again === 0; round++) {
      s.append(20)
      await s.all()
      const { ino } = statSync(s.path)
      unlinkSync(s.path)
      // Nobody gets the number before the old file is let go.
      await until('the removed file is closed', () => !isOpen(running.pid, s.path))
      s.append(15)
      if (statSync(s.path).ino === ino) again++
      await s.all()
      unlinkSync(s.path)
    }
    const skip = again > 0 ? false : 'this file system gave no inode again: it was only another file under the same name'
    t.pass('a new file had the inode of the one before', { skip })
  },

  async 'rotated and packed'(s, _t, running) {
    s.append(20)
    await s.all()
    renameSync(s.path, `${s.path}.1`)
    s.append(5)
    // As gzip does it: written beside the original, which goes when all is there.
    writeFileSync(`${s.path}.1.gz`, gzipSync(readFileSync(`${s.path}.1`)))
    utimesSync(`${s.path}.1.gz`, 1000, 1000)
    unlinkSync(`${s.path}.1`)
    await until('the packed file is known for what was read', () =>
      logged(running, /holds what was read before/, `${s.path}.1.gz`),
    )
    s.append(5)
    await s.all()
  },

  async 'link to another file'(s) {
    const first = join(s.path, '../day1.txt')
    const second = join(s.path, '../day2.txt')
    const next = join(s.path, '../next')
    s.append(20, first)
    symlinkSync('day1.txt', s.path)
    await s.all()
    s.append(10, second)
    symlinkSync('day2.txt', next)
    s.append(10, first)
    renameSync(next, s.path)
    await s.all()
    s.append(10, second)
    await s.all()
  },

  async 'same file, other content'(s, t) {
    s.append(20)
    await s.all()
    const { ino } = statSync(s.path)
    // Longer than before, at once: its size does not tell it.
    writeFileSync(s.path, s.lines(50))
    t.equal(statSync(s.path).ino, ino)
    await s.all()
  },
}

t.test('row 69: files that are rotated in six ways: each line comes once, also after a stop', async t => {
  const cwd = t.testdir({})
  pipeline(cwd, {
    inputs: [FILE],
    outputs: [{ type: 'file', id: 'out', path: 'out.ndjson', batch: { max_ms: 5 } }],
    http: { port: 0 },
  })
  const delivered = new Delivered(cwd)
  const sources = Object.keys(CASES).map(name => new Source(cwd, name, delivered))
  const running = engine(t, cwd)
  await until('it runs', () => running.log().some(line => line['port'] !== undefined))
  t.jobs = sources.length
  await Promise.all(
    sources.map(source =>
      t.test(source.name, async t => {
        await CASES[source.name]?.(source, t, running)
      }),
    ),
  )
  t.same(await imbalances(running), [])
  t.equal((await running.stop()).code, 0)
  const next = engine(t, cwd)
  for (const source of sources) source.append(3, join(source.path, '../app.log.fresh'))
  for (const source of sources) await source.all('fresh lines get through after a stop')
  t.equal((await next.stop()).code, 0)
  for (const { name, written, got } of sources.map(source => ({ ...source, got: source.got() })))
    t.same(got.slice().sort(), written.slice().sort(), `${name}: each line once`)
  t.same(deadLetters(join(cwd, 'state')), [], 'no line was torn')
})

t.test('row 69: a file that is removed before it was read to its end is read to its end', async t => {
  const cwd = t.testdir({ gate: {} })
  pipeline(cwd, {
    // A tenth of the file.
    in_flight_bytes: 300_000,
    inputs: [FILE],
    outputs: [
      { type: GATE, id: 'gate', folder: 'gate', down: 'waits' },
      { type: 'file', id: 'out', path: 'out.ndjson', batch: { max_ms: 5 } },
    ],
    http: { port: 0 },
  })
  const source = new Source(cwd, 'removed', new Delivered(cwd))
  const COUNT = 24_000
  writeFileSync(source.path, source.lines(COUNT))
  const running = engine(t, cwd)
  await until('reading has begun, and is held back', () => source.got().length > 0 && existsSync(join(cwd, 'gate/tries')))
  unlinkSync(source.path)
  const before = source.got().length
  t.ok(before < COUNT / 2, `${before} of ${COUNT} lines had come when it was removed`)
  writeFileSync(join(cwd, 'gate/open'), '')
  await source.all()
  await until('the gate has all', () => linesOf(join(cwd, 'gate/ledger')).length === COUNT)
  t.equal(source.got().length, COUNT, 'each line once')
  // The position goes with the file: a new one under its name is read from its beginning.
  source.append(30)
  await source.all('a fresh file gets through')
  t.same(await imbalances(running), [])
  t.equal((await running.stop()).code, 0)
})

t.test('row 69: positions move on acknowledgement alone: what was read and not delivered is read again', async t => {
  const cwd = t.testdir({ gate: {} })
  pipeline(cwd, {
    inputs: [FILE],
    outputs: [
      {
        type: GATE,
        id: 'gate',
        folder: 'gate',
        down: 'fails',
        retry: { min_ms: 5, max_ms: 20 },
      },
      { type: 'file', id: 'out', path: 'out.ndjson', batch: { max_ms: 5 } },
    ],
    http: { port: 0 },
  })
  const source = new Source(cwd, 'acks', new Delivered(cwd))
  source.append(50)
  const first = engine(t, cwd)
  await source.all('the other output has all')
  await until('the gate was tried again and again', () => linesOf(join(cwd, 'gate/tries')).length > 10)
  t.same(offsets(cwd), [], 'no position while an output has not confirmed')
  renameSync(source.path, `${source.path}.1`)
  source.append(50)
  await source.all('the rotated file and the new one were read')
  await first.stop('SIGKILL')
  t.same(offsets(cwd), [])
  writeFileSync(join(cwd, 'gate/open'), '')
  const second = engine(t, cwd)
  const ledger = () => linesOf(join(cwd, 'gate/ledger'))
  await until('the gate has all, once', () => new Set(ledger()).size === 100)
  t.equal(ledger().length, 100)
  const sizes = [statSync(source.path).size, statSync(`${source.path}.1`).size]
  await until('positions stand at the ends', () => offsets(cwd).sort().join() === sizes.sort().join())
  t.same(await imbalances(second), [])
  t.equal((await second.stop()).code, 0)
})
