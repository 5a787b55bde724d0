// Installs the templates in a cluster: reads what is there first, and changes nothing that is not Penstock's.
import { PenstockError } from '../../../../core/plugin/errors.ts'
import { isObject, type JsonObject } from '../../../../core/plugin/json.ts'
import { findClashes, readTemplates, sayClash } from './clashes.ts'
import { differences } from './differences.ts'
import { ilmPolicy } from './lifecycle.ts'
import { checkOptions, type SetupOptions } from './options.ts'
import { MANAGED_BY, streamPatterns, type Template, templatesFor } from './templates.ts'

/** One request to Elasticsearch, with the host and the credentials of an output. `json` is undefined where the answer is none. */
export interface Connection {
  request(method: string, path: string, body?: JsonObject): Promise<{ readonly status: number; readonly json?: unknown }>
}

export interface SetupRequest {
  readonly kind: Template['kind'] | 'lifecycle policy'
  readonly name: string
  readonly path: string
  readonly body: JsonObject
}

export interface SetupStep {
  readonly kind: SetupRequest['kind']
  readonly name: string
  /** Of a dry run: what would be. */
  readonly outcome: 'created' | 'updated' | 'unchanged'
  /** What is new in an updated one. */
  readonly changes: readonly string[]
}

export interface SetupReport {
  readonly dryRun: boolean
  readonly steps: readonly SetupStep[]
  /** Why nothing was changed, as sentences. With some, `steps` is empty. */
  readonly refusals: readonly string[]
  /** What the operator should know besides. */
  readonly notes: readonly string[]
}

/** All requests that setup sends to an empty cluster (each a PUT), in their order. */
export function setupRequests(options: SetupOptions): SetupRequest[] {
  checkOptions(options)
  const requests: SetupRequest[] = templatesFor(options).map(({ kind, name, body }) => ({
    kind,
    name,
    path: `/${kind === 'index template' ? '_index_template' : '_component_template'}/${encodeURIComponent(name)}`,
    body,
  }))
  const policy = options.ilmPolicy
  if (policy !== undefined) {
    const path = `/_ilm/policy/${encodeURIComponent(policy)}`
    requests.unshift({ kind: 'lifecycle policy', name: policy, path, body: ilmPolicy(options.retention) })
  }
  return requests
}

/** Brings the cluster to what `options` ask for. Throws a PenstockError where Elasticsearch cannot be asked, or refuses. */
export async function setupElasticsearch(connection: Connection, options: SetupOptions): Promise<SetupReport> {
  const { dryRun = false, force = false } = options
  const requests = setupRequests(options)
  const refusals: string[] = []
  const notes: string[] = []

  refusals.push(...(await clashesOf(connection, options)))

  const steps: SetupStep[] = []
  const due: SetupRequest[] = []
  for (const request of requests) {
    const { kind, name, path, body } = request
    const found = foundIn(kind, name, await read(connection, path))
    if (found === undefined) {
      steps.push({ kind, name, outcome: 'created', changes: [] })
      due.push(request)
      continue
    }
    if (kind === 'lifecycle policy' && !isOurs(found)) {
      notes.push(`The lifecycle policy ${name} is there already and is used as it is.`)
      steps.push({ kind, name, outcome: 'unchanged', changes: [] })
      continue
    }
    if (!isOurs(found) && !force) {
      refusals.push(
        `the ${kind} ${name} is there already and is not Penstock's (its _meta.managed_by is ${managedBy(found) ?? 'missing'}): ` +
          'rename it, or let --force take its place.',
      )
      continue
    }
    const changes = kind === 'lifecycle policy' ? policyChanges(found, body) : differences(found, body)
    steps.push({ kind, name, outcome: changes.length > 0 ? 'updated' : 'unchanged', changes })
    if (changes.length > 0) due.push(request)
  }
  if (refusals.length > 0) return { dryRun, steps: [], refusals, notes }

  if (!dryRun) for (const { kind, name, path, body } of due) await put(connection, path, body, `${kind} ${name}`)
  if (steps.some(({ outcome }) => outcome !== 'unchanged')) notes.push(...(await olderStreams(connection, options)))
  return { dryRun, steps, refusals, notes }
}

/** What would take the place of Penstock's templates in the cluster, as sentences that say what to do. */
export async function clashesOf(connection: Connection, options: SetupOptions): Promise<string[]> {
  const there = readTemplates(await read(connection, '/_index_template'))
  return findClashes(templatesFor(options), there).map(sayClash)
}

/** Data streams that were made before: their mapping is that of the day when their newest index was made. */
async function olderStreams(connection: Connection, options: SetupOptions): Promise<string[]> {
  const { status, json } = await connection.request('GET', `/_data_stream/${streamPatterns(options).join(',')}`)
  // Whoever may not see them cannot be told about them.
  if (status !== 200 || !isObject(json) || !Array.isArray(json['data_streams'])) return []
  const names = json['data_streams'].flatMap((stream: unknown) =>
    isObject(stream) && typeof stream['name'] === 'string' ? [stream['name']] : [],
  )
  return names.map(
    name => `The data stream ${name} is there already: its next index gets the new template (POST /${name}/_rollover makes one).`,
  )
}

async function read(connection: Connection, path: string): Promise<unknown> {
  const { status, json } = await connection.request('GET', path)
  if (status === 404) return undefined
  if (status === 200) return json
  throw failed(`GET ${path}`, status, json)
}

async function put(connection: Connection, path: string, body: JsonObject, what: string): Promise<void> {
  const { status, json } = await connection.request('PUT', path, body)
  if (status !== 200) throw failed(`the ${what}`, status, json)
}

function failed(what: string, status: number, json: unknown): PenstockError {
  const why = reasonOf(json)
  const said = `Elasticsearch answered ${status} to ${what}${why === undefined ? '' : `: ${why}`}`
  if (status === 401) return new PenstockError('PEN_SETUP_AUTH', `${said}. Check the credentials of the output.`)
  if (status === 403)
    return new PenstockError(
      'PEN_SETUP_AUTH',
      `${said}. --print-role prints the privileges that setup needs; those of a run do not do.`,
    )
  return new PenstockError('PEN_SETUP', `${said}. What was installed before stays: setup can be run again.`)
}

/** The reasons of an error, outermost first. */
function reasonOf(json: unknown): string | undefined {
  const reasons: string[] = []
  for (let at = isObject(json) ? json['error'] : undefined; at !== undefined; at = isObject(at) ? at['caused_by'] : undefined) {
    const reason = isObject(at) ? at['reason'] : at
    if (typeof reason === 'string' && !reasons.some(known => known.includes(reason))) reasons.push(reason)
  }
  return reasons.length > 0 ? reasons.join('; ') : undefined
}

/** What the cluster has by that name; undefined when nothing. */
function foundIn(kind: SetupRequest['kind'], name: string, answer: unknown): JsonObject | undefined {
  if (!isObject(answer)) return undefined
  if (kind === 'lifecycle policy') return isObject(answer[name]) ? answer[name] : undefined
  const [list, key] =
    kind === 'index template' ? ['index_templates', 'index_template'] : ['component_templates', 'component_template']
  const items = answer[list as string]
  if (!Array.isArray(items)) return undefined
  const item: unknown = items.find((one: unknown) => isObject(one) && one['name'] === name)
  const body = isObject(item) ? item[key as string] : undefined
  return isObject(body) ? body : undefined
}

function managedBy(found: JsonObject): string | undefined {
  const policy = found['policy']
  const meta = found['_meta'] ?? (isObject(policy) ? policy['_meta'] : undefined)
  const by = isObject(meta) ? meta['managed_by'] : undefined
  return typeof by === 'string' ? by : undefined
}

function isOurs(found: JsonObject): boolean {
  return managedBy(found) === MANAGED_BY
}

/** Elasticsearch adds defaults to the phases of a policy: what counts is what we ask for, and which phases there are. */
function policyChanges(found: JsonObject, wanted: JsonObject): string[] {
  const [has, wants] = [phasesOf(found), phasesOf(wanted)]
  return [...new Set([...Object.keys(has), ...Object.keys(wants)])].filter(phase => !covers(has[phase], wants[phase]))
}

function phasesOf({ policy }: JsonObject): JsonObject {
  const phases = isObject(policy) ? policy['phases'] : undefined
  return isObject(phases) ? phases : {}
}

function covers(has: unknown, wants: unknown): boolean {
  if (!isObject(wants)) return String(has) === String(wants)
  return isObject(has) && Object.keys(wants).every(key => covers(has[key], wants[key]))
}
