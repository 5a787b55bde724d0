// A pipeline that fails is started again from its stored positions, or stays down alone; what was counted before still counts.
import t from 'tap'
import { Supervisor } from '../../core/flow/supervisor.ts'
import type { JsonObject } from '../../core/plugin/json.ts'
import { imbalance, inProcess, listInput, listOutput, numbered } from '../kit/in-process.ts'
import { virtualClock } from '../kit/virtual-clock.ts'
import { handInput, handOutput, idsOf, one, watched } from './settling-support.ts'

const SECOND = 1_000

t.test('a pipeline that fails once goes on from its position, and what it had in flight is counted once', async t => {
  const clock = virtualClock()
  const records = numbered(40)
  const delivered: JsonObject[] = []
  let starts = 0
  const input = {
    async *read(...[positions, signal]: Parameters<ReturnType<typeof listInput>['read']>) {
      starts++
      yield* listInput(starts === 1 ? records.slice(0, 20) : records).read(positions, signal)
      if (starts > 1) return
      await clock.sleep(SECOND)
      throw new Error('cable cut')
    },
  }
  // What comes last of the first twenty is under way when the input fails.
  const output = listOutput(delivered, async (items, _reject, signal) => {
    if (starts > 1 || !items.some(({ id }) => id === 'e19')) return
    await new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason as Error)))
  })
  const { config, parts } = inProcess({ inputs: { in: input }, outputs: { out: { output } }, clock })
  const supervisor = new Supervisor(parts)
  const running = watched(supervisor.run([config]))
  await clock.advance(60 * SECOND)
  t.equal(starts, 2)
  t.match(running.end, [{ status: 'ended' }])
  t.same([...new Set(idsOf(delivered))].sort(), idsOf(records).sort())
  const [end] = running.end ?? []
  t.same(end && imbalance(end.figures), [], JSON.stringify(end?.figures))
  const [out] = end?.figures.outputs ?? []
  t.equal(out?.delivered, delivered.length)
  t.equal(out?.routed, delivered.length)
})

t.test('a pipeline that fails again and again stays down, and another one goes on', async t => {
  const clock = virtualClock()
  let starts = 0
  const broken = {
    async *read() {
      starts++
      yield one(starts)
      throw new Error('cable cut')
    },
  }
  const bad = inProcess({ inputs: { in: broken }, outputs: { out: { output: listOutput([]) } }, clock })
  const { input, give, end } = handInput()
  const { output, writes } = handOutput()
  const good = inProcess({ inputs: { in: input }, outputs: { out: { output } }, clock, config: { name: 'good' } })
  const supervisor = new Supervisor(bad.parts)
  const running = watched(supervisor.run([bad.config, good.config]))
  await clock.advance(600 * SECOND)
  t.equal(starts, 3, 'three failures within a minute are enough')
  t.match(bad.health.ailing(), [{ pipeline: 'test', step: 'pipeline', status: 'failed' }])
  give(one(0))
  await clock.advance(SECOND)
  t.equal(writes.length, 1, 'the other one still works')
  writes[0]?.deliver()
  end()
  await clock.advance(SECOND)
  t.match(running.end, [{ status: 'failed', error: { message: 'cable cut' } }, { status: 'ended' }])
})
