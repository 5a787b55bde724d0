// Microsoft's service as a client must see it: where links may lead, what each refusal means, and how fast it may be asked.
import t from 'tap'
import { waitOf } from '../../plugins/lib/http/retry-after.ts'
import { Budget } from '../../plugins/lib/microsoft/service/budget.ts'
import { serviceError } from '../../plugins/lib/microsoft/service/failure.ts'
import { pinnedLink } from '../../plugins/lib/microsoft/service/links.ts'
import { remedyOf } from '../../plugins/lib/microsoft/service/remedies.ts'
import { virtualClock } from '../kit/virtual-clock.ts'

const TENANT = '11111111-1111-1111-1111-111111111111'
const base = new URL(`https://manage.office.com/api/v1.0/${TENANT}/activity/feed/`)

t.test('row 37: a link is followed only to the same host, the same tenant and the feed', async t => {
  for (const link of [
    `${base}audit/2026$1$audit_exchange$Audit_Exchange$emea0029`,
    `https://manage.office.com/api/v1/${TENANT}/activity/feed/subscriptions/content?contentType=Audit.General&nextPage=1`,
    `https://MANAGE.office.com:443/api/v1.0/${TENANT}/activity/feed/audit/x`,
  ])
    t.equal(pinnedLink(link, base).host, 'manage.office.com')
  const upper = new URL('https://manage.office.com/api/v1.0/ABCDEF00-0000-0000-0000-000000000000/activity/feed/')
  t.ok(pinnedLink(upper.href.toLowerCase(), upper), 'a GUID has no case')
  for (const [link, why] of [
    [`http://manage.office.com/api/v1.0/${TENANT}/activity/feed/audit/x`, 'no https link'],
    [`https://evil.example/api/v1.0/${TENANT}/activity/feed/audit/x`, 'evil.example'],
    [`https://manage.office.com@evil.example/api/v1.0/${TENANT}/activity/feed/audit/x`, 'names a user'],
    [`https://manage.office.com.evil.example/api/v1.0/${TENANT}/activity/feed/audit/x`, 'evil.example'],
    [`https://manage.office.com:8443/api/v1.0/${TENANT}/activity/feed/audit/x`, '8443'],
    [`https://192.0.2.1/api/v1.0/${TENANT}/activity/feed/audit/x`, '192.0.2.1'],
    [`https://manage.office.com/api/v1.0/22222222-2222-2222-2222-222222222222/activity/feed/audit/x`, "this tenant's feed"],
    [`https://manage.office.com/api/v1.0/${TENANT}/activity/feed/../../../x`, "this tenant's feed"],
    [`https://manage.office.com/other?x=/api/v1.0/${TENANT}/activity/feed/`, "this tenant's feed"],
    [`//evil.example/api/v1.0/${TENANT}/activity/feed/`, 'no URL'],
    ['javascript:alert(1)', 'no https link'],
    ['', 'no URL'],
  ] as const)
    t.throws(() => pinnedLink(link, base), { code: 'PEN_LINK_REFUSED', message: why }, link)
})

t.test('rows 32, 33, 34, 35: what each refusal means, whatever its status and quotes', async t => {
  const kinds: [status: number, body: string, kind: string, service: string][] = [
    [403, `{'error':{'code':'AF429','message':'Too many requests. Method=GetBlob'}}`, 'throttled', 'AF429'],
    [429, '{"error":{"code":"AF429","message":"Too many requests."}}', 'throttled', 'AF429'],
    [429, '', 'throttled', 'HTTP 429'],
    [
      401,
      '{"error":{"code":"AF10001","message":"The permission set () sent in the request does not include it."}}',
      'permission',
      'AF10001',
    ],
    [401, '', 'token', 'HTTP 401'],
    [403, '<html>Forbidden</html>', 'permission', 'HTTP 403'],
    [
      400,
      '{"error":{"code":"AF20024","message":"The subscription is already enabled. No property change."}}',
      'enabled',
      'AF20024',
    ],
    [400, '{"error":{"code":"AF20022","message":"No subscription found."}}', 'subscription', 'AF20022'],
    [400, `{'error':{'code':'AF20051','message':'Content requested with the key x has expired.'}}`, 'gone', 'AF20051'],
    [410, '', 'gone', 'HTTP 410'],
    [400, '{"error":{"code":"AF20055"}}', 'window', 'AF20055'],
    [400, '{"error":{"code":"AF20031"}}', 'page', 'AF20031'],
    [500, `{'error':{'code':'AF50000','message':'An internal error occurred. Retry the request.'}}`, 'passing', 'AF50000'],
    [400, '{"error":{"code":"AF50005"}}', 'passing', 'AF50005'],
    [503, '<html><body>Service Unavailable</body></html>', 'passing', 'HTTP 503'],
    [302, '', 'passing', 'HTTP 302'],
    [400, '{"error":{"code":"AF20020"}}', 'refused', 'AF20020'],
  ]
  for (const [status, body, kind, service] of kinds) {
    const error = serviceError({ status, body }, 0)
    t.same([error.kind, error.service], [kind, service], `${status} ${body}`)
    t.notMatch(error.message, '<', 'no page in a message')
  }
  const cooldown = serviceError(
    { status: 400, body: '{"error":{"message":"Too many frequent subscription start requests. Try again in 14m 56s."}}' },
    0,
  )
  t.same([cooldown.kind, cooldown.after], ['cooldown', 896_000])
  t.match(
    serviceError({ status: 401, body: '{"error":{"code":"AF10001","message":"no"}}' }, 0).message,
    'ActivityFeed.Read',
    'the remedy is named',
  )
})

t.test('Retry-After is seconds or a date', async t => {
  const now = Date.parse('2026-05-01T10:00:00Z')
  t.equal(waitOf('30', now), 30_000)
  t.equal(waitOf('Fri, 01 May 2026 10:01:00 GMT', now), 60_000)
  t.equal(waitOf('Fri, 01 May 2026 09:00:00 GMT', now), 0)
  t.equal(waitOf('soon', now), undefined)
  t.equal(waitOf(undefined, now), undefined)
})

t.test('codes are explained in plain words', async t => {
  for (const code of ['AF10001', 'AF20023', 'AF429', 'AADSTS7000215', 'AADSTS700027']) t.ok(remedyOf(code)?.remedy, code)
  t.equal(remedyOf('AF99999'), undefined)
})

t.test('a budget is used to more than nine tenths, and never overdrawn in any minute', async t => {
  const clock = virtualClock()
  const budget = new Budget(2_000, clock)
  const begun = clock.monotonic()
  const starts: number[] = []
  const { signal } = new AbortController()
  const asker = async () => {
    for (;;) {
      await budget.take(signal)
      starts.push(clock.monotonic() - begun)
    }
  }
  for (let n = 0; n < 8; n++) void asker()
  await clock.advance(300_000)
  const within = (from: number) => starts.filter(at => at >= from && at < from + 60_000).length
  const minutes = Array.from({ length: 240 }, (_, n) => within(n * 1_000))
  t.ok(Math.max(...minutes) <= 2_000, `${Math.max(...minutes)} in the busiest minute`)
  t.ok(Math.min(...minutes) >= 1_800, `${Math.min(...minutes)} in the quietest minute`)
})

t.test('row 32: a refusal makes everybody wait, slows one tenant down, and is forgotten after a while', async t => {
  const clock = virtualClock()
  const budget = new Budget(600, clock)
  const { signal } = new AbortController()
  await budget.take(signal)
  const pause = budget.refused(20_000)
  t.equal(pause, 20_000, 'as long as the service asked for')
  t.equal(budget.refused(), 20_000, 'those under way together count once')
  t.equal(budget.rate, 300)
  let went = false
  const next = budget.take(signal).then(() => {
    went = true
  })
  await clock.advance(19_999)
  t.notOk(went)
  await clock.advance(1)
  await next
  const own = budget.refused()
  t.ok(own >= 2_500 && own <= 20_000, `${own} ms when the service names no wait`)
  for (let n = 0; n < 40; n++) {
    await clock.advance(10_000)
    budget.answered()
  }
  t.equal(budget.rate, 600)
  const given = new AbortController()
  budget.refused(60_000)
  const waiting = budget.take(given.signal)
  given.abort()
  await t.rejects(waiting, { name: 'AbortError' })
})
