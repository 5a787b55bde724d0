// Loads pipeline files: everything is checked, and all errors of a file come at once, in its order.
import { basename, dirname, extname, resolve } from 'node:path'
import type { JsonObject } from '../plugin/json.ts'
import { checkCreation } from './creation.ts'
import { type Env, Filler } from './fill.ts'
import { BEGIN, ConfigError, type Problem, type Report } from './problem.ts'
import { readReport } from './read-report.ts'
import { type Reading, ValueReader } from './reader.ts'
import { checkHttp, checkQueues, checkRoutes, giveIds, idOf } from './rules.ts'
import { BATCH, PIPELINE, QUEUE_BYTES } from './skeleton.ts'
import { type Draft, readSteps, stepConfig } from './step.ts'
import { readTests } from './tests.ts'
import { child, items, type MapTree } from './tree.ts'
import type { FilterConfig, InputConfig, OutputConfig, PipelineConfig, TableConfig } from './types.ts'
import { parseYaml } from './yaml.ts'

export interface LoadOptions {
  /** What `${NAME}` is filled from. Default: the process's environment. */
  readonly env?: Env
}
export interface LoadedPipeline {
  readonly config: PipelineConfig
  readonly warnings: readonly Problem[]
}

/**
 * Reads and checks a pipeline file.
 * @throws ConfigError with every problem of the file
 */
export async function loadPipeline(file: string, options: LoadOptions = {}): Promise<LoadedPipeline> {
  const [pipeline] = await loadPipelines([file], options)
  return pipeline as LoadedPipeline
}

/**
 * Reads and checks several pipeline files for one process; their names must differ.
 * @throws ConfigError with every problem of every file
 */
export async function loadPipelines(
  files: readonly string[],
  { env = process.env }: LoadOptions = {},
): Promise<LoadedPipeline[]> {
  const problems: Problem[] = []
  const pipelines: LoadedPipeline[] = []
  const names = new Map<string, string>()
  for (const file of files) {
    const report = readReport(resolve(file), file)
    const tree = report.failed ? undefined : readTree(report)
    const config = tree && (await readPipeline(report, tree, resolve(file), env))
    if (config && !report.failed) {
      const { name } = config
      const first = names.get(name)
      names.set(name, file)
      const reason = `the pipeline in ${first} is named ${name} too; state and metrics hang on the name`
      if (first) report.error(child(tree, 'name') ?? BEGIN, reason)
      pipelines.push({ config, warnings: report.warnings() })
    }
    problems.push(...report.errors())
  }
  if (problems.length > 0) throw new ConfigError(problems)
  return pipelines
}

function readTree(report: Report): MapTree | undefined {
  const tree = parseYaml(report)
  if (tree?.kind === 'map') return tree
  if (tree) report.error(tree, 'a pipeline is a map: inputs:, filters:, outputs: and so on, each at the begin of a line')
  else report.hideLines()
  return undefined
}

async function readPipeline(report: Report, tree: MapTree, file: string, env: Env): Promise<PipelineConfig | undefined> {
  const folder = dirname(file)
  const reading: Reading = {
    report,
    filler: new Filler(report, env, folder),
    folder,
    apart: new Set(items(child(tree, 'tests'))),
  }
  const [inputs, filters, tables, outputs] = await Promise.all([
    readSteps(reading, 'input', child(tree, 'inputs')),
    readSteps(reading, 'filter', child(tree, 'filters')),
    readSteps(reading, 'table', child(tree, 'tables')),
    readSteps(reading, 'output', child(tree, 'outputs')),
  ])
  const drafts = { inputs, filters, tables, outputs }
  const subject = { name: 'the pipeline', place: { start: tree.start, end: tree.start + 1 }, folder }
  const top = new ValueReader(reading, subject).options(tree, PIPELINE)
  giveIds(report, drafts)
  const unmatched = checkRoutes(report, tree, top.unmatched, drafts)
  checkHttp(report, tree, top.http)
  checkQueues(report, outputs)
  const tests = readTests(reading, child(tree, 'tests'), drafts)
  await checkCreation(report, drafts)
  if (report.failed) return undefined
  return {
    ...(top as unknown as PipelineConfig),
    name: typeof top.name === 'string' ? top.name : idOf(basename(file, extname(file))),
    file,
    folder,
    inputs: inputs.map(draft => ({ ...stepConfig(draft), codec: stepConfig(draft.codec as Draft) }) as InputConfig),
    filters: filters.map(filterConfig),
    tables: tables.map(draft => stepConfig(draft) as TableConfig),
    outputs: outputs.map(outputConfig),
    ...(unmatched !== undefined && { unmatched }),
    tests,
  }
}

function filterConfig(draft: Draft): FilterConfig {
  const { when } = draft.common
  return { ...stepConfig(draft), ...(when !== undefined && { when }) } as FilterConfig
}

function outputConfig(draft: Draft): OutputConfig {
  const { when, batch, retry, max_tries } = draft.common
  const { type, max_bytes = QUEUE_BYTES } = draft.common.queue as JsonObject
  return {
    ...stepConfig(draft),
    ...(typeof when === 'string' && { when: when.trim() }),
    filters: draft.filters.map(filterConfig),
    batch: { ...BATCH, ...draft.found?.plugin.batch, ...(batch as object | undefined) },
    retry,
    max_tries,
    ...(type === 'disk' && { queue: { max_bytes } }),
  } as OutputConfig
}
