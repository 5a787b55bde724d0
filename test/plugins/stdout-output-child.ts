// Writes batches of 100 events to standard output: for the tests that stand in for its reader.
//   node stdout-output-child.ts BATCHES [FORMAT [BALLAST]]
// BALLAST is a file that is removed when standard output takes nothing more.
import { rmSync, writeSync } from 'node:fs'
import process from 'node:process'
import stdout from '../../plugins/outputs/stdout.ts'
import { create, deliver, fakeContext } from './file-output-support.ts'

const [batches, format = 'ndjson', ballast] = process.argv.slice(2)
const context = fakeContext()
context.clock.sleep = () => new Promise(done => setTimeout(done, 100))
// Each kind of change is said once.
const said = new Set<string>()
context.changes.push = line => {
  if (!said.has(line)) writeSync(2, `${line}\n`)
  if (ballast && line.startsWith('degraded')) rmSync(ballast, { force: true })
  return said.add(line).size
}
const output = create(stdout, { format }, '/')
await output.open?.(context)
let delivered = 0
try {
  for (; delivered < Number(batches); delivered++) {
    const from = delivered * 100
    const records = Array.from({ length: 100 }, (_, i) => {
      const n = String(from + i)
      return { n: from + i, pad: 'x'.repeat(1010 - '{"n":,"pad":""}\n'.length - n.length) }
    })
    await deliver(output, records)
  }
  writeSync(2, `delivered ${delivered}\n`)
} catch (error) {
  const { code, message } = error as { code: string; message: string }
  writeSync(2, `${code} ${message}\n`)
}
