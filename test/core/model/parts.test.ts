// The parts that the promise rests on, each against a model of a few lines: acks, the settled prefix, the breaker, back-off, the clock.
import t from 'tap'
import { Ack, Checkpoint, type Tracked } from '../../../core/flow/ack.ts'
import { Breaker, PROBE_MS } from '../../../core/flow/breaker.ts'
import { RetryableError } from '../../../core/plugin/errors.ts'
import { inProcess, listInput, listOutput, numbered } from '../../kit/in-process.ts'
import { fc, rounds } from '../../kit/rounds.ts'
import { quiet, virtualClock } from '../../kit/virtual-clock.ts'

t.test('a chunk is settled once, with the last of its holds, and takes no more then', async () => {
  // Each number: a hold (even) or a release (odd) by itself, or through a guard that may be released many times.
  const moves = fc.array(fc.constantFrom('hold', 'release', 'guard', 'let go', 'let go twice'), { maxLength: 30 })
  fc.assert(
    fc.property(moves, moves => {
      let settled = 0
      let holds = 0
      const ack = new Ack(() => settled++)
      const guards: { release(): void }[] = []
      let over = false
      for (const move of moves) {
        const before = holds
        try {
          if (move === 'hold') ack.hold()
          else if (move === 'guard') guards.push(ack.guard())
          else if (move === 'release') ack.release()
          else {
            const guard = guards.pop()
            if (!guard) continue
            guard.release()
            if (move === 'let go twice') guard.release()
          }
        } catch (error) {
          // Taking a hold is refused once it is settled, releasing when there is nothing to release.
          const refused = move === 'hold' || move === 'guard' ? over : before === 0
          if (!refused) throw error
          continue
        }
        if (move === 'hold' || move === 'guard') holds++
        else if (before > 0) holds--
        if (before === 1 && holds === 0) over = true
        // Who releases a hold that a guard has takes it from the guard; then nothing more can be said of the guards.
        if (move === 'release' && holds < guards.length) return
        if (settled !== (over ? 1 : 0)) throw new Error(`settled ${settled} times with ${holds} holds after ${move}`)
      }
    }),
    { numRuns: rounds(3_000) },
  )
})

interface Numbered extends Tracked {
  readonly n: number
}

t.test('chunks leave the checkpoint in the order of their partition, as soon as all before them are settled', async () => {
  // Which of two partitions of two inputs each chunk belongs to, and in which order they settle.
  const chunks = fc.array(fc.constantFrom('0/a', '0/b', '1/a', '0/'), { maxLength: 20 })
  fc.assert(
    fc.property(chunks, fc.infiniteStream(fc.nat({ max: 1_000 })), (places, picks) => {
      const checkpoint = new Checkpoint<Numbered>()
      const all: Numbered[] = []
      const left = new Map<string, number[]>()
      const open: Numbered[] = []
      let unsettled = 0
      const settleOne = () => {
        const [chunk] = open.splice(picks.next().value % open.length, 1) as [Numbered]
        const place = `${chunk.input}/${chunk.partition}`
        const before = left.get(place) ?? []
        const given = checkpoint.settle(chunk).map(({ n }) => n)
        // The naive prefix: everything of the partition that is settled, up to the first that is not.
        const end = before.findIndex(n => !all[n]?.settled)
        const expected = end < 0 ? before : before.slice(0, end)
        if (given.join() !== expected.join()) throw new Error(`${place}: ${given} left, not ${expected}`)
        left.set(place, before.slice(expected.length))
        unsettled -= expected.length
        if (checkpoint.size !== unsettled) throw new Error(`size is ${checkpoint.size}, not ${unsettled}`)
      }
      for (const place of places) {
        const [input = '', partition = ''] = place.split('/')
        const chunk: Numbered = {
          n: all.length,
          input: Number(input),
          partition,
          position: all.length,
          last: false,
          settled: false,
        }
        all.push(chunk)
        left.set(place, [...(left.get(place) ?? []), chunk.n])
        open.push(chunk)
        unsettled++
        checkpoint.add(chunk)
        if (picks.next().value % 3 === 0) settleOne()
      }
      while (open.length > 0) settleOne()
      if ([...left.values()].flat().length > 0) throw new Error(`${[...left]} never left`)
    }),
    { numRuns: rounds(3_000) },
  )
})

t.test('the breaker opens at 50 refusals that are more than half of the last minute, and closes with a good probe', async t => {
  const batch = fc.record({
    wait: fc.constantFrom(0, 1, 29_999, 30_000, 59_999, 60_000),
    delivered: fc.integer({ min: 0, max: 40 }),
    refused: fc.integer({ min: 0, max: 40 }),
  })
  let opened = 0
  let closed = 0
  await fc.assert(
    fc.asyncProperty(fc.array(batch, { maxLength: 12 }), async batches => {
      const clock = virtualClock()
      const breaker = new Breaker(clock)
      let open = false
      /** Outcome by outcome: when, and whether it was a refusal. */
      let outcomes: { at: number; refused: boolean }[] = []
      for (const { wait, delivered, refused } of batches) {
        await clock.advance(wait)
        const at = clock.monotonic()
        if (open) {
          open = refused > delivered
          if (!open) closed++
          outcomes = []
        } else {
          for (let n = 0; n < delivered + refused; n++) outcomes.push({ at, refused: n < refused })
          const lately = outcomes.filter(outcome => outcome.at > at - 60_000)
          const bad = lately.filter(outcome => outcome.refused).length
          open = refused > 0 && bad >= 50 && bad > lately.length - bad
          if (open) opened++
        }
        if (breaker.judge(delivered, refused) !== open || breaker.open !== open)
          throw new Error(`the breaker is ${breaker.open ? 'open' : 'closed'} after ${delivered} and ${refused}`)
      }
    }),
    { numRuns: rounds(3_000) },
  )
  t.ok(opened > 0 && closed > 0, `opened ${opened} times, closed ${closed} times`)
  t.equal(PROBE_MS, 30_000)
})

t.test(
  'waits between tries double from min to max, less half of it at most, and are never shorter than was asked for',
  async () => {
    const failures = fc.array(fc.option(fc.constantFrom(1, 70, 5_000), { nil: undefined }), { minLength: 1, maxLength: 12 })
    await fc.assert(
      fc.asyncProperty(failures, fc.constantFrom(1, 10, 100), fc.constantFrom(100, 1_000), async (failures, min_ms, max_ms) => {
        const clock = virtualClock()
        const times: number[] = []
        const output = listOutput([], async () => {
          const after = failures[times.length]
          times.push(clock.monotonic())
          if (times.length <= failures.length)
            throw after === undefined ? new Error('down') : new RetryableError('429', { after })
        })
        const { pipeline } = inProcess({
          clock,
          inputs: { in: listInput(numbered(1)) },
          outputs: { out: { output, config: { retry: { min_ms, max_ms } } } },
        })
        let ended = false
        const running = pipeline.run().finally(() => {
          ended = true
        })
        await clock.settle()
        while (!ended && (await clock.next()));
        await running
        failures.forEach((after, n) => {
          const waited = (times[n + 1] as number) - (times[n] as number)
          const longest = Math.min(max_ms, min_ms * 2 ** n)
          const least = Math.max(longest / 2, after ?? 0)
          if (waited < least - 1e-6 || waited > Math.max(longest, after ?? 0) + 1e-6)
            throw new Error(`wait ${n} took ${waited} ms, not ${least} to ${longest}`)
        })
      }),
      { numRuns: rounds(300) },
    )
  },
)

t.test(
  'an output that refuses all it gets as busy is asked no oftener than it wants, however many writes it takes at once',
  async t => {
    for (const concurrency of [1, 3]) {
      const clock = virtualClock()
      let writes = 0
      const write = listOutput([], async (items, reject) => {
        writes++
        items.forEach((_, index) => {
          reject(index, new RetryableError('busy', { after: 1_000 }))
        })
      })
      const { pipeline } = inProcess({
        clock,
        inputs: { in: listInput(numbered(100)) },
        outputs: {
          out: {
            output: () => ({ ...write(), concurrency }),
            config: { batch: { max_events: 2, max_bytes: 1 << 20, max_ms: 5 } },
          },
        },
      })
      const running = pipeline.run()
      await clock.advance(10_500)
      t.ok(writes >= 10 && writes <= 11 * concurrency, `${writes} writes in ten seconds, ${concurrency} at once`)
      pipeline.stop()
      await clock.advance(5_000)
      t.equal((await running).status, 'stopped')
    }
  },
)

t.test('the virtual clock: time moves only when it is told to, and timers fire at their time, in order', async t => {
  const clock = virtualClock(1_000)
  const fired: string[] = []
  const note = (name: string) => () => fired.push(`${name} ${clock.monotonic()}`)
  clock.after(20, note('c'))
  clock.after(10, () => {
    note('a')()
    clock.after(0, note('at once'))
    clock.after(5, note('b'))
  })
  const cancel = clock.after(12, note('cancelled'))
  cancel()
  const aborting = new AbortController()
  const sleeping = t.rejects(clock.sleep(11, aborting.signal), { name: 'AbortError' })
  await clock.settle()
  t.same(fired, [])
  await clock.advance(9)
  t.same([fired, clock.now()], [[], 1_009])
  aborting.abort()
  await sleeping
  await clock.advance(8)
  t.same(fired, ['a 10', 'at once 10', 'b 15'])
  t.equal(await clock.next(), true)
  t.same(fired.at(-1), 'c 20')
  t.equal(await clock.next(), false)
  let slept = false
  void clock.sleep(0).then(() => {
    slept = true
  })
  await quiet()
  t.equal(slept, false, 'even a sleep of 0 waits for the test')
  await clock.settle()
  t.equal(slept, true)
  clock.after(1, note('after death'))
  clock.kill()
  await clock.advance(10)
  t.equal(clock.timers, 0)
  t.equal(fired.length, 4)
  const endless = virtualClock()
  const again = () => void endless.after(0, again)
  again()
  await t.rejects(endless.settle(), /waits for nothing/)
})
