// The audit feed from another process (gzip, blobs of a megabyte) to a file, beside the file pipeline on the same records.
import { createReadStream } from 'node:fs'
import { rename } from 'node:fs/promises'
import { join } from 'node:path'
import type { Bench } from '../bench.ts'
import { runOver } from '../pipeline.ts'
import { HOUR_MS, OUTPUT, runFeed, simulated } from './simulated.ts'

/** Records of a blob of a megabyte. */
const BLOB_RECORDS = 750

export async function feedThroughput(bench: Bench): Promise<void> {
  const { board, engines, rounds, folder } = bench
  const service = await simulated(bench, { users: 10_000, historyMs: 3 * HOUR_MS, slotMs: HOUR_MS, blobRecords: BLOB_RECORDS })
  try {
    const input = join(folder, 'same.ndjson')
    for (const engine of engines) {
      // The first run makes the simulator pack every body once, and gives the records for the file pipeline.
      await runFeed(bench, engine, service, {})
      await rename(join(folder, OUTPUT), input)
      const { records, bytes } = await counted(input)
      board.note(
        `feed: ${records.toLocaleString('en-US')} records, ${(bytes / 1_000_000).toFixed(0)} MB, in blobs of ${BLOB_RECORDS}`,
      )
      for (let round = 0; round < rounds; round++) {
        const feed = await runFeed(bench, engine, service, { filters: [{ type: 'ecs' }] })
        const file = await runOver(bench, engine, { input })
        for (const [name, { wallMs, cpuMs, rssMb }] of [
          ['feed → ecs → file', feed],
          ['file → ecs → file, the same records', file],
        ] as const) {
          board.add(name, 'events/s', engine.name, (records / wallMs) * 1_000)
          board.add(name, 'events/CPU-second', engine.name, (records / cpuMs) * 1_000)
          board.add(`${name}: peak RSS`, 'MB', engine.name, rssMb)
        }
        board.add('feed, of the file pipeline', 'of its events/s', engine.name, file.wallMs / feed.wallMs)
        board.add('feed, of the file pipeline', 'of its events/CPU-second', engine.name, file.cpuMs / feed.cpuMs)
      }
    }
  } finally {
    await service.close()
  }
}

/** As a stream: what this process holds would count as the peak of those that it starts. */
async function counted(path: string): Promise<{ records: number; bytes: number }> {
  let records = 0
  let bytes = 0
  for await (const part of createReadStream(path) as AsyncIterable<Buffer>) {
    bytes += part.length
    for (let at = part.indexOf(10); at >= 0; at = part.indexOf(10, at + 1)) records++
  }
  return { records, bytes }
}
