// Memory does not grow with the size of a compressed input: a tenth and the whole of it, and the course within the whole.
import { createWriteStream } from 'node:fs'
import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import type { Bench } from './bench.ts'
import { median } from './board.ts'
import { penstock } from './engines.ts'
import { measure } from './measure.ts'
import { recordLines } from './records.ts'

const MEMBER_RECORDS = 2_000

/** `megabytes`: of the whole input, decompressed. */
export async function gzipMemory(bench: Bench, megabytes: number): Promise<void> {
  const { board, engines, folder } = bench
  const blocks: Buffer[] = []
  for await (const block of recordLines(MEMBER_RECORDS)) blocks.push(block)
  const plain = Buffer.concat(blocks)
  const member = gzipSync(plain)
  for (const size of [megabytes / 10, megabytes]) {
    const input = join(folder, 'input.ndjson.gz')
    await repeat(member, Math.ceil((size * 1_000_000) / plain.length), input)
    for (const engine of engines) {
      const state = join(folder, 'gzip-state')
      const pipeline = join(folder, 'gzip.yaml')
      await writeFile(
        pipeline,
        JSON.stringify({
          name: 'gzip',
          inputs: [{ type: 'file', id: 'in', paths: [input] }],
          outputs: [{ type: 'discard', id: 'out' }],
        }),
      )
      const { args, env } = penstock(
        engine,
        'run',
        pipeline,
        '--state-dir',
        state,
        '--no-progress',
        '--no-summary',
        '--log-level',
        'error',
      )
      const { rssMb, course, wallMs, cpuMs } = await measure(args, { folder, env })
      await rm(state, { recursive: true })
      const name = `gzip, ${size.toLocaleString('en-US')} MB of text`
      board.add(`${name}: peak RSS`, 'MB', engine.name, rssMb)
      if (size < megabytes) continue
      const quarter = course.length >> 2
      board.add(`${name}: RSS in the second quarter of the time`, 'MB', engine.name, median(course.slice(quarter, 2 * quarter)))
      board.add(`${name}: RSS in the last quarter`, 'MB', engine.name, median(course.slice(-quarter)))
      board.add(`${name}: CPU time`, 'ns/byte', engine.name, (cpuMs * 1_000_000) / (size * 1_000_000))
      board.add(`${name}: wall time`, 's', engine.name, wallMs / 1_000)
    }
    await rm(input)
  }
}

async function repeat(member: Buffer, times: number, path: string): Promise<void> {
  const file = createWriteStream(path)
  for (let n = 0; n < times; n++) if (!file.write(member)) await new Promise(resolve => file.once('drain', resolve))
  await new Promise<void>(resolve => file.end(resolve))
}
