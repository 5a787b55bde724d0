// Plugins that throw, inside of a call and outside of any: their pipeline is started again, no other notices, no event is lost.
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { root } from '../kit/cases.ts'
import { type Engine, engine, events, feed, lineCount, pipeline, until, wrong } from '../kit/limits.ts'

t.setTimeout(140_000)
t.jobs = 8

const INPUT = join(root, 'test/faults/plugin-throws-input.ts')
const OUTPUT = join(root, 'test/faults/plugin-throws-output.ts')
const PAYLOAD = 'the-content-of-an-event'

/** A pipeline whose input or output fails; its name says where. */
function failing(cwd: string, side: 'input' | 'output', where: string, times: number): string {
  const name = `${side}_${where}`
  const input = { type: INPUT, id: 'in', folder: '.', payload: PAYLOAD, where: side === 'input' ? where : 'nowhere', times }
  const output = {
    type: OUTPUT,
    id: 'out',
    folder: '.',
    ledger: `${name}.ledger`,
    where: side === 'output' ? where : 'nowhere',
    times,
  }
  pipeline(
    cwd,
    { inputs: [input], outputs: [{ ...output, batch: { max_events: 10, max_ms: 5 } }], http: { port: 0 }, commit_interval_ms: 5 },
    name,
  )
  return name
}

/** Another pipeline of the same process, that must not notice. */
function good(cwd: string): void {
  writeFileSync(join(cwd, 'in.ndjson'), events(0, 10))
  pipeline(
    cwd,
    {
      inputs: [{ type: 'file', paths: ['in.ndjson'], follow: true, poll_interval_ms: 20 }],
      outputs: [{ type: 'file', id: 'out', path: 'good.ndjson', batch: { max_ms: 5 } }],
      http: { port: 0 },
    },
    'good',
  )
}

const delivered = (cwd: string, name: string) =>
  existsSync(join(cwd, `${name}.ledger`))
    ? readFileSync(join(cwd, `${name}.ledger`), 'utf8')
        .split('\n')
        .filter(Boolean)
        .map(id => Number(id.slice(1)))
    : []
const saidBy = (running: Engine, name: string) => running.log().filter(line => line.pipeline === name)
const told = (running: Engine, name: string, message: RegExp) =>
  saidBy(running, name).filter(line => message.test(line.message)).length

/** A fresh event gets through the pipeline beside. */
async function goesOn(cwd: string, from: number): Promise<void> {
  feed(join(cwd, 'in.ndjson'), from, from + 10)
  await until('the other pipeline goes on', () => lineCount(join(cwd, 'good.ndjson')) === from + 10)
}

t.test('row 30: thrown once: the pipeline is started again after a wait, nothing is lost, no other pipeline notices', async t => {
  const cwd = t.testdir({})
  good(cwd)
  const restarted = [
    ...['read', 'settled', 'close', 'timer', 'promise', 'nothing'].map(where => failing(cwd, 'input', where, 1)),
    failing(cwd, 'output', 'timer', 1),
  ]
  const triedAgain = ['write', 'late'].map(where => failing(cwd, 'output', where, 2))
  const all = [...restarted, ...triedAgain]
  const running = engine(t, cwd, { args: ['run', 'good.yaml', ...all.map(name => `${name}.yaml`)] })
  await until('the first failed', () => running.told(/pipeline is started again/) > 0)
  await goesOn(cwd, 10)
  for (const name of restarted) await until(`${name} is started again`, () => told(running, name, /started again/) === 1)
  for (const name of all) await until(`${name} has delivered all`, () => wrong(delivered(cwd, name), 100).length === 0)
  await goesOn(cwd, 20)
  await until('all are well again', async () => (await running.ask('/ready')).status === 200)
  const { code, stderr } = await running.stop()
  t.equal(code, 0, stderr)
  for (const name of restarted) {
    t.equal(told(running, name, /^pipeline failed$/), 1, `${name} failed once`)
    t.match(
      saidBy(running, name).find(line => line['wait_ms'] !== undefined),
      { wait_ms: 1000 },
    )
  }
  for (const name of triedAgain) {
    t.equal(told(running, name, /started again|pipeline failed/), 0, `${name} did not fail: a write is tried again`)
    t.equal(told(running, name, /does not take events/), 1)
  }
  for (const name of all) t.same(wrong(delivered(cwd, name), 100), [])
  t.equal(saidBy(running, 'good').length, 0)
  t.notMatch(stderr, PAYLOAD, 'no log line holds anything of an event')
  for (const name of restarted.filter(name => name !== 'input_nothing')) {
    const stacks = saidBy(running, name).filter(({ stack }) => stack !== undefined)
    t.equal(stacks.length, 1, `${name}: the stack stands in the log once`)
    t.match(stacks[0]?.['stack'], /went wrong on purpose\n +at .*plugin-throws-(in|out)put\.ts:\d+/)
  }
})

t.test('row 30: thrown again and again: the third time within a minute it stays down, and the exit code says so', async t => {
  const cwd = t.testdir({})
  good(cwd)
  const all = [failing(cwd, 'input', 'read', 99), failing(cwd, 'output', 'timer', 99)]
  const running = engine(t, cwd, { args: ['run', 'good.yaml', ...all.map(name => `${name}.yaml`)] })
  for (const name of all) {
    await until(`${name} stays down`, () => told(running, name, /failed too often and stays down/) === 1)
    t.equal(told(running, name, /^pipeline failed$/), 3)
    t.same(
      saidBy(running, name).flatMap(line => line['wait_ms'] ?? []),
      [1000, 2000],
      'it waited longer each time',
    )
  }
  t.equal((await running.ask('/health')).status, 503)
  t.match((await running.ask('/ready')).body, /went wrong on purpose/)
  await goesOn(cwd, 10)
  const { code, stderr } = await running.stop()
  t.equal(code, 1, stderr)
  t.notMatch(stderr, PAYLOAD)

  // The plugins are mended: they fail 99 times, and now they have.
  for (const counter of ['read-failures', 'output_timer.ledger-failures']) writeFileSync(join(cwd, counter), 'x'.repeat(99))
  const again = await engine(t, cwd, { args: ['run', ...all.map(name => `${name}.yaml`)] }).ended
  t.equal(again.code, 0, again.stderr)
  for (const name of all) t.same(wrong(delivered(cwd, name), 100), [], `${name}: nothing was lost`)
})

t.test('row 30: a start that fails once after a restart is one failure of three, not the end', async t => {
  const cwd = t.testdir({})
  const name = failing(cwd, 'input', 'reopen', 1)
  const { code, stderr } = await engine(t, cwd, { args: ['run', `${name}.yaml`] }).ended
  t.match(stderr, /reading before reopen went wrong on purpose/)
  t.match(stderr, /reopen went wrong on purpose/)
  t.equal(code, 0, stderr)
  t.same(wrong(delivered(cwd, name), 100), [])
})

t.test('row 30: what throws while it is opened for the first time is told at once, and other pipelines run', async t => {
  const cwd = t.testdir({})
  const name = failing(cwd, 'input', 'open', 1)
  const other = failing(cwd, 'output', 'write', 1)
  const first = await engine(t, cwd, { args: ['run', `${name}.yaml`, `${other}.yaml`] }).ended
  t.equal(first.code, 1, first.stderr)
  t.match(first.stderr, /in: open went wrong on purpose/)
  t.same(delivered(cwd, name), [])
  t.same(wrong(delivered(cwd, other), 100), [])
  const second = await engine(t, cwd, { args: ['run', `${name}.yaml`] }).ended
  t.equal(second.code, 0, second.stderr)
  t.same(wrong(delivered(cwd, name), 100, true), [])
})
