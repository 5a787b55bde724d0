// Several outputs, of which some are out of order for a while: the position waits for the slowest of them, the others go on, and none
// gets an event twice because of another.
import { existsSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { root } from '../kit/cases.ts'
import { acknowledged, type Engine, engine, feed, imbalances, numbers, pipeline, until, wrong } from '../kit/limits.ts'

t.jobs = 2

const GATE = join(root, 'test/faults/limits-gate-output.ts')
const BEFORE = 300
const DURING = 500

/** A source, two file outputs, one of them on a disk of its own, and an output that may be shut. */
function scene(t: Test) {
  const cwd = t.testdir({ 'in.ndjson': '', disk: {}, gate: {} })
  const path = (name: string) => join(cwd, name)
  const retry = { min_ms: 10, max_ms: 50 }
  const batch = { max_ms: 5 }
  pipeline(cwd, {
    inputs: [{ type: 'file', paths: ['in.ndjson'], follow: true, poll_interval_ms: 20 }],
    outputs: [
      { type: 'file', id: 'good', path: 'good.ndjson', batch, retry },
      { type: 'file', id: 'remote', path: 'disk/remote.ndjson', batch, retry },
      { type: GATE, id: 'gate', folder: 'gate', down: 'fails', batch, retry },
    ],
    http: { port: 0 },
  })
  let fed = 0
  /** What was on the disk when it went. */
  let gone: number[] = []
  return {
    cwd,
    path,
    start: () => engine(t, cwd),
    feed(count: number) {
      feed(path('in.ndjson'), fed, fed + count)
      fed += count
      return fed
    },
    get fed() {
      return fed
    },
    size: () => statSync(path('in.ndjson')).size,
    position: () => acknowledged(path('state')),
    good: () => numbers(path('good.ndjson')),
    remote: () => [...gone, ...numbers(path('disk/remote.ndjson'))],
    gate: () => numbersOf(path('gate/ledger')),
    shutGate: () => rmSync(path('gate/open')),
    openGate: () => writeFileSync(path('gate/open'), ''),
    /** The disk is gone with all that is on it, and a file stands in its place: nothing can be written there. */
    takeDisk() {
      gone = numbers(path('disk/remote.ndjson'))
      rmSync(path('disk'), { recursive: true })
      writeFileSync(path('disk'), 'no folder')
    },
    giveDisk: () => rmSync(path('disk')),
  }
}

/** The ids of the gate's ledger are those of the events: e7. */
function numbersOf(ledger: string): number[] {
  return existsSync(ledger) ? lines(ledger).map(id => Number(id.slice(1))) : []
}

function lines(file: string): string[] {
  return readFileSync(file, 'utf8').split('\n').slice(0, -1)
}

const failing = (running: Engine, step: string, why: RegExp) =>
  running.log().some(line => line.step === step && why.test(`${line.message} ${line['error']}`))

t.test('row 64: the position waits for the worst output; the others go on, and get nothing twice', async t => {
  const s = scene(t)
  s.openGate()
  const running = s.start()
  s.feed(BEFORE)
  await until('all outputs have the first events', () => [s.good(), s.remote(), s.gate()].every(found => found.length === BEFORE))
  await until('they are acknowledged', () => s.position() === s.size())
  const settled = s.position()

  s.takeDisk()
  s.shutGate()
  s.feed(DURING)
  await until('both outputs fail', () => failing(running, 'remote', /ENOTDIR/) && failing(running, 'gate', /the gate is closed/))
  await until('the good output has all', () => s.good().length === s.fed)
  const tries = lines(s.path('gate/tries')).length
  await until('the others were tried again and again', () => lines(s.path('gate/tries')).length > tries + 5)
  t.equal(s.position(), settled, 'the position has not moved')
  t.equal(s.remote().length, BEFORE, 'the disk has got nothing')
  t.equal(s.gate().length, BEFORE, 'the gate has got nothing')

  s.giveDisk()
  await until('the disk is back, and has all', () => s.remote().length === s.fed)
  const later = lines(s.path('gate/tries')).length
  await until('the gate is still shut', () => lines(s.path('gate/tries')).length > later + 5)
  t.equal(s.position(), settled, 'one output is enough to hold the position')

  s.openGate()
  await until('the gate has all', () => s.gate().length === s.fed)
  await until('all is acknowledged', () => s.position() === s.size())
  s.feed(1)
  await until('a fresh event gets through to each', () =>
    [s.good(), s.remote(), s.gate()].every(found => found.at(-1) === s.fed - 1),
  )
  for (const [name, found] of Object.entries({ good: s.good(), remote: s.remote(), gate: s.gate() }))
    t.same(wrong(found, s.fed, true), [], `${name}: each event, once`)
  t.same(await imbalances(running), [])
  t.equal((await running.stop()).code, 0)
})

t.test('row 64: killed while one output is out of order: it gets all at the next start, the others may get it again', async t => {
  const s = scene(t)
  s.openGate()
  const first = s.start()
  s.feed(BEFORE)
  await until('the gate has the first events', () => s.gate().length === BEFORE)
  await until('they are acknowledged', () => s.position() === s.size())
  s.shutGate()
  s.feed(DURING)
  await until('the good outputs have all', () => s.good().length === s.fed && s.remote().length === s.fed)
  await until('the gate fails', () => failing(first, 'gate', /the gate is closed/))
  const { signal } = await first.stop('SIGKILL')
  t.equal(signal, 'SIGKILL')
  t.equal(s.gate().length, BEFORE)
  s.openGate()
  const second = s.start()
  s.feed(1)
  await until('the gate has all', () => new Set(s.gate()).size === s.fed)
  await until('all is acknowledged', () => s.position() === s.size())
  t.same(wrong(s.gate(), s.fed, true), [], 'each event, once')
  for (const found of [s.good(), s.remote()]) {
    t.same(wrong(found, s.fed), [])
    t.ok(found.length <= s.fed + DURING, `${found.length - s.fed} again, ${DURING} had not been acknowledged`)
  }
  t.same(await imbalances(second), [])
  t.equal((await second.stop()).code, 0)
})
