// What is made from the plugins' own option schemas: the editor schema of pipelines, and the reference page of each kind.
import { stringify } from 'yaml'
import { PIPELINE, STEP } from '../core/config/skeleton.ts'
import { KINDS, type Kind, type Plugin } from '../core/plugin/define.ts'
import type { JsonObject } from '../core/plugin/json.ts'
import type { OptionSchema, OptionSchemas } from '../core/plugin/options.ts'
import { listPlugins } from '../core/plugin/registry.ts'
import { typeText } from '../core/plugin/type-text.ts'
import { toJsonSchema } from './json-schema.ts'

type Listed = Awaited<ReturnType<typeof listPlugins>>[number]

/** The generated files, by their path from the project's folder. */
export async function generated(): Promise<ReadonlyMap<string, string>> {
  const plugins = await listPlugins()
  const files = new Map<string, string>()
  files.set('schemas/pipeline.schema.json', `${JSON.stringify(pipelineSchema(plugins), null, 2)}\n`)
  for (const kind of KINDS)
    files.set(
      `plugins/${kind}s/README.md`,
      page(
        kind,
        plugins.filter(plugin => plugin.kind === kind),
      ),
    )
  return files
}

/** A plugin that is not in this repository (a path, a package) has options that no schema knows: it may say anything. */
function pipelineSchema(plugins: readonly Listed[]): JsonObject {
  const definitions: JsonObject = {}
  for (const kind of KINDS) {
    const own = plugins.filter(plugin => plugin.kind === kind)
    const steps = own.map(({ name, plugin }) => {
      const properties: OptionSchemas = { ...STEP[kind], ...plugin.options }
      const schema = toJsonSchema(properties)
      const described = schema.properties as Record<string, JsonObject>
      described.type = { const: name, description: `${plugin.summary}` }
      return schema
    })
    const others = { ...toJsonSchema(STEP[kind], true) }
    const otherType = {
      type: 'string',
      not: { enum: own.map(({ name }) => name) },
      description: `A ${kind} plugin by path or package`,
    }
    others.properties = { ...(others.properties as JsonObject), type: otherType }
    definitions[kind] = {
      type: 'object',
      required: ['type'],
      properties: { type: { anyOf: [{ enum: own.map(({ name }) => name) }, { type: 'string' }] } },
      anyOf: [...steps, others],
    }
  }
  const schema = toJsonSchema(PIPELINE)
  const properties = schema.properties as Record<string, JsonObject>
  const lists: Readonly<Record<string, Kind>> = { inputs: 'input', filters: 'filter', tables: 'table', outputs: 'output' }
  for (const [name, kind] of Object.entries(lists))
    properties[name] = { ...properties[name], items: { $ref: `#/definitions/${kind}` } }
  const { input, output } = definitions as Record<'input' | 'output', { anyOf: JsonObject[] }>
  for (const step of input.anyOf) {
    ;(step.properties as JsonObject).codec = { anyOf: [{ type: 'string' }, { $ref: '#/definitions/codec' }] }
  }
  for (const step of output.anyOf)
    (step.properties as JsonObject).filters = { type: 'array', items: { $ref: '#/definitions/filter' } }
  return { $schema: 'http://json-schema.org/draft-07/schema#', title: 'Penstock pipeline', ...schema, definitions }
}

const NOTE = '<!-- Made by "npm run generate" from the plugins themselves: change their options, not this page. -->'
const ARTICLES: Readonly<Record<Kind, string>> = {
  input: 'Where events come from. The step of an input takes `id` and `codec` beside the options below.',
  filter: 'What happens to every event. The step of a filter takes `id` and `when` beside the options below.',
  output:
    'Where events go. The step of an output takes `id`, `when`, `filters`, `batch`, `retry` and `max_tries` beside the options below.',
  codec: "How bytes become records: `codec: NAME`, or `codec: { type: NAME, … }`, at an input's step.",
  table: 'What filters look things up in. The step of a table takes `id`; filters name it by that.',
}

function page(kind: Kind, plugins: readonly Listed[]): string {
  const parts = [NOTE, `# ${kind[0]?.toUpperCase()}${kind.slice(1)}s`, ARTICLES[kind]]
  parts.push(plugins.map(({ name, plugin }) => `- [\`${name}\`](#${name}): ${plugin.summary}`).join('\n'))
  for (const { name, plugin } of plugins) parts.push(pluginPart(kind, name, plugin))
  parts.push('## Common to all', table(Object.entries(STEP[kind]).filter(([name]) => name !== 'type')))
  return `${parts.join('\n\n')}\n`
}

function pluginPart(kind: Kind, name: string, plugin: Plugin): string {
  const parts = [`## ${name}`, `${plugin.summary}.`]
  if (plugin.description) parts.push(plugin.description.trim())
  const options = Object.entries(plugin.options)
  parts.push(options.length > 0 ? table(options) : 'It has no options.')
  for (const example of plugin.examples) {
    const step = stringify([{ type: name, ...example }], { lineWidth: 120 })
    const text = kind === 'codec' ? stringify({ codec: { type: name, ...example } }, { lineWidth: 120 }) : step
    parts.push(`\`\`\`yaml\n${text}\`\`\``)
  }
  return parts.join('\n\n')
}

function table(options: readonly (readonly [string, OptionSchema])[]): string {
  const rows = options.flatMap(([name, schema]) => optionRows(name, schema))
  return ['| option | type | default | |', '| --- | --- | --- | --- |', ...rows].join('\n')
}

function optionRows(name: string, schema: OptionSchema): string[] {
  const fallback = schema.required ? '**required**' : schema.default === undefined ? '' : `\`${JSON.stringify(schema.default)}\``
  const limits = [
    schema.minimum === undefined ? '' : `at least ${schema.minimum}`,
    schema.maximum === undefined ? '' : `at most ${schema.maximum}`,
    schema.secret ? 'secret' : '',
  ].filter(Boolean)
  const type = [typeText(schema), ...limits].join(', ')
  const cell = (text: string) => text.replaceAll('|', '\\|').replaceAll('\n', ' ')
  const row = `| \`${name}\` | ${cell(type)} | ${cell(fallback)} | ${cell(schema.description ?? '')} |`
  const inner = Object.entries(schema.properties ?? schema.items?.properties ?? {})
  return [row, ...inner.flatMap(([key, value]) => optionRows(`${name}.${key}`, value))]
}
