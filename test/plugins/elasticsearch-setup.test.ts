// The templates for Elasticsearch: types for all that is written, and a setup that changes nothing that is not Penstock's.
import { hash } from 'node:crypto'
import { isIP } from 'node:net'
import t from 'tap'
import { isObject, type JsonObject } from '../../core/plugin/json.ts'
import { type FoundTemplate, findClashes, overlap } from '../../plugins/outputs/elasticsearch/setup/clashes.ts'
import { differences } from '../../plugins/outputs/elasticsearch/setup/differences.ts'
import { renderReport, renderRequests, renderRoles } from '../../plugins/outputs/elasticsearch/setup/render.ts'
import { runRole, setupRole } from '../../plugins/outputs/elasticsearch/setup/roles.ts'
import { setupElasticsearch, setupRequests } from '../../plugins/outputs/elasticsearch/setup/setup.ts'
import {
  streamPatterns,
  TEMPLATE_VERSION,
  type Template,
  templatesFor,
} from '../../plugins/outputs/elasticsearch/setup/templates.ts'
import { casesOf } from '../kit/cases.ts'
import { fc } from '../kit/rounds.ts'
import { Cluster, documents, typeOf, values } from './elasticsearch-setup-support.ts'

t.test('every field that the ecs filter writes has a type, and every value fits it', t => {
  const docs = documents()
  t.ok(docs.length > 2000, `${docs.length} documents`)
  const untyped = new Set<string>()
  const odd: string[] = []
  for (const doc of docs)
    for (const [field, value] of values(doc)) {
      const type = typeOf(field)
      if (type === undefined) untyped.add(field)
      else if (!fits(type, value)) odd.push(`${field} is ${type}, not ${JSON.stringify(value)}`)
    }
  t.strictSame([...untyped], [])
  t.strictSame(odd, [])
  t.end()
})

function fits(type: string, value: unknown): boolean {
  if (value === null) return true
  if (type === 'long') return Number.isInteger(value)
  if (type === 'ip') return isIP(String(value)) > 0
  if (type === 'date' || type === 'timestamp')
    return /^\d{4}-\d\d-\d\d(T|$)/.test(String(value)) && Date.parse(String(value)) > -1
  if (type === 'keyword' || type === 'flattened') return true
  return typeof value === 'string'
}

t.test('what the geoip filter adds to an address has a type', t => {
  const outputs = (casesOf('filter', 'geoip') ?? []).flatMap(({ output }) => [output ?? []].flat() as JsonObject[])
  const fields = outputs
    .flatMap(doc => values(doc).map(([field]) => field))
    .filter(field => /^(source|destination)\.(geo|as)\./.test(field))
  t.ok(fields.includes('source.geo.country_iso_code'))
  const points = /\.geo\.location\.(lat|lon)$/
  t.strictSame(
    [...new Set(fields)].filter(field => !points.test(field) && typeOf(field) === undefined),
    [],
  )
  t.equal(typeOf('source.geo.location'), 'geo_point')
  t.end()
})

t.test('the data sets of all documents have an index template', t => {
  const datasets = new Set(documents().map(doc => (doc['event'] as JsonObject)['dataset'] as string))
  t.ok(datasets.size >= 3)
  for (const dataset of datasets)
    t.ok(
      streamPatterns({}).some(pattern => overlap(pattern, `logs-${dataset}-default`)),
      dataset,
    )
  t.end()
})

const indexTemplates = (templates: readonly Template[]) => templates.filter(({ kind }) => kind === 'index template')

t.test('index templates use only components that are installed before them, or that may be missing', t => {
  const templates = templatesFor({ datasets: ['nginx.access'], streams: ['audit-*'], indices: ['plain-*'] })
  t.equal(indexTemplates(templates).length, 6)
  const before = new Set<string>()
  for (const { kind, name, body } of templates) {
    for (const part of (body['composed_of'] as string[]) ?? [])
      t.ok(before.has(part) || (body['ignore_missing_component_templates'] as string[]).includes(part), `${name}: ${part}`)
    if (kind === 'component template') before.add(name)
  }
  t.end()
})

t.test(
  'each index template is a data stream without an ingest pipeline, above the templates of Elastic, and says whose it is',
  t => {
    for (const { name, body } of indexTemplates(templatesFor())) {
      t.strictSame(body['data_stream'], {}, name)
      t.ok((body['priority'] as number) > 200)
      t.match(body['_meta'], { managed_by: 'penstock' })
      t.match(body['template'], { data_stream_options: { failure_store: { enabled: false } }, lifecycle: { enabled: true } })
    }
    t.notMatch(JSON.stringify(templatesFor({ ilmPolicy: 'logs' })), /pipeline/)
    t.end()
  },
)

t.test('templates that differ from the ones of the release before have a version of their own', t => {
  const bodies = JSON.stringify(templatesFor().map(({ body: { version: _, ...body } }) => body))
  const known: Readonly<Record<number, string>> = { 1: 'e4f3561fb02011e5' }
  t.equal(hash('sha256', bodies).slice(0, 16), known[TEMPLATE_VERSION], 'put it here, behind a version that no release has had')
  t.end()
})

t.test('a record of Microsoft is mapped without sub-objects, and what is not known of it is a keyword', t => {
  for (const [name, path] of [
    ['penstock-o365.audit', ['o365', 'audit']],
    ['penstock-microsoft_exchange_online_message_trace.log', ['microsoft', 'online_message_trace']],
  ] as const) {
    const template = templatesFor().find(template => template.name === name)?.body['template']
    const [root, last] = path
    t.match(template, { mappings: { properties: { [root]: { properties: { [last]: { subobjects: false } } } } } }, name)
    const { mappings } = template as { mappings: JsonObject }
    t.match(mappings['dynamic_templates'], [
      { [`${path.join('_')}_values`]: { path_match: `${path.join('.')}.*`, mapping: { type: 'keyword' } } },
    ])
  }
  t.end()
})

t.test('a retention is a data stream lifecycle; with a policy there is none', t => {
  const [stream] = indexTemplates(templatesFor({ retention: '90d' }))
  t.match(stream?.body['template'], { lifecycle: { enabled: true, data_retention: '90d' } })
  const templates = templatesFor({ retention: '90d', ilmPolicy: 'penstock' })
  t.match(templates[0]?.body['template'], { settings: { index: { lifecycle: { name: 'penstock' } } } })
  for (const { body } of indexTemplates(templates)) t.notOk(isObject(body['template']) && 'lifecycle' in body['template'])
  const [policy] = setupRequests({ retention: '90d', ilmPolicy: 'penstock' })
  t.equal(policy?.path, '/_ilm/policy/penstock')
  t.match(policy?.body, { policy: { phases: { hot: { actions: { rollover: {} } }, delete: { min_age: '90d' } } } })
  t.end()
})

t.test('two patterns overlap when some name matches both', t => {
  const letter = fc.constantFrom('a', 'b', '-')
  const pattern = fc.array(fc.oneof(letter, fc.constant('*')), { maxLength: 6 }).map(parts => parts.join(''))
  const names: string[] = ['']
  for (let from = 0, length = 0; length < 6; length++) {
    const to = names.length
    for (; from < to; from++) for (const next of ['a', 'b', '-']) names.push(names[from] + next)
  }
  const matches = (pattern: string) => new RegExp(`^${pattern.replaceAll('*', '.*')}$`)
  fc.assert(
    fc.property(pattern, pattern, (a, b) => {
      // The shortest name that both match has at most as many letters as both together.
      const found = names.some(name => matches(a).test(name) && matches(b).test(name))
      if (found && !overlap(a, b)) return false
      const letters = a.replaceAll('*', '').length + b.replaceAll('*', '').length
      return found || letters > 6 || !overlap(a, b)
    }),
    { numRuns: 300 },
  )
  t.ok(overlap('logs-*-*', 'logs-o365.audit-*'))
  t.notOk(overlap('logs-azure.*-*', 'logs-o365.audit-*'))
  t.end()
})

const theirs = (name: string, patterns: string[], priority?: number): FoundTemplate => ({
  name,
  body: { index_patterns: patterns, ...(priority !== undefined && { priority }) },
})

t.test('a template of equal or higher priority that matches is a clash, a lower one and another pattern are none', t => {
  const clash = (...found: FoundTemplate[]) =>
    findClashes(templatesFor(), found).map(({ name, other }) => [name, other.name, other.priority])
  t.strictSame(
    clash(theirs('logs', ['logs-*-*'], 100), theirs('logs-o365.audit', ['logs-o365.audit-*'], 200), theirs('all', ['*'])),
    [],
  )
  t.strictSame(clash(theirs('mine', ['logs-o365.*'], 500)), [['penstock-logs-o365.audit', 'mine', 500]])
  t.strictSame(clash(theirs('mine', ['metrics-*', 'logs-o365.audit-prod'], 501)), [['penstock-logs-o365.audit', 'mine', 501]])
  t.strictSame(clash(theirs('azure', ['logs-azure.*'], 900)), [])
  t.strictSame(clash(theirs('penstock-logs-o365.audit', ['logs-o365.audit-*'], 500)), [], 'it takes the place of itself')
  t.equal(clash(theirs('wide', ['logs-*'], 1000)).length, 3)
  t.end()
})

t.test('an empty cluster gets all templates, and a second setup changes nothing', async t => {
  const cluster = new Cluster()
  const first = await setupElasticsearch(cluster, {})
  t.strictSame(new Set(first.steps.map(({ outcome }) => outcome)), new Set(['created']))
  t.strictSame(
    cluster.puts,
    setupRequests({}).map(({ path }) => `PUT ${path}`),
  )
  cluster.asked.length = 0
  const second = await setupElasticsearch(cluster, {})
  t.strictSame(new Set(second.steps.map(({ outcome }) => outcome)), new Set(['unchanged']))
  t.strictSame(cluster.puts, [])
  t.match(renderReport(second), /nothing to change/)
})

t.test('what has changed is said by name, and nothing else is sent', async t => {
  const cluster = new Cluster()
  await setupElasticsearch(cluster, {})
  const kept = cluster.kept.get('/_component_template/penstock-ecs') as { template: { mappings: { properties: JsonObject } } }
  const { source, ...rest } = kept.template.mappings.properties
  kept.template.mappings.properties = { ...rest, source: { properties: { ip: { type: 'keyword' } } }, extra: { type: 'keyword' } }
  t.ok(source)
  cluster.asked.length = 0
  const report = await setupElasticsearch(cluster, { retention: '30d' })
  const changed = report.steps.filter(({ outcome }) => outcome === 'updated')
  t.strictSame(changed.map(({ name }) => name).sort(), [
    'penstock-ecs',
    'penstock-logs-microsoft_exchange_online_message_trace.log',
    'penstock-logs-o365.audit',
    'penstock-logs-penstock',
  ])
  t.equal(cluster.puts.length, 4)
  const said = renderReport(report)
  t.match(said, /penstock-ecs\s+updated: mappings: .*source\.ip keyword → ip/)
  t.match(said, /penstock-logs-o365\.audit\s+updated: lifecycle/)
  t.match(said, /4 of 8 were changed/)
  t.match(differences({ template: { mappings: { properties: { a: { type: 'ip' } } } } }, { template: {} }), ['mappings: a gone'])
})

t.test('nothing is changed while a template of somebody else has the place of one of ours, unless it is forced', async t => {
  const cluster = new Cluster()
  const path = '/_component_template/penstock-ecs'
  cluster.kept.set(path, { template: { mappings: {} }, _meta: { managed_by: 'somebody' } })
  const report = await setupElasticsearch(cluster, {})
  t.match(report.refusals, [/the component template penstock-ecs is there already and is not Penstock's.*somebody/])
  t.strictSame(cluster.puts, [])
  t.match(renderReport(report), /^Nothing was changed:/)
  const forced = await setupElasticsearch(cluster, { force: true })
  t.strictSame(forced.refusals, [])
  t.match(cluster.kept.get(path), { _meta: { managed_by: 'penstock' } })
})

t.test('a clash is named with its remedy, and nothing is changed', async t => {
  const cluster = new Cluster()
  cluster.kept.set('/_index_template/mine', { index_patterns: ['logs-o365*'], priority: 700 })
  const { refusals, steps } = await setupElasticsearch(cluster, { force: true })
  t.match(refusals, [/index template mine \(logs-o365\*, priority 700\) has a higher priority.*--priority 701/])
  t.strictSame([steps, cluster.puts], [[], []])
  const above = await setupElasticsearch(cluster, { priority: 701 })
  t.strictSame(above.refusals, [])
})

t.test('a dry run asks and says what would be, and changes nothing', async t => {
  const cluster = new Cluster()
  const report = await setupElasticsearch(cluster, { dryRun: true, ilmPolicy: 'penstock' })
  t.equal(report.steps.length, 9)
  t.strictSame(cluster.puts, [])
  t.match(renderReport(report), /would be created/)
  const text = renderRequests(setupRequests({ ilmPolicy: 'penstock' }))
  t.equal(text.match(/^PUT \/_/gm)?.length, 9)
})

t.test('a policy that somebody else made is used as it is; one of Penstock’s follows the retention', async t => {
  const cluster = new Cluster()
  const options = { ilmPolicy: 'keep', retention: '30d' }
  await setupElasticsearch(cluster, options)
  const outcome = async (more: object) => {
    const { steps } = await setupElasticsearch(cluster, { ...options, ...more })
    return steps.find(({ kind }) => kind === 'lifecycle policy')?.outcome
  }
  t.equal(await outcome({}), 'unchanged')
  t.equal(await outcome({ retention: '60d' }), 'updated')
  t.equal(await outcome({ retention: undefined }), 'updated', 'no deletion any more')
  cluster.kept.set('/_ilm/policy/keep', { policy: { phases: { hot: {} } } })
  t.equal(await outcome({}), 'unchanged')
  t.match(cluster.kept.get('/_ilm/policy/keep'), { policy: { phases: { hot: {} } } })
})

t.test('a data stream that is older than the templates is told of', async t => {
  const cluster = new Cluster()
  cluster.answer = (_, path) =>
    path.startsWith('/_data_stream/') ? { status: 200, json: { data_streams: [{ name: 'logs-o365.audit-default' }] } } : undefined
  const { notes } = await setupElasticsearch(cluster, {})
  t.match(notes, [/logs-o365\.audit-default is there already.*_rollover/])
})

t.test('a refusal of Elasticsearch comes with its reasons and what to do', async t => {
  const cluster = new Cluster()
  const error = { error: { reason: 'outer', caused_by: { reason: 'inner' } } }
  cluster.answer = method => (method === 'PUT' ? { status: 400, json: error } : undefined)
  await t.rejects(setupElasticsearch(cluster, {}), {
    code: 'PEN_SETUP',
    message: /component template penstock-settings: outer; inner/,
  })
  cluster.answer = () => ({ status: 403, json: error })
  await t.rejects(setupElasticsearch(cluster, {}), { code: 'PEN_SETUP_AUTH', message: /--print-role/ })
  cluster.answer = () => ({ status: 401 })
  await t.rejects(setupElasticsearch(cluster, {}), { code: 'PEN_SETUP_AUTH', message: /credentials/ })
})

t.test('what is asked for is checked before anything is sent', t => {
  const wrong: [object, RegExp][] = [
    [{ priority: -1 }, /--priority/],
    [{ priority: 1.5 }, /--priority/],
    [{ datasets: ['a-b'] }, /--dataset/],
    [{ datasets: ['*'] }, /--dataset/],
    [{ retention: '90' }, /--retention.*90d/],
    [{ retention: '0d' }, /--retention/],
    [{ ilmPolicy: '_x' }, /--ilm-policy/],
  ]
  for (const [options, message] of wrong) t.throws(() => setupRequests(options), { code: 'PEN_USAGE', message })
  t.end()
})

t.test('the role of a run may add and look up, and nothing more', t => {
  const { descriptor } = runRole({ names: ['logs-o365.audit-default'] })
  t.strictSame(descriptor, {
    cluster: [],
    indices: [{ names: ['logs-o365.audit-default'], privileges: ['create_doc', 'auto_configure', 'read', 'maintenance'] }],
  })
  t.match(runRole({ names: ['x'], lookUp: false }).descriptor, { indices: [{ privileges: ['create_doc', 'auto_configure'] }] })
  const text = renderRoles([runRole({ names: ['x'] }), setupRole({ names: ['x'], ilm: true })])
  t.match(text, /POST \/_security\/api_key/)
  t.match(text, /manage_ilm/)
  for (const part of text.split('\n\n')) t.ok(JSON.parse(part.slice(part.indexOf('{'))).role_descriptors)
  t.end()
})
