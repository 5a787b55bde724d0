// penstock simulate: serves a made-up Microsoft 365, and runs a pipeline against it when one is named.
import { type ChildProcess, spawn } from 'node:child_process'
import { rmSync } from 'node:fs'
import { EXIT, pipelineWith } from '../../../../../core/cli/for-plugins.ts'
import { asError, errorCode, PenstockError } from '../../../../../core/plugin/errors.ts'
import { type Simulator, type SimulatorOptions, startSimulator } from '../simulator.ts'
import { compare } from './comparison.ts'
import { liesIn, prepareFolder, type SimulatorFolder } from './folder.ts'
import { simulateOptions } from './options.ts'
import { linesOf, outputFiles, sizesOf } from './outputs.ts'
import { advice, comparisonTable, servedTable, welcome } from './report.ts'

/** Gives the exit code. */
export async function simulate(args: readonly string[]): Promise<number> {
  const options = simulateOptions(args)
  const { run, keep } = options
  const simulator = await start(options.simulator)
  const interrupts = listen()
  try {
    const folder = prepareFolder(options.folder, simulator, worldOf(options.simulator))
    process.stdout.write(welcome(simulator, folder, options))
    if (run === undefined || keep) process.stdout.write(advice(folder))
    const code = run === undefined ? EXIT.ok : await runAgainst(run, simulator, folder, interrupts)
    if (run === undefined || (keep && !interrupts.heard)) await interrupts.next()
    process.stdout.write(servedTable(simulator))
    return code
  } finally {
    interrupts.off()
    await simulator.close()
  }
}

async function start(options: SimulatorOptions): Promise<Simulator> {
  try {
    return await startSimulator(options)
  } catch (thrown) {
    const error = asError(thrown)
    if (!['EADDRINUSE', 'EACCES'].includes(errorCode(error))) throw error
    const why = errorCode(error) === 'EACCES' ? 'may not be used by this user' : 'is in use, perhaps by another simulator'
    throw new PenstockError(
      'PEN_USAGE',
      `the port ${options.port} of 127.0.0.1 ${why}; name another one with --port (0: any that is free)`,
      { cause: error },
    )
  }
}

/** What content follows from: the same text stands for the same content. */
function worldOf({ seed, tenants, users, from, historyMs, scenario, ...others }: SimulatorOptions): string {
  const { slotMs, delayMs, blobRecords, bigBlobBytes, expiryMs } = others
  const content = { start: from - historyMs, slotMs, delayMs, blobRecords, bigBlobBytes, expiryMs, quirks: scenario.content }
  return JSON.stringify({ seed, tenants, users, from: bigBlobBytes > 0 ? from : 0, ...content })
}

interface Interrupts {
  readonly heard: boolean
  next(): Promise<void>
  /** Gets each signal while it runs; a pipeline knows what a second one means. */
  child: ChildProcess | undefined
  off(): void
}

function listen(): Interrupts {
  let heard = false
  let wake = () => {}
  const onSignal = (signal: NodeJS.Signals) => {
    heard = true
    interrupts.child?.kill(signal)
    wake()
  }
  const interrupts: Interrupts = {
    child: undefined,
    get heard() {
      return heard
    },
    next: () =>
      new Promise(resolve => {
        wake = resolve
        if (heard) resolve()
      }),
    off() {
      process.off('SIGINT', onSignal)
      process.off('SIGTERM', onSignal)
    },
  }
  process.on('SIGINT', onSignal)
  process.on('SIGTERM', onSignal)
  return interrupts
}

/** Runs the pipeline in a process of its own, and compares what came. */
async function runAgainst(
  file: string,
  simulator: Simulator,
  { path, state, environment, sameWorld }: SimulatorFolder,
  interrupts: Interrupts,
): Promise<number> {
  Object.assign(process.env, environment)
  const { config } = await pipelineWith(file, 'o365_activity')
  // Files elsewhere may hold what is dear to somebody: what stands in them is left alone, and not compared.
  if (!sameWorld) for (const old of outputFiles(config.outputs)) if (liesIn(path, old)) rmSync(old)
  const before = sameWorld ? new Map<string, number>() : sizesOf(outputFiles(config.outputs))
  process.stdout.write(`\nRunning ${file}; its state is in ${state}\n`)
  const code = await runPipeline(file, state, interrupts)
  if (code !== EXIT.ok) process.stdout.write(`\nThe pipeline ended with exit code ${code}.\n`)
  const files = outputFiles(config.outputs)
  if (files.length === 0) {
    process.stdout.write(
      '\nThe pipeline wrote no file of NDJSON to compare the ledger with: it needs an output of the type file.\n',
    )
    return code
  }
  const until = Date.parse(environment['PENSTOCK_SIMULATOR_UNTIL'] as string)
  const comparison = await compare(simulator, until, linesOf(files, before))
  process.stdout.write(comparisonTable(comparison, files))
  if (interrupts.heard) process.stdout.write('The pipeline was stopped: what is lost here it would still have read.\n')
  const wrong = comparison.invented > 0 || (!interrupts.heard && comparison.types.some(({ lost }) => lost > 0))
  return code === EXIT.ok && wrong ? EXIT.failed : code
}

function runPipeline(file: string, state: string, interrupts: Interrupts): Promise<number> {
  const program = process.argv[1] as string
  const child = spawn(process.execPath, [...process.execArgv, program, 'run', file, '--state-dir', state], {
    stdio: ['ignore', 'inherit', 'inherit'],
  })
  interrupts.child = child
  return new Promise((resolve, reject) => {
    child.on('error', reject)
    child.on('exit', (code, signal) => {
      interrupts.child = undefined
      resolve(code ?? (signal === 'SIGINT' ? 130 : signal === 'SIGTERM' ? 143 : EXIT.failed))
    })
  })
}
