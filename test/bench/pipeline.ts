// npm run bench: file → ecs → file beside the bare loop, in one run, round by round; prints figures and their ratios.
//   npm run bench -- [--records 100000] [--rounds 3] [--large]      --large: ten times the records too, for the memory
import { spawn } from 'node:child_process'
import { createWriteStream } from 'node:fs'
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { columns } from '../../core/cli/terminal.ts'

const { values } = parseArgs({
  options: {
    records: { type: 'string', default: '100000' },
    rounds: { type: 'string', default: '3' },
    large: { type: 'boolean', default: false },
  },
})
const root = fileURLToPath(new URL('../..', import.meta.url))
const records = Number(values.records)
const rounds = Number(values.rounds)
const folder = await mkdtemp(join(tmpdir(), 'penstock-bench-'))

interface Result {
  readonly wallMs: number
  readonly cpuMs: number
  readonly rssMb: number
  /** From the start of the process to the first byte of output. */
  readonly firstMs: number
}

/** Runs a script with the measuring preload; `output` is the file that it writes. */
async function measure(args: readonly string[], output: string, env: NodeJS.ProcessEnv = {}): Promise<Result> {
  await rm(output, { force: true })
  const usage = join(folder, 'usage.json')
  const started = performance.now()
  const child = spawn(process.execPath, ['--import', join(root, 'test/bench/usage.ts'), ...args], {
    cwd: folder,
    stdio: ['ignore', 'inherit', 'inherit'],
    env: { ...process.env, ...env, PENSTOCK_BENCH_USAGE: usage },
  })
  let firstMs = Number.NaN
  const watch = setInterval(async () => {
    const size = await stat(output).then(
      ({ size }) => size,
      () => 0,
    )
    if (size === 0 || !Number.isNaN(firstMs)) return
    firstMs = performance.now() - started
    clearInterval(watch)
  }, 2)
  const code = await new Promise(resolve => child.on('close', resolve))
  const wallMs = performance.now() - started
  clearInterval(watch)
  if (code !== 0) throw new Error(`${args.join(' ')} ended with code ${code}`)
  return { wallMs, firstMs, ...(JSON.parse(await readFile(usage, 'utf8')) as { cpuMs: number; rssMb: number }) }
}

async function generate(count: number, path: string): Promise<void> {
  const { recordLines } = await import('./records.ts')
  const file = createWriteStream(path)
  for await (const block of recordLines(count)) if (!file.write(block)) await new Promise(resolve => file.once('drain', resolve))
  await new Promise<void>(resolve => file.end(resolve))
}

let runs = 0
async function engine(input: string, workers: number, env?: NodeJS.ProcessEnv): Promise<Result> {
  const state = join(folder, `state-${runs++}`)
  const pipeline = join(folder, `bench-${workers}.yaml`)
  await writeFile(
    pipeline,
    `name: bench\nworkers: ${workers}\ninputs:\n  - { type: file, id: in, paths: ["${input}"] }\nfilters:\n  - { type: ecs }\noutputs:\n  - { type: file, id: out, path: engine.ndjson }\n`,
  )
  const args = [
    join(root, 'core/cli/main.ts'),
    'run',
    pipeline,
    '--state-dir',
    state,
    '--no-progress',
    '--no-summary',
    '--log-level',
    'error',
  ]
  const result = await measure(args, join(folder, 'engine.ndjson'), env)
  await rm(state, { recursive: true })
  return result
}

const bare = (input: string, workers: number) =>
  measure([join(root, 'test/bench/bare.ts'), input, 'bare.ndjson', String(workers)], join(folder, 'bare.ndjson'))

function median(results: readonly Result[], of: keyof Result): number {
  const sorted = results.map(result => result[of]).sort((a, b) => a - b)
  return sorted[sorted.length >> 1] as number
}

try {
  const input = join(folder, 'records.ndjson')
  await generate(records, input)
  const { size } = await stat(input)
  console.log(`${records} records, ${(size / records / 1000).toFixed(2)} kB each, ${rounds} rounds, Node ${process.version}`)
  const jobs = {
    'bare loop': () => bare(input, 0),
    'Penstock, inline': () => engine(input, 0),
    'bare loop, 2 workers': () => bare(input, 2),
    'Penstock, 2 workers': () => engine(input, 2),
  }
  const names = Object.keys(jobs) as (keyof typeof jobs)[]
  // Compile caches are warm after this round, which does not count.
  const cold = await engine(input, 0, { XDG_CACHE_HOME: join(folder, 'cache') })
  for (const name of names) await jobs[name]()
  const results = Object.fromEntries(names.map(name => [name, [] as Result[]])) as Record<keyof typeof jobs, Result[]>
  for (let round = 0; round < rounds; round++) for (const name of names) results[name].push(await jobs[name]())
  const rows = names.map(name => {
    const of = (key: keyof Result) => median(results[name], key)
    const perSecond = (ms: number) => Math.round((records / ms) * 1000).toLocaleString('en-US')
    return [name, perSecond(of('wallMs')), perSecond(of('cpuMs')), of('rssMb').toFixed(0), of('firstMs').toFixed(0)]
  })
  console.log(columns([['', 'events/s', 'events/CPU-s', 'peak RSS MB', 'first event ms'], ...rows], [1, 2, 3, 4]))
  const ratio = (a: keyof typeof jobs, b: keyof typeof jobs, of: 'cpuMs' | 'wallMs') => {
    const perRound = results[a].map((result, round) => (results[b][round] as Result)[of] / result[of]).sort((x, y) => x - y)
    return `${(perRound[perRound.length >> 1] as number).toFixed(2)} (${(perRound[0] as number).toFixed(2)} to ${(perRound.at(-1) as number).toFixed(2)})`
  }
  console.log(`inline, per CPU-second, of the bare loop:            ${ratio('Penstock, inline', 'bare loop', 'cpuMs')}`)
  console.log(
    `2 workers, wall time, of the bare loop of 2 workers: ${ratio('Penstock, 2 workers', 'bare loop, 2 workers', 'wallMs')}`,
  )
  console.log(`2 workers, wall time, of the bare loop of 1 thread:  ${ratio('Penstock, 2 workers', 'bare loop', 'wallMs')}`)
  console.log(`first event, compile cache cold: ${cold.firstMs.toFixed(0)} ms`)
  if (values.large) {
    const large = join(folder, 'large.ndjson')
    await generate(records * 10, large)
    const result = await engine(large, 0)
    console.log(`${records * 10} records inline: peak RSS ${result.rssMb.toFixed(0)} MB`)
  }
} finally {
  await rm(folder, { recursive: true, force: true })
}
