// Workers give what the inline transform gives, in order, and a worker that dies costs a second try, not the data.
import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import t from 'tap'
import { loadPipeline } from '../../core/config/load.ts'
import type { PipelineConfig } from '../../core/config/types.ts'
import { isolate } from '../../core/flow/isolate.ts'
import { type Job, noCounts } from '../../core/flow/packed.ts'
import { Pipeline } from '../../core/flow/pipeline.ts'
import { transformSpec } from '../../core/flow/steps.ts'
import { Tables } from '../../core/flow/tables.ts'
import type { Transformed } from '../../core/flow/transformer.ts'
import { bootWorker, workerPool } from '../../core/flow/worker-pool.ts'
import { systemClock } from '../../core/observe/clock.ts'
import type { JsonObject } from '../../core/plugin/json.ts'
import { imbalance, inProcess, listInput, listOutput, numbered, quietLog } from '../kit/in-process.ts'

const FILTER = `
import { existsSync, writeFileSync } from 'node:fs'
import { defineFilter } from '${pathToFileURL(join(import.meta.dirname, '../../core/plugin/define.ts')).href}'
export default defineFilter({
  summary: 'Ends or hangs its thread at one event, the first time or always',
  options: {
    at: { type: 'integer', default: -1, description: 'n of the event' },
    hang: { type: 'boolean', default: false, description: 'Never returns, instead of ending the thread' },
    redact: { type: 'boolean', default: false, description: 'Replaces the source bytes of every event before' },
    mark: { type: 'string', default: '', description: 'File that says that it has happened' },
  },
  examples: [{}],
  create: ({ at, hang, redact, mark }) => ({
    apply(event) {
      if (redact) event.redact(Buffer.from('{"redacted":true}'))
      const { n } = event.fields
      if (n === at && !(mark && existsSync(mark))) {
        if (mark) writeFileSync(mark, 'x')
        if (!hang) process.exit(9)
        for (;;);
      }
      event.fields.seen = true
      return event
    },
  }),
})`

interface Extra {
  readonly before?: readonly JsonObject[]
  readonly config?: Partial<PipelineConfig>
}

const noPacked = { steps: [], outputs: [], faults: [], gated: [], redacted: new Map() }

type Folder = { testdir(files: Record<string, string>): string }

async function configOf(t: Folder, options: JsonObject, before: readonly JsonObject[] = []): Promise<PipelineConfig> {
  const folder = t.testdir({ 'ends.ts': FILTER })
  const file = join(folder, 'p.yaml')
  writeFileSync(
    file,
    JSON.stringify({
      name: 'test',
      workers: 2,
      inputs: [{ type: 'stdin' }],
      filters: [...before, { type: './ends.ts', ...options }],
      outputs: [{ type: 'discard' }],
    }),
  )
  return (await loadPipeline(file)).config
}

async function run(t: Folder, options: JsonObject, records: JsonObject[], { before = [], config: extra }: Extra = {}) {
  const config = await configOf(t, options, before)
  const delivered: JsonObject[] = []
  const own = inProcess({ inputs: { in: listInput(records, 7) }, outputs: { out: { output: listOutput(delivered) } } })
  // The records come from this process, the codec and the filter run in the workers; what is encoded there is the output's own JSON.
  const { codec } = config.inputs[0] as (typeof config.inputs)[number]
  const inputs = own.config.inputs.map(input => ({ ...input, codec }))
  const outputs = config.outputs.map(output => ({
    ...output,
    ...own.config.outputs[0],
    url: output.url,
    batch: { max_events: 10, max_bytes: 1 << 20, max_ms: 5 },
  }))
  const whole = { ...own.config, workers: 2, inputs, filters: config.filters, outputs, ...extra }
  const end = await new Pipeline(whole, own.parts).run()
  return { end, delivered, letters: await own.store.letters.list({}) }
}

t.test('two workers deliver everything, in order', async t => {
  const { end } = await run(t, {}, numbered(500))
  t.equal(end.status, 'ended', String(end.error))
  t.equal(end.figures.outputs[0]?.delivered, 500)
  t.same(imbalance(end.figures), [])
  t.same(end.figures.steps.slice(0, 2), [500, 0], 'every event passed the filter in a worker')
})

t.test('a worker that dies once costs a second try', async t => {
  const { end } = await run(t, { at: 250, mark: join(t.testdirName, '..', `mark-${process.pid}`) }, numbered(500))
  t.equal(end.status, 'ended', String(end.error))
  t.equal(end.figures.outputs[0]?.delivered, 500)
  t.same(imbalance(end.figures), [])
})

for (const [what, hang, code] of [
  ['ends', false, 'PEN_WORKER'],
  ['hangs', true, 'PEN_WORKER_HANGS'],
] as const) {
  t.test(`an event that always ${what} its worker is dead-lettered alone, by the step that had it`, async t => {
    const { end, letters } = await run(t, { at: 250, hang }, numbered(500), { config: { worker_timeout_ms: 400 } })
    t.equal(end.status, 'ended', String(end.error))
    t.equal(end.figures.outputs[0]?.delivered, 499)
    t.equal(end.figures.counts.failed, 1)
    t.same(imbalance(end.figures), [])
    t.match(letters, [{ step: 'ends', stage: 'transform', code, event: 'e250' }])
    t.equal(letters.length, 1)
    t.same(JSON.parse(Buffer.from(letters[0]!.bytes).toString()), numbered(251)[250])
  })
}

t.test('what a filter before took out of the record is not in the dead letter of one that ended its worker', async t => {
  const before = [{ type: './ends.ts', id: 'redacts', redact: true }]
  const { letters } = await run(t, { at: 3 }, numbered(9), { before })
  t.same(
    letters.map(({ bytes }) => Buffer.from(bytes).toString()),
    ['{"redacted":true}'],
  )
})

t.test('a chunk of which too many events end their worker is not dead-lettered away', async t => {
  const cause = new Error('a worker ended')
  const job = { input: 0, bytes: Buffer.alloc(100), ends: Uint32Array.from(numbered(50), (_, n) => n * 2), count: 50, meta: {} }
  const isolated = (ends: (record: number) => boolean) => {
    const tried: Job[] = []
    const result = isolate(
      job,
      cause,
      async one => {
        tried.push(one)
        const record = (one.ends[0] as number) / 2
        if (one.culprits ? one.culprits.length === 0 : ends(record)) throw cause
        return { packed: { ...noPacked, counts: { ...noCounts(), read: one.count } }, recycle() {} }
      },
      quietLog,
    )
    return { tried, result }
  }
  await t.rejects(isolated(() => true).result, { code: 'PEN_WORKER', message: /10 events of one chunk ended their worker/ })
  await t.rejects(isolated(() => false).result, cause, 'no record alone is the reason')
  const { tried, result } = isolated(record => record === 7 || record === 49)
  await result
  t.equal(tried.length, 51)
  t.same(
    tried.at(-1)?.culprits?.map(({ record }) => record),
    [7, 49],
  )
  t.equal(tried.at(-1)?.count, 50, 'the rest goes on as it was')
})

t.test('what a worker lent before it died is not given back to its successor', async t => {
  const mark = join(t.testdir(), 'died')
  const config = await configOf(t, { at: 1, mark })
  const pool = await workerPool({
    workers: [bootWorker()],
    spec: transformSpec(config),
    tables: new Tables(),
    timeout: 30_000,
    clock: systemClock,
    log: quietLog,
  })
  t.teardown(() => pool.close())
  const one = async (n: number) => {
    const bytes = Buffer.from(JSON.stringify({ n }))
    return pool.run({ input: 0, bytes, ends: Uint32Array.of(bytes.length), count: 1, meta: {} })
  }
  const bytesOf = ({ packed }: Transformed) => Buffer.from(packed.outputs[0]!.bytes).toString()
  const ofTheFirst = await one(0)
  const ofTheSecond = await one(1)
  t.ok(existsSync(mark), 'the first worker died')
  const expected = bytesOf(ofTheSecond)
  ofTheFirst.recycle(ofTheFirst.packed.outputs[0]!)
  await one(2)
  t.equal(bytesOf(ofTheSecond), expected, 'memory that is still looked into was not used again')
})
