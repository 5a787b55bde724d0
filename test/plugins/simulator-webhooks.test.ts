// The simulated service tells a listener of new content as the real one does: after a validation, in batches, and not for ever.
import { once } from 'node:events'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import t, { type Test } from 'tap'
import { selfSigned } from '../../plugins/lib/microsoft/simulator/certificate.ts'
import { NO_QUIRKS } from '../../plugins/lib/microsoft/simulator/content.ts'
import type { SimulatorOptions } from '../../plugins/lib/microsoft/simulator/simulator.ts'
import { until } from '../kit/until.ts'
import { never, simulated } from './microsoft-support.ts'

const HOUR_MS = 3_600_000
const START = 'subscriptions/start?contentType=Audit.Exchange'

interface Heard {
  readonly headers: Readonly<Record<string, unknown>>
  // biome-ignore lint/suspicious/noExplicitAny: whatever was sent
  readonly body: any
}

/** A listener on loopback; it answers with what `status` gives. */
async function listener(t: Test, status: (heard: Heard) => number = () => 200) {
  const { key, cert } = await selfSigned(['localhost'])
  const all: Heard[] = []
  const server = createServer({ key, cert }, async (request, response) => {
    let text = ''
    for await (const part of request) text += String(part)
    const heard = { headers: request.headers, body: JSON.parse(text) }
    all.push(heard)
    response.writeHead(status(heard)).end()
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  const { port } = server.address() as AddressInfo
  return { all, notifications: () => all.filter(({ body }) => Array.isArray(body)), address: `https://localhost:${port}/hook` }
}

/** A simulator in which an hour passes in a second, and a way to start a subscription with a body. */
async function service(t: Test, options: Partial<SimulatorOptions> = {}) {
  const { simulator, http, tokens, ask } = await simulated(t, {
    ...{ subscribed: false, speed: 3_600, webhookEveryMs: 20, webhookRetryMs: 1, historyMs: HOUR_MS, users: 200 },
    ...options,
  })
  const { tenantId, clientId } = simulator.apps[0]!
  const root = `${simulator.origin}/api/v1.0/${tenantId}/activity/feed/`
  const token = await tokens().get(never)
  const start = async (webhook: object) => {
    const body = JSON.stringify({ webhook })
    const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' }
    const { status, text } = await http.request(new URL(START, root), { method: 'POST', headers, body, signal: never })
    return { status, text: await text() }
  }
  return { simulator, tenantId, clientId, root, start, ask }
}

t.test('a webhook is validated, and told of every blob as it comes into sight', async t => {
  const { simulator, tenantId, clientId, root, start, ask } = await service(t)
  const { all, notifications, address } = await listener(t)
  const begun = simulator.now()
  const started = await start({ address, authId: 'feed-1', expiration: '' })
  t.same(JSON.parse(started.text), {
    ...{ contentType: 'Audit.Exchange', status: 'enabled' },
    webhook: { status: 'enabled', address, authId: 'feed-1', expiration: null },
  })
  const [validation] = all
  t.equal(validation?.headers['webhook-authid'], 'feed-1')
  t.same(validation?.body, { validationCode: validation?.headers['webhook-validationcode'] })
  const began = simulator.now()

  await until(() => notifications().flatMap(({ body }) => body).length > 20)
  const told = notifications().flatMap(({ body }) => body)
  t.ok(notifications().every(({ headers }) => headers['webhook-authid'] === 'feed-1'))
  const last = Math.max(...told.map(({ contentCreated }) => Date.parse(contentCreated)))
  const blobs = simulator.contents[0]!.appeared('Audit.Exchange', began, last)
  t.same(
    blobs.map(({ id }) => id).filter(id => !told.some(({ contentId }) => contentId === id)),
    [],
    'none is left out',
  )
  t.equal(new Set(told.map(({ contentId }) => contentId)).size, told.length, 'each once')
  t.ok(told.every(({ contentCreated }) => Date.parse(contentCreated) > begun - 10 * 60_000))
  const [one] = told
  t.match(one, { tenantId, clientId, contentType: 'Audit.Exchange', contentUri: `${root}audit/${one.contentId}` })
  t.ok(Date.parse(one.contentExpiration) > Date.parse(one.contentCreated))
  t.ok((await ask(one.contentUri)).json.length > 0, 'and can be fetched')

  const stopped = await ask('subscriptions/stop?contentType=Audit.Exchange', 'POST')
  t.equal(stopped.status, 200)
  t.match((await ask('subscriptions/list')).json, [{ status: 'disabled' }])
})

t.test('a subscription is not started with a webhook that is not valid', async t => {
  const { start, ask } = await service(t)
  const { address } = await listener(t, () => 500)
  for (const [webhook, code] of [
    [{ address }, /AF20021.*did not return HTTP 200/],
    [{ address: address.replace('https', 'http') }, /AF20021.*begin with HTTPS/],
    [{ address: 'https://localhost:1/hook' }, /AF20021/],
    [{ address, expiration: '2020-01-01T00:00:00Z' }, /AF20003/],
  ] as const) {
    const { status, text } = await start(webhook)
    t.equal(status, 400)
    t.match(text, code)
  }
  t.same((await ask('subscriptions/list')).json, [])
})

t.test('a webhook that fails again and again is disabled; polling goes on, and a start enables it again', async t => {
  let broken = true
  const { start, ask } = await service(t)
  const { notifications, address } = await listener(t, ({ body }) => (Array.isArray(body) && broken ? 503 : 200))
  t.equal((await start({ address })).status, 200)
  const state = async () => (await ask('subscriptions/list')).json[0]
  await until(async () => (await state()).webhook.status === 'disabled')
  t.equal((await state()).status, 'enabled')
  const bodies = notifications().map(({ body }) => JSON.stringify(body))
  t.ok(bodies.length >= 5 && new Set(bodies).size === 1, 'one notification, tried several times')
  t.equal((await ask('subscriptions/content?contentType=Audit.Exchange')).status, 200)
  broken = false
  // A quarter of an hour has to pass between two starts.
  await until(async () => (await start({ address })).status === 200)
  await until(() => notifications().length > bodies.length)
  t.equal((await state()).webhook.status, 'enabled')
})

t.test('notifications get lost, come twice and are forged, as the scenario says', async t => {
  const scenario = { requests: {}, content: NO_QUIRKS, hints: { lost: 0.3, repeated: 0.3, forged: 0.5 } }
  const { simulator, start, tenantId } = await service(t, { scenario })
  const { notifications, address } = await listener(t)
  t.equal((await start({ address, authId: 'x' })).status, 200)
  const { counts } = simulator.webhooks
  await until(
    () => (['lost', 'repeated', 'forged'] as const).every(fault => (counts.get(fault) ?? 0) > 4),
    () => JSON.stringify([...counts]),
  )
  const items = notifications().flatMap(({ body }) => body)
  const forged = items.filter(item => item.tenantId !== tenantId || !item.contentUri.startsWith(simulator.origin))
  t.ok(forged.length > 3, `${forged.length} forged`)
  t.ok(forged.some(item => item.tenantId !== tenantId) || forged.some(item => /attacker/.test(item.contentUri)))
  const ids = items.filter(item => !forged.includes(item)).map(({ contentId }) => contentId)
  t.ok(new Set(ids).size < ids.length, 'some came twice')
})
