// Workers give what the inline transform gives, in order, and a worker that dies costs a second try, not the data.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import t from 'tap'
import { loadPipeline } from '../../core/config/load.ts'
import { Pipeline } from '../../core/flow/pipeline.ts'
import type { JsonObject } from '../../core/plugin/json.ts'
import { imbalance, inProcess, listInput, listOutput, numbered } from '../kit/in-process.ts'

const FILTER = `
import { existsSync, writeFileSync } from 'node:fs'
import { defineFilter } from '${pathToFileURL(join(import.meta.dirname, '../../core/plugin/define.ts')).href}'
export default defineFilter({
  summary: 'Ends its thread at one event, the first time or always',
  options: { at: { type: 'integer', default: -1, description: 'n of the event' }, mark: { type: 'string', default: '', description: 'File that says that it has happened' } },
  examples: [{}],
  create: ({ at, mark }) => ({
    apply(event) {
      if (event.fields.n === at && !(mark && existsSync(mark))) {
        if (mark) writeFileSync(mark, 'x')
        process.exit(9)
      }
      event.fields.seen = true
      return event
    },
  }),
})`

async function run(t: { testdir(files: Record<string, string>): string }, options: JsonObject, records: JsonObject[]) {
  const folder = t.testdir({ 'ends.ts': FILTER })
  const file = join(folder, 'p.yaml')
  writeFileSync(
    file,
    JSON.stringify({
      name: 'test',
      workers: 2,
      inputs: [{ type: 'stdin' }],
      filters: [{ type: './ends.ts', ...options }],
      outputs: [{ type: 'discard' }],
    }),
  )
  const { config } = await loadPipeline(file)
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
  const end = await new Pipeline({ ...own.config, workers: 2, inputs, filters: config.filters, outputs }, own.parts).run()
  return { end, delivered }
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

t.test('a chunk that ends every worker fails the pipeline, with a sentence', async t => {
  const { end } = await run(t, { at: 250 }, numbered(500))
  t.equal(end.status, 'failed')
  t.match(end.error, { code: 'PEN_WORKER', message: /ended its worker 2 times/ })
})
