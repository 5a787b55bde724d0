// penstock setup elasticsearch: templates in each cluster that the pipeline writes to, roles, dashboards.
import { writeFile } from 'node:fs/promises'
import { choice, commandLine, EXIT, onSignals, outputsOf, systemClock, wholeNumber } from '../../../../core/cli/for-plugins.ts'
import type { Verb } from '../../../../core/plugin/define.ts'
import { asError, PenstockError } from '../../../../core/plugin/errors.ts'
import type { Site } from '../../../../core/plugin/interfaces.ts'
import type { OptionValues } from '../../../../core/plugin/options.ts'
import { openHttp } from '../../../lib/http/client.ts'
import { compile } from '../../../lib/template.ts'
import { authorization, connect } from '../connection.ts'
import { type Target, targetOf } from '../connection-options.ts'
import { savedObjects, toNdjson } from '../dashboards/index.ts'
import { importDashboards } from '../dashboards/kibana.ts'
import { INDEX_RULES } from '../names.ts'
import type { OPTIONS } from '../options.ts'
import { checkOptions, type SetupOptions } from './options.ts'
import { renderReport, renderRequests, renderRoles } from './render.ts'
import { type Role, runRole, setupRole } from './roles.ts'
import { type Connection, setupElasticsearch, setupRequests } from './setup.ts'
import { streamPatterns } from './templates.ts'
import { setupVerb } from './usage.ts'

type Options = OptionValues<typeof OPTIONS>

const FLAGS = {
  'dry-run': { type: 'boolean', default: false },
  'print-role': { type: 'boolean', default: false },
  'api-key-env': { type: 'string' },
  user: { type: 'string' },
  'password-env': { type: 'string' },
  priority: { type: 'string' },
  dataset: { type: 'string', multiple: true },
  retention: { type: 'string' },
  'ilm-policy': { type: 'string' },
  'index-mode': { type: 'string' },
  'failure-store': { type: 'boolean', default: false },
  force: { type: 'boolean', default: false },
  dashboards: { type: 'string' },
  kibana: { type: 'string' },
  space: { type: 'string' },
} as const
type Flags = ReturnType<typeof commandLine<typeof FLAGS>>['values']

/** A cluster, with all that the outputs of the pipeline write to it. */
interface Cluster {
  readonly target: Target
  readonly outputs: readonly Options[]
}

export const verb: Verb = {
  ...setupVerb,
  async run(args) {
    const { values, positionals } = commandLine(args, FLAGS)
    const [file, ...others] = positionals
    if (file === undefined || others.length > 0)
      throw new PenstockError('PEN_USAGE', 'setup elasticsearch needs one pipeline file (penstock setup elasticsearch --help)')
    if (values.space !== undefined && values.kibana === undefined)
      throw new PenstockError('PEN_USAGE', '--space names a space of the Kibana that --kibana gives')
    const { steps } = await outputsOf(file, 'elasticsearch')
    const clusters = clustersOf(
      steps.map(({ options, site }) => ({ options: options as unknown as Options, site })),
      values,
    )
    for (const { outputs } of clusters) checkOptions(optionsFor(outputs, values))

    if (values['print-role']) {
      print(clusters.map(({ outputs }) => renderRoles(rolesFor(outputs, values))).join('\n\n'))
      return EXIT.ok
    }
    const signals = new AbortController()
    const listening = onSignals(() => signals.abort())
    try {
      const objects = savedObjects()
      if (values.dashboards !== undefined) {
        await writeFile(values.dashboards, toNdjson(objects))
        print(`${objects.length} objects for Kibana are in ${values.dashboards}`)
      }
      for (const { target, outputs } of clusters) if (!(await setUp(target, optionsFor(outputs, values)))) return EXIT.failed
      const [first] = clusters
      if (values.kibana !== undefined && first && !values['dry-run']) {
        const count = await intoKibana(values.kibana, values.space, first.target, objects, signals.signal)
        print(`${count} objects were imported into ${values.kibana}`)
      }
      return EXIT.ok
    } finally {
      listening.off()
    }
  },
}

/** False when something is in the way. */
async function setUp(target: Target, options: SetupOptions): Promise<boolean> {
  if (options.dryRun) print(`${renderRequests(setupRequests(options))}\n`)
  const client = await connect(target, systemClock)
  const connection: Connection = {
    request: (method, path, body) =>
      client.request({ method: method as 'GET' | 'PUT', path, ...(body !== undefined && { body }) }),
  }
  try {
    const report = await setupElasticsearch(connection, options)
    print(`${target.nodes.join(', ')}\n${renderReport(report)}`)
    return report.refusals.length === 0
  } catch (thrown) {
    const error = asError(thrown)
    // What would be sent is known without the cluster.
    if (!options.dryRun) throw error
    print(`what the cluster has already is not known: ${error.message}`)
    return true
  } finally {
    await client.close()
  }
}

async function intoKibana(
  url: string,
  space: string | undefined,
  target: Target,
  objects: ReturnType<typeof savedObjects>,
  signal: AbortSignal,
): Promise<number> {
  const http = await openHttp({ clock: systemClock, ca: target.tls.ca, proxy: target.proxy })
  const { auth } = target
  try {
    const to = { url, ...(space !== undefined && { space }), ...(auth && { authorization: authorization(auth, auth.secret) }) }
    return await importDashboards(http, to, objects, signal)
  } finally {
    await http.close()
  }
}

/** The outputs by the cluster that they write to. */
function clustersOf(steps: readonly { readonly options: Options; readonly site: Site }[], flags: Flags): Cluster[] {
  const clusters = new Map<string, { target: Target; outputs: Options[] }>()
  for (const { options, site } of steps) {
    const target = targetOf({ ...options, ...credentials(flags) }, site)
    const key = [...target.nodes].sort().join(' ')
    const known = clusters.get(key)
    if (known) known.outputs.push(options)
    else clusters.set(key, { target, outputs: [options] })
  }
  return [...clusters.values()]
}

/** Credentials for setup alone, in the place of the output's. */
function credentials(flags: Flags): Partial<Pick<Options, 'api_key' | 'username' | 'password'>> {
  const key = flags['api-key-env']
  const { user } = flags
  const password = flags['password-env']
  if (key !== undefined && (user !== undefined || password !== undefined))
    throw new PenstockError('PEN_USAGE', 'give either --api-key-env, or --user and --password-env')
  if ((user === undefined) !== (password === undefined))
    throw new PenstockError('PEN_USAGE', '--user and --password-env belong together: the password is read from that variable')
  const none = { api_key: undefined, username: undefined, password: undefined } as object
  if (key !== undefined) return { ...none, api_key: fromEnvironment('--api-key-env', key) }
  if (user !== undefined && password !== undefined)
    return { ...none, username: user, password: fromEnvironment('--password-env', password) }
  return {}
}

function fromEnvironment(flag: string, name: string): string {
  const value = process.env[name]
  if (value === undefined || value === '')
    throw new PenstockError('PEN_USAGE', `${flag} names the environment variable ${name}, and there is none with a value`)
  return value
}

/** The templates for all that the outputs write. */
function optionsFor(outputs: readonly Options[], flags: Flags): SetupOptions {
  const mode = flags['index-mode']
  return {
    dryRun: flags['dry-run'],
    force: flags.force,
    datasets: flags.dataset ?? [],
    ...ownNames(outputs),
    failureStore: flags['failure-store'],
    ...(flags.priority !== undefined && { priority: wholeNumber('--priority', flags.priority) }),
    ...(flags.retention !== undefined && { retention: flags.retention }),
    ...(flags['ilm-policy'] !== undefined && { ilmPolicy: flags['ilm-policy'] }),
    ...(mode !== undefined && { indexMode: choice('index-mode', mode, ['standard', 'logsdb'] as const, 'standard') }),
  }
}

/** Patterns of the names that outputs choose with `index`. */
function ownNames(outputs: readonly Options[]): { streams: string[]; indices: string[] } {
  const streams = new Set<string>()
  const indices = new Set<string>()
  for (const { index, data_stream } of outputs) {
    if (index === undefined) continue
    const { literalPrefix, text } = compile(index, 'index', INDEX_RULES)
    const pattern = literalPrefix === text ? text : `${literalPrefix}*`
    ;(data_stream ? streams : indices).add(pattern)
  }
  return { streams: [...streams], indices: [...indices] }
}

/** A role for each output, as narrow as it writes, and one for setup. */
function rolesFor(outputs: readonly Options[], flags: Flags): Role[] {
  const runs = outputs.map(output => {
    const { streams, indices } = ownNames([output])
    const { namespace } = output
    const names =
      output.index === undefined ? streamPatterns({ namespace, datasets: flags.dataset ?? [] }) : [...streams, ...indices]
    return runRole({ names, lookUp: output.look_up_repeats })
  })
  const different = new Map(runs.map(role => [JSON.stringify(role.descriptor), role]))
  const all = optionsFor(outputs, flags)
  const setup = setupRole({ names: [...streamPatterns(all), ...(all.indices ?? [])], ilm: all.ilmPolicy !== undefined })
  return [...different.values(), setup]
}

function print(text: string): void {
  process.stdout.write(`${text}\n`)
}
