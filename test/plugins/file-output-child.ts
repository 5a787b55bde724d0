// Writes batches to a file until it is killed, and says on standard output which are confirmed: for the tests that kill it.
//   node file-output-child.ts FOLDER loop|few|once|room [COMPRESSION]
// loop: for ever. few: two batches. once: up to the first fault. room: fills the disk, tries three times, removes FOLDER/ballast, and writes two more.
import { readFileSync, rmSync, writeFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import process from 'node:process'
import type { Json } from '../../core/plugin/json.ts'
import file from '../../plugins/outputs/file/index.ts'
import { create, deliver, fakeContext } from './file-output-support.ts'

const [folder = '', mode, compression = 'none'] = process.argv.slice(2)
const store = join(folder, 'rows.json')
const stored = new Map<string, Json | Uint8Array>()
try {
  for (const [key, value] of JSON.parse(readFileSync(store, 'utf8')) as [string, Json][]) stored.set(key, value)
} catch {
  // the first run
}
const context = fakeContext(stored)
const { put } = context.rows
context.rows.put = async changes => {
  await put(changes)
  writeFileSync(store, JSON.stringify([...stored]))
}
// The tests put half a line behind what a plain file holds: it must still be the file in use then.
const rotation = mode === 'loop' && compression !== 'none' && { rotate_bytes: 400_000 }
const output = create(file, { path: 'a.ndjson', compression, ...rotation }, folder)
await output.open?.(context)
for (const line of context.lines) writeSync(2, `${line}\n`)
const start = Number(process.env['START'] ?? 0)
let faults = 0
let left = mode === 'few' ? 2 : Number.POSITIVE_INFINITY
for (let n = start; left > 0; ) {
  const records = Array.from({ length: 100 }, (_, i) => ({ n: n + i, text: 'x'.repeat((n + i) % 500) }))
  try {
    await deliver(output, records)
    n += 100
    left--
    writeSync(1, `confirmed ${n}\n`)
  } catch (error) {
    writeSync(2, `${(error as Error).message}\n`)
    if (mode !== 'room') break
    if (++faults < 3) continue
    rmSync(join(folder, 'ballast'))
    left = 2
  }
}
await output.close?.()
