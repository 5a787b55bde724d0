// The wall clock jumps by a day, forwards and back: durations do not notice, and nothing waits for yesterday to pass.
import { existsSync, readdirSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import t from 'tap'
import { systemClock } from '../../core/observe/clock.ts'
import { PermanentError, RetryableError } from '../../core/plugin/errors.ts'
import type { JsonObject } from '../../core/plugin/json.ts'
import { imbalance, inProcess, listInput, listOutput, numbered } from '../kit/in-process.ts'
import { acknowledged, engine, events, feed, imbalances, numbers, pipeline, positions, until, wrong } from '../kit/limits.ts'

t.setTimeout(140_000)
t.jobs = 8

const DAY_MS = 86_400_000

/** The system's clock, whose wall time is another day each time that somebody looks. */
function restless() {
  let looks = 0
  return { ...systemClock, now: () => Date.now() + [0, DAY_MS, 0, -DAY_MS][looks++ % 4]! }
}

t.test('row 29: retries, batches and commits go by a clock that does not jump', async t => {
  const delivered: JsonObject[] = []
  let calls = 0
  const output = listOutput(delivered, async (items, reject) => {
    calls++
    if (calls % 4 === 1) throw new RetryableError('down', { after: 2 })
    if (calls % 4 === 2) items.forEach((_, index) => void (index % 2 === 0 && reject(index, new RetryableError('busy'))))
  })
  const setup = {
    inputs: { in: listInput(numbered(100)) },
    outputs: { out: { output, config: { max_tries: 1000 } } },
    clock: restless(),
  }
  const { pipeline: running, store } = inProcess(setup)
  const end = await running.run()
  t.equal(end.status, 'ended', end.error?.message ?? '')
  t.ok(calls > 20)
  t.same(
    wrong(
      delivered.map(({ n }) => Number(n)),
      100,
      true,
    ),
    [],
  )
  t.same(imbalance(end.figures), [])
  t.same([...(await store.positions('test', 'in'))], [['', 100]])
})

t.test('row 29: the window of refusals is a minute of real time', async t => {
  // Thirty refused, a jump of a day, thirty more: within a second, whatever the calendar says.
  let refused = 0
  const output = listOutput([], async (items, reject) => {
    if (refused >= 60) return
    items.forEach((_, index) => void reject(index, new PermanentError('no such index')))
    refused += items.length
  })
  const config = { batch: { max_events: 30, max_bytes: 1 << 20, max_ms: 1 } }
  const setup = {
    inputs: { in: listInput(numbered(60), 30) },
    outputs: { out: { output, config } },
    config: { grace_ms: 20 },
    clock: restless(),
  }
  const { pipeline: running, store, health } = inProcess(setup)
  const ended = running.run()
  await until('the breaker opens', () => health.worst() !== 'ok')
  running.stop()
  await ended
  t.match(health.ailing(), [{ step: 'out', why: /refuses most of what it gets/ }])
  t.equal((await store.letters.list({})).length, 30, 'the first thirty were not forgotten')
})

t.test('row 29: the clock of the running program jumps a day ahead, then two back: everything flows on', async t => {
  const cwd = t.testdir({ 'in.ndjson': '' })
  const input = join(cwd, 'in.ndjson')
  // SIGUSR2 sets the clock.
  writeFileSync(
    join(cwd, 'preload.mjs'),
    `import { appendFileSync } from 'node:fs'
    const shifts = [${DAY_MS}, -${DAY_MS}, 0]
    const Real = Date
    let shift = 0
    globalThis.Date = class extends Real {
      constructor(...given) {
        if (given.length > 0) super(...given)
        else super(Real.now() + shift)
      }
      static now() {
        return Real.now() + shift
      }
    }
    process.on('SIGUSR2', () => {
      shift = shifts.shift()
      appendFileSync('${join(cwd, 'jumps')}', 'x')
    })`,
  )
  pipeline(cwd, {
    inputs: [
      { type: 'file', id: 'plain', paths: ['in.ndjson'], follow: true, poll_interval_ms: 20 },
      { type: 'file', id: 'packed', paths: ['*.gz'], follow: true, poll_interval_ms: 20, discover_interval_ms: 100 },
    ],
    filters: [{ type: 'dedupe' }],
    outputs: [{ type: 'file', id: 'out', path: 'out/o.ndjson', rotate_ms: 3_600_000, batch: { max_ms: 5 } }],
    http: { port: 0 },
  })
  const running = engine(t, cwd, { preloads: [join(cwd, 'preload.mjs')] })
  const delivered = () =>
    existsSync(join(cwd, 'out')) ? numbers(...readdirSync(join(cwd, 'out')).map(name => join(cwd, 'out', name))) : []
  let count = 0
  const jumps = ['', 'a day ahead', 'two days back', 'to where it was']
  for (const [times, jump] of jumps.entries()) {
    if (times > 0) {
      running.child.kill('SIGUSR2')
      await until('it jumps', () => existsSync(join(cwd, 'jumps')) && statSync(join(cwd, 'jumps')).size === times)
    }
    feed(input, count, count + 50)
    count += 50
    await until(`all are delivered (${jump})`, () => delivered().length === count)
    // Its time of change lies ahead of the clock now; it must not be taken for a file in the making until that has passed.
    if (jump === 'two days back') {
      writeFileSync(join(cwd, 'packed.ndjson.gz'), gzipSync(events(count, count + 10)))
      count += 10
      await until('the packed file is delivered too', () => delivered().length === count)
    }
    await until('all are acknowledged', () =>
      positions(join(cwd, 'state')).some(({ position }) => position['offset'] === statSync(input).size),
    )
  }
  t.same(wrong(delivered(), count, true), [])
  t.ok(readdirSync(join(cwd, 'out')).length > 1, 'the output saw the jumps: it began new files')
  t.same(await imbalances(running), [])
  const { code, stderr } = await running.stop()
  t.equal(code, 0, stderr)
  t.ok(acknowledged(join(cwd, 'state')) > 0)
  t.same(
    running.log().filter(({ level }) => level === 'error' || level === 'warn'),
    [],
  )
})
