// file → ecs → file beside the bare loop, round by round: CPU time, wall time, memory, the time to the first event.
import { rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Bench } from './bench.ts'
import { type Engine, penstock, root } from './engines.ts'
import { measure, type Usage } from './measure.ts'
import { writeRecords } from './records.ts'

const QUIET = ['--no-progress', '--no-summary', '--log-level', 'error']
export const BARE = 'bare loop'

/** Runs the engine over `input`; its state is its own each time. */
export async function runOver(
  { folder }: Bench,
  engine: Engine,
  { input, workers = 0, env = {} }: { input: string; workers?: number; env?: NodeJS.ProcessEnv },
): Promise<Usage> {
  const state = join(folder, 'state')
  const pipeline = join(folder, 'bench.yaml')
  const output = join(folder, 'engine.ndjson')
  await writeFile(
    pipeline,
    JSON.stringify({
      name: 'bench',
      workers,
      inputs: [{ type: 'file', id: 'in', paths: [input] }],
      filters: [{ type: 'ecs' }],
      outputs: [{ type: 'file', id: 'out', path: output }],
    }),
  )
  const command = penstock(engine, 'run', pipeline, '--state-dir', state, ...QUIET)
  const usage = await measure(command.args, { folder, output, env: { ...command.env, ...env } })
  await rm(state, { recursive: true })
  return usage
}

function bare({ folder }: Bench, input: string, workers: number): Promise<Usage> {
  const output = join(folder, 'bare.ndjson')
  return measure([join(root, 'test/bench/bare.ts'), input, output, String(workers)], { folder, output })
}

/** Throughput, inline and with two workers, of each engine and of the bare loop. */
export async function throughput(bench: Bench): Promise<void> {
  const { board, engines, rounds, folder, records } = bench
  const input = join(folder, 'records.ndjson')
  await writeRecords(records, input)
  const { size } = await stat(input)
  board.note(`${records.toLocaleString('en-US')} records of ${(size / records / 1_000).toFixed(2)} kB`)
  for (let round = -1; round < rounds; round++) {
    for (const workers of [0, 2]) {
      const how = workers === 0 ? 'inline' : '2 workers'
      const runs: [who: string, run: () => Promise<Usage>][] = engines.map(engine => [
        engine.name,
        () => runOver(bench, engine, { input, workers }),
      ])
      runs.push([BARE, () => bare(bench, input, workers)])
      for (const [who, run] of runs) {
        const { cpuMs, wallMs, rssMb, firstMs } = await run()
        // The first round warms the caches.
        if (round < 0) continue
        board.add(how, 'events/s', who, (records / wallMs) * 1_000)
        board.add(how, 'events/CPU-second', who, (records / cpuMs) * 1_000)
        board.add(`${how}: peak RSS`, 'MB', who, rssMb)
        board.add(`${how}: first event`, 'ms', who, firstMs)
      }
    }
  }
}

/** From the start of the process to the first event, with what was compiled before and without. */
export async function startTime(bench: Bench): Promise<void> {
  const { board, engines, rounds, folder } = bench
  const input = join(folder, 'few.ndjson')
  await writeRecords(100, input)
  for (let round = -1; round < rounds * 3; round++) {
    for (const engine of engines) {
      const { firstMs, cpuMs } = await runOver(bench, engine, { input })
      const none = join(folder, 'no-cache')
      const cold = await runOver(bench, engine, { input, env: { XDG_CACHE_HOME: none, NODE_COMPILE_CACHE: none } })
      await rm(none, { recursive: true, force: true })
      if (round < 0) continue
      board.add('start: first event', 'ms', engine.name, firstMs)
      board.add('start: CPU time of 100 events', 'ms', engine.name, cpuMs)
      board.add('start: first event, nothing compiled yet', 'ms', engine.name, cold.firstMs)
    }
  }
}

/** Ten times the records take no more memory. */
export async function large(bench: Bench): Promise<void> {
  const { board, engines, folder, records } = bench
  const input = join(folder, 'large.ndjson')
  await writeRecords(records * 10, input)
  for (const engine of engines) {
    const { rssMb } = await runOver(bench, engine, { input })
    board.add('ten times the records, inline: peak RSS', 'MB', engine.name, rssMb)
  }
  await rm(input)
}
