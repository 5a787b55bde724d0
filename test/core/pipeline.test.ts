// The flow of one pipeline: delivery, routes, gates, dead letters, positions, drain.
import t from 'tap'
import { PermanentError, RetryableError, TooLargeError } from '../../core/plugin/errors.ts'
import type { Filter, Gate, Hold } from '../../core/plugin/interfaces.ts'
import type { JsonObject } from '../../core/plugin/json.ts'
import { chunkOf, imbalance, inProcess, listInput, listOutput, numbered } from '../kit/in-process.ts'

const ns = (events: readonly JsonObject[]) => events.map(({ n }) => n)
const all = (count: number) => Array.from({ length: count }, (_, n) => n)

t.test('everything that is read is delivered in order, and the position is stored', async t => {
  const delivered: JsonObject[] = []
  const { pipeline, store } = inProcess({
    inputs: { in: listInput(numbered(100)) },
    outputs: { out: { output: listOutput(delivered) } },
  })
  const end = await pipeline.run()
  t.equal(end.status, 'ended', String(end.error?.stack))
  t.same(ns(delivered), all(100))
  t.same(imbalance(end.figures), [])
  t.equal(end.figures.counts.read, 100)
  t.same([...(await store.positions('test', 'in'))], [['', 100]])
})

t.test('a run on the same store goes on where the last one stopped', async t => {
  const delivered: JsonObject[] = []
  const setup = { inputs: { in: listInput(numbered(40)) }, outputs: { out: { output: listOutput(delivered) } } }
  const { pipeline, store } = inProcess(setup)
  await pipeline.run()
  const again = await inProcess({ ...setup, inputs: { in: listInput(numbered(45)) }, store }).pipeline.run()
  t.equal(again.figures.counts.read, 5)
  t.same(ns(delivered), all(45))
})

t.test('a write that throws is tried again until it succeeds, and rejects of that call are void', async t => {
  const delivered: JsonObject[] = []
  let calls = 0
  const output = listOutput(delivered, async (_items, reject) => {
    if (++calls % 3 === 0) return
    reject(0, new PermanentError('void, because the call throws'))
    throw new RetryableError('down', { after: 1 })
  })
  const { pipeline, store } = inProcess({ inputs: { in: listInput(numbered(50)) }, outputs: { out: { output } } })
  const end = await pipeline.run()
  t.same(ns(delivered), all(50))
  t.same(imbalance(end.figures), [])
  t.ok((end.figures.outputs[0]?.retried ?? 0) > 0, 'writes were tried again')
  t.same(await store.letters.list({}), [])
})

t.test('a permanently refused item becomes a dead letter with its source bytes, the others are delivered', async t => {
  const delivered: JsonObject[] = []
  const output = listOutput(delivered, async (items, reject) => {
    items.forEach((item, index) => {
      if (item.id === 'e13') reject(index, new PermanentError('mapping conflict', { code: 'PEN_X' }))
    })
  })
  const { pipeline, store } = inProcess({ inputs: { in: listInput(numbered(30)) }, outputs: { out: { output } } })
  const end = await pipeline.run()
  t.equal(delivered.length, 29)
  t.same(imbalance(end.figures), [])
  const [letter] = await store.letters.list({})
  t.match(letter, { step: 'out', stage: 'output', code: 'PEN_X', error: 'mapping conflict', event: 'e13', input: 'in' })
  t.same(JSON.parse(Buffer.from(letter?.bytes ?? []).toString()), { n: 13, event: { id: 'e13' } })
})

t.test('an item refused again and again becomes a dead letter after max_tries, when others are delivered beside it', async t => {
  const delivered: JsonObject[] = []
  let tries = 0
  const output = listOutput(delivered, async (items, reject) => {
    items.forEach((item, index) => {
      if (item.id !== 'e3') return
      tries++
      reject(index, new RetryableError('busy'))
    })
  })
  const { pipeline, store } = inProcess({ inputs: { in: listInput(numbered(30)) }, outputs: { out: { output } } })
  const end = await pipeline.run()
  t.equal(end.status, 'ended')
  t.equal(tries, 3)
  t.equal(delivered.length, 29)
  t.equal((await store.letters.list({})).length, 1)
  t.same(imbalance(end.figures), [])
})

t.test('a batch that is too large is halved, and a single item that is too large is a dead letter', async t => {
  const delivered: JsonObject[] = []
  const output = listOutput(delivered, async items => {
    if (items.length > 2 || items.some(({ id }) => id === 'e9')) throw new TooLargeError('413')
  })
  const { pipeline, store } = inProcess({ inputs: { in: listInput(numbered(20)) }, outputs: { out: { output } } })
  const end = await pipeline.run()
  t.equal(delivered.length, 19)
  t.same(
    (await store.letters.list({})).map(({ event }) => event),
    ['e9'],
  )
  t.same(imbalance(end.figures), [])
})

t.test('mass refusal opens the breaker: good data does not become dead letters', async t => {
  const delivered: JsonObject[] = []
  const output = listOutput(delivered, async (items, reject) => {
    items.forEach((_, index) => {
      reject(index, new PermanentError('no such index'))
    })
  })
  const config = { batch: { max_events: 100, max_bytes: 1 << 20, max_ms: 1 } }
  const { pipeline, store, health } = inProcess({
    inputs: { in: listInput(numbered(200), 200) },
    outputs: { out: { output, config } },
    config: { grace_ms: 20 },
  })
  const running = pipeline.run()
  while (health.worst() === 'ok') await new Promise(resolve => setImmediate(resolve))
  pipeline.stop()
  const end = await running
  t.equal(end.status, 'stopped')
  t.match(health.ailing(), [{ step: 'out', why: /refuses most/ }])
  t.same(await store.letters.list({}), [])
  t.equal(end.left, 200, 'all is left for the next start')
  t.same([...(await store.positions('test', 'in'))], [], 'and the position has not moved')
})

t.test('a filter that throws costs one event, with the step and the error in its dead letter', async t => {
  const delivered: JsonObject[] = []
  const filter = (): Filter => ({
    apply(event) {
      if (event.fields.n === 4) throw new TypeError('no four')
      return event
    },
  })
  const { pipeline, store } = inProcess({
    inputs: { in: listInput(numbered(10)) },
    filters: { picky: { filter } },
    outputs: { out: { output: listOutput(delivered) } },
  })
  const end = await pipeline.run()
  t.same(ns(delivered), [0, 1, 2, 3, 5, 6, 7, 8, 9])
  t.match(await store.letters.list({}), [{ step: 'picky', stage: 'transform', error: 'no four', event: 'e4' }])
  t.same(imbalance(end.figures), [])
})

t.test('records that cannot be decoded and pieces that are no records become dead letters with their offset', async t => {
  const delivered: JsonObject[] = []
  const bytes = Buffer.from('{"n":1}\n{"n":\n{"n":2}\n')
  const input = {
    async *read() {
      yield {
        bytes,
        ends: Uint32Array.of(7, 13, 21),
        offset: 1_000,
        position: 1,
        faults: [{ reason: 'too long', code: 'PEN_LONG', bytes: Buffer.from('xxx'), offset: 1_022, length: 99, sha256: 'ab' }],
      }
    },
  }
  const { pipeline, store } = inProcess({ inputs: { in: input }, outputs: { out: { output: listOutput(delivered) } } })
  const end = await pipeline.run()
  t.same(ns(delivered), [1, 2])
  t.match(await store.letters.list({}), [
    { stage: 'decode', step: 'in', offset: 1_022, length: 99, sha256: 'ab' },
    { stage: 'decode', step: 'in', offset: 1_008 },
  ])
  t.same(imbalance(end.figures), [])
  t.equal(end.figures.counts.read, 4)
})

t.test('routes: an output takes what its when takes, unmatched what no other took', async t => {
  const even: JsonObject[] = []
  const big: JsonObject[] = []
  const rest: JsonObject[] = []
  const { pipeline } = inProcess({
    inputs: { in: listInput(numbered(10)) },
    outputs: {
      even: { output: listOutput(even), when: 'n % 2.0 == 0.0 || n == 0.0 || n == 2.0 || n == 4.0 || n == 6.0 || n == 8.0' },
      big: { output: listOutput(big), when: 'n > 6' },
      rest: { output: listOutput(rest), when: 'unmatched' },
    },
  })
  const end = await pipeline.run()
  t.same(ns(even), [0, 2, 4, 6, 8])
  t.same(ns(big), [7, 8, 9])
  t.same(ns(rest), [1, 3, 5])
  t.same(imbalance(end.figures), [])
})

t.test('what no output takes is counted as unrouted', async t => {
  const some: JsonObject[] = []
  const { pipeline } = inProcess({
    inputs: { in: listInput(numbered(10)) },
    outputs: { some: { output: listOutput(some), when: 'n > 6' } },
    config: { unmatched: 'drop' },
  })
  const end = await pipeline.run()
  t.same(ns(some), [7, 8, 9])
  t.equal(end.figures.counts.unrouted, 7)
  t.same(imbalance(end.figures), [])
})

t.test('parts of a split have ids of their own and count as created', async t => {
  const delivered: JsonObject[] = []
  const ids: string[] = []
  const filter = (): Filter => ({ apply: event => (event.fields.n === 1 ? event.split([{ a: 1 }, { b: 2 }, { c: 3 }]) : event) })
  const output = listOutput(delivered, async items => {
    ids.push(...items.map(({ id }) => id))
  })
  const { pipeline } = inProcess({
    inputs: { in: listInput(numbered(3)) },
    filters: { split: { filter } },
    outputs: { out: { output } },
  })
  const end = await pipeline.run()
  t.same(ids, ['e0', 'e1#1', 'e1#2', 'e1#3', 'e2'])
  t.equal(end.figures.counts.created, 2)
  t.same(imbalance(end.figures), [])
})

/** A gate that remembers in the plainest way what the interface asks for. */
function memoryGate(log: string[]): () => Filter {
  return () => {
    const known = new Map<string, 'kept' | Hold[]>()
    const gate: Gate = {
      key: event => String(event.fields.key ?? event.id),
      admit(key, hold) {
        const state = known.get(key)
        if (state === undefined) {
          known.set(key, [])
          return true
        }
        if (state === 'kept') hold.release()
        else state.push(hold)
        return false
      },
      settled(key, delivered) {
        const state = known.get(key)
        if (Array.isArray(state)) for (const hold of state) hold.release()
        if (delivered) known.set(key, 'kept')
        else known.delete(key)
        log.push(`${key} ${delivered}`)
      },
    }
    return { gate }
  }
}

t.test('a gate lets each key through once, also within a chunk, and counts the repeats', async t => {
  const delivered: JsonObject[] = []
  const log: string[] = []
  const records = Array.from({ length: 60 }, (_, n) => ({ n, key: `k${n % 20}` }))
  const { pipeline } = inProcess({
    inputs: { a: listInput(records.slice(0, 30), 25), b: listInput(records.slice(30), 7) },
    filters: { once: { filter: memoryGate(log) } },
    outputs: { out: { output: listOutput(delivered) } },
  })
  const end = await pipeline.run()
  t.equal(end.status, 'ended', String(end.error?.stack))
  t.equal(delivered.length, 20)
  t.equal(end.figures.counts.duplicates, 40)
  t.same(imbalance(end.figures), [])
  t.equal(log.length, 20)
})

t.test('a key is released when its event became a dead letter', async t => {
  const log: string[] = []
  const output = listOutput([], async (items, reject) => {
    items.forEach(({ id }, index) => {
      if (id === 'e1') reject(index, new PermanentError('never'))
    })
  })
  const { pipeline } = inProcess({
    inputs: { in: listInput(numbered(3)) },
    filters: {
      once: { filter: memoryGate(log) },
      fails: {
        filter: () => ({
          apply(event) {
            if (event.id === 'e2') throw new Error('behind the gate')
            return event
          },
        }),
      },
    },
    outputs: { out: { output } },
  })
  const end = await pipeline.run()
  t.same(log.sort(), ['e0 true', 'e1 false', 'e2 false'])
  t.same(imbalance(end.figures), [])
})

t.test(
  'marked dead letters are sent to the output that refused them only, past the gates, and go when they are delivered',
  async t => {
    const first: JsonObject[] = []
    const second: JsonObject[] = []
    let broken = true
    const outputs = {
      first: { output: listOutput(first) },
      second: {
        output: listOutput(second, async (items, reject) => {
          items.forEach(({ id }, index) => {
            if (broken && id === 'e2') reject(index, new PermanentError('not now'))
          })
        }),
      },
    }
    const setup = { inputs: { in: listInput(numbered(5)) }, filters: { once: { filter: memoryGate([]) } }, outputs }
    const { pipeline, store } = inProcess(setup)
    await pipeline.run()
    t.equal(await store.letters.mark({}), 1)
    broken = false
    const end = await inProcess({ ...setup, store }).pipeline.run()
    t.equal(end.status, 'ended', String(end.error?.stack))
    t.equal(end.figures.counts.replayed, 1)
    t.same(ns(second).sort(), all(5))
    t.same(ns(first), all(5), 'the output that had it does not get it again')
    t.same(await store.letters.list({}), [])
  },
)

t.test('when dead letters cannot be written the pipeline stops and the position stays', async t => {
  const { store } = inProcess({ inputs: {}, outputs: {} })
  const full = { ...store, letters: { ...store.letters, add: async () => Promise.reject(new Error('no space left')) } }
  const filter = (): Filter => ({
    apply(event) {
      if (event.fields.n === 7) throw new Error('bad')
      return event
    },
  })
  const { pipeline } = inProcess({
    inputs: { in: listInput(numbered(20)) },
    filters: { f: { filter } },
    outputs: { out: { output: listOutput([]) } },
    store: full,
  })
  const end = await pipeline.run()
  t.equal(end.status, 'failed')
  t.match(end.error, { message: 'no space left' })
  const position = (await store.positions('test', 'in')).get('')
  t.ok(position === undefined || (position as number) <= 5, `position ${String(position)} is before the bad event`)
})

t.test('stop delivers what was read and leaves the rest', async t => {
  const delivered: JsonObject[] = []
  let reads = 0
  const endless = {
    async *read(_positions: unknown, signal: AbortSignal) {
      for (let n = 0; !signal.aborted; n++) {
        reads++
        yield chunkOf([{ n, event: { id: `e${n}` } }], { position: n })
        await new Promise(resolve => setImmediate(resolve))
      }
    },
  }
  const { pipeline, store } = inProcess({ inputs: { in: endless }, outputs: { out: { output: listOutput(delivered) } } })
  const running = pipeline.run()
  while (delivered.length < 50) await new Promise(resolve => setImmediate(resolve))
  pipeline.stop()
  const end = await running
  t.equal(end.status, 'stopped')
  t.equal(end.left, 0)
  t.same(ns(delivered), all(delivered.length))
  t.ok(delivered.length >= reads - 2)
  t.equal((await store.positions('test', 'in')).get(''), delivered.length - 1)
})

t.test('a dead output holds back the inputs and not the other outputs; memory is bounded by the cap', async t => {
  const fast: JsonObject[] = []
  const dead = listOutput([], async (_items, _reject, signal) => {
    await new Promise((_, reject) => {
      signal.addEventListener('abort', () => reject(signal.reason as Error))
    })
  })
  const { pipeline } = inProcess({
    inputs: { in: listInput(numbered(5_000)) },
    outputs: { fast: { output: listOutput(fast) }, dead: { output: dead } },
    config: { in_flight_bytes: 20_000, grace_ms: 20 },
  })
  const running = pipeline.run()
  let before = -1
  while (fast.length !== before || fast.length === 0) {
    before = fast.length
    await new Promise(resolve => setTimeout(resolve, 30))
  }
  t.ok(fast.length > 50 && fast.length < 1_000, `${fast.length} events passed before the cap`)
  t.ok(pipeline.figures().inFlightBytes <= 20_000 + 1_000, `${pipeline.figures().inFlightBytes} bytes in flight`)
  pipeline.stop()
  const end = await running
  t.equal(end.status, 'stopped')
  t.equal(end.left, fast.length)
  t.same(imbalance(end.figures), [])
})

t.test('an input that throws fails the pipeline', async t => {
  const broken = {
    async *read() {
      yield chunkOf([{ n: 1 }])
      throw new Error('cable cut')
    },
  }
  const { pipeline } = inProcess({ inputs: { in: broken }, outputs: { out: { output: listOutput([]) } } })
  const end = await pipeline.run()
  t.match(end, { status: 'failed', error: { message: 'cable cut' } })
})
