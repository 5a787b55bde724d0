// penstock remap: a time range of a vault through the filters of today, to one output, under the same ids.
import { hash } from 'node:crypto'
import { parse } from 'yaml'
import { commandLine, EXIT, pipelineIn, runOnce, withOptions } from '../../../core/cli/for-plugins.ts'
import type { OutputConfig, PipelineConfig } from '../../../core/config/types.ts'
import { OptionError, PenstockError } from '../../../core/plugin/errors.ts'
import type { JsonObject } from '../../../core/plugin/json.ts'
import { vaultInput } from './vault-input.ts'

export async function remap(args: readonly string[]): Promise<number> {
  const { values, positionals } = commandLine(args, {
    output: { type: 'string' },
    from: { type: 'string' },
    to: { type: 'string' },
    undated: { type: 'boolean', default: false },
    set: { type: 'string', multiple: true, default: [] },
    replace: { type: 'boolean', default: false },
    vault: { type: 'string' },
    'state-dir': { type: 'string', default: 'state/remap' },
  })
  const [file, ...others] = positionals
  if (file === undefined || others.length > 0) throw usage('remap needs one pipeline file (penstock remap --help)')
  if (values.output === undefined) throw usage('--output says which output of the pipeline gets the events')
  const range = { from: timeOf('--from', values.from), to: timeOf('--to', values.to), undated: values.undated }
  if (range.from >= range.to) throw usage('--from must lie before --to')
  const config = await pipelineIn(file)
  const vault = one(config, values.vault, 'vault')
  const target = one(config, values.output)
  const changes = { ...changesOf(values.set), ...(values.replace && { existing: 'replace' }) }
  if (values.replace && target.plugin.options['existing'] === undefined)
    throw usage(
      `--replace: the output ${target.id} (${target.type}) cannot replace what is there; give it a new target with --set`,
    )
  let output: OutputConfig
  try {
    output = await withOptions(target, changes)
    output.plugin.create(output.options, { ...SITE, id: output.id, folder: output.folder })
  } catch (error) {
    if (error instanceof OptionError) throw usage(`--set ${error.message}`)
    throw error
  }
  const folder = String(vault.options['path'])
  const done = await runOnce(remapping(config, output, folder, range, changes), values['state-dir'])
  return done ? EXIT.ok : EXIT.failed
}

const SITE = {
  expression: () => () => true,
  table: () => ({ lookup: () => undefined }),
  secretFile: () => undefined,
  optionsFile: () => {
    throw new OptionError('', 'a command reads no option files')
  },
} as const

/** The same pipeline with the vault in the place of its inputs, and one output that gets all that it took then. */
function remapping(
  { http: _, ...config }: PipelineConfig,
  output: OutputConfig,
  folder: string,
  range: Parameters<typeof vaultInput>[2],
  changes: JsonObject,
): PipelineConfig {
  const what = JSON.stringify([output.id, range, changes, folder])
  return {
    ...config,
    // Its own positions: called again in the same way it goes on, called in another way it begins anew.
    name: `${config.name}_remap_${hash('sha256', what).slice(0, 12)}`,
    inputs: config.inputs.map(input => ({
      ...input,
      plugin: vaultInput(folder, input.id, range, input.plugin.idField),
      options: {},
    })),
    outputs: config.outputs.map(other => {
      const { queue: _, ...rest } = other.id === output.id ? output : other
      // Plugins are known by their URL: this one is not to be taken for that of the target.
      return other.id === output.id ? rest : { ...rest, url: `${rest.url}#idle`, plugin: { ...rest.plugin, create: () => IDLE } }
    }),
    only: config.outputs.findIndex(({ id }) => id === output.id),
  }
}

/** An output that gets nothing. */
const IDLE = { encode: () => undefined, async write() {} }

function one(config: PipelineConfig, id: string | undefined, type?: string): OutputConfig {
  const fit = config.outputs.filter(
    output => (type === undefined || output.type === type) && (id === undefined || output.id === id),
  )
  const [found] = fit
  if (found && fit.length === 1) return found
  const what = type === undefined ? 'output' : `output of the type ${type}`
  const ids = config.outputs.filter(output => type === undefined || output.type === type).map(output => output.id)
  if (fit.length > 1) throw usage(`the pipeline ${config.name} has several vaults: name one with --vault (${ids.join(', ')})`)
  const names = ids.length > 0 ? `; it has ${ids.join(', ')}` : ''
  throw usage(`the pipeline ${config.name} has no ${what}${id === undefined ? '' : ` called ${id}`}${names}`)
}

/** `NAME=VALUE` as in YAML. */
function changesOf(set: readonly string[]): JsonObject {
  return Object.fromEntries(
    set.map(text => {
      const at = text.indexOf('=')
      if (at <= 0) throw usage(`--set takes OPTION=VALUE; got ${text}`)
      return [text.slice(0, at), parse(text.slice(at + 1)) as unknown]
    }),
  ) as JsonObject
}

function timeOf(option: string, text: string | undefined): number {
  const time =
    text === undefined ? Number.NaN : Date.parse(/Z|[+-]\d\d:\d\d$/.test(text) || text.length === 10 ? text : `${text}Z`)
  if (!Number.isNaN(time)) return time
  throw usage(`${option} takes a time such as 2026-05-01 or 2026-05-01T08:00:00Z${text === undefined ? '' : `; got ${text}`}`)
}

function usage(message: string): PenstockError {
  return new PenstockError('PEN_USAGE', message)
}
