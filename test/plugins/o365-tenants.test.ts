// Tenants that come, go and change while o365_activity runs: their list, their secrets, their certificates.
import { renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import type { JsonObject } from '../../core/plugin/json.ts'
import { selfSigned } from '../../plugins/lib/microsoft/simulator/certificate.ts'
import { canary } from '../kit/canary.ts'
import { until } from '../kit/until.ts'
import { NOON } from './microsoft-support.ts'
import { feed, HOUR_MS } from './o365-support.ts'

t.setTimeout(300_000)

async function metrics(port: number): Promise<string> {
  return (await fetch(`http://127.0.0.1:${port}/metrics`)).text()
}

/** Three tenants, and a tenants file that lists some of them. */
async function listed(t: Test) {
  const made = await feed(t, { tenants: 3, users: 8, historyMs: 6 * HOUR_MS }, t.testdir({}), { http: { port: 0 } })
  const { folder, simulator, lines } = made
  const one = (index: number, more: JsonObject = {}) => ({
    tenant_id: simulator.apps[index]!.tenantId,
    client_id: simulator.apps[index]!.clientId,
    client_secret: `\${secret:file:planted/secret-${index}}`,
    name: `t${index}`,
    ...more,
  })
  /** As editors do it: a new file in the place of the old one. */
  const write = (path: string, text: string) => {
    writeFileSync(join(folder, `${path}.new`), text, { mode: 0o600 })
    renameSync(join(folder, `${path}.new`), join(folder, path))
  }
  const list = (tenants: readonly JsonObject[]) => write('tenants.yaml', JSON.stringify({ tenants }))
  const of = (index: number) => lines().filter(({ OrganizationId }) => OrganizationId === simulator.apps[index]!.tenantId).length
  /** How many records a tenant has that were made before noon. */
  const all = (index: number) => {
    const { tenantId } = simulator.apps[index]!
    return [...simulator.ledger()]
      .filter(({ tenant, created }) => tenant === tenantId && Date.parse(created) < NOON)
      .flatMap(({ ids }) => ids).length
  }
  return { ...made, one, list, write, of, all }
}

t.test('the tenants file is read again when it changes; one with a mistake changes nothing', async t => {
  const { start, one, list, write, of, all, lines } = await listed(t)
  list([one(0)])
  const { child, ended } = start({ tenants: undefined, tenants_file: 'tenants.yaml', until: undefined })
  let stderr = ''
  child.stderr?.on('data', text => {
    stderr += String(text)
  })
  await until(() => of(0) >= all(0))
  t.equal(of(1), 0)
  list([one(0), one(1)])
  await until(() => of(1) >= all(1))
  write('tenants.yaml', 'tenants: [{ tenant_id: 7 }]')
  await until(() => stderr.includes('the tenants file has a mistake'))
  list([one(1, { name: 'other' }), one(2)])
  await until(() => of(2) >= all(2))
  await until(() => stderr.includes('the tenant is read no more'))
  const [, port] = /"port":(\d+)/.exec(stderr) ?? []
  await until(
    async () => (await metrics(Number(port))).includes('tenant="other"'),
    () => 'no metric has the new name',
  )
  child.kill('SIGTERM')
  const { code } = await ended
  t.equal(code, 0, stderr)
  t.match(stderr, /tenants\.yaml:1:\d+: .*tenants\[0\]/, 'the mistake has its place')
  t.ok([0, 1, 2].every(index => of(index) >= all(index)))
  t.equal(lines().length, new Set(lines().map(({ Id }) => Id)).size, 'what had its name changed went on where it was')
})

t.test('a tenant whose settings change in the middle of its blobs loses nothing, and goes on where it was', async t => {
  const { start, one, list, of, all, lines } = await listed(t)
  list([one(0)])
  const { child, ended } = start({
    tenants: undefined,
    tenants_file: 'tenants.yaml',
    until: undefined,
    parallel: 2,
    requests_per_minute: 1_500,
  })
  for (let change = 0; of(0) < all(0) && change < 6; change++) {
    const before = of(0)
    await until(() => of(0) > before || of(0) >= all(0))
    list([one(0, { name: `name-${change}` })])
  }
  await until(
    () => of(0) >= all(0),
    () => `${of(0)} of ${all(0)}`,
  )
  child.kill('SIGTERM')
  const { code, stderr } = await ended
  t.equal(code, 0, stderr)
  t.ok(of(0) >= all(0))
  t.equal(new Set(lines().map(({ Id }) => Id)).size, of(0))
})

t.test('a secret that Entra refuses is read again when its file changes, without a restart', async t => {
  const { start, one, list, write, of, all, simulator } = await listed(t)
  const [app] = simulator.apps
  app!.secret = `${canary('secret')}-new`
  list([one(0), one(1)])
  const { ended } = start({ tenants: undefined, tenants_file: 'tenants.yaml' })
  await until(
    () => of(1) >= all(1),
    () => 'the other tenant waits for nobody',
  )
  t.equal(of(0), 0)
  write('planted/secret-0', `${app!.secret}\n`)
  const { code, stderr } = await ended
  t.equal(code, 0, stderr)
  t.match(stderr, 'AADSTS7000215')
  t.equal(of(0), all(0))
})

t.test('a certificate is read again when its file changes, and its days are a metric', async t => {
  const { start, one, list, write, of, all, simulator, folder } = await listed(t)
  const pem = async () => {
    const { key, cert } = await selfSigned(['app'])
    return { text: `${cert}${key}`, cert }
  }
  const { X509Certificate } = await import('node:crypto')
  const [old, fresh] = [await pem(), await pem()]
  const { fingerprint256 } = new X509Certificate(fresh.cert)
  simulator.apps[0]!.thumbprint = Buffer.from(fingerprint256.replaceAll(':', ''), 'hex').toString('base64url')
  writeFileSync(join(folder, 'planted/app.pem'), old.text, { mode: 0o600 })
  const { client_secret: _, ...rest } = one(0)
  list([{ ...rest, client_certificate: 'planted/app.pem' }])
  const { child, ended } = start({ tenants: undefined, tenants_file: 'tenants.yaml', until: undefined })
  let stderr = ''
  child.stderr?.on('data', text => {
    stderr += String(text)
  })
  await until(() => stderr.includes('AADSTS700027'))
  write('planted/app.pem', fresh.text)
  await until(() => of(0) >= all(0))
  const [, port] = /"port":(\d+)/.exec(stderr) ?? []
  const days = await until(
    async () => /penstock_o365_certificate_days\{[^}]*tenant="t0"[^}]*\} ([\d.]+)/.exec(await metrics(Number(port)))?.[1],
    () => 'no metric tells the days',
  )
  t.ok(Number(days) > 28 && Number(days) <= 30, `${days} days`)
  child.kill('SIGTERM')
  t.equal((await ended).code, 0, stderr)
})
