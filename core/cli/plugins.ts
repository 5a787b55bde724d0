// penstock plugins: the list of plugins, and one plugin's page in the terminal.
import { didYouMean } from '../config/suggest.ts'
import { KINDS, type Kind, type Plugin, type Verb } from '../plugin/define.ts'
import { PenstockError } from '../plugin/errors.ts'
import type { OptionSchema } from '../plugin/options.ts'
import { listPlugins } from '../plugin/registry.ts'
import { typeText } from '../plugin/type-text.ts'
import { commandLine } from './args.ts'
import { EXIT } from './exit-codes.ts'
import { columns, painter } from './terminal.ts'

const usage = `Usage: penstock plugins [KIND] [NAME]

Without a name: the plugins, one a line. With a name: what it does, its options with defaults, and examples to copy.
Kinds: ${KINDS.join(', ')}.

Examples
  penstock plugins
  penstock plugins filter
  penstock plugins filter ecs
  penstock plugins geoip`

export const verb: Verb = {
  summary: 'List the plugins, or show one with its options',
  usage,
  async run(args) {
    const { positionals } = commandLine(args, {})
    const [first, second] = positionals
    const kind = KINDS.find(one => one === first || `${one}s` === first)
    const name = kind ? second : first
    const plugins = await listPlugins(kind)
    if (name === undefined) {
      process.stdout.write(`${list(plugins)}\n`)
      return EXIT.ok
    }
    const found = plugins.filter(plugin => plugin.name === name)
    if (found.length === 0) {
      const known = plugins.map(plugin => plugin.name)
      throw new PenstockError(
        'PEN_USAGE',
        `there is no ${kind ?? 'plugin'} ${name}${didYouMean(name, known)} (penstock plugins lists them)`,
      )
    }
    process.stdout.write(`${found.map(({ plugin }) => page(name, plugin)).join('\n\n')}\n`)
    return EXIT.ok
  },
}

function list(plugins: readonly { name: string; kind: Kind; plugin: Plugin }[]): string {
  const paint = painter(process.stdout)
  return KINDS.flatMap(kind => {
    const rows = plugins.filter(plugin => plugin.kind === kind).map(({ name, plugin }) => [name, plugin.summary])
    return rows.length === 0 ? [] : [`${paint('bold', `${kind}s`)}\n${columns(rows, [], '  ')}`]
  }).join('\n\n')
}

function page(name: string, plugin: Plugin): string {
  const paint = painter(process.stdout)
  const parts = [`${paint('bold', `${plugin.kind} ${name}`)}: ${plugin.summary}.`]
  if (plugin.description) parts.push(plugin.description.trim())
  const options = Object.entries(plugin.options).flatMap(([option, schema]) => optionLines(option, schema, paint, '  '))
  parts.push(options.length > 0 ? `${paint('bold', 'Options')}\n${options.join('\n')}` : 'It has no options.')
  const examples = plugin.examples.map(
    example =>
      `  - ${JSON.stringify({ type: name, ...example })
        .replace(/"([a-z_]\w*)":/g, '$1: ')
        .replace(/,(?=\S)/g, ', ')}`,
  )
  parts.push(`${paint('bold', 'Examples')}\n${examples.join('\n')}`)
  return parts.join('\n\n')
}

function optionLines(name: string, schema: OptionSchema, paint: ReturnType<typeof painter>, indent: string): string[] {
  const facts = [typeText(schema)]
  if (schema.required) facts.push('required')
  if (schema.default !== undefined) facts.push(`default ${JSON.stringify(schema.default)}`)
  if (schema.minimum !== undefined) facts.push(`at least ${schema.minimum}`)
  if (schema.maximum !== undefined) facts.push(`at most ${schema.maximum}`)
  if (schema.secret) facts.push('secret')
  const lines = [`${indent}${paint('cyan', name)}  ${paint('dim', `(${facts.join(', ')})`)}`]
  if (schema.description) lines.push(`${indent}    ${schema.description}.`)
  const inner = schema.properties ?? schema.items?.properties
  for (const [key, value] of Object.entries(inner ?? {})) lines.push(...optionLines(`${name}.${key}`, value, paint, indent))
  return lines
}
