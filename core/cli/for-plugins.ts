// What a command that a plugin brings may use of the engine, beside core/plugin: pipelines as they are read, rows as they are stored.
import { completeOptions } from '../config/creation.ts'
import { compileExpression } from '../config/expression.ts'
import { loadPipeline } from '../config/load.ts'
import { siteFiles } from '../config/options-file.ts'
import type { PipelineConfig, StepConfig } from '../config/types.ts'
import { rowsIn } from '../flow/rows.ts'
import { Supervisor } from '../flow/supervisor.ts'
import { systemClock } from '../observe/clock.ts'
import { Health } from '../observe/health.ts'
import { createLog } from '../observe/log.ts'
import { MetricsStore } from '../observe/metrics.ts'
import { OptionError, PenstockError } from '../plugin/errors.ts'
import type { Codec, Rows, Site } from '../plugin/interfaces.ts'
import type { JsonObject } from '../plugin/json.ts'
import { openStore } from '../state/store.ts'
import { report } from './report.ts'
import { onSignals } from './signals.ts'
import { isTerminal } from './terminal.ts'

export { systemClock } from '../observe/clock.ts'
export { visible } from '../observe/text.ts'
export { choice, commandLine, STATE_DIR, wholeNumber } from './args.ts'
export { EXIT } from './exit-codes.ts'
export { onSignals } from './signals.ts'
export { bytes, columns, isTerminal, number, painter, seconds } from './terminal.ts'

const LOOK_MS = 500

/** An input of a pipeline, as its plugin's command sees it. */
export interface CommandStep {
  readonly id: string
  /** Complete, as `create` gets them. */
  readonly options: JsonObject
  readonly site: Site
  codec(): Codec
}

export interface CommandPipeline {
  readonly config: PipelineConfig
  readonly steps: readonly CommandStep[]
}

/**
 * Reads a pipeline as `run` does; gives its inputs of one type.
 * @throws ConfigError with every mistake of the file; PenstockError (PEN_USAGE) where there is no such input
 */
export async function pipelineWith(file: string, type: string): Promise<CommandPipeline> {
  const { config } = await loadPipeline(file)
  const own = config.inputs.filter(input => input.type === type)
  if (own.length === 0)
    throw new PenstockError('PEN_USAGE', `the pipeline ${config.name} (${file}) has no input of the type ${type}`)
  const steps = own.map(({ id, options, folder, secretFiles, codec }) => ({
    ...{ id, options },
    site: siteOf(id, folder, secretFiles),
    codec: () => codec.plugin.create(codec.options, siteOf(codec.id, codec.folder, codec.secretFiles)),
  }))
  return { config, steps }
}

/** The outputs of one type of a pipeline, for the plugin's `setup`. */
export async function outputsOf(
  file: string,
  type: string,
): Promise<{ readonly config: PipelineConfig; readonly steps: readonly Omit<CommandStep, 'codec'>[] }> {
  const { config } = await loadPipeline(file)
  const own = config.outputs.filter(output => output.type === type)
  if (own.length === 0)
    throw new PenstockError('PEN_USAGE', `the pipeline ${config.name} (${file}) has no output of the type ${type}`)
  return {
    config,
    steps: own.map(({ id, options, folder, secretFiles }) => ({ id, options, site: siteOf(id, folder, secretFiles) })),
  }
}

/** Opens the rows of a step. `beside`: only to read them, and an engine may be running; else none may. */
export async function openRows(
  stateDir: string,
  { pipeline, step, beside }: { readonly pipeline: string; readonly step: string; readonly beside: boolean },
): Promise<{ readonly rows: Rows; close(): Promise<void> }> {
  const store = await openStore(stateDir, { beside })
  return { rows: rowsIn(store, `${pipeline}/${step}`), close: () => store.close() }
}

/** Reads a pipeline as `run` does. Throws a ConfigError with every mistake of the file. */
export async function pipelineIn(file: string): Promise<PipelineConfig> {
  return (await loadPipeline(file)).config
}

/** The step with other values for some of its options, checked as those of a file are. Throws OptionError. */
export async function withOptions<S extends StepConfig>(step: S, changes: JsonObject): Promise<S> {
  return { ...step, options: await completeOptions(step.plugin, { ...step.options, ...changes }, step.folder) }
}

/** Runs a pipeline to its end, or until a signal, and prints its table. True when all of it was read and nothing is left. */
export async function runOnce(config: PipelineConfig, stateDir: string): Promise<boolean> {
  const engine = await engineOn(stateDir)
  const begun = systemClock.monotonic()
  const signals = onSignals(() => engine.supervisor.stop())
  try {
    const ends = await engine.supervisor.run([config])
    const health = engine.health.ailing()
    process.stderr.write(report({ configs: [config], ends, ms: systemClock.monotonic() - begun, stateDir, health }))
    const isWhole = ends.every(({ status, left }) => status === 'ended' && left === 0)
    // Nobody asks for its positions again.
    if (isWhole) await engine.store.reset(config.name)
    return isWhole
  } finally {
    signals.off()
    await engine.store.close()
  }
}

/** A supervisor with a log on standard error, and nothing that others see of it. */
async function engineOn(stateDir: string) {
  const terminal = isTerminal(process.stderr)
  const log = createLog({
    ...{ level: 'warn', pretty: terminal, color: terminal && !process.env.NO_COLOR },
    write: line => void process.stderr.write(line),
  })
  const store = await openStore(stateDir, { log: log('penstock', 'state') })
  const health = new Health()
  const supervisor = new Supervisor({ store, clock: systemClock, log, metrics: new MetricsStore(), health })
  return { store, supervisor, health }
}

/**
 * Runs the inputs of one type of a pipeline until `isDone`, which is asked every half second with the rows of their steps.
 * Resolves to false when the pipeline failed, or ended or was stopped by a signal before that.
 */
export async function runUntil(
  { config, only, stateDir }: { readonly config: PipelineConfig; readonly only: string; readonly stateDir: string },
  isDone: (rowsOf: (step: string) => Rows) => Promise<boolean>,
): Promise<boolean> {
  const { http: _, ...rest } = config
  const { store, supervisor } = await engineOn(stateDir)
  const over = new AbortController()
  const signals = onSignals(() => {
    over.abort()
    supervisor.stop()
  })
  let done = false
  const look = async () => {
    done = await isDone(step => rowsIn(store, `${config.name}/${step}`))
  }
  const watch = async () => {
    while (!over.signal.aborted) {
      await look()
      if (done) return supervisor.stop()
      await systemClock.sleep(LOOK_MS, over.signal)
    }
  }
  try {
    const watching = watch().catch(() => {}) // the abort
    const ends = await supervisor.run([{ ...rest, inputs: config.inputs.filter(({ type }) => type === only) }])
    over.abort()
    await watching
    if (!done) await look()
    return done && ends.every(({ status }) => status !== 'failed')
  } finally {
    signals.off()
    await store.close()
  }
}

function siteOf(id: string, folder: string, secretFiles: ReadonlyMap<string, string>): Site {
  const table = () => {
    throw new OptionError('', 'a command has no tables')
  }
  return { id, folder, expression: compileExpression, table, ...siteFiles(secretFiles) }
}
