// The webhook of o365_activity: hints make it look at once, and nothing else of them is believed.
import { writeFileSync } from 'node:fs'
import { request } from 'node:https'
import { createServer } from 'node:net'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { openStore } from '../../core/state/store.ts'
import { selfSigned } from '../../plugins/lib/microsoft/simulator/certificate.ts'
import { NO_QUIRKS } from '../../plugins/lib/microsoft/simulator/content.ts'
import { until } from '../kit/until.ts'
import { feed, HOUR_MS } from './o365-support.ts'

t.setTimeout(300_000)

async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as { port: number }
  await new Promise(resolve => server.close(resolve))
  return port
}

interface Post {
  readonly path?: string
  readonly method?: string
  readonly authId?: string
  readonly body?: string
}

/** The status of an answer of the listener; 0 when it cut the connection. */
function post(port: number, { path = '/hook', method = 'POST', authId, body = '[]' }: Post): Promise<number> {
  const headers = authId === undefined ? {} : { 'Webhook-AuthID': authId }
  return new Promise(resolve => {
    const sent = request({ host: '127.0.0.1', port, path, method, headers, rejectUnauthorized: false }, answer => {
      answer.resume()
      answer.on('end', () => resolve(answer.statusCode ?? 0))
    })
    sent.on('error', () => resolve(0))
    sent.end(method === 'GET' ? undefined : body)
  })
}

/** A feed that is asked for once a day, and otherwise when its webhook is called. An hour passes in a second. */
async function hooked(t: Test, folder: string) {
  const port = await freePort()
  const made = await feed(
    t,
    {
      ...{ subscribed: false, speed: 3_600, historyMs: HOUR_MS, users: 100, webhookEveryMs: 50 },
      scenario: { requests: {}, content: NO_QUIRKS, hints: { lost: 0.1, repeated: 0.3, forged: 0.3 } },
    },
    folder,
  )
  const { key, cert } = await selfSigned(['localhost'])
  writeFileSync(join(made.folder, 'hook.pem'), cert)
  writeFileSync(join(made.folder, 'hook.key'), key, { mode: 0o600 })
  const webhook = { address: `https://localhost:${port}/hook`, port, tls: { cert: 'hook.pem', key: 'hook.key' } }
  const options = { webhook, poll_interval_ms: 86_400_000, until: undefined, content_types: ['Audit.Exchange'] } as const
  return { ...made, port, webhook, begin: () => made.start(options) }
}

t.test('row 48: a webhook is validated, its hints make the input look, and a forged one gets nothing', async t => {
  const { begin, simulator, port, came, letters, folder } = await hooked(t, t.testdir({}))
  const { child, ended } = begin()
  const { tenantId } = simulator.apps[0]!
  await until(() => (simulator.webhooks.counts.get('sent') ?? 0) > 3)
  const before = came().size
  await until(
    () => came().size > before + 5,
    () => `${came().size} records came, ${before} before`,
  )
  t.notOk(simulator.feed.throttled)

  t.equal(await post(port, {}), 401, 'without an AuthID')
  t.equal(await post(port, { authId: 'guess' }), 401, 'with another one')
  t.equal(await post(port, { authId: 'guess', path: '/other' }), 404)
  t.equal(await post(port, { authId: 'guess', method: 'GET' }), 405)
  const store = await openStore(join(folder, 'state'), { beside: true })
  const { auth_id: authId } = (await store.get('feed/o365_activity', 'webhook')) as { auth_id: string }
  await store.close()
  t.ok(authId.length >= 32, 'the AuthID is long')
  t.equal(await post(port, { authId, body: 'no JSON' }), 400)
  const forged = [{ tenantId, contentType: 'Audit.Exchange', contentId: 'forged', contentUri: `${simulator.origin}/api/v1.0/x` }]
  t.equal(await post(port, { authId, body: JSON.stringify(forged) }), 200, 'a hint of what is not there is a hint')
  t.equal(await post(port, { authId, body: `["${'x'.repeat(2 ** 20)}"]` }), 0, 'a long one is cut off')
  child.kill('SIGTERM')
  const { code, stderr } = await ended
  t.equal(code, 0, stderr)
  t.match(stderr, /"from":"(::ffff:)?127\.0\.0\.1","message":"webhook: bad AuthID"/)
  t.equal(stderr.split('bad AuthID').length, 2, 'once a minute')
  t.notMatch(stderr, authId, 'the AuthID is in no log')
  t.same(await letters(), [], 'nothing that was forged was asked for')
  const known = new Set([...simulator.ledger()].flatMap(({ ids }) => ids))
  t.ok([...came().keys()].every(id => known.has(id)))
})

t.test('after a restart the service knows the webhook, and it is not started again', async t => {
  const { begin, simulator } = await hooked(t, t.testdir({}))
  const first = begin()
  await until(() => (simulator.webhooks.counts.get('sent') ?? 0) > 0)
  first.child.kill('SIGTERM')
  t.match((await first.ended).stderr, 'the service has checked the webhook')
  const second = begin()
  const sent = simulator.webhooks.counts.get('sent') ?? 0
  await until(() => (simulator.webhooks.counts.get('sent') ?? 0) > sent)
  second.child.kill('SIGTERM')
  const { code, stderr } = await second.ended
  t.equal(code, 0, stderr)
  t.notMatch(stderr, 'the service has checked the webhook')
})

t.test('a webhook that the service cannot reach does not keep content from being read', async t => {
  const { start, came, webhook } = await hooked(t, t.testdir({}))
  const { child, ended } = start({ webhook: { ...webhook, address: 'https://localhost:1/hook' }, until: undefined })
  await until(() => came().size > 10)
  child.kill('SIGTERM')
  const { code, stderr } = await ended
  t.equal(code, 0, stderr)
  t.match(stderr, 'the service cannot reach the webhook')
})
