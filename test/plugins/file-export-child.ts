// Exports batches to a file until it is killed, and says on standard output up to which number they are confirmed.
//   node file-export-child.ts FOLDER OPTIONS START
import { readFileSync, writeFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import process from 'node:process'
import type { Json, JsonObject } from '../../core/plugin/json.ts'
import file from '../../plugins/outputs/file/index.ts'
import { awkward } from './file-export-support.ts'
import { create, deliver, fakeContext } from './file-output-support.ts'

const [folder = '', options = '{}', start = '0'] = process.argv.slice(2)
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
const output = create(file, JSON.parse(options) as JsonObject, folder)
await output.open?.(context)
for (let n = Number(start); ; n += 100) {
  await deliver(output, awkward(n, n + 100))
  writeSync(1, `${n + 100}\n`)
}
