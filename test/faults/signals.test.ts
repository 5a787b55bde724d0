// Signals and closed streams: the reader of the output goes away, the log cannot be written, the program is stopped, killed, frozen.
import { existsSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { root } from '../kit/cases.ts'
import {
  acknowledged,
  type Engine,
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

const gate = join(root, 'test/faults/limits-gate-output.ts')
const ledger = (cwd: string) =>
  existsSync(join(cwd, 'ledger'))
    ? readFileSync(join(cwd, 'ledger'), 'utf8')
        .split('\n')
        .filter(Boolean)
        .map(id => Number(id.slice(1)))
    : []
const tries = (cwd: string) =>
  existsSync(join(cwd, 'tries')) ? readFileSync(join(cwd, 'tries'), 'utf8').split('\n').length - 1 : 0
const open = (cwd: string) => feed(join(cwd, 'open'), 0, 1)

/** Starts the program with its streams redirected as a shell does it. */
const redirected = (how: string) => ['sh', '-c', `exec "$@" ${how}`, 'sh']

const noFullDevice = existsSync('/dev/full') ? false : 'there is no /dev/full here'

t.test('row 22: the reader of output and log goes away: a quiet end, and the next start goes on there', async t => {
  const COUNT = 5000
  const cwd = t.testdir({ 'in.ndjson': events(0, COUNT) })
  pipeline(cwd, { inputs: [{ type: 'file', paths: ['in.ndjson'] }], outputs: [{ type: 'stdout' }] })
  const prefix = ['bash', '-c', '"$@" 2>&1 | head -1; exit "$PIPESTATUS"', 'bash']
  const args = ['run', 'p.yaml', '--log-level', 'debug']
  const first = await engine(t, cwd, { args, prefix }).ended
  t.equal(first.code, 0)
  t.equal(first.stdout, events(0, 1), 'head has what it asked for')
  t.equal(first.stderr, '')
  const stored = acknowledged(join(cwd, 'state'))
  t.ok(stored < statSync(join(cwd, 'in.ndjson')).size, `it ended in the middle, at byte ${stored}`)

  const second = await engine(t, cwd, { args }).ended
  t.equal(second.code, 0, second.stderr)
  t.equal(second.stdout, events(0, COUNT).slice(stored), 'from there on all is delivered')
})

for (const [what, skip, start, gone] of [
  ['its reader goes away', onlyFull, {}, (running: Engine) => running.child.stderr?.destroy()],
  ['its disk is full', noFullDevice, { prefix: redirected('2>/dev/full') }, () => {}],
  ['it is closed', onlyFull, { prefix: redirected('2>&-') }, () => {}],
] as const) {
  t.test(`row 22: the log cannot be written (${what}): the events flow on, and the end is a good one`, { skip }, async t => {
    const cwd = t.testdir({ 'in.ndjson': events(0, 10) })
    const [input, out] = [join(cwd, 'in.ndjson'), join(cwd, 'o.ndjson')]
    // The bad lines make the log talk: one of them is a dead letter, the other output is down.
    pipeline(cwd, {
      inputs: [{ type: 'file', paths: ['in.ndjson'], follow: true, poll_interval_ms: 20 }],
      outputs: [
        { type: 'file', id: 'out', path: 'o.ndjson', batch: { max_ms: 5 } },
        { type: gate, id: 'gate', folder: '.', down: 'fails', batch: { max_ms: 5 }, retry: { min_ms: 5, max_ms: 20 } },
      ],
    })
    const running = engine(t, cwd, { ...start, args: ['run', 'p.yaml', '--log-level', 'debug'] })
    await until('the first are delivered', () => lineCount(out) === 10)
    gone(running)
    await until('the log has something to say', () => tries(cwd) > 2)
    open(cwd)
    feed(input, 10, 100)
    await until('the others are delivered', () => lineCount(out) === 100 && ledger(cwd).length === 100)
    t.ok(running.running())
    const { code, signal } = await running.stop()
    t.same([code, signal], [0, null])
    t.same([...wrong(numbers(out), 100, true), ...wrong(ledger(cwd), 100, true)], [])
  })
}

t.test(
  'rows 22, 24: standard output is a file on a full disk: the output waits, a stop leaves the rest to the next start',
  { skip: noFullDevice },
  async t => {
    const cwd = t.testdir({ 'in.ndjson': events(0, 1000) })
    pipeline(cwd, {
      grace_ms: 200,
      inputs: [{ type: 'file', paths: ['in.ndjson'] }],
      outputs: [{ type: 'stdout', retry: { min_ms: 5, max_ms: 20 } }],
    })
    const first = engine(t, cwd, { prefix: redirected('>/dev/full') })
    await until('the output told of it', () => first.told(/does not take events/) > 0)
    const { code, stderr } = await first.stop()
    t.match(stderr, /stdout: ENOSPC writing to standard output/)
    t.match(stderr, /1,000 left for the next start/)
    t.equal(code, 0, stderr)
    t.notMatch(stderr, /uncaught| {4}at /)
    const second = await engine(t, cwd).ended
    t.equal(second.stdout, events(0, 1000))
  },
)

t.test('row 23: a stop delivers what was read, though that takes a while, and stores where it was', async t => {
  const COUNT = 3000
  const cwd = t.testdir({ 'in.ndjson': events(0, COUNT, 100) })
  open(cwd)
  pipeline(cwd, {
    in_flight_bytes: 50_000,
    inputs: [{ type: 'file', paths: ['in.ndjson'] }],
    outputs: [{ type: gate, id: 'out', folder: '.', delay_ms: 50, batch: { max_events: 50 } }],
  })
  // Another pipeline that has ended by then must not hold up the end for its grace period.
  pipeline(cwd, { grace_ms: 300_000, inputs: [{ type: 'generate', count: 1 }], outputs: [{ type: 'discard' }] }, 'over')
  const first = engine(t, cwd, { args: ['run', 'p.yaml', 'over.yaml'] })
  await until('some are delivered', () => ledger(cwd).length > 0)
  const atStop = ledger(cwd).length
  first.child.kill('SIGTERM')
  await until('it has ended', () => !first.running(), 30_000)
  const { code, stderr } = await first.ended
  t.equal(code, 0, stderr)
  t.match(stderr, /stopped by a signal/)
  t.notMatch(stderr, /left for the next start/)
  const read = Number(/^p {2}stopped[\s\S]*?read +([\d,]+)/m.exec(stderr)?.[1]?.replace(',', ''))
  t.ok(read > atStop, `when it was asked to stop, ${read - atStop} events were under way`)
  t.equal(ledger(cwd).length, read, 'and all of them were delivered')
  t.ok(read < COUNT)
  const second = await engine(t, cwd).ended
  t.equal(second.code, 0, second.stderr)
  t.same(wrong(ledger(cwd), COUNT, true), [], 'the next start goes on there, and repeats none')
})

t.test('row 25: a second signal ends it at once, and the state is good', async t => {
  const cwd = t.testdir({ 'in.ndjson': events(0, 500) })
  pipeline(cwd, { inputs: [{ type: 'file', paths: ['in.ndjson'] }], outputs: [{ type: gate, id: 'out', folder: '.' }] })
  for (const [signal, code] of [
    ['SIGTERM', 143],
    ['SIGINT', 130],
  ] as const) {
    const before = tries(cwd)
    const running = engine(t, cwd)
    await until('it waits for the output', () => tries(cwd) > before)
    running.child.kill(signal)
    await until('it stops with care', () => running.told(/^stopping: /) > 0)
    await new Promise(resolve => setTimeout(resolve, 150)) // the two must be told apart from one that was delivered twice
    t.ok(running.running())
    const { code: ended, stderr } = await running.stop(signal)
    t.equal(ended, code, stderr)
    t.match(stderr, `penstock: second ${signal}, ending at once; what was not delivered is read again at the next start`)
    t.same(ledger(cwd), [])
  }
  open(cwd)
  const last = await engine(t, cwd).ended
  t.equal(last.code, 0, last.stderr)
  t.same(wrong(ledger(cwd), 500, true), [])
})

t.test('row 28: frozen for a while, as a virtual machine is: no burst of tries, nothing lost, everything goes on', async t => {
  const FROZEN_MS = full ? 60_000 : 1000
  const COUNT = full ? 1000 : 100
  const cwd = t.testdir({ 'in.ndjson': events(0, 100) })
  const input = join(cwd, 'in.ndjson')
  pipeline(cwd, {
    inputs: [{ type: 'file', paths: ['in.ndjson'], follow: true, poll_interval_ms: 20 }],
    outputs: [{ type: gate, id: 'gate', folder: '.', down: 'fails', delay_ms: 20, retry: { min_ms: 40, max_ms: 40 } }],
    http: { port: 0 },
  })
  pipeline(
    cwd,
    {
      inputs: [{ type: 'generate', count: COUNT, rate: 50 }],
      outputs: [{ type: 'file', id: 'out', path: 'made.ndjson', batch: { max_ms: 5 } }],
      http: { port: 0 },
    },
    'made',
  )
  const made = () =>
    existsSync(join(cwd, 'made.ndjson')) ? readFileSync(join(cwd, 'made.ndjson'), 'utf8').split('\n').slice(0, -1) : []
  const running = engine(t, cwd, { args: ['run', 'p.yaml', 'made.yaml'] })
  await until('both are at work', () => tries(cwd) > 2 && made().length > 10)
  running.child.kill('SIGSTOP')
  if (process.platform === 'linux')
    await until('it stands still', () => /^State:\s+T/m.test(readFileSync(`/proc/${running.pid}/status`, 'utf8')))
  const before = { tries: tries(cwd), made: made().length, lines: running.log().length }
  feed(input, 100, 200)
  await new Promise(resolve => setTimeout(resolve, FROZEN_MS))
  t.same([tries(cwd), made().length], [before.tries, before.made], 'it did nothing meanwhile')
  const woken = performance.now()
  running.child.kill('SIGCONT')
  await until('it tries again', () => tries(cwd) > before.tries + 3)
  const [again, ms] = [tries(cwd) - before.tries, performance.now() - woken]
  // A wait is 20 ms at least. Those that the time frozen would have had room for are not made up for.
  t.ok(again <= ms / 20 + 2, `${again} tries in ${ms.toFixed(0)} ms after ${FROZEN_MS} ms frozen`)
  open(cwd)
  await until('what was written meanwhile is delivered', () => ledger(cwd).length === 200)
  await until('all records are made', () => made().length === COUNT)
  feed(input, 200, 201)
  await until('a fresh event gets through', () => ledger(cwd).length === 201)
  t.same(wrong(ledger(cwd), 201, true), [])
  t.equal(new Set(made().map(line => (JSON.parse(line) as { Id: string }).Id)).size, COUNT)
  t.same(await imbalances(running), [])
  const { code, stderr } = await running.stop()
  t.equal(code, 0, stderr)
  t.same(
    running
      .log()
      .slice(before.lines)
      .map(({ level }) => level)
      .filter(level => level !== 'info'),
    [],
    'and there was nothing to complain of',
  )
})
