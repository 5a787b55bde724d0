// Events on which a filter always throws: each becomes a dead letter alone, and stays one however often it is replayed.
import { appendFileSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { penstock, start } from '../kit/process.ts'
import { full } from '../kit/rounds.ts'
import { until } from '../kit/until.ts'
import { balances, lettersIn, linesOf, type Outcome, shown, source, through } from './poison-support.ts'
import { WAYS } from './poison-throws.ts'

t.setTimeout(150_000)

const throws = join(import.meta.dirname, 'poison-throws.ts')
const filters = [
  { type: throws, id: 'thrower' },
  { type: 'set', fields: { done: true } },
]
const inputs = [{ type: 'file', paths: ['in.ndjson'] }]

/** Each poisoned event between two others. */
const records = WAYS.flatMap((how, n) => [{ n: 2 * n }, { n: 2 * n + 1, throw: how }]).concat({ n: 2 * WAYS.length })
const text = records.map(record => `${JSON.stringify(record)}\n`).join('')

/** What must have become of them: all others arrived, and of each poisoned one there is a letter. */
function buriedAlone(t: Test, outcome: Outcome, tries: number): void {
  t.equal(outcome.code, 0, shown(outcome.stderr))
  t.same(
    outcome.lines.map(line => JSON.parse(line)),
    records.filter(record => !('throw' in record)).map(record => ({ ...record, done: true })),
    'all others arrive, in order, and whole',
  )
  const letters = new Map(outcome.letters.map(letter => [(JSON.parse(source(letter)) as { throw?: string }).throw, letter]))
  t.equal(letters.size, outcome.letters.length, 'a letter for each, and no other')
  let offset = 0
  for (const record of records) {
    const how = 'throw' in record ? record.throw : undefined
    const letter = letters.get(how)
    if (how !== undefined) {
      t.equal(letter?.step, how === 'fields are null' ? 'set' : 'thrower', `${how}: the letter names the filter`)
      t.equal(letter?.offset, offset, `${how}: and the place`)
      t.ok((letter?.error.length ?? 0) > 0 && (letter?.error.length ?? 0) < 10_000, `${how}: and why, within reason`)
      t.same([letter?.tries, letter?.replay], [tries, false], `${how}: replayed so often, and not marked for more`)
    }
    offset += JSON.stringify(record).length + 1
  }
}

t.test('row 71: an event on which a filter throws is a dead letter alone, whatever is thrown, in worker threads too', async t => {
  const outcome = await through(t.testdir({}), { inputs, filters }, { files: { 'in.ndjson': text }, workers: 2 })
  balances(t, outcome, records.length)
  buriedAlone(t, outcome, 0)
})

t.test('row 71: such a dead letter, replayed, fails again as a new one, once: it does not go round', async t => {
  const cwd = t.testdir({})
  const first = await through(cwd, { inputs, filters }, { files: { 'in.ndjson': text } })
  balances(t, first, records.length)
  buriedAlone(t, first, 0)

  t.match((await penstock(['dlq', 'replay', '--all'], { cwd })).stdout, `${WAYS.length} dead letters marked`)
  const again = await through(cwd, { inputs, filters })
  t.equal(again.counts['read'], WAYS.length, 'all were tried again')
  t.match(again.stderr, `${WAYS.length} of them dead letters, replayed`)
  buriedAlone(t, again, 1)
  t.ok(
    again.letters.every(({ id }) => first.letters.every(old => old.id !== id)),
    'they are new letters',
  )

  appendFileSync(join(cwd, 'in.ndjson'), '{"n":1000}\n')
  const third = await through(cwd, { inputs, filters })
  t.equal(third.counts['read'], 1, 'nothing but the new event is read')
  t.same(third.letters, again.letters)
  t.equal(third.lines.at(-1), '{"n":1000,"done":true}')
})

t.test(
  'row 71: beside a running engine a replayed letter fails once too',
  { skip: full ? false : 'waits for several looks of the engine; in test:full' },
  async t => {
    const cwd = t.testdir({ 'in.ndjson': '{"n":1,"throw":"error"}\n' })
    writeFileSync(
      join(cwd, 'p.yaml'),
      JSON.stringify({
        name: 'p',
        inputs: [{ type: 'file', paths: ['in.ndjson'], follow: true }],
        filters,
        outputs: [{ type: 'file', id: 'out', path: 'out/o.ndjson' }],
      }),
    )
    const { child, ended } = start(['run', 'p.yaml', '--no-progress', '--log-level', 'warn'], { cwd })
    t.teardown(() => child.kill('SIGKILL'))
    await until(async () => (await lettersIn(cwd).catch(() => [])).length === 1)
    await penstock(['dlq', 'replay', '--all'], { cwd })
    await until(async () => (await lettersIn(cwd))[0]?.tries === 1)
    // Each fresh event takes longer than a look: a letter that goes round would have come back meanwhile.
    for (let n = 2; n < 8; n++) {
      appendFileSync(join(cwd, 'in.ndjson'), `{"n":${n}}\n`)
      await until(
        async () => readFileSync(join(cwd, 'in.ndjson')).length > 0 && linesOf(join(cwd, 'out/o.ndjson')).length === n - 1,
      )
      await new Promise(resolve => setTimeout(resolve, 1_000))
    }
    const letters = await lettersIn(cwd)
    t.same(
      letters.map(({ tries, replay }) => [tries, replay]),
      [[1, false]],
    )
    child.kill('SIGTERM')
    t.equal((await ended).code, 0)
  },
)

t.test(
  'row 71: events that end every worker fail the pipeline, and the process does not stay behind',
  { skip: full ? false : 'starts dozens of workers; in test:full' },
  async t => {
    const text = Array.from({ length: 30 }, (_, n) => `{"n":${n},"throw":"end"}\n`).join('')
    const outcome = await through(t.testdir({}), { inputs, filters }, { files: { 'in.ndjson': text }, workers: 1 })
    t.equal(outcome.code, 1, outcome.code === null ? 'it was still there after a minute' : shown(outcome.stderr))
    t.match(outcome.stderr, 'ended their worker')
    t.same(outcome.letters, [], 'so many are no accident of an event: none was given up')
  },
)
