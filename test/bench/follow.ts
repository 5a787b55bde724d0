// How long a line of a followed file takes to the output file, at a rate that keeps nobody busy.
import { appendFileSync, closeSync, existsSync, openSync, readSync, rmSync, watch, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Bench } from './bench.ts'
import { quantile } from './board.ts'
import { penstock } from './engines.ts'
import { measure } from './measure.ts'

const EVERY_MS = 50
const EVENTS = 200
const WARM_UP = 20
const LOOK_MS = 5
const LONGEST_MS = 60_000

export async function followLatency(bench: Bench): Promise<void> {
  const { board, engines, folder, rounds } = bench
  for (let round = 0; round < rounds; round++) {
    for (const [how, batchMs] of [
      ['batch.max_ms 1', 1],
      ['batch.max_ms 200 (default)', 200],
    ] as const) {
      for (const engine of engines) {
        const input = join(folder, 'follow.log')
        const output = join(folder, 'follow.ndjson')
        const state = join(folder, 'follow-state')
        const pipeline = join(folder, 'follow.yaml')
        writeFileSync(input, '')
        writeFileSync(
          pipeline,
          JSON.stringify({
            name: 'follow',
            inputs: [{ type: 'file', id: 'in', paths: [input], follow: true }],
            outputs: [{ type: 'file', id: 'out', path: output, batch: { max_ms: batchMs } }],
          }),
        )
        let latencies: number[] = []
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
        const { cpuMs, wallMs } = await measure(args, {
          folder,
          env,
          output,
          async during() {
            latencies = await appendAndWatch(input, output)
            return 'SIGTERM'
          },
        })
        for (const left of [input, output, state]) rmSync(left, { recursive: true, force: true })
        board.add(`follow, ${1_000 / EVERY_MS} lines/s, ${how}: median`, 'ms', engine.name, quantile(latencies, 0.5))
        board.add(`follow, ${1_000 / EVERY_MS} lines/s, ${how}: p99`, 'ms', engine.name, quantile(latencies, 0.99))
        board.add(`follow, ${1_000 / EVERY_MS} lines/s, ${how}: CPU`, '%', engine.name, (cpuMs / wallMs) * 100)
      }
    }
  }
}

/** Appends lines one by one; gives how long each took to appear in the output, without the first ones. */
async function appendAndWatch(input: string, output: string): Promise<number[]> {
  const written: number[] = []
  const arrived: number[] = []
  let at = 0
  let rest = ''
  const buffer = Buffer.alloc(1 << 16)
  const look = () => {
    if (!existsSync(output)) return
    const handle = openSync(output, 'r')
    for (
      let got = readSync(handle, buffer, 0, buffer.length, at);
      got > 0;
      got = readSync(handle, buffer, 0, buffer.length, at)
    ) {
      at += got
      const lines = (rest + buffer.toString('latin1', 0, got)).split('\n')
      rest = lines.pop() ?? ''
      for (const line of lines) arrived[(JSON.parse(line) as { n: number }).n] ??= performance.now()
    }
    closeSync(handle)
  }
  // The system tells at once; where it does not, looking does.
  let watcher: ReturnType<typeof watch> | undefined
  const timer = setInterval(() => {
    if (!watcher && existsSync(output)) watcher = watch(output, look)
    look()
  }, LOOK_MS)
  const append = () => {
    written.push(performance.now())
    appendFileSync(input, `${JSON.stringify({ n: written.length - 1 })}\n`)
  }
  const until = async (what: () => boolean) => {
    for (const deadline = performance.now() + LONGEST_MS; !what(); await sleep(LOOK_MS))
      if (performance.now() > deadline) throw new Error('a line of the followed file did not arrive')
  }
  try {
    append()
    await until(() => arrived[0] !== undefined)
    while (written.length < EVENTS + WARM_UP) {
      append()
      await sleep(EVERY_MS)
    }
    await until(() => arrived.filter(Boolean).length === written.length)
  } finally {
    clearInterval(timer)
    watcher?.close()
  }
  return written.map((time, index) => (arrived[index] as number) - time).slice(WARM_UP)
}
