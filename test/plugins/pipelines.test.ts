// The ready pipelines: each works in a fresh clone, proves something, disturbs no other, and reads a feed once it has its variables.
import { X509Certificate } from 'node:crypto'
import { globSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { parse } from 'yaml'
import { isObject, type JsonObject } from '../../core/plugin/json.ts'
import { selfSigned } from '../../plugins/lib/microsoft/simulator/certificate.ts'
import { NO_QUIRKS } from '../../plugins/lib/microsoft/simulator/content.ts'
import { root } from '../kit/cases.ts'
import { penstock } from '../kit/process.ts'
import { NOON } from './microsoft-support.ts'
import { feed, HOUR_MS } from './o365-support.ts'

t.setTimeout(300_000)

interface Ready {
  readonly name: string
  readonly inputs: readonly JsonObject[]
  readonly outputs: readonly { readonly type: string; readonly path?: string }[]
  readonly http?: { readonly port: number }
  readonly tests?: readonly JsonObject[]
}

const files = globSync('pipelines/*.yaml', { cwd: root }).sort()
const pipelines = new Map(files.map(file => [file, parse(readFileSync(join(root, file), 'utf8')) as Ready]))

/** An environment that has set nothing of what pipelines ask for. */
const bare = Object.fromEntries(
  Object.keys(process.env)
    .filter(name => /^(O365_|PENSTOCK_SIMULATOR_)/.test(name))
    .map(name => [name, undefined]),
)

t.test(
  'every pipeline passes check and its own tests where no variable is set and no secret is there, and each has tests',
  async t => {
    t.ok(files.length >= 7, files.join(', '))
    for (const [file, { tests = [] }] of pipelines) {
      t.ok(tests.length >= 2, `${file} has ${tests.length} tests`)
      t.ok(
        tests.every(test => 'output' in test),
        `each test of ${file} says what comes out`,
      )
    }
    const cwd = t.testdir({})
    const paths = files.map(file => join(root, file))
    const checked = await penstock(['check', ...paths], { cwd, env: bare })
    t.equal(checked.code, 0, checked.stderr)
    t.equal(checked.stdout.match(/^ok {2}/gm)?.length, files.length)
    const tested = await penstock(['test', ...paths], { cwd, env: bare })
    t.equal(tested.code, 0, tested.stdout + tested.stderr)
    const count = [...pipelines.values()].reduce((sum, { tests = [] }) => sum + tests.length, 0)
    t.match(tested.stdout, `${count} passed, 0 failed`)
    t.same(readdirSync(cwd), [], 'neither of them writes anything')
  },
)

t.test('pipelines may run side by side: no two have a name, a port or a file in common', async t => {
  const all = [...pipelines.values()]
  const folders = all.map(({ outputs }) => outputs.flatMap(({ path }) => path?.split(/%|[^/]+$/)[0] ?? []))
  for (const values of [
    all.map(({ name }) => name),
    all.flatMap(({ http }) => http?.port.toString() ?? []),
    all.flatMap(({ outputs }) => outputs.flatMap(({ path }) => path ?? [])),
    folders.flatMap(own => [...new Set(own)]).filter(folder => folder !== 'out/'),
  ])
    t.equal(new Set(values).size, values.length, values.join(', '))
})

t.test('with its variables set, each pipeline of the audit feed brings every record of its tenants into its files', async t => {
  // Few and large blobs: a pipeline as it is keeps to the budget of a real tenant.
  const size = { tenants: 2, users: 30, historyMs: 12 * HOUR_MS, slotMs: HOUR_MS }
  const made = await feed(t, { ...size, scenario: { requests: {}, content: NO_QUIRKS } })
  const { folder, simulator } = made
  const pems = await Promise.all(
    simulator.apps.map(async (app, index) => {
      const { key, cert } = await selfSigned(['app'])
      app.thumbprint = Buffer.from(new X509Certificate(cert).fingerprint256.replaceAll(':', ''), 'hex').toString('base64url')
      writeFileSync(join(folder, `app-${index}.pem`), cert + key, { mode: 0o600 })
      return join(folder, `app-${index}.pem`)
    }),
  )
  const tenants = simulator.apps.map(({ tenantId, clientId }, index) => ({
    ...{ tenant_id: tenantId, client_id: clientId, name: `t${index}`, client_certificate: pems[index] as string },
  }))
  writeFileSync(join(folder, 'tenants.yml'), JSON.stringify({ tenants }))
  const [first] = tenants
  const listener = await selfSigned(['localhost'])
  writeFileSync(join(folder, 'hook.pem'), listener.cert)
  writeFileSync(join(folder, 'hook.key'), listener.key, { mode: 0o600 })
  const env = {
    ...{ O365_TENANT_ID: first?.tenant_id, O365_CLIENT_ID: first?.client_id, O365_CERTIFICATE: first?.client_certificate },
    ...{ O365_TENANT_NAME: 't0', O365_TENANTS_FILE: join(folder, 'tenants.yml') },
    // Nobody listens there: the service refuses the webhook, and everything has to arrive without it.
    ...{
      O365_WEBHOOK_URL: 'https://localhost:1/hook',
      O365_WEBHOOK_CERT: join(folder, 'hook.pem'),
      O365_WEBHOOK_KEY: join(folder, 'hook.key'),
    },
    ...{ O365_SINCE: '6h', O365_UNTIL: new Date(NOON).toISOString() },
  }
  /** Ids of the records that one of the tenants has, of the content types that are asked for. */
  const wanted = (tenant: string, { types = '', sinceMs = 0 }) =>
    [...simulator.ledger()]
      .filter(blob => blob.tenant === tenant && blob.contentType.startsWith(types))
      .filter(({ created }) => Date.parse(created) < NOON && Date.parse(created) >= NOON - (sinceMs || 7 * 24 * HOUR_MS))
      .flatMap(({ ids }) => ids)
      .sort()
  /** Runs a pipeline as it is, but for the hosts, the ports and an end; gives the documents of each of its files. */
  const run = async (name: string) => {
    const { inputs, ...rest } = pipelines.get(`pipelines/${name}.yaml`) as Ready
    const hosts = { authority_url: simulator.origin, api_url: simulator.origin, ca: 'ca.pem' }
    const input: JsonObject = { ...inputs[0], ...hosts, ...(inputs[0]?.['until'] === undefined && { until: env.O365_UNTIL }) }
    const { webhook } = input
    const own = {
      ...rest,
      inputs: [isObject(webhook) ? { ...input, webhook: { ...webhook, host: '127.0.0.1', port: 0 } } : input],
      ...(rest.http && { http: { port: 0 } }),
    }
    writeFileSync(join(folder, `${name}.yaml`), JSON.stringify(own))
    const { code, stderr } = await penstock(['run', `${name}.yaml`, '--no-progress'], { cwd: folder, env })
    t.equal(code, 0, `${name}: ${stderr}`)
    const { gunzipSync } = await import('node:zlib')
    const texts = globSync(`out/${name.replace(/-one-tenant$/, '').replace(/-many/, '')}/**/*.ndjson*`, { cwd: folder }).map(
      path => {
        const bytes = readFileSync(join(folder, path))
        return [path, (path.endsWith('.gz') ? gunzipSync(bytes) : bytes).toString('utf8')] as const
      },
    )
    return new Map(
      texts.map(([path, text]) => [
        path.replaceAll('\\', '/'),
        text
          .split('\n')
          .slice(0, -1)
          .map(line => JSON.parse(line) as JsonObject & { event: { id: string; severity?: number } }),
      ]),
    )
  }
  const ids = (found: Awaited<ReturnType<typeof run>>, path: RegExp) =>
    [...found].flatMap(([file, documents]) => (path.test(file) ? documents.map(({ event }) => event.id) : [])).sort()
  const [one, two] = tenants.map(({ tenant_id }) => tenant_id) as [string, string]

  const single = await run('o365-one-tenant')
  t.same(ids(single, /^out\/o365\/[\d-]+\.ndjson$/), wanted(one, {}))
  t.match(ids(single, /^out\/o365\/completeness\//).join(' '), `completeness/${one}/Audit.Exchange/`)

  const many = await run('o365-many-tenants')
  for (const tenant of [one, two])
    t.same(ids(many, new RegExp(`^out/o365-tenants/${tenant}/[\\d-]+\\.ndjson$`)), wanted(tenant, {}), tenant)

  const past = await run('o365-backfill')
  const came = new Set(ids(past, /./))
  const missed = wanted(one, { sinceMs: 5.9 * HOUR_MS }).filter(id => !came.has(id))
  t.same(missed, [], 'all that was made since then')
  t.ok(came.size < wanted(one, {}).length, 'and not all that there is')

  t.same(ids(await run('o365-webhook'), /./), wanted(one, {}))

  const dlp = await run('o365-dlp')
  t.same(ids(dlp, /./), wanted(one, { types: 'DLP.All' }))
  const severe = [...dlp].flatMap(([path, documents]) => (path.endsWith('/high.ndjson') ? documents : []))
  t.ok(severe.length > 0 && severe.every(({ event }) => event.severity === 4), `${severe.length} severe ones`)
  const others = [...dlp].flatMap(([path, documents]) => (path.endsWith('/high.ndjson') ? [] : documents))
  t.ok(others.every(({ event }) => event.severity !== 4))
  t.notMatch(JSON.stringify([...dlp.values()]), 'DetectedValues')
})

t.test('what DLP rules matched is taken out by the input itself, whatever filters follow', async t => {
  const read = async (keep_matched_values: boolean) => {
    const made = await feed(
      t,
      { users: 30, historyMs: 12 * HOUR_MS, slotMs: HOUR_MS, scenario: { requests: {}, content: NO_QUIRKS } },
      t.testdir({ [`keep-${keep_matched_values}`]: {} }),
    )
    const { code, stderr } = await made.run({ content_types: ['DLP.All'], keep_matched_values })
    t.equal(code, 0, stderr)
    return made.lines()
  }
  const kept = await read(true)
  t.match(JSON.stringify(kept), 'DetectedValues')
  const removed = await read(false)
  t.equal(removed.length, kept.length)
  t.notMatch(JSON.stringify(removed), 'DetectedValues')
})
