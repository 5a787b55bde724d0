// With workers of unequal speed the events of a file leave in the order in which they stand there, each with its own bytes.
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import t from 'tap'
import { root } from '../kit/cases.ts'
import { penstock } from '../kit/process.ts'

const RECORDS = 2_000
/** Several chunks of records, every second one of which takes its worker long. */
const SLOW = `
import { defineFilter } from '${pathToFileURL(join(root, 'core/plugin/define.ts')).href}'
const cell = new Int32Array(new SharedArrayBuffer(4))
export default defineFilter({
  summary: 'Takes long for some events',
  options: {},
  examples: [{}],
  create: () => ({
    apply(event) {
      if (event.fields.n % 256 < 20) Atomics.wait(cell, 0, 0, 2)
      return event
    },
  }),
})`

t.test('order and content stay, whichever worker is ready first', async t => {
  const records = Array.from({ length: RECORDS }, (_, n) =>
    JSON.stringify({ n, event: { id: `e${n}` }, text: `${n} `.repeat(200) }),
  )
  const cwd = t.testdir({ 'in.ndjson': records.map(record => `${record}\n`).join(''), 'slow.ts': SLOW })
  writeFileSync(
    join(cwd, 'p.yaml'),
    JSON.stringify({
      name: 'order',
      workers: 2,
      inputs: [{ type: 'file', paths: ['in.ndjson'] }],
      filters: [{ type: './slow.ts' }],
      outputs: [{ type: 'file', path: 'out.ndjson' }],
    }),
  )
  const { code, stderr } = await penstock(['run', 'p.yaml', '--log-level', 'error', '--no-progress'], { cwd })
  t.equal(code, 0, stderr)
  const lines = readFileSync(join(cwd, 'out.ndjson'), 'utf8').split('\n').slice(0, -1)
  t.equal(lines.length, RECORDS)
  t.equal(
    lines.findIndex((line, index) => line !== records[index]),
    -1,
    'the first line that differs',
  )
})
