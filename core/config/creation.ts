// Calls every plugin's `create` as the engine will, so that a wrong template, pattern or table is found before anything runs.
import type { Plugin } from '../plugin/define.ts'
import { asError, OptionError } from '../plugin/errors.ts'
import type { Filter, Site, TableHandle } from '../plugin/interfaces.ts'
import { copyJson, type JsonObject } from '../plugin/json.ts'
import { loadPlugin } from '../plugin/registry.ts'
import { compileExpression } from './expression.ts'
import { ExpressionError } from './expression-errors.ts'
import { siteFiles } from './options-file.ts'
import { Report } from './problem.ts'
import { expressionPlace, ValueReader } from './reader.ts'
import type { Drafts } from './rules.ts'
import { type Draft, stepName } from './step.ts'
import { didYouMean } from './suggest.ts'
import { child, followPath, type MapTree, treeOf } from './tree.ts'

/** A table that a step asks for by type and options, rather than one of the pipeline. */
interface OwnTable {
  readonly type: string
  readonly options: JsonObject
  /** The option that asks for it. */
  readonly path: string
}

/** Creates every step that is right so far, and reports what its plugin has against its options. */
export async function checkCreation(report: Report, { inputs, filters, tables, outputs }: Drafts): Promise<void> {
  const ids = tables.map(({ id }) => id)
  const codecs = inputs.flatMap(({ codec }) => codec ?? [])
  for (const draft of [...inputs, ...codecs, ...filters, ...tables, ...outputs]) await create(report, draft, ids)
  for (const draft of outputs.flatMap(output => output.filters)) {
    const filter = (await create(report, draft, ids)) as Filter | undefined
    // A gate decides whether an event goes on at all: there is no such question for one output alone.
    if (!filter?.gate) continue
    const advice = "which works for all outputs only: move it to the pipeline's filters"
    report.error(child(draft.tree, 'type') ?? draft.tree, `${stepName(draft)} decides across events, ${advice}`)
  }
}

/** The instance, or undefined when its options are refused, which is reported. */
async function create(report: Report, draft: Draft, tables: readonly string[]): Promise<unknown> {
  if (!draft.ok) return undefined
  const asked: OwnTable[] = []
  try {
    const instance = draft.found?.plugin.create(copyJson(draft.options), checkingSite(draft, tables, asked, report.crowded))
    for (const table of asked) await createTable(table, draft.folder)
    return instance
  } catch (error) {
    explain(report, draft, asError(error))
    return undefined
  }
}

async function createTable({ type, options, path }: OwnTable, folder: string): Promise<void> {
  try {
    const { plugin } = await loadPlugin('table', type, folder)
    const complete = await completeOptions(plugin as Plugin, options, folder)
    plugin.create(complete, { id: type, folder, expression: none, table: none, ...siteFiles() })
  } catch (error) {
    throw new OptionError(path, asError(error).message, { cause: error })
  }
}

/**
 * Options that did not stand in a pipeline file (a table that a filter asks for), checked and complete; paths count from `folder`.
 * @throws OptionError for the first that is wrong
 */
export async function completeOptions(plugin: Plugin, options: JsonObject, folder: string): Promise<JsonObject> {
  const report = new Report('', '')
  const tree = treeOf(options) as MapTree
  const reader = new ValueReader({ report, folder, apart: new Set() }, { name: `the ${plugin.kind}`, place: tree, folder })
  const complete = reader.options(tree, plugin.options)
  const [problem] = report.errors()
  if (problem) throw new OptionError('', problem.message)
  return complete
}

function checkingSite(
  { kind, id, folder, secretFiles }: Draft,
  tables: readonly string[],
  asked: OwnTable[],
  crowded: boolean,
): Site {
  const nothing: TableHandle = { lookup: () => undefined }
  return {
    id,
    folder,
    expression: compileExpression,
    ...siteFiles(secretFiles),
    table(source, path) {
      if (kind !== 'filter') throw new OptionError(path, `only a filter looks into tables, and this is the ${kind} ${id}`)
      if (typeof source !== 'string') asked.push({ ...source, path })
      else if (!tables.includes(source)) {
        const others = tables.length > 0 ? `; there are ${tables.join(', ')}` : '; declare it under tables:'
        throw new OptionError(path, `there is no table ${source}${crowded ? '' : didYouMean(source, tables) || others}`)
      }
      return nothing
    },
  }
}

function none(): never {
  throw new OptionError('', 'a table has neither expressions nor tables of its own')
}

function explain(report: Report, draft: Draft, error: Error): void {
  const at = error instanceof OptionError ? followPath(draft.tree, error.path) : undefined
  if (error instanceof ExpressionError && at) report.error(expressionPlace(report, at, error), error.reason)
  else if (at) report.error(at, error.message)
  else {
    // A default, an option that is not there, or no option at all.
    const message = error instanceof OptionError ? `: ${error.message}` : ` refuses its options: ${error.message}`
    report.error(child(draft.tree, 'type') ?? draft.tree, `${stepName(draft)}${message}`)
  }
}
