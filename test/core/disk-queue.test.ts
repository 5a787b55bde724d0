// A disk queue before an output: a dead output holds up nobody else, and what was taken is delivered or buried, also after a restart.
import t from 'tap'
import { memoryStore } from '../../core/cli/memory-store.ts'
import { PenstockError, PermanentError } from '../../core/plugin/errors.ts'
import type { Chunk, Event, Filter, Item, Output } from '../../core/plugin/interfaces.ts'
import type { JsonObject } from '../../core/plugin/json.ts'
import { openStore } from '../../core/state/store.ts'
import type { DeadLetter, QueueFile, Store } from '../../core/state/types.ts'
import { chunkOf, imbalance, inProcess, listInput, listOutput, numbered } from '../kit/in-process.ts'
import { fc, rounds } from '../kit/rounds.ts'
import { until } from '../kit/until.ts'
import { virtualClock } from '../kit/virtual-clock.ts'
import { handInput, idsOf, one, watched } from './settling-support.ts'

const SECOND = 1_000
const MIB = 1 << 20
const queue = { max_bytes: MIB }
/** Few tries of an output that is down. */
const retry = { min_ms: 200, max_ms: 2 * SECOND }
/** A window of a few chunks: the rest of a backlog is read back from the queue. */
const narrow = { in_flight_bytes: 1_000 }

/** Fails while `down` says so. */
function weakOutput(delivered: JsonObject[], is: { down: boolean }): () => Output {
  return listOutput(delivered, async () => {
    if (is.down) throw new Error('connection refused')
  })
}

t.test('a dead output does not hold up the others, and gets everything in order when it is back', async t => {
  const clock = virtualClock()
  const events = numbered(400)
  const [quick, slow]: JsonObject[][] = [[], []]
  const is = { down: true }
  const { pipeline, store } = inProcess({
    inputs: { in: listInput(events) },
    outputs: {
      quick: { output: listOutput(quick as JsonObject[]) },
      slow: { output: weakOutput(slow as JsonObject[], is), config: { queue, retry } },
    },
    config: narrow,
    clock,
  })
  const running = watched(pipeline.run())
  await clock.advance(60 * SECOND)
  t.equal(quick?.length, 400)
  t.same(slow, [])
  t.equal((await store.positions('test', 'in')).get(''), 400, 'the input may forget all of it')
  const { outputs, inFlightBytes } = pipeline.figures()
  t.equal(inFlightBytes, 0, 'and nothing of it takes room in the pipeline')
  t.match(outputs[1], { routed: 400, delivered: 0, inFlight: 400, queue: { events: 400, maxBytes: MIB } })
  t.equal(running.end, undefined, 'the pipeline waits for the queue')
  is.down = false
  await clock.advance(60 * SECOND)
  t.equal(running.end?.status, 'ended')
  t.same(idsOf(slow as JsonObject[]), idsOf(events))
  t.match(running.end?.figures.outputs[1], { delivered: 400, inFlight: 0, queue: { events: 0, bytes: 0 } })
  t.same(imbalance(running.end!.figures), [])
})

t.test('a full queue holds the pipeline back, and says so; with room it goes on', async t => {
  const clock = virtualClock()
  const events = numbered(400)
  const delivered: JsonObject[] = []
  const is = { down: true }
  const { pipeline, store, health } = inProcess({
    inputs: { in: listInput(events) },
    outputs: { out: { output: weakOutput(delivered, is), config: { queue: { max_bytes: 20_000 }, retry } } },
    config: narrow,
    clock,
  })
  const running = watched(pipeline.run())
  await clock.advance(60 * SECOND)
  const position = Number((await store.positions('test', 'in')).get(''))
  t.ok(position > 20 && position < 380, `${position} of 400 are in the queue`)
  const [queued] = pipeline.figures().outputs
  t.ok(Number(queued?.queue?.bytes) <= 20_000, `${queued?.queue?.bytes} bytes`)
  t.match(health.ailing(), [{ step: 'out.queue', status: 'degraded', why: /disk queue is full/ }, { step: 'out' }])
  t.same(imbalance(pipeline.figures()), [])
  is.down = false
  await clock.advance(60 * SECOND)
  t.equal(running.end?.status, 'ended')
  t.same(idsOf(delivered), idsOf(events))
  t.same(health.ailing(), [])
})

t.test('a queue takes a slice that is larger than all of it when it is empty', async t => {
  const delivered: JsonObject[] = []
  const { pipeline } = inProcess({
    inputs: { in: listInput(numbered(20)) },
    outputs: { out: { output: listOutput(delivered), config: { queue: { max_bytes: 1 } } } },
  })
  t.equal((await pipeline.run()).status, 'ended')
  t.equal(delivered.length, 20)
})

t.test('health tells when a queue is nearly full', async t => {
  const clock = virtualClock()
  const is = { down: true }
  const base = memoryStore()
  const { input, give } = handInput()
  const { pipeline, health } = inProcess({
    inputs: { in: input },
    outputs: { out: { output: weakOutput([], is), config: { queue: { max_bytes: 1_000 } } } },
    store: withQueue(base, file => ({
      ...file,
      write: async (add, remove) => ({ ...(await file.write(add, remove)), bytes: is.down ? 910 : 900 }),
    })),
    clock,
  })
  const running = pipeline.run()
  await clock.settle()
  t.same(health.ailing(), [])
  give(one(0))
  await clock.advance(SECOND)
  t.match(health.ailing(), [{ step: 'out.queue', why: 'its disk queue is 91 % full' }, { step: 'out' }])
  is.down = false
  await clock.advance(60 * SECOND)
  t.same(health.ailing(), [])
  pipeline.stop()
  await clock.advance(60 * SECOND)
  await running
})

/** The store with queues that `change` has made others of. */
function withQueue(store: Store, change: (file: QueueFile) => QueueFile): Store {
  return { ...store, openQueue: async (...args) => change(await store.openQueue(...args)) }
}

for (const [name, code] of [
  ['the disk is full', 'ENOSPC'],
  ['the disk fails', 'PEN_STATE_IO'],
] as const) {
  t.test(`${name}: nothing is acknowledged that is not in the queue, and it goes on by itself`, async t => {
    const clock = virtualClock()
    const delivered: JsonObject[] = []
    let broken = true
    const failing = async <T>(work: () => Promise<T>): Promise<T> => {
      if (broken) throw new PenstockError(code, name)
      return work()
    }
    const { pipeline, store, health } = inProcess({
      inputs: { in: listInput(numbered(60)) },
      outputs: { out: { output: listOutput(delivered), config: { queue, retry } } },
      config: narrow,
      store: withQueue(memoryStore(), file => ({
        ...file,
        write: (add, remove) => failing(() => file.write(add, remove)),
        read: (from, bytes) => failing(() => file.read(from, bytes)),
      })),
      clock,
    })
    const running = watched(pipeline.run())
    await clock.advance(60 * SECOND)
    t.same([...(await store.positions('test', 'in'))], [])
    t.same(delivered, [])
    t.match(health.ailing(), [{ step: 'out.queue', why: name }])
    broken = false
    await clock.advance(60 * SECOND)
    t.equal(running.end?.status, 'ended')
    t.same(idsOf(delivered), idsOf(numbered(60)))
    t.same(health.ailing(), [])
  })
}

t.test('while nothing can be added, what was delivered is removed, and the backlog goes on to the output', async t => {
  const clock = virtualClock()
  const store = memoryStore()
  const delivered: JsonObject[] = []
  const is = { down: true }
  let full = false
  const { input, give } = handInput()
  const { pipeline } = inProcess({
    inputs: { in: input },
    outputs: { out: { output: weakOutput(delivered, is), config: { queue, retry } } },
    config: { in_flight_bytes: 400 },
    store: withQueue(store, file => ({
      ...file,
      async write(add, remove) {
        if (full && add.length > 0) throw new PenstockError('ENOSPC', 'no space left')
        return file.write(add, remove)
      },
    })),
    clock,
  })
  watched(pipeline.run())
  for (let n = 0; n < 100; n++) give(one(n))
  await clock.advance(60 * SECOND)
  t.equal((await store.queues())[0]?.events, 100)
  full = true
  give(one(100))
  await clock.advance(10 * SECOND)
  is.down = false
  await clock.advance(120 * SECOND)
  t.equal(delivered.length, 100)
  t.equal((await store.queues())[0]?.events, 0)
  t.equal((await store.positions('test', 'in')).get(''), 100, 'and nothing more was acknowledged')
  full = false
  await clock.advance(10 * SECOND)
  t.same(idsOf(delivered), idsOf(numbered(101)))
  t.equal((await store.positions('test', 'in')).get(''), 101)
  pipeline.stop()
  await clock.advance(SECOND)
})

t.test('a queue that counts more than it holds is refused instead of waited for', async t => {
  const { pipeline } = inProcess({
    inputs: { in: listInput([]) },
    outputs: { out: { output: listOutput([]), config: { queue } } },
    store: withQueue(memoryStore(), file => ({ ...file, start: { ...file.start, events: 3 } })),
  })
  const end = await pipeline.run()
  t.match(end.error, { code: 'PEN_STATE_DAMAGED', message: /queue of out counts 3 events that are not in it: .*state reset/ })
})

t.test('a queue that is damaged ends the pipeline with what its file says', async t => {
  const base = memoryStore()
  const { pipeline } = inProcess({
    inputs: { in: listInput(numbered(60)) },
    outputs: { out: { output: listOutput([]), config: { queue, retry } } },
    store: withQueue(base, file => ({
      ...file,
      async write() {
        throw new PenstockError('PEN_STATE_DAMAGED', 'the queue is damaged')
      },
    })),
  })
  const end = await pipeline.run()
  t.equal(end.status, 'failed')
  t.equal(end.error?.message, 'the queue is damaged')
  t.same([...(await base.positions('test', 'in'))], [])
})

t.test('after the grace period the rest stays in the queue: the next run delivers it, and counts it as its own', async t => {
  const clock = virtualClock()
  const store = memoryStore()
  const events = numbered(200)
  const delivered: JsonObject[] = []
  const is = { down: true }
  const run = (inputs: Record<string, ReturnType<typeof listInput>>) => {
    const made = inProcess({
      inputs,
      outputs: { out: { output: weakOutput(delivered, is), config: { queue, retry } } },
      config: { ...narrow, grace_ms: 3 * SECOND },
      store,
      clock,
    })
    return { ...made, running: watched(made.pipeline.run()) }
  }
  const first = run({ in: listInput(events) })
  await clock.advance(SECOND)
  first.pipeline.stop()
  await clock.advance(2 * SECOND)
  t.equal(first.running.end, undefined, 'it waits for the output')
  await clock.advance(2 * SECOND)
  t.match(first.running.end, { status: 'stopped', left: 200 })
  t.equal((await store.positions('test', 'in')).get(''), 200, 'the source is not asked for them again')
  t.match(await store.queues(), [{ pipeline: 'test', output: 'out', events: 200 }])

  const second = run({ in: listInput(events) })
  await clock.advance(SECOND)
  t.match(second.pipeline.figures(), { counts: { read: 0 }, outputs: [{ routed: 200, delivered: 0, inFlight: 200 }] })
  is.down = false
  await clock.advance(60 * SECOND)
  t.match(second.running.end, { status: 'ended', left: 0, figures: { outputs: [{ routed: 200, delivered: 200, inFlight: 0 }] } })
  t.same(idsOf(delivered), idsOf(events))
  t.match(await store.queues(), [{ events: 0, bytes: 0 }])
})

t.test('a pipeline that fails and is started again counts nothing twice', async t => {
  const { Supervisor } = await import('../../core/flow/supervisor.ts')
  const delivered: JsonObject[] = []
  const is = { down: true }
  let lives = 0
  const { config, parts } = inProcess({
    inputs: {
      in: {
        async *read(positions, signal) {
          if (positions.get('') === undefined) yield chunkOf(numbered(50), { position: 1 })
          if (lives++ === 0) {
            await until(async () => (await parts.store.queues())[0]?.events === 50)
            throw new Error('the source broke')
          }
          is.down = false
          yield* listInput([]).read(positions, signal)
        },
      },
    },
    outputs: { out: { output: weakOutput(delivered, is), config: { queue, retry } } },
  })
  const supervisor = new Supervisor(parts)
  const [end] = await supervisor.run([config])
  t.equal(end?.status, 'ended')
  t.match(end?.figures, { counts: { read: 50 }, outputs: [{ routed: 50, delivered: 50, inFlight: 0 }] })
  t.equal(delivered.length, 50)
})

// What may have been sent before.

/** Runs a pipeline over a store of before; gives what each item said of itself, and stops at the first write that `until` names. */
async function flags(store: Store, chunks: readonly Chunk[], config: object, stuck?: () => boolean) {
  const seen: (readonly [id: string, again: boolean])[] = []
  const output = (): Output => ({
    encode(event, to) {
      to.json(event.fields)
      return undefined
    },
    async write(items, _reject, signal) {
      for (const { id, again } of items) seen.push([id, again])
      if (stuck?.())
        await new Promise((_, reject) => signal.addEventListener('abort', () => reject(new Error('aborted')), { once: true }))
    },
  })
  const { pipeline } = inProcess({
    inputs: {
      in: {
        async *read() {
          yield* chunks
        },
      },
    },
    outputs: { out: { output, config: { queue, retry } } },
    config: { grace_ms: 1, ...config },
    store,
  })
  const running = pipeline.run()
  if (stuck) {
    await until(async () => seen.length > 0 && (await store.queues())[0]?.events === chunks.length)
    pipeline.stop()
  }
  await running
  return seen
}

t.test('after a start only what may have been sent says so: no more of the queue than is sent at once', async t => {
  const store = memoryStore()
  const pad = 'x'.repeat(500)
  const chunks = numbered(40).map(event => chunkOf([{ ...event, pad }], { again: false }))
  const before = await flags(store, chunks, { in_flight_bytes: 4_000 }, () => true)
  t.ok(before.every(([, again]) => !again))
  const after = await flags(store, [], { in_flight_bytes: 1_000 })
  t.equal(after.length, 40)
  const sure = after.findIndex(([, again]) => !again)
  // An item is 530 bytes, its head more than 100.
  t.ok(sure >= 4 && sure <= 7, `${sure} may have been sent, of a window that was wider then`)
  t.notOk(after.slice(sure).some(([, again]) => again))
  t.same(
    new Set(before.map(([id]) => id)),
    new Set(after.slice(0, before.length).map(([id]) => id)),
    'those that were are among them',
  )
})

t.test('what its input was not sure of stays in doubt in the queue', async t => {
  const store = memoryStore()
  const chunks = numbered(20).map(event => chunkOf([event], { again: Number(event['n']) === 15 }))
  await flags(store, chunks, { in_flight_bytes: 600 }, () => true)
  const after = await flags(store, [], { in_flight_bytes: 600 })
  t.equal(after.find(([id]) => id === 'e15')?.[1], true)
  t.equal(after.find(([id]) => id === 'e16')?.[1], false)
})

// Dead letters.

/** Changes the source bytes of some events, and splits others. */
const redacting = (): Filter => ({
  apply(event: Event) {
    const n = Number(event.fields['n'])
    if (n % 5 === 1) event.redact(Buffer.from(`{"n":${n},"redacted":true}`))
    return n % 5 === 2
      ? event.split([
          { n, part: 1 },
          { n, part: 2 },
        ])
      : event
  },
})

/** The dead letters of an output that refuses everything at the last moment. */
async function refusedBy(config: object, restart: boolean): Promise<DeadLetter[]> {
  const store = memoryStore()
  const is = { down: restart }
  const run = (chunks: readonly Chunk[]) =>
    inProcess({
      inputs: {
        in: {
          async *read() {
            yield* chunks
          },
        },
      },
      filters: { redact: { filter: redacting } },
      outputs: {
        out: {
          output: () => ({
            encode(event, to) {
              to.json(event.fields)
              return { to: `topic-${Number(event.fields['n']) % 3}` }
            },
            async write(items: readonly Item[], reject) {
              if (is.down) throw new Error('down')
              items.forEach(({ bytes, address }, index) => {
                reject(index, new PermanentError(`no ${Buffer.from(bytes)} in ${address.to}`))
              })
            },
          }),
          // One at a time, so that the breaker never opens.
          config: { batch: { max_events: 2, max_bytes: 1 << 20, max_ms: 1 }, ...config },
        },
      },
      config: { ...narrow, max_event_bytes: 60_000, grace_ms: 1 },
      store,
    })
  const chunks = Array.from({ length: 6 }, (_, index) => {
    const records = [0, 1, 2, 3, 4].map(k => ({ n: index * 5 + k, pad: index === 4 && k === 3 ? 'x'.repeat(70_000) : 'x' }))
    const last = index === 5 ? { ids: new Map([[3, 'given']]) } : {}
    return chunkOf(records, { offset: index * 1_000, meta: { path: 'a.log' }, partition: `p${index % 2}`, ...last })
  })
  const { pipeline, parts } = run(chunks)
  const running = pipeline.run()
  if (restart) {
    await until(async () => (await parts.store.queues())[0]?.events === 36)
    pipeline.stop()
    await running
    is.down = false
    await run([]).pipeline.run()
  } else await running
  return (await store.letters.list({})).map(({ id, at, replay, ...letter }) => ({ ...letter, bytes: Buffer.from(letter.bytes) }))
}

t.test('a dead letter is the same whether its event waited in memory, in the queue, or through a restart', async t => {
  const byText = (a: DeadLetter, b: DeadLetter) => (`${a.offset} ${a.error}` < `${b.offset} ${b.error}` ? -1 : 1)
  const plain = (await refusedBy({}, false)).sort(byText)
  t.equal(plain.length, 36)
  t.ok(plain.some(({ bytes }) => String(bytes).includes('redacted')))
  t.ok(plain.some(({ bytes, length }) => bytes.length === 64 * 1024 && length > 70_000))
  t.match(
    plain.find(({ event }) => event === 'given'),
    { meta: { record_id: 'given', partition: 'p1', path: 'a.log' }, tries: 0, stage: 'output', input: 'in' },
  )
  for (const restart of [false, true]) t.same((await refusedBy({ queue }, restart)).sort(byText), plain)
})

t.test('a dead letter that is replayed goes through the queue, once, and is gone when it lies there', async t => {
  const clock = virtualClock()
  const store = memoryStore()
  const delivered: JsonObject[] = []
  const is = { down: true }
  const bytes = Buffer.from('{"n":0,"event":{"id":"e0"}}')
  const letter = { pipeline: 'test', step: 'out', stage: 'output', input: 'in', code: 'X', error: 'no', meta: {} } as const
  await store.letters.add([{ ...letter, bytes, length: bytes.length, tries: 2 }])
  await store.letters.mark({})
  let refuse = true
  const output = listOutput(delivered, async (_items, reject) => {
    if (is.down) throw new Error('down')
    if (refuse) reject(0, new PermanentError('still not'))
  })
  const make = () =>
    inProcess({
      inputs: { in: listInput([]) },
      outputs: { out: { output, config: { queue, retry } } },
      store,
      clock,
      config: { grace_ms: 1 },
    })
  const first = make().pipeline
  const running = watched(first.run())
  await clock.advance(10 * SECOND)
  t.same(await store.letters.list({}), [], 'it lies in the queue instead')
  first.stop()
  await clock.advance(10 * SECOND)
  t.equal(running.end?.left, 1)
  is.down = false
  const second = watched(make().pipeline.run())
  await clock.advance(10 * SECOND)
  t.equal(second.end?.status, 'ended')
  t.match(await store.letters.list({}), [{ error: 'still not', tries: 3, event: 'e0', bytes }])
  refuse = false
  await store.letters.mark({})
  watched(make().pipeline.run())
  await clock.advance(10 * SECOND)
  t.same(idsOf(delivered), ['e0'])
  t.same(await store.letters.list({}), [])
})

t.test('a repeat of an event that lies in the queue is a duplicate, and does not lie there too', async t => {
  const clock = virtualClock()
  const store = memoryStore()
  const seen = new Set<string>()
  const gate = {
    key: ({ fields }: Event) => String(fields['n']),
    admit(key: string, hold: { release(): void }) {
      if (!seen.has(key)) {
        seen.add(key)
        return true
      }
      hold.release()
      return false
    },
  }
  const delivered: JsonObject[] = []
  const is = { down: true }
  const make = (chunks: readonly Chunk[]) => {
    const inputs = {
      in: {
        async *read() {
          yield* chunks
        },
      },
    }
    const outputs = { out: { output: weakOutput(delivered, is), config: { queue, retry } } }
    return inProcess({ inputs, filters: { once: { filter: () => ({ gate }) } }, outputs, store, clock, config: { grace_ms: 1 } })
      .pipeline
  }
  const first = make([
    chunkOf([{ n: 0 }, { n: 1 }, { n: 0 }, { n: 2 }], { position: 1 }),
    chunkOf([{ n: 2 }, { n: 3 }], { position: 2 }),
  ])
  watched(first.run())
  await clock.advance(SECOND)
  t.match(first.figures(), { counts: { duplicates: 2, routed: 4 }, outputs: [{ routed: 4 }] })
  t.equal((await store.positions('test', 'in')).get(''), 2)
  first.stop()
  await clock.advance(SECOND)
  is.down = false
  watched(make([]).run())
  await clock.advance(SECOND)
  t.same(delivered, [{ n: 0 }, { n: 1 }, { n: 2 }, { n: 3 }], 'and leaves no gap between the others')
})

t.test('of a backlog no more is in memory than may be sent at once', async t => {
  const clock = virtualClock()
  const store = memoryStore()
  const is = { down: true }
  let read = 0
  const run = (window: number) => {
    const { pipeline } = inProcess({
      inputs: { in: listInput(numbered(500)) },
      outputs: { out: { output: weakOutput([], is), config: { queue, retry } } },
      config: { in_flight_bytes: window, grace_ms: 1 },
      store: withQueue(store, file => ({
        ...file,
        async read(from, bytes) {
          const slices = await file.read(from, bytes)
          for (const { head, items } of slices) read += head.length + items.length
          return slices
        },
      })),
      clock,
    })
    return { pipeline, running: watched(pipeline.run()) }
  }
  const first = run(1 << 20)
  await clock.advance(SECOND)
  first.pipeline.stop()
  await clock.advance(SECOND)
  t.equal(first.running.end?.left, 500)
  const { pipeline, running } = run(5_000)
  await clock.advance(60 * SECOND)
  t.ok(read >= 5_000 && read < 6_000, `${read} bytes`)
  is.down = false
  await clock.advance(60 * SECOND)
  t.equal(running.end?.status, 'ended')
  t.equal(pipeline.figures().outputs[0]?.delivered, 500)
})

// Everything together, some of it with a real file.
t.setTimeout(240_000)

t.test('whatever an output does, and wherever a run ends: nothing is lost, nothing invented, figures always balance', async t => {
  const spec = fc.record({
    chunks: fc.integer({ min: 1, max: 12 }),
    size: fc.integer({ min: 1, max: 9 }),
    window: fc.constantFrom(1, 700, 1 << 20),
    maxBytes: fc.constantFrom(1, 3_000, MIB),
    lives: fc.array(fc.record({ writes: fc.integer({ min: 0, max: 12 }), throws: fc.boolean() }), { maxLength: 4 }),
    refuse: fc.integer({ min: 2, max: 40 }),
    // Files cost a quarter of a second for each life.
    isFile: fc.integer({ min: 0, max: 5 }).map(n => n === 0),
    concurrency: fc.integer({ min: 1, max: 3 }),
  })
  await fc.assert(
    fc.asyncProperty(spec, async ({ chunks, size, window, maxBytes, lives, refuse, isFile, concurrency }) => {
      const folder = t.testdir({})
      const memory = memoryStore()
      const open = async () => (isFile ? openStore(folder) : memory)
      const events = numbered(chunks * size)
      const delivered: JsonObject[] = []
      const wrong: string[] = []
      for (const life of [...lives, undefined]) {
        const store = await open()
        let left = life?.writes ?? Number.POSITIVE_INFINITY
        const output = (): Output => ({
          concurrency,
          encode(event, to) {
            to.json(event.fields)
            return undefined
          },
          async write(items, reject) {
            wrong.push(...imbalance(pipeline.figures()))
            if (left-- <= 0) {
              if (life?.throws === false) pipeline.stop()
              throw new Error('down')
            }
            const texts = items.map(({ bytes }) => JSON.parse(Buffer.from(bytes).toString()) as JsonObject)
            await new Promise(resolve => setImmediate(resolve))
            texts.forEach((event, index) => {
              if (Number(event['n']) % refuse === 1) reject(index, new PermanentError('no'))
              else delivered.push(event)
            })
          },
        })
        const { pipeline } = inProcess({
          inputs: { in: listInput(events, size) },
          outputs: {
            out: { output, config: { queue: { max_bytes: maxBytes }, batch: { max_events: 4, max_bytes: 1 << 20, max_ms: 1 } } },
          },
          config: { in_flight_bytes: window, grace_ms: 1 },
          store,
        })
        const running = pipeline.run()
        if (life) {
          let isOver = false
          void running.then(() => {
            isOver = true
          })
          await until(() => left < 0 || isOver)
          pipeline.stop()
        }
        const end = await running
        wrong.push(...imbalance(end.figures))
        if (end.error) wrong.push(end.error.message)
        await store.close()
      }
      const store = await open()
      const letters = await store.letters.list({})
      const [queue] = await store.queues()
      await store.close()
      const arrived = new Set([...idsOf(delivered), ...letters.map(({ event }) => String(event))])
      const missing = idsOf(events).filter(id => !arrived.has(id))
      if (missing.length > 0) wrong.push(`lost: ${missing}`)
      if (arrived.size !== events.length) wrong.push(`${arrived.size} of ${events.length}`)
      if (queue?.events !== 0 || queue.bytes !== 0) wrong.push(`the queue holds ${JSON.stringify(queue)}`)
      if (wrong.length > 0) throw new Error(wrong.join('\n'))
    }),
    { numRuns: rounds(200) },
  )
})
