// Audit records for the benches: what the `generate` input makes, as NDJSON.
import { createWriteStream } from 'node:fs'
import { systemClock } from '../../core/observe/clock.ts'
import type { Context, Input, Positions, Site } from '../../core/plugin/interfaces.ts'
import generate from '../../plugins/inputs/generate.ts'
import { quietLog } from '../kit/in-process.ts'

/** Blocks of whole lines. */
export async function* recordLines(count: number, seed = 1): AsyncGenerator<Buffer> {
  const defaults = Object.entries(generate.options).flatMap(([name, { default: value }]) =>
    value === undefined ? [] : [[name, value]],
  )
  const input: Input = generate.create({ ...Object.fromEntries(defaults), count, seed }, { id: 'generate', folder: '/' } as Site)
  await input.open?.({ id: 'generate', log: quietLog, clock: systemClock } as Context)
  const none: Positions = { get: () => undefined, partitions: () => [] }
  for await (const { bytes, ends, count: records = ends.length } of input.read(none, new AbortController().signal)) {
    const end = ends[records - 1] ?? 0
    yield Buffer.concat([bytes.subarray(0, end), Buffer.from('\n')])
  }
}

/** Writes so many records to a file. */
export async function writeRecords(count: number, path: string): Promise<void> {
  const file = createWriteStream(path)
  for await (const block of recordLines(count)) if (!file.write(block)) await new Promise(resolve => file.once('drain', resolve))
  await new Promise<void>(resolve => file.end(resolve))
}
