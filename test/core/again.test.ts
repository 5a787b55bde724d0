// What a destination is told of items that it may have already, and how long an item is tried.
import t from 'tap'
import { memoryStore } from '../../core/cli/memory-store.ts'
import { RetryableError } from '../../core/plugin/errors.ts'
import type { Chunk, Item } from '../../core/plugin/interfaces.ts'
import { chunkOf, imbalance, inProcess, listOutput, numbered } from '../kit/in-process.ts'

const CAP = 2_000

/** Runs chunks through an output; gives what it was told of each item, in the order in which it was offered. */
async function told(chunks: readonly Chunk[], write?: (items: readonly Item[], call: number) => void, store = memoryStore()) {
  const seen: (readonly [id: string, again: boolean])[] = []
  let calls = 0
  const { pipeline } = inProcess({
    inputs: {
      in: {
        async *read() {
          yield* chunks
        },
      },
    },
    outputs: {
      out: {
        output: () => ({
          encode(event, to) {
            to.json(event.fields)
            return undefined
          },
          async write(items) {
            for (const { id, again } of items) seen.push([id, again])
            write?.(items, ++calls)
          },
        }),
      },
    },
    config: { in_flight_bytes: CAP },
    store,
  })
  const end = await pipeline.run()
  return { seen, end }
}

const one = (n: number, rest: Partial<Chunk> = {}) => chunkOf(numbered(n + 1).slice(n), rest)

t.test('what a partition begins with may have been sent before, as much as may be on its way at once', async t => {
  const pad = 'x'.repeat(500)
  const chunk = (n: number, partition: string) => chunkOf([{ n, pad, event: { id: `${partition}${n}` } }], { partition })
  const chunks = Array.from({ length: 10 }, (_, n) => [chunk(n, 'a'), chunk(n, 'b')]).flat()
  const { seen } = await told(chunks)
  for (const partition of ['a', 'b']) {
    const again = seen.filter(([id]) => id.startsWith(partition)).map(([, is]) => is)
    const first = again.indexOf(false)
    t.ok(first >= 4 && first <= 5, `${first} chunks of 540 bytes`)
    t.notOk(again.slice(first).includes(true))
  }
})

t.test('an input that knows better says so', async t => {
  const { seen } = await told([one(0, { again: false }), one(1, { again: true }), one(2, { again: false })])
  t.same(Object.fromEntries(seen), { e0: false, e1: true, e2: false })
})

t.test('after a write that threw, its items may be there; those of others are not in doubt', async t => {
  const chunks = Array.from({ length: 4 }, (_, n) => one(n, { again: false }))
  let doubtful: string[] = []
  const { seen } = await told(chunks, (items, call) => {
    if (call > 1) return
    doubtful = items.map(({ id }) => id)
    throw new Error('the answer was lost')
  })
  const after = seen.slice(doubtful.length)
  t.same(new Set(after.filter(([, again]) => again).map(([id]) => id)), new Set(doubtful))
  t.equal(after.length, 4)
})

t.test('a dead letter that is replayed may have been sent before', async t => {
  const store = memoryStore()
  const bytes = Buffer.from('{"event":{"id":"e0"}}')
  const letter = { pipeline: 'test', step: 'out', stage: 'output', input: 'in', code: 'X', error: 'no', meta: {} } as const
  await store.letters.add([{ ...letter, bytes, length: bytes.length, tries: 0 }])
  await store.letters.mark({})
  const { seen } = await told([], undefined, store)
  t.same(seen, [['e0', true]])
})

t.test('of an input whose source keeps the positions none is stored, and it hears what is settled', async t => {
  const heard: unknown[] = []
  const { pipeline, store } = inProcess({
    inputs: {
      in: {
        positions: 'source',
        async *read() {
          yield one(0, { partition: 'a', position: 7 })
        },
        settled(partition, position) {
          heard.push([partition, position])
        },
      },
    },
    outputs: { out: { output: listOutput([]) } },
  })
  await pipeline.run()
  t.same(heard, [['a', 7]])
  t.equal((await store.positions('test', 'in')).size, 0)
})

t.test('an item that a patient error refuses is tried for ever, whatever else is delivered', async t => {
  let refusals = 0
  const { pipeline, store } = inProcess({
    inputs: {
      in: {
        async *read() {
          yield chunkOf(numbered(5))
        },
      },
    },
    outputs: {
      out: {
        output: () => ({
          encode(event, to) {
            to.json(event.fields)
            return undefined
          },
          async write(items, reject) {
            items.forEach(({ id, tries }, index) => {
              if (id !== 'e3' || refusals >= 20) return
              refusals++
              t.equal(tries, 0)
              reject(index, new RetryableError('busy', { patient: true }))
            })
          },
        }),
        config: { max_tries: 2 },
      },
    },
  })
  const end = await pipeline.run()
  t.equal(refusals, 20)
  t.same(imbalance(end.figures), [])
  t.equal(end.figures.outputs[0]?.delivered, 5)
  t.same(await store.letters.list({}), [])
})
