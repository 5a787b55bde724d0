// Loads pipeline files: everything is checked, and all errors of a file come at once, in its order.
import { open } from 'node:fs/promises'
import { basename, dirname, extname, resolve } from 'node:path'
import type { PluginOf } from '../plugin/define.ts'
import { asError } from '../plugin/errors.ts'
import { isObject, type JsonObject } from '../plugin/json.ts'
import type { OptionSchemas } from '../plugin/options.ts'
import { complete } from './complete.ts'
import { checkCreation } from './creation.ts'
import { type Env, Filler } from './fill.ts'
import { ConfigError, type Problem, Report } from './problem.ts'
import { checkConditions, checkHttp, checkRoutes, type Drafts, giveIds, idOf } from './rules.ts'
import { PIPELINE } from './skeleton.ts'
import { batchOf, type Draft, type Reading, readSteps, stepConfig } from './step.ts'
import { readTests } from './tests.ts'
import { child, type MapTree, type Place } from './tree.ts'
import type { FilterConfig, HttpConfig, InputConfig, OutputConfig, PipelineConfig, StepConfig } from './types.ts'
import { validate } from './validate.ts'
import { parseYaml } from './yaml.ts'

export interface LoadOptions {
  /** What `${NAME}` is filled from. Default: the process's environment. */
  readonly env?: Env
  /** False leaves out the call of every plugin's `create`. */
  readonly check?: boolean
}
export interface LoadedPipeline {
  readonly config: PipelineConfig
  readonly warnings: readonly Problem[]
}

/** A pipeline file that needs more is no pipeline. */
const MAX_FILE_BYTES = 1024 * 1024

/**
 * Reads and checks a pipeline file.
 * @throws ConfigError with every problem of the file
 */
export async function loadPipeline(file: string, options: LoadOptions = {}): Promise<LoadedPipeline> {
  const { loaded, report } = await load(file, options)
  if (!loaded) throw new ConfigError(report.errors())
  return loaded
}

/**
 * Reads and checks several pipeline files for one process; their names must differ.
 * @throws ConfigError with every problem of every file
 */
export async function loadPipelines(files: readonly string[], options: LoadOptions = {}): Promise<LoadedPipeline[]> {
  const problems: Problem[] = []
  const pipelines: LoadedPipeline[] = []
  const names = new Map<string, string>()
  for (const file of files) {
    const { loaded, report, namePlace } = await load(file, options)
    if (loaded) {
      const { name } = loaded.config
      const first = names.get(name)
      if (first) report.error(namePlace, `the pipeline in ${first} is named ${name} too; state and metrics hang on the name`)
      else names.set(name, file)
      pipelines.push(loaded)
    }
    problems.push(...report.errors())
  }
  if (problems.length > 0) throw new ConfigError(problems)
  return pipelines
}

interface Loading {
  /** Undefined when the report has errors. */
  readonly loaded: LoadedPipeline | undefined
  readonly report: Report
  readonly namePlace: Place
}

const BEGIN: Place = { start: 0, end: 1 }

async function load(file: string, { env = process.env, check = true }: LoadOptions): Promise<Loading> {
  const path = resolve(file)
  const text = await readText(path)
  const report = new Report(file, typeof text === 'string' ? text : '')
  const failed = { loaded: undefined, report, namePlace: BEGIN }
  if (typeof text !== 'string') {
    report.error(BEGIN, text.problem)
    return failed
  }
  const tree = parseYaml(report)
  if (!tree) return failed
  report.structured()
  if (tree.kind !== 'map') {
    report.error(tree, 'a pipeline is a map: inputs:, filters:, outputs: and so on, each at the begin of a line')
    return failed
  }
  const folder = dirname(path)
  const reading: Reading = { report, filler: new Filler(report, env, folder), folder }
  const config = await readPipeline(reading, tree, path, check)
  const loaded = report.failed || !config ? undefined : { config, warnings: report.warnings() }
  return { loaded, report, namePlace: child(tree, 'name') ?? BEGIN }
}

async function readText(path: string): Promise<string | { problem: string }> {
  try {
    await using handle = await open(path)
    const { size } = await handle.stat()
    if (size > MAX_FILE_BYTES) return { problem: `the file has ${size} bytes; a pipeline has at most ${MAX_FILE_BYTES}` }
    const bytes = await handle.readFile()
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch (thrown) {
    const error = asError(thrown) as Error & { code?: string }
    if (error.code === 'ERR_ENCODING_INVALID_ENCODED_DATA') return { problem: 'the file is not UTF-8; save it as UTF-8' }
    return { problem: `the file cannot be read: ${error.code === 'ENOENT' ? 'there is no such file' : error.message}` }
  }
}

async function readPipeline(reading: Reading, tree: MapTree, file: string, check: boolean): Promise<PipelineConfig | undefined> {
  const { report, filler, folder } = reading
  const [inputs, filters, tables, outputs] = await Promise.all([
    readSteps(reading, 'input', child(tree, 'inputs')),
    readSteps(reading, 'filter', child(tree, 'filters')),
    readSteps(reading, 'table', child(tree, 'tables')),
    readSteps(reading, 'output', child(tree, 'outputs')),
  ])
  const drafts: Drafts = { inputs, filters, tables, outputs }
  const value = topLevel(filler, tree)
  const subject = { name: 'the pipeline', place: { start: tree.start, end: tree.start + 1 } }
  const valid = await validate(report, filler, tree, value, PIPELINE, subject)
  const top = valid ? complete(value, PIPELINE as OptionSchemas, folder) : value
  const name = typeof top.name === 'string' ? top.name : idOf(basename(file, extname(file)))
  giveIds(reading, drafts)
  checkConditions(reading, drafts)
  const unmatched = checkRoutes(reading, tree, top.unmatched, outputs)
  checkHttp(reading, tree, isObject(top.http) ? top.http : undefined)
  const tests = readTests(reading, child(tree, 'tests'), drafts)
  if (check) await checkCreation(reading, drafts)
  if (report.failed || !valid) return undefined
  return {
    file,
    folder,
    name,
    ...(typeof top.description === 'string' ? { description: top.description } : {}),
    inputs: inputs.map(inputConfig),
    filters: filters.map(filterConfig),
    tables: tables.map(draft => stepConfig(draft) as StepConfig<PluginOf<'table'>>),
    outputs: outputs.map(outputConfig),
    ...(unmatched === undefined ? {} : { unmatched }),
    workers: top.workers as number,
    worker_timeout_ms: top.worker_timeout_ms as number,
    in_flight_bytes: top.in_flight_bytes as number,
    commit_interval_ms: top.commit_interval_ms as number,
    max_event_bytes: top.max_event_bytes as number,
    grace_ms: top.grace_ms as number,
    ...(isObject(top.http) ? { http: top.http as unknown as HttpConfig } : {}),
    tests,
  }
}

/** The values of the top level; steps are checked on their own, and nothing is filled into tests. */
function topLevel(filler: Filler, tree: MapTree): JsonObject {
  const value: JsonObject = {}
  for (const [key, { value: below }] of tree.entries) {
    const schema = Object.hasOwn(PIPELINE, key) ? (PIPELINE as OptionSchemas)[key] : undefined
    const steps = key === 'inputs' || key === 'filters' || key === 'tables' || key === 'outputs'
    if (steps && below.kind === 'list') value[key] = below.items.map(() => ({ type: '-' }))
    else value[key] = filler.value(below, key === 'tests' ? undefined : schema)
  }
  return value
}

function inputConfig(draft: Draft): InputConfig {
  return { ...stepConfig(draft), codec: stepConfig(draft.codec as Draft) } as InputConfig
}

function filterConfig(draft: Draft): FilterConfig {
  const { when } = draft.common
  return { ...stepConfig(draft), ...(typeof when === 'string' ? { when } : {}) } as FilterConfig
}

function outputConfig(draft: Draft): OutputConfig {
  const { when, retry, max_tries } = draft.common
  return {
    ...stepConfig(draft),
    ...(typeof when === 'string' ? { when: when.trim() } : {}),
    filters: draft.filters.map(filterConfig),
    batch: batchOf(draft),
    retry,
    max_tries,
  } as OutputConfig
}
