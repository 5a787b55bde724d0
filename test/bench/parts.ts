// Runs the micro-benches of each engine, turn by turn, each in a process of its own.
import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Bench } from './bench.ts'
import { measure } from './measure.ts'

type Results = Record<string, [unit: 'ns' | 'us', lower: number, median: number, upper: number]>

const PER: Readonly<Record<string, string>> = {
  ack: 'chunk',
  'commit, one after the other': 'commit',
  'commit, many at once': 'commit',
}

export async function parts({ board, engines, rounds, folder }: Bench): Promise<void> {
  for (let round = 0; round < rounds; round++) {
    for (const engine of engines) {
      const own = join(folder, 'micro')
      await mkdir(own)
      const script = join(engine.root, 'test/bench/micro.ts')
      const usage = await measure(['--expose-gc', script, own], { folder }).catch(() => undefined)
      await rm(own, { recursive: true })
      if (!usage) {
        board.note(`the micro-benches do not run on ${engine.name}: what they ask for is not there`)
        continue
      }
      const results = JSON.parse(usage.stdout.trim().split('\n').at(-1) ?? '{}') as Results
      for (const [name, [unit, lower, median, upper]] of Object.entries(results))
        board.add(name, `${unit}/${PER[name] ?? 'event'}`, engine.name, median, [lower, upper])
    }
  }
}
