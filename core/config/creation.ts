// Calls every plugin's `create` as the engine will, so that a wrong expression, template or pattern is found before anything runs.
import type { Plugin } from '../plugin/define.ts'
import { asError, OptionError } from '../plugin/errors.ts'
import type { Filter, Site, TableHandle } from '../plugin/interfaces.ts'
import { copyJson, type JsonObject } from '../plugin/json.ts'
import type { OptionSchema } from '../plugin/options.ts'
import { loadPlugin } from '../plugin/registry.ts'
import { complete } from './complete.ts'
import { compileExpression, ExpressionError } from './expression.ts'
import type { Report } from './problem.ts'
import { checkExpression, type Drafts, reportExpression } from './rules.ts'
import { type Draft, type Reading, stepName } from './step.ts'
import { didYouMean } from './suggest.ts'
import { followText, type Tree } from './tree.ts'
import { check, pathText } from './validate.ts'

/** A table that a step asks for by type and options, rather than one of the pipeline. */
interface OwnTable {
  readonly plugin?: Plugin
  readonly options?: JsonObject
  readonly error?: string
}
/** `create` is synchronous, an import is not: it is called again once the plugin is there. */
class NeedsTable extends Error {
  readonly type: string
  readonly options: JsonObject
  readonly key: string

  constructor(type: string, options: JsonObject, key: string) {
    super(`table plugin ${type}`)
    this.type = type
    this.options = options
    this.key = key
  }
}

/** Creates every step that is right so far, and reports what its plugin has against its options. */
export async function checkCreation(reading: Reading, { inputs, filters, tables, outputs }: Drafts): Promise<void> {
  const ids = tables.map(({ id }) => id)
  const codecs = inputs.map(({ codec }) => codec).filter(codec => codec !== undefined)
  const own = outputs.flatMap(output => output.filters)
  for (const draft of [...inputs, ...codecs, ...filters, ...tables, ...outputs, ...own]) {
    if (!draft.ok || !expressionsFit(reading.report, draft.tree, { properties: draft.plugin?.options ?? {} })) continue
    const instance = await createOne(reading.report, draft, ids)
    // A gate decides whether an event goes on at all: there is no such question for one output alone.
    if (own.includes(draft as (typeof own)[number]) && (instance as Filter | undefined)?.gate) {
      const place = followText(draft.tree, 'type') ?? draft.tree
      reading.report.error(
        place,
        `${stepName(draft)} decides across events, which works for all outputs only: move it to the pipeline's filters`,
      )
    }
  }
}

/** Compiles the options that are expressions, whether `create` does so at once or later. */
function expressionsFit(report: Report, tree: Tree, schema: OptionSchema): boolean {
  if (tree.kind === 'scalar')
    return schema.format !== 'expression' || typeof tree.value !== 'string' || checkExpression(report, tree, tree.value)
  let fit = true
  if (tree.kind === 'list') {
    for (const item of tree.items) fit = expressionsFit(report, item, schema.items ?? {}) && fit
    return fit
  }
  const { properties = {}, additionalProperties } = schema
  for (const [key, { value }] of tree.entries) {
    const own = Object.hasOwn(properties, key)
      ? properties[key]
      : typeof additionalProperties === 'object'
        ? additionalProperties
        : undefined
    if (own) fit = expressionsFit(report, value, own) && fit
  }
  return fit
}

/** The instance, or undefined when its options are refused, which is reported. */
async function createOne(report: Report, draft: Draft, tables: readonly string[]): Promise<unknown> {
  const own = new Map<string, OwnTable>()
  for (;;) {
    try {
      return draft.plugin?.create(copyJson(draft.options), checkingSite(draft, tables, own))
    } catch (error) {
      if (!(error instanceof NeedsTable)) {
        explain(report, draft, asError(error))
        return undefined
      }
      own.set(error.key, await prepareTable(error, draft.folder))
    }
  }
}

async function prepareTable({ type, options }: NeedsTable, folder: string): Promise<OwnTable> {
  try {
    const { plugin } = await loadPlugin('table', type, folder)
    return { plugin: plugin as Plugin, options: await completeOptions(plugin as Plugin, options, folder) }
  } catch (error) {
    return { error: asError(error).message }
  }
}

/**
 * Options that did not stand in a pipeline file (a table that a filter asks for), checked and complete; paths count from `folder`.
 * @throws OptionError for the first that is wrong
 */
export async function completeOptions(plugin: Plugin, options: JsonObject, folder: string): Promise<JsonObject> {
  const [error] = await check(options, plugin.options)
  if (error) {
    const { instancePath, keyword, params } = error
    const name =
      keyword === 'required'
        ? (params as { missingProperty: string }).missingProperty
        : (params as { additionalProperty?: string }).additionalProperty
    const reason =
      keyword === 'required' ? 'is missing' : keyword === 'additionalProperties' ? 'is no option' : (error.message ?? 'is wrong')
    throw new OptionError(pathText([...instancePath.split('/').slice(1), ...(name === undefined ? [] : [name])]), reason)
  }
  return complete(options, plugin.options, folder)
}

function checkingSite({ kind, id, folder }: Draft, tables: readonly string[], own: ReadonlyMap<string, OwnTable>): Site {
  const nothing: TableHandle = { lookup: () => undefined }
  return {
    id,
    folder,
    expression: (text, path) => compileExpression(text, path),
    table(source, path) {
      if (kind !== 'filter') throw new OptionError(path, `only a filter looks into tables, and this is the ${kind} ${id}`)
      if (typeof source === 'string') {
        if (tables.includes(source)) return nothing
        const others = tables.length > 0 ? `; there are ${tables.join(', ')}` : '; declare it under tables:'
        throw new OptionError(path, `there is no table ${source}${didYouMean(source, tables) || others}`)
      }
      const key = JSON.stringify([source.type, source.options])
      const found = own.get(key)
      if (!found) throw new NeedsTable(source.type, source.options, key)
      if (found.error !== undefined) throw new OptionError(path, found.error)
      try {
        found.plugin?.create(copyJson(found.options ?? {}), { id: `${id}/${source.type}`, folder, expression: none, table: none })
      } catch (error) {
        throw new OptionError(path, asError(error).message, { cause: error })
      }
      return nothing
    },
  }
}

function none(): never {
  throw new OptionError('', 'a table has neither expressions nor tables of its own')
}

function explain(report: Report, draft: Draft, error: Error): void {
  const { tree } = draft
  if (!(error instanceof OptionError)) {
    report.error(followText(tree, 'type') ?? tree, `${stepName(draft)} refuses its options: ${error.message}`)
    return
  }
  const at = followText(tree, error.path)
  if (error instanceof ExpressionError && at) reportExpression(report, at, error)
  else if (at) report.error(at, error.message)
  // A default, or an option that is not there.
  else report.error(followText(tree, 'type') ?? tree, `${stepName(draft)}: ${error.message}`)
}
