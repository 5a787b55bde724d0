// How an output is written to: batches within their limits, waits that grow, tries that count, a breaker that opens and closes.
import t from 'tap'
import { PermanentError, RetryableError } from '../../core/plugin/errors.ts'
import type { Output } from '../../core/plugin/interfaces.ts'
import type { JsonObject } from '../../core/plugin/json.ts'
import { imbalance, inProcess, listInput, listOutput, numbered } from '../kit/in-process.ts'
import { virtualClock } from '../kit/virtual-clock.ts'
import { handInput, handOutput, idsOf, one, watched } from './settling-support.ts'

const SECOND = 1_000
const HOUR = 3_600 * SECOND

/** Waits of a size that an hour has room for. */
const patient = { min_ms: 100, max_ms: 10_000 }

const refuseAll =
  (error: (id: string) => Error): NonNullable<Output['write']> =>
  async (items, reject) =>
    items.forEach(({ id }, index) => {
      reject(index, error(id))
    })

t.test('a destination that is down for hours gets everything afterwards, and the waits grow to their limit', async t => {
  const clock = virtualClock()
  const delivered: JsonObject[] = []
  const calls: number[] = []
  let down = true
  const output = listOutput(delivered, async () => {
    calls.push(clock.monotonic())
    if (down) throw new Error('connection refused')
  })
  const config = { batch: { max_events: 100, max_bytes: 1 << 20, max_ms: 1 }, retry: patient }
  const { pipeline, store } = inProcess({ inputs: { in: listInput(numbered(20)) }, outputs: { out: { output, config } }, clock })
  const running = watched(pipeline.run())
  await clock.advance(HOUR)
  t.equal(running.end, undefined)
  t.same([...(await store.positions('test', 'in'))], [])
  const waits = calls.slice(1).map((at, index) => at - (calls[index] as number))
  t.ok(waits.length > 350, `${waits.length} tries in an hour`)
  waits.forEach((wait, index) => {
    // Half of it is drawn by lot.
    const longest = Math.min(10_000, 100 * 2 ** index)
    if (wait < longest / 2 || wait > longest) t.fail(`wait ${index + 1} is ${wait} ms, expected ${longest / 2} to ${longest}`)
  })
  down = false
  await clock.advance(20 * SECOND)
  t.equal(running.end?.status, 'ended')
  t.same(idsOf(delivered), idsOf(numbered(20)))
  t.same(await store.letters.list({}), [])
})

t.test('a destination that asks for a pause gets it', async t => {
  const clock = virtualClock()
  const calls: number[] = []
  const output = listOutput([], async () => {
    calls.push(clock.monotonic())
    if (calls.length < 3) throw new RetryableError('too many requests', { after: 90 * SECOND })
  })
  const { pipeline } = inProcess({ inputs: { in: listInput(numbered(3)) }, outputs: { out: { output } }, clock })
  const running = watched(pipeline.run())
  await clock.advance(HOUR)
  t.equal(running.end?.status, 'ended')
  const [first = 0, second = 0, third = 0] = calls
  t.ok(second - first >= 90 * SECOND && third - second >= 90 * SECOND, calls.join(', '))
})

t.test('what a dead destination refuses costs no try: it fills no dead letters, however long it lasts', async t => {
  const clock = virtualClock()
  const delivered: JsonObject[] = []
  let down = true
  let calls = 0
  const refuse = refuseAll(() => new RetryableError('shard not available'))
  const output = listOutput(delivered, async (...args) => {
    calls++
    if (down) await refuse(...args)
  })
  const { pipeline, store } = inProcess({
    inputs: { in: listInput(numbered(7)) },
    outputs: { out: { output, config: { retry: patient } } },
    clock,
  })
  const running = watched(pipeline.run())
  await clock.advance(HOUR)
  t.ok(calls > 100, `${calls} calls were refused whole`)
  t.same(await store.letters.list({}), [])
  down = false
  await clock.advance(20 * SECOND)
  t.equal(running.end?.status, 'ended')
  t.same(idsOf(delivered).sort(), idsOf(numbered(7)))
})

t.test('the breaker keeps what is refused, probes, and closes when the destination takes events again', async t => {
  const clock = virtualClock()
  const delivered: JsonObject[] = []
  let broken = true
  const calls: number[] = []
  const refuse = refuseAll(() => new PermanentError('no such index'))
  const output = listOutput(delivered, async (...args) => {
    calls.push(clock.monotonic())
    if (broken) await refuse(...args)
  })
  const config = { batch: { max_events: 60, max_bytes: 1 << 20, max_ms: 1 } }
  const { pipeline, store, health } = inProcess({
    inputs: { in: listInput(numbered(300), 60) },
    outputs: { out: { output, config } },
    clock,
  })
  const running = watched(pipeline.run())
  await clock.advance(200 * SECOND)
  t.equal(calls.length, 7, 'one batch every 30 s')
  t.match(health.ailing(), [{ step: 'out', why: /refuses most/ }])
  broken = false
  const { length } = calls
  await clock.advance(31 * SECOND)
  t.equal(running.end?.status, 'ended', 'after one good probe all the others go out at once')
  t.ok(calls.length - length >= 5)
  t.same(idsOf(delivered).sort(), idsOf(numbered(300)).sort())
  t.same(await store.letters.list({}), [])
  t.equal(health.worst(), 'ok')
  t.same(imbalance(pipeline.figures()), [])
})

t.test('some refused events among many good ones open no breaker', async t => {
  const clock = virtualClock()
  const output = listOutput([], async (items, reject) => {
    items.forEach(({ id }, index) => {
      if (Number(id.slice(1)) % 3 === 0) reject(index, new PermanentError('mapping conflict'))
    })
  })
  const { pipeline, store } = inProcess({ inputs: { in: listInput(numbered(300)) }, outputs: { out: { output } }, clock })
  const running = watched(pipeline.run())
  await clock.advance(10 * SECOND)
  t.equal(running.end?.status, 'ended')
  t.equal((await store.letters.list({ limit: 1_000 })).length, 100)
  const [figures] = running.end?.figures.outputs ?? []
  t.match(figures, { routed: 300, delivered: 200, deadLettered: 100, inFlight: 0 })
})

t.test('the end waits for the batch that is under way', async t => {
  const clock = virtualClock()
  const { input, give, end } = handInput()
  const { output, writes } = handOutput()
  const { pipeline } = inProcess({ inputs: { in: input }, outputs: { out: { output } }, clock })
  const running = watched(pipeline.run())
  give(one(0))
  await clock.advance(SECOND)
  t.equal(writes.length, 1)
  end()
  await clock.advance(SECOND)
  t.equal(running.end, undefined, 'one write is not answered yet')
  writes[0]?.deliver()
  await clock.advance(SECOND)
  t.match(running.end, { status: 'ended', left: 0 })
})

t.test('an event that comes alone goes out after max_ms, while the input goes on', async t => {
  const clock = virtualClock()
  const { input, give, end } = handInput()
  const { output, writes } = handOutput()
  const config = { batch: { max_events: 1_000, max_bytes: 1 << 20, max_ms: 200 } }
  const { pipeline } = inProcess({ inputs: { in: input }, outputs: { out: { output, config } }, clock })
  const running = watched(pipeline.run())
  give(one(0))
  await clock.advance(199)
  t.same(writes, [], 'it waits for others')
  give(one(1))
  await clock.advance(1)
  t.same(
    writes.map(({ ids }) => ids),
    [['e0', 'e1']],
  )
  writes[0]?.deliver()
  end()
  await clock.advance(SECOND)
  t.equal(running.end?.status, 'ended')
})

t.test('batches keep to max_events and max_bytes; an event that is larger goes alone', async t => {
  const clock = virtualClock()
  const sizes: { events: number; bytes: number }[] = []
  const output = listOutput([], async items => {
    sizes.push({ events: items.length, bytes: items.reduce((sum, { bytes }) => sum + bytes.length, 0) })
  })
  const records = Array.from({ length: 200 }, (_, n) => ({
    n,
    event: { id: `e${n}` },
    text: 'x'.repeat(n % 50 === 7 ? 2_000 : n % 40),
  }))
  const config = { batch: { max_events: 10, max_bytes: 500, max_ms: 1 } }
  const { pipeline } = inProcess({ inputs: { in: listInput(records, 30) }, outputs: { out: { output, config } }, clock })
  const running = watched(pipeline.run())
  await clock.advance(10 * SECOND)
  t.equal(running.end?.status, 'ended')
  t.equal(
    sizes.reduce((sum, { events }) => sum + events, 0),
    200,
  )
  t.same(
    sizes.filter(({ events, bytes }) => events > 10 || (bytes > 500 && events > 1)),
    [],
  )
  t.equal(sizes.filter(({ bytes }) => bytes > 500).length, 4)
  t.ok(
    sizes.some(({ events }) => events > 5),
    'and they are not cut too short',
  )
})

t.test('items that are refused for now are delivered later, beside those that came after them', async t => {
  const clock = virtualClock()
  const delivered: JsonObject[] = []
  const tries = new Map<string, number>()
  const output = listOutput(delivered, async (items, reject) => {
    items.forEach(({ id }, index) => {
      const count = (tries.get(id) ?? 0) + 1
      tries.set(id, count)
      if (id === 'e2' && count < 3) reject(index, new RetryableError('busy'))
    })
  })
  const { pipeline, store } = inProcess({ inputs: { in: listInput(numbered(30)) }, outputs: { out: { output } }, clock })
  const running = watched(pipeline.run())
  await clock.advance(10 * SECOND)
  t.equal(running.end?.status, 'ended')
  t.same(idsOf(delivered).sort(), idsOf(numbered(30)).sort())
  t.same(await store.letters.list({}), [])
})
