// The simulated service is as strict as the real one, and what it offers follows from its seed.
import { createHash, X509Certificate } from 'node:crypto'
import { renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { CONTENT_TYPES } from '../../plugins/lib/microsoft/service/content-types.ts'
import { selfSigned } from '../../plugins/lib/microsoft/simulator/certificate.ts'
import { type ContentQuirks, NO_QUIRKS } from '../../plugins/lib/microsoft/simulator/content.ts'
import { SCENARIOS } from '../../plugins/lib/microsoft/simulator/faults.ts'
import { until } from '../kit/until.ts'
import { NOON, never, simulated, timeText } from './microsoft-support.ts'

const HOUR_MS = 3_600_000
const withContent = (quirks: Partial<ContentQuirks>) => ({ requests: {}, content: { ...NO_QUIRKS, ...quirks } })
/** What a TokenError says. */
const refusal = (service: string) => ({ service, passing: false }) as object as Error
const code = (answer: { text: string }) => /AF\d+/.exec(answer.text)?.[0]
const listing = (from: number, to: number, type = 'Audit.Exchange') =>
  `subscriptions/content?contentType=${type}&startTime=${timeText(from)}&endTime=${timeText(to)}`

t.test('tokens come for a secret, a certificate and an assertion, and for nothing else', async t => {
  const { simulator, tokens } = await simulated(t)
  const app = simulator.apps[0]!
  const own = tokens()
  const first = await own.get(never)
  t.equal(await own.get(never), first, 'a good one is used again')
  t.equal(simulator.entra.verify(first)?.roles?.includes('ActivityFeed.Read'), true)
  own.refuse(first)
  t.not(await own.get(never), first, 'one that was refused is not')

  const folder = t.testdir({})
  const pem = join(folder, 'app.pem')
  const put = async (path: string) => {
    const { key, cert } = await selfSigned(['app'])
    writeFileSync(`${path}.new`, `${key}${cert}`)
    renameSync(`${path}.new`, path)
    return createHash('sha256').update(new X509Certificate(cert).raw).digest('base64url')
  }
  app.thumbprint = await put(pem)
  const certified = tokens({ client_certificate: pem, client_secret: undefined })
  t.ok(simulator.entra.verify(await certified.get(never)), 'a certificate')
  const days = ((certified.certificateUntil ?? 0) - Date.now()) / 86_400_000
  t.ok(days > 29 && days < 31, `it ends in ${days} days`)
  const renewed = await put(pem)
  await t.rejects(certified.get(never), refusal('AADSTS700027'), 'one that Entra does not know')
  app.thumbprint = renewed
  t.ok(simulator.entra.verify(await certified.get(never)), 'the file is read again')

  for (const [given, service] of [
    [{ client_secret: 'wrong' }, 'AADSTS7000215'],
    [{ clientId: '99999999-0000-0000-0000-000000000000' }, 'AADSTS700016'],
    [{ tenantId: '99999999-0000-0000-0000-000000000000' }, 'AADSTS90002'],
    [{ client_certificate: join(folder, 'none.pem') }, 'PEN_CREDENTIALS'],
  ] as const)
    await t.rejects(tokens(given).get(never), refusal(service), service)

  const path = join(folder, 'secret')
  writeFileSync(path, 'old')
  const filed = tokens({ client_secret: 'old', secret_file: path })
  await t.rejects(filed.get(never), refusal('AADSTS7000215'))
  writeFileSync(path, `${app.secret}\n`)
  t.ok(simulator.entra.verify(await filed.get(never)), 'a secret in a file is read again')
})

t.test('the API takes a token for this tenant with a role, and no other', async t => {
  const { simulator, ask, tokens } = await simulated(t, { tenants: 2, tokenSeconds: 600 })
  const [app, other] = simulator.apps
  t.equal((await ask('subscriptions/list')).status, 200)
  t.equal((await ask('subscriptions/list', 'GET', 'Bearer x.y.z')).status, 401)
  const foreign = tokens({ tenantId: other!.tenantId, clientId: other!.clientId, client_secret: other!.secret })
  t.equal(code(await ask('subscriptions/list', 'GET', `Bearer ${await foreign.get(never)}`)), 'AF20010')
  app!.roles = []
  const bare = await ask('subscriptions/list', 'GET', `Bearer ${await tokens().get(never)}`)
  t.same([bare.status, code(bare)], [401, 'AF10001'])
  simulator.entra.revoke()
  t.equal((await ask('subscriptions/list')).status, 401, 'a token past its time')
})

t.test('a listing takes the windows that the service takes', async t => {
  const { ask } = await simulated(t, { historyMs: 8 * 24 * HOUR_MS, users: 2 })
  const windows: [from: number, to: number, want: string | undefined][] = [
    [NOON - 23 * HOUR_MS, NOON, undefined],
    [NOON - 24 * HOUR_MS, NOON, 'AF20055'],
    [NOON - 25 * HOUR_MS, NOON, 'AF20055'],
    [NOON, NOON - HOUR_MS, 'AF20055'],
    [NOON - 7 * 24 * HOUR_MS, NOON - 6.5 * 24 * HOUR_MS, undefined],
    [NOON - 7.2 * 24 * HOUR_MS, NOON - 6.5 * 24 * HOUR_MS, 'AF20055'],
    [NOON, NOON + HOUR_MS, undefined],
  ]
  for (const [from, to, want] of windows)
    t.equal(code(await ask(listing(from, to))), want, `${timeText(from)} to ${timeText(to)}`)
  t.equal(
    code(await ask('subscriptions/content?contentType=Audit.Exchange&startTime=2026-05-06T00:00')),
    'AF20055',
    'one without the other',
  )
  t.equal(code(await ask('subscriptions/content?contentType=Audit.Exchange&startTime=x&endTime=y')), 'AF20002')
  t.equal(code(await ask('subscriptions/content?contentType=Audit.Other')), 'AF20020')
  t.equal(code(await ask('subscriptions/content')), 'AF20001')
  t.equal((await ask('subscriptions/content?contentType=Audit.Exchange')).status, 200, 'the last day without a window')
})

t.test('pages follow each other by a header, in every spelling', async t => {
  const { ask, simulator } = await simulated(t, { pageSize: 7, users: 40 })
  const seen = new Set<string>()
  const spellings = new Set<string>()
  let path: string | undefined = listing(NOON - 20 * HOUR_MS, NOON, 'Audit.SharePoint')
  while (path) {
    const answer = await ask(path)
    for (const { contentId } of answer.json) {
      t.notOk(seen.has(contentId))
      seen.add(contentId)
    }
    const name = Object.keys(answer.headers).find(header => header.startsWith('nextpage'))
    if (name) spellings.add(name)
    path = name && String(answer.headers[name])
  }
  const all = simulator.contents[0]!.list('Audit.SharePoint', NOON - 20 * HOUR_MS, NOON, NOON)
  t.equal(seen.size, all.length)
  t.ok(seen.size > 50)
  t.ok(spellings.size === 2, `${[...spellings]}`)
  t.equal(code(await ask(`${listing(NOON - 20 * HOUR_MS, NOON)}&nextPage=nonsense`)), 'AF20031')
})

t.test('blobs hold every record once, the same at each reading, and expire', async t => {
  const { ask, simulator } = await simulated(t, { expiryMs: 20 * HOUR_MS })
  const ids = [...simulator.ledger()].flatMap(({ ids }) => ids)
  t.equal(new Set(ids).size, ids.length)
  t.ok(ids.length > 1_000, `${ids.length} records`)
  const blobs = (await ask(listing(NOON - 19 * HOUR_MS, NOON, 'Audit.Exchange'))).json
  const one = await ask(blobs[0].contentUri)
  t.equal((await ask(blobs[0].contentUri)).text, one.text)
  const entry = [...simulator.ledger()].find(({ contentId }) => contentId === blobs[0].contentId)
  t.same(
    one.json.map((record: { Id: string }) => record.Id),
    entry?.ids,
  )
  t.ok(one.json.every((record: { Workload: string }) => record.Workload === 'Exchange'))
  const old = (await ask(listing(NOON - 23 * HOUR_MS, NOON - 22 * HOUR_MS))).json
  t.equal(code(await ask(old[0].contentUri)), 'AF20051')
  t.equal(code(await ask('audit/none')), 'AF20050')
})

t.test('subscriptions are started, stopped and throttled', async t => {
  const { ask, simulator } = await simulated(t, { subscribed: false, backfillMs: 2 * HOUR_MS })
  const start = 'subscriptions/start?contentType=Audit.Exchange'
  t.same((await ask('subscriptions/list')).json, [])
  t.equal(code(await ask(listing(NOON - HOUR_MS, NOON))), 'AF20022')
  t.same((await ask(start, 'POST')).json, { contentType: 'Audit.Exchange', status: 'enabled', webhook: null })
  t.equal(code(await ask(start, 'POST')), 'AF20024')
  const found = (await ask(listing(NOON - 20 * HOUR_MS, NOON))).json
  t.ok(found.length > 0)
  t.ok(
    found.every((blob: { contentCreated: string }) => Date.parse(blob.contentCreated) >= NOON - 2 * HOUR_MS),
    'not from long before',
  )
  simulator.feed.disable(simulator.apps[0]!.tenantId, 'Audit.Exchange')
  t.equal(code(await ask(listing(NOON - HOUR_MS, NOON))), 'AF20023')
  t.match((await ask(start, 'POST')).text, /Too many frequent subscription start requests.*14m/)
})

t.test('who asks too often is refused, and who names no publisher shares its quota with others', async t => {
  const { ask } = await simulated(t, { requestsPerMinute: 20 })
  const answers = await Promise.all(Array.from({ length: 25 }, () => ask('subscriptions/list')))
  t.equal(answers.filter(answer => code(answer) === 'AF429' && answer.status === 403).length, 5)
  t.ok(
    answers.some(({ text }) => text.startsWith("{'error'")),
    'in single quotes',
  )
  const anonymous = await ask('subscriptions/list?PublisherIdentifier=00000000-0000-0000-0000-000000000000')
  t.equal(anonymous.status, 200)
})

t.test('each fault of the scenario everything happens', async t => {
  const { requests, ...others } = SCENARIOS['everything']!
  const scenario = { ...others, requests: { ...requests, restart: 0 } }
  const { ask, simulator } = await simulated(t, { scenario, requestsPerMinute: 100_000, users: 40 })
  const oddities = { late: 0, growing: 0, missing: 0, expired: 0, empty: 0, same_id: 0, empty_id: 0 }
  for (const type of CONTENT_TYPES) {
    for (const blob of simulator.contents[0]!.list(type, 0, NOON * 2, NOON)) {
      if (blob.visible > blob.created) oddities.late++
      if (blob.grown > blob.created) oddities.growing++
      if (blob.odd?.oddity === 'same_id' || blob.odd?.oddity === 'empty_id') oddities[blob.odd.oddity]++
      if (blob.missing) oddities[blob.expires > NOON ? 'missing' : 'expired']++
      else if (blob.records.length === 0) oddities.empty++
    }
  }
  for (const [name, count] of Object.entries(oddities)) t.ok(count > 0, `${count} ${name}`)
  const ids = [...simulator.ledger()].flatMap(({ ids }) => ids)
  t.ok(new Set(ids).size < ids.length, 'some records lie in two blobs')
  for (let n = 0; n < 40 && simulator.faults.counts.size < 12; n++)
    await Promise.all(Array.from({ length: 50 }, () => ask(listing(NOON - HOUR_MS, NOON)).catch(() => {})))
  t.equal(simulator.faults.counts.size, 12, JSON.stringify(Object.fromEntries(simulator.faults.counts)))
})

t.test('content that has expired before anybody reads it is listed, refused, and in no ledger', async t => {
  const { ask, simulator } = await simulated(t, { scenario: withContent({ expired: 0.5 }) })
  const listed: { contentId: string; contentUri: string; contentExpiration: string }[] = (
    await ask(`${listing(NOON - 20 * HOUR_MS, NOON)}`)
  ).json
  const expired = listed.filter(({ contentExpiration }) => Date.parse(contentExpiration) < NOON)
  t.ok(expired.length > 5, `${expired.length} have`)
  t.equal(code(await ask(expired[0]!.contentUri)), 'AF20051')
  const known = new Set([...simulator.ledger()].map(({ contentId }) => contentId))
  t.notOk(expired.some(({ contentId }) => known.has(contentId)))
})

t.test('the ledger knows every record by its bytes: those that share an Id, and those without one', async t => {
  const { ask, simulator } = await simulated(t, { scenario: withContent({ sameId: 0.3, noId: 0.3, emptyId: 0.3 }) })
  const seen = { shared: 0, none: 0, empty: 0 }
  for (const { contentId, ids, hashes } of simulator.ledger()) {
    const { json } = await ask(`audit/${contentId}`)
    const own = json.map((record: object) => createHash('sha256').update(JSON.stringify(record)).digest('hex').slice(0, 32))
    t.same(hashes, own, contentId)
    t.equal(new Set(hashes).size, hashes.length, 'no two say the same')
    if (new Set(ids).size < ids.length) seen.shared++
    if (ids.length < hashes.length) seen.none++
    if (ids.includes('')) seen.empty++
  }
  for (const [name, count] of Object.entries(seen)) t.ok(count > 3, `${name}: ${count}`)
})

t.test('one blob is as big as was asked for, and in the ledger like the others', async t => {
  const { ask, simulator } = await simulated(t, { bigBlobBytes: 20_000_000 })
  const blobs = (await ask(listing(NOON - 20 * HOUR_MS, NOON, 'Audit.SharePoint'))).json
  const entries = new Map([...simulator.ledger()].map(entry => [entry.contentId, entry]))
  const sizes = blobs.map(({ contentId }: { contentId: string }) => entries.get(contentId)?.ids.length)
  const big = blobs[sizes.indexOf(Math.max(...sizes))]
  const { text, json } = await ask(big.contentUri)
  t.ok(Math.abs(text.length - 20_000_000) < 2_000_000, `${text.length} bytes`)
  t.same(
    json.map((record: { Id: string }) => record.Id),
    entries.get(big.contentId)?.ids,
  )
  t.equal([...entries.values()].filter(({ ids }) => ids.length > 5_000).length, 1)
})

t.test('what DLP rules matched is for those alone who may read it', async t => {
  const { ask, simulator, tokens } = await simulated(t, { users: 100 })
  const texts = async (as?: string) => {
    const blobs = (await ask(listing(NOON - 20 * HOUR_MS, NOON, 'DLP.All'))).json as { contentUri: string }[]
    return (await Promise.all(blobs.map(({ contentUri }) => ask(contentUri, 'GET', as)))).map(({ text }) => text).join()
  }
  t.match(await texts(), /DetectedValues/)
  simulator.apps[0]!.roles = ['ActivityFeed.Read']
  const token = await tokens().get(never)
  const bare = await texts(`Bearer ${token}`)
  t.notMatch(bare, /DetectedValues/)
  t.match(bare, /SensitiveInformation/)
})

t.test('it is driven from outside: subscriptions go off, tokens end, and it goes away for a while', async t => {
  const { ask, simulator } = await simulated(t)
  const { tenantId } = simulator.apps[0]!
  const order = (what: string) => ask(`${simulator.origin}/simulator/${what}`, 'POST')
  t.equal((await order(`disable?tenant=${tenantId}&content_type=Audit.General&by=service`)).status, 200)
  const refused = await ask(listing(NOON - HOUR_MS, NOON, 'Audit.General'))
  t.equal(code(refused), 'AF20023')
  t.match(refused.text, /service admin/)
  t.equal((await order('disable?tenant=nobody&content_type=Audit.General')).status, 400)
  t.equal((await order('restart?ms=0')).status, 200)
  const status = await until(() => ask(`${simulator.origin}/simulator/status`).catch(() => undefined))
  t.match(status.json, { now: /^2026-05-06T12/, throttled: 0, faults: {} })
  t.equal((await order('revoke')).status, 200)
  t.equal((await ask('subscriptions/list')).status, 401)
})

t.test('a restart that a scenario asks for ends, and the port is the same', async t => {
  const { ask, simulator } = await simulated(t, { scenario: { ...withContent({}), requests: { restart: 1 } } })
  const { port } = simulator.server
  await t.rejects(ask('subscriptions/list'), 'the connection breaks')
  const answer = await until(() => ask(`${simulator.origin}/simulator/status`).catch(() => undefined))
  t.same(answer.json.faults, { restart: 1 })
  t.equal(simulator.server.port, port)
})

t.test('a week of 100,000 people is there at once, and their blobs are the same when they were forgotten', async t => {
  const begun = performance.now()
  const { ask, simulator } = await simulated(t, { users: 100_000, historyMs: 7 * 24 * HOUR_MS })
  const first = (await ask(`${listing(NOON - 23 * HOUR_MS, NOON, 'DLP.All')}`)).json
  t.ok(performance.now() - begun < 20_000, `${Math.round(performance.now() - begun)} ms`)
  const text = (await ask(first[0].contentUri)).text
  const other = await simulated(t, { users: 100_000, historyMs: 7 * 24 * HOUR_MS })
  t.equal((await other.ask(`audit/${first[0].contentId}`)).text, text, 'another simulator with this seed finds it by its name')
  t.ok(simulator.contents[0]!.find(first[0].contentId))
})
