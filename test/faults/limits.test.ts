// Limits of the process under which the program must go on: open files, size of files, memory.

import { execFileSync } from 'node:child_process'
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { whyNot } from '../fixtures/state/parts.ts'
import { root } from '../kit/cases.ts'
import {
  acknowledged,
  engine,
  events,
  feed,
  imbalances,
  lineCount,
  numbers,
  onlyFull,
  pipeline,
  until,
  wrong,
} from '../kit/limits.ts'
import { full } from '../kit/rounds.ts'

t.setTimeout(140_000)
t.jobs = 8

const noPrlimit = whyNot('prlimit', '--nofile=100', '--fsize=1000000', 'true')

t.test(
  'row 17: too many open files: inputs and outputs take turns, and nobody is told of it twice',
  { skip: noPrlimit },
  async t => {
    const FILES = 60
    const cwd = t.testdir({ in: {} })
    const file = (n: number) => join(cwd, 'in', `${n}.ndjson`)
    for (let n = 0; n < FILES; n++) writeFileSync(file(n), events(n, n + 1))
    pipeline(cwd, {
      inputs: [{ type: 'file', paths: ['in/*'], follow: true, poll_interval_ms: 20, discover_interval_ms: 100 }],
      outputs: [{ type: 'file', id: 'out', path: 'out/%{n}.ndjson', batch: { max_ms: 5 }, retry: { min_ms: 10, max_ms: 100 } }],
      http: { port: 0 },
    })
    const delivered = () => readdirSync(join(cwd, 'out')).flatMap(name => numbers(join(cwd, 'out', name)))
    // The program itself takes 37 of them.
    const running = engine(t, cwd, { prefix: ['prlimit', '--nofile=56'] })
    const told = () => running.log().filter(line => JSON.stringify(line).includes('EMFILE'))
    await until('the output has no descriptor', () => told().some(({ step }) => step === 'out'))
    await until('all are delivered', () => delivered().length >= FILES)
    writeFileSync(file(FILES), events(FILES, FILES + 1))
    await until('a fresh event in a new file gets through', () => delivered().includes(FILES))
    t.equal((await running.ask('/health')).status, 200, 'its port still answers')
    t.same(await imbalances(running), [])
    t.ok(
      told().some(({ step }) => step === 'file'),
      'the input had none either',
    )
    t.ok(told().length <= 6, `told ${told().length} times, not for each file`)
    for (const { message, error } of told())
      t.match(`${message} ${error}`, /raise the limit \(ulimit -n, LimitNOFILE\)|folder cannot be read/)
    t.equal((await running.stop()).code, 0)
    t.same(wrong(delivered(), FILES + 1, true), [])
  },
)

t.test(
  'row 17: a start without enough descriptors says which limit to raise, and loses nothing',
  { skip: noPrlimit },
  async t => {
    const cwd = t.testdir({ 'in.ndjson': events(0, 5) })
    pipeline(cwd, { inputs: [{ type: 'file', paths: ['in.ndjson'] }], outputs: [{ type: 'file', path: 'o.ndjson' }] })
    let refused = 0
    for (const limit of [24, 26, 28, 30, 32, 64]) {
      const { code, stderr } = await engine(t, cwd, { prefix: ['prlimit', `--nofile=${limit}`] }).ended
      if (code === 0) continue
      refused++
      t.match(stderr, /ulimit -n/, `with ${limit}`)
      t.notMatch(stderr, /^ {4}at /m, 'no stack')
    }
    t.ok(refused >= 2, `${refused} starts were refused`)
    t.same(wrong(numbers(join(cwd, 'o.ndjson')), 5, true), [])
  },
)

t.test('row 18: files may not grow further: as a full disk, and it goes on when they may', { skip: noPrlimit }, async t => {
  const cwd = t.testdir({ 'in.ndjson': '' })
  const [input, out, state] = [join(cwd, 'in.ndjson'), join(cwd, 'o.ndjson'), join(cwd, 'state')]
  pipeline(cwd, {
    inputs: [{ type: 'file', paths: ['in.ndjson'], follow: true, poll_interval_ms: 20 }],
    filters: [{ type: 'dedupe' }],
    outputs: [{ type: 'file', id: 'out', path: 'o.ndjson', batch: { max_ms: 5 }, retry: { min_ms: 10, max_ms: 200 } }],
    http: { port: 0 },
  })
  // Node's own cache of compiled modules would be cut off as well.
  const env = { NODE_DISABLE_COMPILE_CACHE: '1' }
  const running = engine(t, cwd, { env, prefix: ['prlimit', '--fsize=400000:unlimited'] })
  const limit = (bytes: string) => execFileSync('prlimit', ['--pid', String(running.pid), `--fsize=${bytes}:unlimited`])
  feed(input, 0, 1000, 1000)
  await until('the output told of it', () => running.told(/does not take events/) > 0)
  t.match(
    running.log().find(({ step }) => step === 'out')?.['error'],
    /^file: EFBIG writing .*o\.ndjson: the file may not grow further; raise the limit/,
  )
  t.match(await running.ask('/ready'), { status: 503, body: /EFBIG/ })
  t.ok(statSync(out).size <= 400_000)
  await until('what was torn is taken back', () => statSync(out).size === readFileSync(out, 'utf8').lastIndexOf('\n') + 1)
  limit('2000000')
  await until('all are delivered', () => lineCount(out) === 1000)
  await until('and acknowledged', () => acknowledged(state) === statSync(input).size)

  t.same(await imbalances(running), [])
  t.equal((await running.stop()).code, 0)
  t.same(wrong(numbers(out), 1000, true), [])
})

t.test('row 18: the state may not grow further: positions follow when it may', { skip: onlyFull || noPrlimit }, async t => {
  const cwd = t.testdir({ 'in.ndjson': '' })
  const [input, out, state] = [join(cwd, 'in.ndjson'), join(cwd, 'o.ndjson'), join(cwd, 'state')]
  pipeline(cwd, {
    commit_interval_ms: 1,
    inputs: [{ type: 'file', paths: ['in.ndjson'], follow: true, poll_interval_ms: 20 }],
    filters: [{ type: 'dedupe' }],
    outputs: [{ type: 'file', id: 'out', path: 'o.ndjson', batch: { max_ms: 1 } }],
    http: { port: 0 },
  })
  const env = { NODE_DISABLE_COMPILE_CACHE: '1' }
  const running = engine(t, cwd, { env, prefix: ['prlimit', '--fsize=200000:unlimited'] })
  let count = 0
  for (; running.told(/positions cannot be saved/) === 0; count += 20) {
    if (count > 4000) throw new Error('the limit was not reached')
    feed(input, count, count + 20)
    await until('the next are delivered', () => lineCount(out) === count + 20)
  }
  t.match(
    running.log().find(({ level }) => level === 'error')?.['error'],
    /cannot save positions in .*: a write was refused \(SQLITE_IOERR_WRITE\): a quota or a limit on the size of files/,
  )
  t.match(await running.ask('/ready'), { status: 503, body: /a limit on the size of files/ })
  feed(input, count, count + 20)
  await until('events flow on', () => lineCount(out) === count + 20)
  execFileSync('prlimit', ['--pid', String(running.pid), '--fsize=unlimited'])
  feed(input, count + 20, count + 21)
  await until('all are acknowledged', () => acknowledged(state) === statSync(input).size)
  t.same(await imbalances(running), [])
  t.equal((await running.stop()).code, 0)
  t.same(wrong(numbers(out), count + 21, true), [])
})

t.test(
  'row 21: an output is down while the input has far more than the memory takes: nothing grows, nothing is lost',
  async t => {
    const COUNT = full ? 4000 : 900
    const cwd = t.testdir({ gate: {} })
    writeFileSync(join(cwd, 'in.ndjson'), '')
    for (let n = 0; n < COUNT; n += 100) feed(join(cwd, 'in.ndjson'), n, n + 100, 128 * 1024)
    const mb = statSync(join(cwd, 'in.ndjson')).size / 1e6
    t.ok(mb > 110)
    pipeline(cwd, {
      inputs: [{ type: 'file', paths: ['in.ndjson'] }],
      outputs: [
        { type: join(root, 'test/faults/limits-gate-output.ts'), id: 'out', folder: 'gate', batch: { max_bytes: 1_000_000 } },
      ],
      http: { port: 0 },
    })
    const running = engine(t, cwd, { nodeFlags: ['--max-old-space-size=96'] })
    const counters = () => running.counters()
    const read = async () => (await counters()).get('penstock_events_total{pipeline="p",fate="read"}') ?? 0
    let before = -1
    await until('the input waits', async () => {
      const now = await read()
      const waits = now > 0 && now === before
      before = now
      await new Promise(resolve => setTimeout(resolve, 300))
      return waits
    })
    const inFlight = (await counters()).get('penstock_in_flight_bytes{pipeline="p"}') ?? 0
    t.ok(before < COUNT / 2, `the output holds the input back: ${before} of ${COUNT} were read`)
    t.ok(inFlight > 0 && inFlight < 3 * 8 * 1024 * 1024, `${inFlight} bytes are in flight`)
    t.same(await imbalances(running), [])
    const status = () => readFileSync(`/proc/${running.pid}/status`, 'utf8')
    const highest = () => Number(/VmHWM:\s+(\d+) kB/.exec(status())?.[1] ?? 0) / 1024
    const atRest = process.platform === 'linux' ? highest() : 0
    let most = atRest
    const watch = setInterval(() => {
      try {
        most = Math.max(most, highest())
      } catch {
        // It has ended.
      }
    }, 50)
    writeFileSync(join(cwd, 'gate/open'), '')
    const { code, signal, stderr } = await running.ended
    clearInterval(watch)
    t.same([code, signal], [0, null], stderr)
    const ids = readFileSync(join(cwd, 'gate/ledger'), 'utf8').split('\n').filter(Boolean)
    t.same(
      wrong(
        ids.map(id => Number(id.slice(1))),
        COUNT,
        true,
      ),
      [],
    )
    t.comment(
      `${mb.toFixed(0)} MB read, memory at most ${most.toFixed(0)} MB (${atRest.toFixed(0)} MB while the output was down)`,
    )
    t.ok(most < 400, `${most.toFixed(0)} MB`)
  },
)
