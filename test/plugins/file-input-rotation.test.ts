// The real program follows files that are rotated in every way, stopped and killed meanwhile: each line comes, whole, and no more often
// than the promise says.
import {
  appendFileSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
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
import { root } from '../kit/cases.ts'
import { deadLetters, type Engine, engine, imbalances, pipeline, positions, until } from '../kit/limits.ts'

t.jobs = 2

/** Times of the input; a last line counts as whole a moment after its file was rotated. */
const TIMES = { follow: true, poll_interval_ms: 20, discover_interval_ms: 50, rotate_wait_ms: 1500 }
const FILE = { type: 'file', paths: ['logs/*/app.log*'], ...TIMES }

/** What the output has got so far, by case: reads only what is new. */
class Delivered {
  readonly #file: string
  readonly #lines = new Map<string, string[]>()
  #at = 0

  constructor(cwd: string) {
    this.#file = join(cwd, 'out.ndjson')
  }

  of(name: string): string[] {
    const size = existsSync(this.#file) ? statSync(this.#file).size : 0
    if (size > this.#at) {
      const text = readFileSync(this.#file).subarray(this.#at)
      const whole = text.subarray(0, text.lastIndexOf(10) + 1)
      this.#at += whole.length
      for (const line of whole.toString().split('\n').slice(0, -1)) {
        const { case: of } = JSON.parse(line) as { case: string }
        const lines = this.#lines.get(of)
        if (lines) lines.push(line)
        else this.#lines.set(of, [line])
      }
    }
    return this.#lines.get(name) ?? []
  }
}

/** A folder of a case's own, and what it wrote there. */
class Source {
  readonly path: string
  readonly name: string
  readonly #delivered: Delivered
  readonly written: string[] = []

  constructor(cwd: string, name: string, delivered: Delivered) {
    mkdirSync(join(cwd, 'logs', name), { recursive: true })
    this.#delivered = delivered
    this.name = name
    this.path = join(cwd, 'logs', name, 'app.log')
  }

  /** New lines, as text; long enough that a file of some can be told from others by its beginning. */
  lines(count: number): string {
    const from = this.written.length
    for (let n = from; n < from + count; n++)
      this.written.push(JSON.stringify({ case: this.name, n, text: `Grüße 東京 😀 ${'-'.repeat(60)}` }))
    return this.written
      .slice(from)
      .map(line => `${line}\n`)
      .join('')
  }

  append(count: number, path = this.path): void {
    appendFileSync(path, this.lines(count))
  }

  /** What the output has got of it. */
  got(): string[] {
    return this.#delivered.of(this.name)
  }

  async all(what = 'all lines have come'): Promise<void> {
    await until(`${this.name}: ${what}`, () => {
      const got = new Set(this.got())
      return this.written.every(line => got.has(line))
    })
  }
}

/** The whole lines of a file that may not be there yet. */
function linesOf(file: string): string[] {
  return existsSync(file) ? readFileSync(file, 'utf8').split('\n').slice(0, -1) : []
}

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

  async 'removed while unread'(s, t) {
    writeFileSync(s.path, s.lines(8000))
    await until('reading has begun', () => s.got().length > 0)
    unlinkSync(s.path)
    const before = s.got().length
    t.ok(before < 8000, `${before} of 8000 lines had come when the file was removed`)
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

t.test('row 69: files that are rotated in seven ways: each line comes once, also after a stop', async t => {
  const cwd = t.testdir({})
  pipeline(cwd, {
    // So little that a large file is not read at once.
    in_flight_bytes: 300_000,
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

t.test('row 69: positions move on acknowledgement alone: what was read and not delivered is read again', async t => {
  const cwd = t.testdir({ gate: {} })
  pipeline(cwd, {
    inputs: [FILE],
    outputs: [
      {
        type: join(root, 'test/faults/limits-gate-output.ts'),
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

const offsets = (cwd: string) => positions(join(cwd, 'state')).map(({ position }) => position['offset'] as number)

for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
  t.test(`row 70: a line that is unfinished at a ${signal}, and completed since, comes once and whole`, async t => {
    const cwd = t.testdir({})
    pipeline(cwd, {
      inputs: [FILE],
      outputs: [{ type: 'file', id: 'out', path: 'out.ndjson', batch: { max_ms: 5 } }],
    })
    const delivered = new Delivered(cwd)
    const names = ['grows', 'rotates', 'still']
    const [grows, rotates, still] = names.map(name => new Source(cwd, name, delivered)) as [Source, Source, Source]
    const halves = [grows, rotates, still].map(source => {
      source.append(3)
      const line = source.lines(1)
      const cut = line.indexOf('東') + 1
      // In the middle of a character.
      appendFileSync(source.path, Buffer.from(line).subarray(0, cut))
      return Buffer.from(line).subarray(cut)
    })
    const first = engine(t, cwd)
    for (const source of [grows, rotates, still]) await until(`${source.name}: whole lines come`, () => source.got().length === 3)
    await until('positions stand behind them', () => offsets(cwd).length === 3)
    const ended = await first.stop(signal)
    t.equal(ended.signal ?? ended.code, signal === 'SIGTERM' ? 0 : signal)
    t.equal([grows, rotates, still].flatMap(source => source.got()).length, 9, 'no half line was delivered')

    appendFileSync(grows.path, halves[0] as Buffer)
    grows.append(2)
    appendFileSync(rotates.path, halves[1] as Buffer)
    renameSync(rotates.path, `${rotates.path}.1`)
    rotates.append(2)
    const second = engine(t, cwd)
    await grows.all()
    await rotates.all()
    // This one is completed before the eyes of the program.
    t.equal(still.got().length, 3)
    appendFileSync(still.path, halves[2] as Buffer)
    await still.all()
    t.equal((await second.stop()).code, 0)
    for (const source of [grows, rotates, still]) {
      const got = source.got()
      t.same([...new Set(got)].sort(), source.written.slice().sort(), source.name)
      // What was delivered and not yet acknowledged when it was killed may come again; it was waited for that here.
      t.equal(got.length, source.written.length, `${source.name}: once`)
    }
    t.same(deadLetters(join(cwd, 'state')), [], 'no line was torn')
    rmSync(join(cwd, 'logs'), { recursive: true })
  })
}
