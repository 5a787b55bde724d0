// penstock doctor, the real program on simulated tenants: what is wrong is named with its remedy, and nothing is changed unasked.
import { chmodSync, existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { createServer as createHttps } from 'node:https'
import { type AddressInfo, createServer } from 'node:net'
import { dirname, join } from 'node:path'
import t, { type Test } from 'tap'
import { openStore } from '../../core/state/store.ts'
import { clockFinding } from '../../plugins/inputs/o365_activity/doctor/clock.ts'
import { configurationFindings } from '../../plugins/inputs/o365_activity/doctor/configuration.ts'
import { credentialFindings } from '../../plugins/inputs/o365_activity/doctor/credential.ts'
import type { Check, Finding, Status } from '../../plugins/inputs/o365_activity/doctor/finding.ts'
import { wayTo } from '../../plugins/inputs/o365_activity/doctor/proxy.ts'
import { roleFindings } from '../../plugins/inputs/o365_activity/doctor/roles.ts'
import { subscriptionFindings } from '../../plugins/inputs/o365_activity/doctor/subscriptions.ts'
import { noToken } from '../../plugins/inputs/o365_activity/doctor/token.ts'
import type { ConfiguredTenant } from '../../plugins/inputs/o365_activity/tenants.ts'
import { CLOUDS, hostsOf } from '../../plugins/lib/microsoft/service/clouds.ts'
import { CONTENT_TYPES } from '../../plugins/lib/microsoft/service/content-types.ts'
import { AUDIT_LOG_OFF, remedyOf } from '../../plugins/lib/microsoft/service/remedies.ts'
import { selfSigned } from '../../plugins/lib/microsoft/simulator/certificate.ts'
import { isLong } from '../../plugins/lib/microsoft/simulator/reply.ts'
import type { Simulator, SimulatorOptions } from '../../plugins/lib/microsoft/simulator/simulator.ts'
import { canary } from '../kit/canary.ts'
import { penstock, type Ran } from '../kit/process.ts'
import { NOON, type Simulated, simulated } from './microsoft-support.ts'

const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS
const NEEDED = ['ActivityFeed.Read']
t.setTimeout(300_000)

interface Told {
  readonly input: string
  readonly tenant: string
  readonly tenant_id: string
  readonly checks: readonly Finding[]
}

interface Clinic extends Simulated {
  readonly folder: string
  /** Writes the pipeline; `options` replaces options of the input, `tenant` those of the first tenant. */
  write(options?: object, tenant?: object): void
  /** Runs the program on the pipeline as it was written last. */
  doctor(...args: string[]): Promise<Ran>
  /** With --json; the exit code, and what was told of each tenant. */
  json(...args: string[]): Promise<{ readonly code: number | null; readonly told: readonly Told[] }>
  /** What the service itself says of the first tenant's subscriptions: content type → status. */
  states(): Promise<Record<string, string>>
}

/** Tenants without a fault, whose applications have the roles that are needed and no other. */
async function clinic(t: Test, options: Partial<SimulatorOptions> = {}): Promise<Clinic> {
  const sim = await simulated(t, { from: Date.now(), users: 10, ...options })
  const { simulator } = sim
  const folder = dirname(sim.ca)
  mkdirSync(join(folder, 'planted'))
  const tenants = simulator.apps.map((app, index) => {
    app.secret = `${canary('secret')}-${index}`
    app.roles = NEEDED
    writeFileSync(join(folder, 'planted', `secret-${index}`), app.secret, { mode: 0o600 })
    const client_secret = `\${secret:file:planted/secret-${index}}`
    return { tenant_id: app.tenantId, client_id: app.clientId, client_secret, name: `t${index}` }
  })
  const write: Clinic['write'] = (given = {}, tenant = {}) => {
    const input = {
      ...{ type: 'o365_activity', authority_url: simulator.origin, api_url: simulator.origin, ca: 'ca.pem' },
      tenants: tenants.map((own, index) => (index === 0 ? { ...own, ...tenant } : own)),
      ...given,
    }
    const pipeline = { name: 'feed', inputs: [input], outputs: [{ type: 'file', path: 'out.ndjson' }] }
    writeFileSync(join(folder, 'feed.yaml'), JSON.stringify(pipeline))
  }
  write()
  const doctor = async (...args: string[]) => {
    const ran = await penstock(['doctor', 'feed.yaml', ...args], {
      cwd: folder,
      env: { HTTPS_PROXY: undefined, https_proxy: undefined, HTTP_PROXY: undefined, http_proxy: undefined },
    })
    t.notMatch(`${ran.stdout}${ran.stderr}`, /eyJ/, 'no token is shown')
    return ran
  }
  return {
    ...sim,
    ...{ folder, write, doctor },
    async json(...args) {
      const { code, stdout, stderr } = await doctor('--json', ...args)
      const told = stdout
        .split('\n')
        .slice(0, -1)
        .map(line => JSON.parse(line) as Told)
      t.equal(stderr, '')
      return { code, told }
    },
    async states() {
      // The application has another secret than the one that `ask` was made with.
      const token = await sim.tokens({ client_secret: simulator.apps[0]!.secret }).get(new AbortController().signal)
      const { json } = await sim.ask('subscriptions/list', 'GET', `Bearer ${token}`)
      return Object.fromEntries((json as { contentType: string; status: string }[]).map(one => [one.contentType, one.status]))
    },
  }
}

/** Findings of one check as `status: message`. */
function of(findings: readonly Finding[] | undefined, check: Check): string[] {
  return (findings ?? []).filter(one => one.check === check).map(({ status, message }) => `${status}: ${message}`)
}
function having(findings: readonly Finding[] | undefined, status: Status): Check[] {
  return [...new Set((findings ?? []).filter(one => one.status === status).map(({ check }) => check))]
}
function remedies(findings: readonly Finding[] | undefined): string {
  return (findings ?? []).flatMap(({ remedy }) => remedy ?? []).join('\n')
}

t.test('a tenant without a fault: every check is ok, the exit code is 0, and nothing is written', async t => {
  const { doctor, json, folder, simulator } = await clinic(t)
  const { code, stdout, stderr } = await doctor()
  t.equal(code, 0, stdout + stderr)
  t.match(stdout, /^t0 {2}1111.*\(input o365_activity\)/)
  t.match(stdout, /\n1 tenant: 14 ok, 0 warnings, 0 failed, 0 that nobody can tell\n$/)
  t.equal(stderr, '', 'no progress where no terminal is')
  t.notMatch(stdout, '\u001b', 'no colours where no terminal is')
  t.notOk(existsSync(join(folder, 'state')), 'no state directory is made')
  const before = simulator.server.requests
  const { told, code: again } = await json('--tenant', simulator.apps[0]!.tenantId.toUpperCase())
  t.equal(again, 0)
  t.equal(told.length, 1)
  t.same(Object.keys(told[0]!), ['input', 'tenant', 'tenant_id', 'checks'])
  t.same([...new Set(told[0]!.checks.map(({ check }) => check))].sort(), [
    ...['audit_log', 'clock', 'configuration', 'credential', 'network', 'progress', 'quota', 'roles', 'subscriptions', 'token'],
  ])
  const { checks } = told[0]!
  t.ok(checks.every(({ status }) => status === 'ok'))
  t.match(of(checks, 'credential'), [/secret-0 gives again/])
  t.match(of(checks, 'token'), [/for https:\/\/manage\.office\.com; it is good for 60 min, until 20/])
  t.match(of(checks, 'audit_log'), [/on: it gave content/])
  t.match(of(checks, 'progress'), [/not run yet/])
  // Two that only reach the hosts, discovery and token of msal, one list of subscriptions, one listing of each content type.
  t.equal(simulator.server.requests - before, 2 + 2 + 1 + 5)
  t.match(of(checks, 'quota'), [/this look has used 7$/])
})

t.test('a wrong secret: the code is explained, and what needs no token is told all the same', async t => {
  const { json, folder } = await clinic(t)
  writeFileSync(join(folder, 'planted', 'secret-0'), canary('wrong'))
  const { code, told } = await json()
  t.equal(code, 1)
  const checks = told[0]?.checks
  t.same(having(checks, 'failed'), ['token'])
  t.match(of(checks, 'token'), [/AADSTS7000215: the client secret is wrong/])
  t.match(remedies(checks), "Often the secret's id was pasted")
  t.same(having(checks, 'unknown'), ['roles', 'audit_log', 'subscriptions'])
  t.same(having(checks, 'ok'), ['configuration', 'network', 'clock', 'credential', 'quota', 'progress'])
})

t.test('two tenants of which one fails: the other is looked at in full; --tenant leaves it alone', async t => {
  const { json, doctor, folder } = await clinic(t, { tenants: 2 })
  writeFileSync(join(folder, 'planted', 'secret-1'), canary('wrong'))
  const { code, told } = await json()
  t.equal(code, 1)
  t.same(
    told.map(({ tenant, checks }) => [tenant, having(checks, 'failed')]),
    [
      ['t0', []],
      ['t1', ['token']],
    ],
  )
  t.equal((await doctor('--tenant', 't0')).code, 0)
  const text = await doctor()
  t.match(text.stdout, /\n2 tenants: 20 ok, 0 warnings, 1 failed, 3 that nobody can tell\n$/)
  t.match(text.stdout, /\n {2}FAIL {2}token {10}Entra gives no token: AADSTS7000215[^\n]*\n {23}→ Often/)
})

t.test('roles: one that is missing fails with its remedy, one that no option needs is a warning', async t => {
  const { json, simulator, write } = await clinic(t)
  simulator.apps[0]!.roles = []
  const none = await json()
  t.equal(none.code, 1)
  t.match(of(none.told[0]?.checks, 'roles'), [/failed: .*lacks the role ActivityFeed\.Read; it has none/])
  t.match(of(none.told[0]?.checks, 'subscriptions'), [/AF10001: the token lacks the role/])
  t.match(remedies(none.told[0]?.checks), 'have an administrator of the tenant consent')
  simulator.apps[0]!.roles = ['ActivityFeed.Read', 'ActivityFeed.ReadDlp', 'AuditLog.Read.All']
  const many = await json()
  t.equal(many.code, 0)
  const warned = of(many.told[0]?.checks, 'roles').filter(text => text.startsWith('warning'))
  t.match(warned, [/no option needs the role ActivityFeed\.ReadDlp: .*keep_matched_values is off/, /AuditLog\.Read\.All/])
  write({ keep_matched_values: true })
  const kept = await json()
  t.match(of(kept.told[0]?.checks, 'roles'), [/needed: ActivityFeed\.Read, ActivityFeed\.ReadDlp$/, /AuditLog/])
  simulator.apps[0]!.roles = NEEDED
  const without = await json()
  t.equal(without.code, 1)
  t.match(of(without.told[0]?.checks, 'roles'), [/keep_matched_values is on, and the token lacks the role ActivityFeed\.ReadDlp/])
})

t.test('every other role of the application is named with the reason why it is of no use', async t => {
  const reading = { contentTypes: ['Audit.General'], keepMatchedValues: true }
  const found = roleFindings(['ActivityFeed.Read', 'ActivityFeed.ReadDlp', 'ServiceHealth.Read', 'constructor'], reading)
  t.match(
    found.map(({ status, message }) => `${status}: ${message}`),
    [/^ok: .*: ActivityFeed\.Read$/, /DLP\.All is not among/, /retired/, /^warning: no option needs the role constructor$/],
  )
})

t.test('a disabled subscription fails and is left alone; --start starts it, and says how long the service rests', async t => {
  const { json, states, simulator } = await clinic(t)
  simulator.feed.disable(simulator.apps[0]!.tenantId, 'Audit.General')
  const before = await states()
  const left = await json()
  t.equal(left.code, 1)
  t.match(
    of(left.told[0]?.checks, 'subscriptions').filter(text => text.startsWith('failed')),
    [/Audit\.General: the subscription is disabled/],
  )
  t.same(await states(), before, 'nothing was changed')
  t.equal(before['Audit.General'], 'disabled')
  const started = await json('--start')
  t.equal(started.code, 0)
  t.match(of(started.told[0]?.checks, 'subscriptions')[3], /ok: Audit\.General: started; .*15 minutes/)
  t.equal((await states())['Audit.General'], 'enabled')
  simulator.feed.disable(simulator.apps[0]!.tenantId, 'Audit.General')
  const cooling = await json('--start')
  t.equal(cooling.code, 1)
  t.match(of(cooling.told[0]?.checks, 'subscriptions')[3], /is disabled; .*15 minutes.*again in 15 min/)
})

t.test('a new tenant: without --start nobody can tell whether its audit log is on, and no subscription is started', async t => {
  const { json, states } = await clinic(t, { subscribed: false, backfillMs: 0 })
  const left = await json()
  t.equal(left.code, 0)
  t.match(of(left.told[0]?.checks, 'audit_log'), [/unknown: cannot tell/])
  t.equal(of(left.told[0]?.checks, 'subscriptions').filter(text => /warning: .*there is no subscription/.test(text)).length, 5)
  t.match(remedies(left.told[0]?.checks), 'doctor with --start tells')
  t.same(await states(), {}, 'nothing was changed')
  const started = await json('--start')
  t.equal(started.code, 0)
  t.match(of(started.told[0]?.checks, 'audit_log'), [/ok: .*started a subscription/])
  t.equal(Object.keys(await states()).length, 5)
})

t.test('an audit log that is off: only a start says so', async t => {
  const sim = await clinic(t, { subscribed: false })
  let starts = 0
  const { origin, cert } = await before(t, sim.simulator, path => {
    if (!path.endsWith('/subscriptions/start')) return undefined
    starts++
    const message = `Microsoft.Office.Compliance.Audit.DataServiceException: Tenant ${sim.simulator.apps[0]!.tenantId} does not exist.`
    return { status: 400, body: JSON.stringify({ error: { code: 'AF20011', message } }) }
  })
  writeFileSync(join(sim.folder, 'front.pem'), cert)
  sim.write({ authority_url: origin, api_url: origin, ca: 'front.pem' })
  const left = await sim.json()
  t.match(of(left.told[0]?.checks, 'audit_log'), [/unknown/])
  t.equal(starts, 0, 'nothing is started unasked')
  const { code, told } = await sim.json('--start')
  t.equal(code, 1)
  t.ok(starts > 0)
  t.match(of(told[0]?.checks, 'audit_log'), [/failed: the audit log is off/])
  t.match(remedies(told[0]?.checks), /up to 60 minutes/)
  t.match(of(told[0]?.checks, 'configuration'), [/^ok/], 'it is not taken for a wrong cloud')
})

t.test('network: a certificate that nobody trusts, a host that is not there, and one that never answers', async t => {
  const { json, folder, write, simulator } = await clinic(t)
  writeFileSync(join(folder, 'other.pem'), (await selfSigned(['localhost'])).cert)
  write({ ca: 'other.pem' })
  const other = await json()
  t.equal(other.code, 1)
  t.match(of(other.told[0]?.checks, 'network'), [/failed: login and API: .*signed by nobody that is trusted here/])
  t.match(remedies(other.told[0]?.checks), /option ca \(.*other\.pem\) holds another certificate/)
  t.match(of(other.told[0]?.checks, 'token'), [/unknown: .*the login cannot be reached/])
  write({ ca: 'feed.yaml' })
  const none = await json()
  t.equal(none.code, 1)
  t.match(of(none.told[0]?.checks, 'network'), [/failed: .*feed\.yaml holds no certificate in PEM/])
  t.match(of(none.told[0]?.checks, 'credential'), [/^ok/], 'what needs no network is told')
  write({ api_url: `https://localhost:${await closedPort()}` })
  const gone = await json()
  t.match(of(gone.told[0]?.checks, 'network'), [/ok: login: /, /failed: API: .*ECONNREFUSED/])
  t.match(of(gone.told[0]?.checks, 'token'), [/^ok/], 'the login is looked at all the same')
  t.match(of(gone.told[0]?.checks, 'roles'), [/^ok/])
  t.match(of(gone.told[0]?.checks, 'subscriptions'), [/unknown: .*the API cannot be reached/])
  const mute = createServer(socket => socket.on('error', () => {}))
  await new Promise<void>(resolve => mute.listen(0, '127.0.0.1', resolve))
  t.teardown(() => mute.close())
  write({ api_url: `https://127.0.0.1:${(mute.address() as AddressInfo).port}` })
  const slow = await json('--timeout', '1')
  t.match(of(slow.told[0]?.checks, 'network'), [/ok: login/, /failed: API: .*within 1 s/])
  write({ authority_url: `https://127.0.0.1:${(mute.address() as AddressInfo).port}`, api_url: simulator.origin })
  const noLogin = await json('--timeout', '1')
  t.match(of(noLogin.told[0]?.checks, 'network'), [/failed: login/, /ok: API/])
  t.match(of(noLogin.told[0]?.checks, 'clock'), [/^ok/], 'the API alone tells the time')
})

t.test('a proxy that is not there is named without its password', async t => {
  const { json, write } = await clinic(t)
  const port = await closedPort()
  write({ proxy: `http://user:\${PENSTOCK_CANARY}@127.0.0.1:${port}` })
  const { told, code } = await json()
  t.equal(code, 1)
  t.match(of(told[0]?.checks, 'network'), [new RegExp(`through the proxy 127\\.0\\.0\\.1:${port} \\(the option proxy\\)`)])
  t.match(remedies(told[0]?.checks), 'Check that the proxy')
})

t.test('a clock that differs is a warning, and content is listed by the time of the service', async t => {
  const { json } = await clinic(t, { from: NOON })
  const { told, code } = await json()
  t.equal(code, 0)
  t.match(of(told[0]?.checks, 'clock'), [/warning: this machine's clock is \d+ days ahead of the service's/])
  t.match(of(told[0]?.checks, 'audit_log'), [/^ok/])
  t.equal(clockFinding(299_000).status, 'ok')
  t.match(clockFinding(301_000), { status: 'warning', message: '5 min behind' })
  t.equal(clockFinding(undefined).status, 'unknown')
})

t.test('a certificate that ends soon, and a key that others can read, are warnings', async t => {
  const { json, folder, write } = await clinic(t)
  const { key, cert } = await selfSigned(['app'])
  const path = join(folder, 'planted', 'app.pem')
  writeFileSync(path, key + cert, { mode: 0o644 })
  chmodSync(path, 0o644)
  write({}, { client_secret: undefined, client_certificate: path })
  const { told, code } = await json()
  t.equal(code, 0)
  t.match(of(told[0]?.checks, 'credential'), [
    /warning: .*good for 29 days/,
    /warning: every user .*app\.pem \(its mode is 0644\)/,
  ])
  t.match(of(told[0]?.checks, 'token'), [/^ok/])
  const credential = { kind: 'certificate', key: '', x5c: cert, thumbprint: '', until: 0 } as const
  chmodSync(path, 0o600)
  const at = (days: number) => credentialFindings(credential, { client_certificate: path }, Date.now() + days * DAY_MS)
  t.match(at(31), [{ status: 'failed', message: 'the certificate ended' }])
  t.match(at(-2), [{ status: 'failed', message: 'good only from' }])
  const assertion = (exp: number) => `e30.${Buffer.from(JSON.stringify({ exp })).toString('base64url')}.x`
  const federated = (text: string) =>
    credentialFindings({ kind: 'federated', assertion: text }, { federated_token_file: '/run/token' }, 1_000_000)[0]
  t.equal(federated(assertion(999))?.status, 'failed')
  t.equal(federated(assertion(1_001))?.status, 'ok')
  t.equal(federated('opaque')?.status, 'ok')
})

t.test('a secret whose file is gone: the pipeline says where it should be', async t => {
  const { doctor, write } = await clinic(t)
  write({}, { client_secret: undefined, client_certificate: 'planted/none.pem' })
  const { code, stdout } = await doctor()
  t.equal(code, 1)
  t.match(stdout, /FAIL {2}credential .*none\.pem/)
  t.match(stdout, /\? {5}token .*the credential cannot be read/)
})

t.test('how far the pipeline has read stands in its ledger, beside a running engine', async t => {
  const { json, folder, simulator, write } = await clinic(t)
  write({ content_types: [...CONTENT_TYPES].slice(0, 4), requests_per_minute: 3_000 })
  const store = await openStore(join(folder, 'state'))
  t.teardown(() => store.close())
  const now = Date.now()
  const tenant = simulator.apps[0]!.tenantId
  const waits = (type: string, hash: string, made: number, expires: number) =>
    [
      'feed/o365_activity',
      `o/${tenant}/${String(expires).padStart(15, '0')}/${type}/${hash}`,
      [`id-${hash}`, made, 'https://x'],
    ] as [string, string, (string | number)[]]
  await store.commit({
    positions: [],
    rows: [
      ['feed/o365_activity', `c/${tenant}/Audit.Exchange`, { to: now - 10 * 60_000 }],
      waits('Audit.Exchange', 'a', now - 3 * HOUR_MS, now + 6 * DAY_MS),
      waits('Audit.Exchange', 'b', now - 2 * HOUR_MS, now + 6 * DAY_MS),
      ['feed/o365_activity', `c/${tenant}/Audit.SharePoint`, { to: now - 8 * DAY_MS }],
      ['feed/o365_activity', `c/${tenant}/Audit.General`, { to: now - 60_000 }],
      waits('Audit.General', 'c', now - HOUR_MS, now + HOUR_MS),
    ],
  })
  const { told, code } = await json()
  t.equal(code, 1)
  t.match(of(told[0]?.checks, 'progress'), [
    'ok: Audit.AzureActiveDirectory: not listed yet',
    /ok: Audit\.Exchange: listed up to .*Z \(10 min behind\); 2 blobs wait, the oldest made 3 h ago/,
    /failed: Audit\.SharePoint: .*\(8 days behind\); no blob waits; .*can be listed no more/,
    /warning: Audit\.General: .*; 1 blob waits, .*; the first expires at/,
  ])
  t.match(of(told[0]?.checks, 'quota'), [/warning: 3,000 requests a minute/])
  t.match(of(told[0]?.checks, 'subscriptions')[4], /ok: also enabled, and not read by this pipeline: DLP\.All/)
})

t.test('exit codes: a wrong command line is 2, a wrong pipeline 78', async t => {
  const { doctor, folder, write } = await clinic(t)
  const usage = async (args: readonly string[], text: string | RegExp) => {
    const { code, stderr, stdout } = await penstock(['doctor', ...args], { cwd: folder })
    t.equal(code, 2, stderr)
    t.match(stderr, text)
    t.equal(stdout, '')
  }
  await usage([], 'needs one pipeline file')
  await usage(['feed.yaml', '--tenant', 'nobody'], /no such tenant; it has t0/)
  await usage(['feed.yaml', '--timeout', '0'], 'from 1 to')
  await usage(['feed.yaml', '--stop'], 'stop')
  const other = { name: 'other', inputs: [{ type: 'stdin' }], outputs: [{ type: 'file', path: 'out.ndjson' }] }
  writeFileSync(join(folder, 'other.yaml'), JSON.stringify(other))
  await usage(['other.yaml'], 'no input of the type o365_activity')
  write({ content_types: ['Audit.Everything'] })
  const wrong = await doctor()
  t.equal(wrong.code, 78)
  t.match(wrong.stderr, 'feed.yaml')
  t.equal(wrong.stdout, '')
})

t.test('hosts that do not belong together are told, and so is a cloud that the service names', async t => {
  const tenant = (cloud: 'worldwide' | 'gcc' | 'gcc_high' | 'dod', change: object = {}, api = hostsOf(cloud).management) =>
    ({
      authority: hostsOf(cloud).authority,
      audience: hostsOf(cloud).management,
      settings: { api },
      ...change,
    }) as ConfiguredTenant
  const said = (one: ConfiguredTenant, ...codes: string[]) => configurationFindings(one, new Set(codes))
  for (const cloud of CLOUDS) t.match(said(tenant(cloud)), [{ status: 'ok', message: `${cloud}: ` }])
  const mixed = said(tenant('worldwide', {}, hostsOf('gcc').management))
  t.match(mixed, [{ status: 'failed', message: /manage-gcc\.office\.com is of gcc/, remedy: 'Set cloud' }])
  t.match(said(tenant('dod', { authority: hostsOf('gcc').authority })), [{ status: 'failed' }])
  t.match(said(tenant('worldwide', {}, 'https://feed.example')), [
    { status: 'warning', message: 'https://feed.example', remedy: 'api_url' },
  ])
  for (const [code, cloud, remedy] of [
    ['AADSTS90038', 'worldwide', 'Set cloud: gcc_high or cloud: dod'],
    ['AADSTS900382', 'dod', 'Set cloud: worldwide or cloud: gcc'],
    ['AF20011', 'worldwide', 'set cloud: gcc or cloud: gcc_high or cloud: dod'],
    ['AADSTS90002', 'gcc', 'set cloud: gcc_high or cloud: dod'],
    ['AADSTS500011', 'gcc', 'set cloud: worldwide or'],
    ['HTTP 401', 'worldwide', 'Check audience'],
    ['AF20010', 'worldwide', 'Compare tenant_id'],
  ] as const)
    t.match(said(tenant(cloud), code)[1], { check: 'configuration', status: 'failed', remedy }, code)
})

t.test('which proxy is used, by option and environment', async t => {
  const way = (url: string, configured: string | undefined, env: NodeJS.ProcessEnv) => wayTo(new URL(url), configured, env).proxy
  const proxied = { HTTPS_PROXY: 'http://u:p@proxy.example:8080' }
  t.equal(way('https://manage.office.com', undefined, {}), undefined)
  t.same(wayTo(new URL('https://manage.office.com'), undefined, proxied), { proxy: 'proxy.example:8080', by: 'HTTPS_PROXY' })
  t.equal(way('https://manage.office.com', 'http://other.example:1', proxied), 'other.example:1')
  t.equal(way('https://manage.office.com', undefined, { HTTP_PROXY: 'http://plain.example:3128' }), 'plain.example:3128')
  t.equal(way('https://manage.office.com', undefined, { ...proxied, https_proxy: '' }), undefined)
  for (const [list, url, excepted] of [
    ['office.com', 'https://manage.office.com', true],
    ['.office.com', 'https://manage.office.com', true],
    ['*.office.com', 'https://manage.office.com', true],
    ['*.office.com', 'https://office.com', false],
    ['office.com', 'https://manage-office.com', false],
    ['x.example, MANAGE.office.com:443', 'https://manage.office.com', true],
    ['manage.office.com:8443', 'https://manage.office.com', false],
    ['*', 'https://manage.office.com', true],
    ['[::1]:8443', 'https://[::1]:8443', true],
    ['::1', 'https://[::1]:8443', true],
    ['', 'https://manage.office.com', false],
  ] as const)
    t.equal(way(url, undefined, { ...proxied, NO_PROXY: list }) === undefined, excepted, `${list} ${url}`)
})

t.test('the state of webhooks is told; their addresses are not told whole', async t => {
  const state = (status: string) => ({
    contentType: 'Audit.General',
    enabled: true,
    webhook: { status, origin: 'https://etl.example' },
  })
  const said = (status: string | undefined, webhook: boolean) => {
    const before = status === undefined ? { contentType: 'Audit.General', enabled: true, webhook: undefined } : state(status)
    const looked = [{ contentType: 'Audit.General', before, started: undefined, content: true }]
    return subscriptionFindings(looked, [before], { webhook, read: new Set(['Audit.General']) })[0]
  }
  t.equal(said('enabled', true)?.status, 'ok')
  t.equal(said(undefined, false)?.status, 'ok')
  t.match(said(undefined, true), { status: 'warning', message: 'no webhook yet' })
  t.match(said('disabled', true), { status: 'warning', message: 'too many failures', remedy: 'answers 200' })
  t.match(said('expired', false), { status: 'warning', message: 'expired' })
})

t.test('every code of the reference is explained', async t => {
  const [af, aadsts] = [
    'AF10001 AF20001 AF20002 AF20003 AF20010 AF20011 AF20012 AF20013 AF20020 AF20021 AF20022 AF20023 AF20024 AF20030 AF20031 AF20050 ' +
      'AF20051 AF20052 AF20053 AF20054 AF20055 AF429 AF50000 AF50005 AF50006',
    '7000215 7000222 700016 90002 500011 700027 700021 700023 7000112 7000218 900144 70011 9001023 90038 900382 90055 53003 530032 ' +
      '50012 650051',
  ]
  const codes = [...af.split(' '), ...aadsts.split(' ').map(number => `AADSTS${number}`)]
  for (const code of codes) t.ok(remedyOf(code)?.meaning && remedyOf(code)?.remedy, code)
  t.match(noToken(new Error('x'), 'AADSTS1234567', undefined), {
    status: 'failed',
    message: 'AADSTS1234567, which is in no list',
  })
  t.ok(AUDIT_LOG_OFF.test(`{'message':'Microsoft.Office.Compliance.Audit.DataServiceException: Tenant 1-2 does not exist.'}`))
  t.notOk(AUDIT_LOG_OFF.test('Specified tenant ID (1-2) does not exist in the system or has been deleted.'))
})

/** A server in front of the simulator, whose answers go before the simulator's own. */
async function before(
  t: Test,
  { entra, feed }: Simulator,
  own: (path: string) => { status: number; body: string } | undefined,
): Promise<{ origin: string; cert: string }> {
  const identity = await selfSigned(['localhost'])
  const server = createHttps(identity, (request, response) => {
    const parts: Buffer[] = []
    request.on('data', part => parts.push(part as Buffer))
    request.on('end', async () => {
      const url = new URL(request.url ?? '/', `https://${request.headers.host}`)
      const { method = 'GET' } = request
      const body = Buffer.concat(parts).toString()
      const reply =
        own(url.pathname) ??
        entra.answer(method, url.pathname, body, url.origin) ??
        (await feed.answer({ method, url, authorization: request.headers.authorization, body }))
      response.writeHead(reply?.status ?? 404)
      response.end(reply && !isLong(reply.body) ? reply.body : '')
    })
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => {
    server.close()
    server.closeAllConnections()
  })
  return { origin: `https://localhost:${(server.address() as AddressInfo).port}`, cert: identity.cert }
}

async function closedPort(): Promise<number> {
  const server = createServer()
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise(resolve => server.close(resolve))
  return port
}
