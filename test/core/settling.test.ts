// When a chunk counts as settled: not before all of it is delivered or buried, stored in one commit, and told only after it.
import t from 'tap'
import { memoryStore } from '../../core/cli/memory-store.ts'
import { PermanentError } from '../../core/plugin/errors.ts'
import type { Filter, Gate, Hold } from '../../core/plugin/interfaces.ts'
import type { JsonObject } from '../../core/plugin/json.ts'
import type { DeadLetter } from '../../core/state/types.ts'
import { chunkOf, imbalance, inProcess, listInput, listOutput, numbered } from '../kit/in-process.ts'
import { virtualClock } from '../kit/virtual-clock.ts'
import { gateway, handInput, handOutput, idsOf, one, watched, watchedStore } from './settling-support.ts'

/** Every item is a batch of its own. */
const single = { batch: { max_events: 1, max_bytes: 1 << 20, max_ms: 1 } }
const SECOND = 1_000

t.test('the position moves over the longest settled prefix, in whatever order chunks are delivered', async t => {
  const clock = virtualClock()
  const { input, give, end } = handInput()
  const { output, writes } = handOutput(8)
  const { pipeline, store } = inProcess({ inputs: { in: input }, outputs: { out: { output, config: single } }, clock })
  const running = watched(pipeline.run())
  const deliver = async (...ids: string[]) => {
    for (const id of ids) writes.find(write => write.ids[0] === id)?.deliver()
    await clock.advance(SECOND)
  }
  const position = async () => (await store.positions('test', 'in')).get('')
  give(...[0, 1, 2, 3, 4, 5].map(n => one(n)))
  await clock.advance(SECOND)
  t.equal(writes.length, 6, 'all are under way')
  await deliver('e1', 'e2', 'e4')
  t.equal(await position(), undefined, 'the first one is not delivered')
  await deliver('e0')
  t.equal(await position(), 3)
  await deliver('e5')
  t.equal(await position(), 3, 'the fourth one is not delivered')
  await deliver('e3')
  t.equal(await position(), 6)
  end()
  await clock.advance(SECOND)
  t.equal(running.end?.status, 'ended')
  t.equal(running.end?.figures.inFlightBytes, 0, 'nothing counts against the cap any more')
})

t.test('partitions have positions of their own, and one that ends is forgotten', async t => {
  const clock = virtualClock()
  const { input, give, end } = handInput()
  const { output, writes } = handOutput(8)
  const { pipeline, store } = inProcess({ inputs: { in: input }, outputs: { out: { output, config: single } }, clock })
  const running = watched(pipeline.run())
  give(one(0, { partition: 'slow' }), one(1, { partition: 'quick' }), one(2, { partition: 'quick' }))
  await clock.advance(SECOND)
  for (const id of ['e1', 'e2']) writes.find(({ ids }) => ids[0] === id)?.deliver()
  await clock.advance(SECOND)
  t.same([...(await store.positions('test', 'in'))], [['quick', 3]], 'what one partition waits for holds back no other')
  give(one(3, { partition: 'quick', last: true }))
  await clock.advance(SECOND)
  for (const write of [...writes]) write.deliver()
  await clock.advance(SECOND)
  t.same([...(await store.positions('test', 'in'))], [['slow', 1]])
  end()
  await clock.advance(SECOND)
  t.equal(running.end?.status, 'ended')
})

t.test('a gate that releases a hold twice takes no other one', async t => {
  const clock = virtualClock()
  const { input, give } = handInput()
  const { output, writes } = handOutput()
  const gate: Gate = {
    key: event => String(event.fields.n),
    admit(key, hold: Hold) {
      if (key !== 'repeat') return true
      hold.release()
      hold.release()
      hold.release()
      return false
    },
  }
  const { pipeline, store } = inProcess({
    inputs: { in: input },
    filters: { gate: { filter: (): Filter => ({ gate }) } },
    outputs: { out: { output } },
    clock,
  })
  const running = watched(pipeline.run())
  give(chunkOf([{ n: 'first' }, { n: 'repeat' }], { position: 1 }))
  await clock.advance(SECOND)
  t.equal(writes.length, 1)
  t.same([...(await store.positions('test', 'in'))], [], 'the first event is still under way')
  t.equal(running.end, undefined)
  writes[0]?.deliver()
  await clock.advance(SECOND)
  t.same([...(await store.positions('test', 'in'))], [['', 1]])
  pipeline.stop()
  await clock.advance(SECOND)
  t.equal(running.end?.status, 'stopped')
})

t.test('position, rows and keys of a chunk are one commit; input and gates hear of it afterwards', async t => {
  const clock = virtualClock()
  const { input, give, end } = handInput()
  const heard: string[] = []
  const disk = gateway()
  const { store, commits } = watchedStore(memoryStore(), () => disk.passed)
  const gate: Gate = {
    key: event => event.id,
    admit: () => true,
    keep: keys => keys.map(key => [`key ${key}`, true] as const),
    settled: (key, delivered) => void heard.push(`gate ${key} ${delivered}`),
  }
  const output = listOutput([], async (items, reject) => {
    items.forEach(({ id }, index) => {
      if (id === 'e1') reject(index, new PermanentError('never'))
    })
  })
  const settled = (partition: string, position: unknown) => void heard.push(`input ${partition} ${position}`)
  const { pipeline } = inProcess({
    inputs: { in: { ...input, settled } },
    filters: { gate: { filter: (): Filter => ({ gate }) } },
    outputs: { out: { output } },
    store,
    clock,
  })
  const running = watched(pipeline.run())
  give(chunkOf(numbered(3), { position: 3, partition: 'p', rows: [['row', 'of the chunk']] }))
  await clock.advance(SECOND)
  t.same(heard, [], 'nobody is told before the store has answered')
  disk.open()
  await clock.advance(SECOND)
  t.same(commits, [
    {
      positions: [['test', 'in', 'p', 3]],
      rows: [
        ['test/in', 'row', 'of the chunk'],
        ['test/gate', 'key e0', true],
        ['test/gate', 'key e2', true],
      ],
    },
  ])
  t.same(heard, ['gate e0 true', 'gate e1 false', 'gate e2 true', 'input p 3'])
  end()
  await clock.advance(SECOND)
  t.equal(running.end?.status, 'ended')
})

t.test('a commit that cannot be made for now is made later, and nobody is told before', async t => {
  const clock = virtualClock()
  const heard: unknown[] = []
  let full = true
  const { store, commits } = watchedStore(memoryStore(), async () => {
    if (full) throw Object.assign(new Error('no space left'), { code: 'ENOSPC' })
  })
  const input = { ...listInput(numbered(12)), settled: (_partition: string, position: unknown) => void heard.push(position) }
  const delivered: JsonObject[] = []
  const { pipeline, health } = inProcess({
    inputs: { in: input },
    outputs: { out: { output: listOutput(delivered) } },
    store,
    clock,
  })
  const running = watched(pipeline.run())
  await clock.advance(60 * SECOND)
  t.equal(delivered.length, 12, 'outputs are not held up')
  t.same(heard, [])
  t.match(health.ailing(), [{ step: 'state' }])
  t.equal(running.end, undefined, 'the pipeline waits')
  full = false
  await clock.advance(60 * SECOND)
  t.equal(running.end?.status, 'ended')
  t.ok(commits.length > 0)
  t.same([...(await store.positions('test', 'in'))], [['', 12]])
  t.equal(heard.at(-1), 12)
})

t.test('a commit that fails for good ends the pipeline, and nothing counts as settled', async t => {
  const clock = virtualClock()
  const heard: unknown[] = []
  const { store } = watchedStore(memoryStore(), async () => {
    throw Object.assign(new Error('the file is damaged'), { code: 'PEN_STATE_DAMAGED' })
  })
  const input = { ...listInput(numbered(12)), settled: (_partition: string, position: unknown) => void heard.push(position) }
  const { pipeline } = inProcess({ inputs: { in: input }, outputs: { out: { output: listOutput([]) } }, store, clock })
  const running = watched(pipeline.run())
  await clock.advance(60 * SECOND)
  t.match(running.end, { status: 'failed', error: { message: 'the file is damaged' } })
  t.same(heard, [])
})

t.test('with a store that does not answer, what is settled does not fill the memory', async t => {
  const clock = virtualClock()
  const disk = gateway()
  const { store } = watchedStore(memoryStore(), () => disk.passed)
  const first = gateway()
  let reads = 0
  const input = {
    async *read() {
      for (; reads < 5_000; reads++) {
        yield one(reads)
        if (reads === 0) await first.passed
      }
    },
  }
  const { pipeline } = inProcess({ inputs: { in: input }, outputs: { out: { output: listOutput([]) } }, store, clock })
  const running = watched(pipeline.run())
  await clock.advance(SECOND)
  first.open()
  await clock.advance(10 * SECOND)
  t.ok(reads > 1_000 && reads < 4_500, `${reads} of 5,000 chunks were read`)
  disk.open()
  await clock.advance(60 * SECOND)
  t.equal(running.end?.status, 'ended')
  t.same([...(await store.positions('test', 'in'))], [['', 5_000]])
})

for (const where of ['a filter', 'an output'] as const) {
  t.test(`a chunk is not settled before the dead letter of an event that ${where} refuses is stored`, async t => {
    const clock = virtualClock()
    const disk = gateway()
    const memory = memoryStore()
    const add = async (letters: readonly DeadLetter[]) => {
      await disk.passed
      await memory.letters.add(letters)
    }
    const { input, give, end } = handInput()
    const filter = (): Filter => ({
      apply(event) {
        if (where === 'a filter' && event.id === 'e1') throw new Error('no')
        return event
      },
    })
    const output = listOutput([], async (items, reject) => {
      items.forEach(({ id }, index) => {
        if (where === 'an output' && id === 'e1') reject(index, new PermanentError('no'))
      })
    })
    const { pipeline, store } = inProcess({
      inputs: { in: input },
      filters: { filter: { filter } },
      outputs: { out: { output } },
      store: { ...memory, letters: { ...memory.letters, add } },
      clock,
    })
    const running = watched(pipeline.run())
    give(chunkOf(numbered(3), { position: 3 }))
    await clock.advance(SECOND)
    t.same([...(await store.positions('test', 'in'))], [])
    disk.open()
    await clock.advance(SECOND)
    t.same([...(await store.positions('test', 'in'))], [['', 3]])
    t.same(
      memory.stored.map(({ event }) => event),
      ['e1'],
    )
    end()
    await clock.advance(SECOND)
    t.equal(running.end?.status, 'ended')
    t.same(imbalance(running.end?.figures ?? pipeline.figures()), [])
  })
}

t.test('when the dead letters of an output cannot be written the pipeline fails and the position stays', async t => {
  const clock = virtualClock()
  const memory = memoryStore()
  const add = () => Promise.reject(new Error('no space left'))
  const output = listOutput([], async (items, reject) => {
    items.forEach(({ id }, index) => {
      if (id === 'e7') reject(index, new PermanentError('never'))
    })
  })
  const { pipeline, store } = inProcess({
    inputs: { in: listInput(numbered(20)) },
    outputs: { out: { output } },
    store: { ...memory, letters: { ...memory.letters, add } },
    clock,
  })
  const running = watched(pipeline.run())
  await clock.advance(10 * SECOND)
  t.match(running.end, { status: 'failed', error: { message: 'no space left' } })
  const position = (await store.positions('test', 'in')).get('')
  t.ok(position === undefined || (position as number) <= 5, `position ${String(position)} is before the refused event`)
})

t.test('a source that does not answer is not waited for beyond the grace period', async t => {
  const clock = virtualClock()
  const stuck = {
    async *read() {
      yield one(0)
      await new Promise(() => {})
    },
  }
  const delivered: JsonObject[] = []
  const { pipeline } = inProcess({ inputs: { in: stuck }, outputs: { out: { output: listOutput(delivered) } }, clock })
  const running = watched(pipeline.run())
  await clock.advance(SECOND)
  pipeline.stop()
  await clock.advance(60 * SECOND)
  t.equal(running.end?.status, 'stopped')
  t.same(idsOf(delivered), ['e0'])
})

t.test('a dead letter under way is not sent again, and one that holds only a beginning is not sent at all', async t => {
  const clock = virtualClock()
  const memory = memoryStore()
  const bytes = Buffer.from('{"n":0,"event":{"id":"e0"}}')
  const letter = {
    pipeline: 'test',
    step: 'out',
    stage: 'output',
    code: 'X',
    error: 'no',
    input: 'in',
    meta: {},
    tries: 0,
  } as const
  await memory.letters.add([
    { ...letter, bytes, length: bytes.length, event: 'e0' },
    { ...letter, bytes, length: 1_000_000, event: 'e1' },
  ])
  await memory.letters.mark({})
  const { input } = handInput()
  const { output, writes } = handOutput(4)
  const { pipeline } = inProcess({ inputs: { in: input }, outputs: { out: { output } }, store: memory, clock })
  const running = watched(pipeline.run())
  await clock.advance(60 * SECOND)
  t.same(
    writes.map(({ ids }) => ids),
    [['e0']],
    'once, although it was looked for again and again',
  )
  writes[0]?.deliver()
  await clock.advance(SECOND)
  t.same(
    memory.stored.map(({ event }) => event),
    ['e1'],
    'what was delivered goes, the other one stays',
  )
  pipeline.stop()
  await clock.advance(SECOND)
  t.equal(running.end?.status, 'stopped')
})
