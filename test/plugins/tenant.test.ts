// The fictional tenants: one fact looks the same in every service, the week is a working week, and nobody real is in it.
import t from 'tap'
import { Draw, STREAM } from '../../plugins/lib/microsoft/tenant/draw.ts'
import { exportCsv, portalSignIn, powerShellTime, SIGN_IN_HEADER } from '../../plugins/lib/microsoft/tenant/exports.ts'
import { makeFeed, makeRecord, RECORD_TYPES } from '../../plugins/lib/microsoft/tenant/feed.ts'
import { intrusion } from '../../plugins/lib/microsoft/tenant/intrusion.ts'
import { directoryChange, directoryRecord, graphDirectoryAudit } from '../../plugins/lib/microsoft/tenant/records/directory.ts'
import { graphTraces, mail, traceRows } from '../../plugins/lib/microsoft/tenant/records/mail.ts'
import { graphRisk, riskOf, riskRecord } from '../../plugins/lib/microsoft/tenant/records/risk.ts'
import { graphSignIn, signIn, signInRecord } from '../../plugins/lib/microsoft/tenant/records/sign-in.ts'
import { click, clickRecord, mailThreatRecord, safeLinksRow } from '../../plugins/lib/microsoft/tenant/records/threat.ts'
import { makeWorld, SAMPLE_START } from '../../plugins/lib/microsoft/tenant/world.ts'

const world = makeWorld({ seed: 4, tenants: 2, users: 30, start: SAMPLE_START })
const scenes = Array.from({ length: 200 }, (_, index) => world.scene(STREAM.sample, index))

t.test('a sign-in is the same in the activity feed, in Graph and in the portal', async t => {
  const facts = scenes.map(scene => signIn(scene))
  const graph = facts.map(graphSignIn)
  const rows = facts.map(portalSignIn)
  const audits = facts.map(signInRecord)
  const seen = audits.map(audit => [
    audit['Id'],
    audit['IntraSystemId'],
    audit['InterSystemsId'],
    audit['UserKey'],
    audit['UserId'],
    audit['ClientIP'],
    `${audit['CreationTime']}Z`,
    audit['ErrorNumber'],
  ])
  const graphs = graph.map(entity => {
    const { id, correlationId, userId, userPrincipalName, ipAddress, createdDateTime, status } = entity
    return [
      id,
      id,
      correlationId,
      userId,
      userPrincipalName,
      ipAddress,
      createdDateTime,
      String((status as { errorCode: number }).errorCode),
    ]
  })
  t.same(seen, graphs)
  t.same(
    seen.map(values => values.slice(0, 7)),
    rows.map(row => [
      ...['Request ID', 'Request ID', 'Correlation ID', 'User ID', 'Username', 'IP address', 'Date (UTC)'].map(name => row[name]),
    ]),
  )
  t.same(
    audits.map(audit => audit['Operation'] === 'UserLoggedIn'),
    rows.map(row => row['Status'] === 'Success'),
  )
  const header = SIGN_IN_HEADER.split(',')
  t.same(
    rows.flatMap(Object.keys).filter(column => !header.includes(column)),
    [],
    'every column is in the header',
  )
})

t.test('a risk names the sign-in it was found in, in the feed and in Graph', async t => {
  const fact = signIn(world.scene(STREAM.sample, 1))
  const risk = riskOf(fact)
  const audit = riskRecord(risk, '00000000-0000-4000-8000-000000000000')
  t.equal(audit['RequestId'], graphSignIn(fact)['id'])
  t.equal(audit['RiskId'], graphRisk(risk)['id'])
  t.equal(graphRisk(risk)['correlationId'], graphSignIn(fact)['correlationId'])
  t.not(audit['Id'], audit['RequestId'], 'it has an audit record of its own')
  t.ok(String(audit['DetectedDateTime']) > String(audit['ActivityDateTime']))
})

t.test('a change in the directory is the same in the feed and in Graph', async t => {
  const facts = scenes.map(directoryChange)
  t.same(
    facts
      .map(directoryRecord)
      .map(audit => [
        audit['Id'],
        audit['InterSystemsId'],
        `${audit['CreationTime']}Z`,
        String(audit['Operation']).replace(/\.$/, ''),
      ]),
    facts
      .map(graphDirectoryAudit)
      .map(graph => [
        String(graph['id']).split('_')[1],
        graph['correlationId'],
        graph['activityDateTime'],
        graph['activityDisplayName'],
      ]),
  )
})

t.test('a message is the same in message trace, in Graph, in verdicts and in clicks', async t => {
  const messages = scenes.map(scene => mail(scene, { junk: true }))
  const rows = messages.map(message => traceRows(message, 7))
  t.same(
    rows.map(all => all.map(row => [row['MessageTraceId'], row['MessageId'], row['RecipientAddress'], row['FromIP']])),
    messages
      .map(graphTraces)
      .map(all => all.map(trace => [trace['id'], trace['messageId'], trace['recipientAddress'], trace['fromIP']])),
  )
  t.same(
    rows.map(all => all.map(row => row['Index'])),
    rows.map(all => all.map((_, place) => 7 + place)),
  )
  t.ok(rows.filter(all => all.length > 1).length > 10, 'some have several recipients')
  t.ok(
    rows.every(all => new Set(all.map(row => row['RecipientAddress'])).size === all.length),
    'one row for each',
  )
  const ids = messages.map(message => message.id)
  t.same(
    messages.map(message => mailThreatRecord(message)['NetworkMessageId']),
    ids,
  )
  const clicks = messages.map(click)
  t.same(
    clicks.map(one => clickRecord(one)['SourceId']),
    ids,
  )
  t.same(
    clicks.map(one => safeLinksRow(one)['Url']),
    clicks.map(one => clickRecord(one)['Url']),
  )
})

t.test('a record depends on its index alone', async t => {
  const forwards = makeFeed(world)
  const backwards = makeFeed(makeWorld({ seed: 4, tenants: 2, users: 30, start: SAMPLE_START }))
  const expected = Array.from({ length: 100 }, (_, index) => forwards(index))
  t.same(Array.from({ length: 100 }, (_, index) => backwards(99 - index)).reverse(), expected)
  t.throws(() => makeRecord(9999, world.scene(STREAM.sample, 0)), /type 9999/)
})

t.test('draws are spread evenly, differ between streams, and reach beyond 32 bits of index', async t => {
  const counts = Array<number>(10).fill(0)
  for (let index = 0; index < 10_000; index++) counts[new Draw(1, 5, index).below(10)]!++
  t.ok(
    counts.every(count => count > 850 && count < 1150),
    String(counts),
  )
  const first = [new Draw(1, 5, 3), new Draw(2, 5, 3), new Draw(1, 6, 3), new Draw(1, 5, 4), new Draw(1, 5, 2 ** 32 + 3)].map(
    draw => draw.next(),
  )
  t.equal(new Set(first).size, 5)
  t.match(new Draw(1, 5, 3).guid(), /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
})

t.test('a week has busy days, quiet nights and a weekend', async t => {
  const { timeline } = makeWorld({ seed: 1, tenants: 1, users: 100, start: Date.UTC(2026, 4, 6, 10, 30) })
  const perDay = Array<number>(7).fill(0)
  const perHour = Array<number>(24).fill(0)
  let last = 0
  for (let index = 0; index < 47_000; index++) {
    const at = timeline.at(index)
    if (at < last) t.fail('time went back')
    last = at
    const time = new Date(at)
    perDay[time.getUTCDay()]!++
    perHour[time.getUTCHours()]!++
  }
  t.equal(timeline.at(0), Date.UTC(2026, 4, 6, 10, 30), 'the first moment is the start')
  t.ok(Math.abs(last - Date.UTC(2026, 4, 13, 10, 30)) < 60_000, 'a week of 100 people has 47,000 records')
  const [sunday = 0, monday = 0] = perDay
  t.ok(monday > 8 * sunday)
  t.ok((perHour[10] ?? 0) > 20 * (perHour[3] ?? 0))
})

t.test('people differ, and are known by names that nobody has', async t => {
  const tenant = makeWorld({ seed: 1, tenants: 1, users: 3000, start: 0 }).tenants[0]!
  const users = Array.from({ length: 3000 }, (_, number) => tenant.user(number))
  for (const key of ['upn', 'id', 'puid', 'sid', 'mailbox'] as const)
    t.equal(new Set(users.map(user => user[key])).size, 3000, key)
  t.ok(users.every(user => /^[a-z0-9.]+@contoso\.example$/.test(user.upn)))
  t.equal(tenant.user(0).upn, 'ana@contoso.example')
  t.ok(users.every(user => /^1003[0-9A-F]{12}$/.test(user.puid)))
})

t.test('a break-in ends in what was to be noticed', async t => {
  const records = intrusion(world, { tenant: 1, victim: 2, time: SAMPLE_START, address: '192.0.2.240', tried: 10, files: 12 })
  const count = (operation: string) => records.filter(record => record['Operation'] === operation).length
  t.equal(count('UserLoginFailed'), 2 * 10 + 5 + 8)
  t.equal(count('UserLoggedIn'), 1)
  t.equal(count('New-InboxRule'), 1)
  t.equal(count('FileDownloaded'), 12)
  t.equal(count('AadRiskDetection'), 1)
  t.equal(new Set(records.map(record => record['Id'])).size, records.length)
  const entry = records.find(record => record['Operation'] === 'UserLoggedIn')
  t.equal(records.find(record => record['Operation'] === 'AadRiskDetection')?.['RequestId'], entry?.['Id'])
  t.throws(() => intrusion(world, { tenant: 5, victim: 0, time: 0, address: '', tried: 1, files: 1 }), /no tenant 5/)
})

t.test('exports look as PowerShell writes them', async t => {
  t.equal(exportCsv('A,B', [{ A: 'x "y"', B: null }, { B: 0 }]), '\ufeff"A","B"\r\n"x ""y""",""\r\n"","0"\r\n')
  t.equal(powerShellTime(Date.UTC(2026, 4, 1, 0, 2, 3)), '5/1/2026 12:02:03 AM')
  t.equal(powerShellTime(Date.UTC(2026, 10, 21, 13, 0, 0)), '11/21/2026 1:00:00 PM')
})

t.test('records of every type hold their tenant, and are plain JSON', async t => {
  for (const type of RECORD_TYPES) {
    const records = scenes.slice(0, 40).map(scene => [makeRecord(type, scene), scene.tenant.id] as const)
    t.ok(records.every(([record, tenant]) => record['RecordType'] === type && record['OrganizationId'] === tenant))
    t.same(JSON.parse(JSON.stringify(records)), records, `type ${type}`)
  }
})
