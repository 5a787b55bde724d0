// The Splunk output against a simulated collector that acknowledges late, never, or not at all after a crash.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import type { JsonObject } from '../../core/plugin/json.ts'
import splunk from '../../plugins/outputs/splunk_hec/index.ts'
import { canary, findCanary } from '../kit/canary.ts'
import { until } from '../kit/until.ts'
import { certificate, opened, runPipeline } from './http-output-support.ts'
import { type Hec, hec, TOKEN } from './splunk-hec-support.ts'

t.setTimeout(120_000)

const FAST = { token: TOKEN, ack_poll_ms: 10 }
const numbers = (count: number) => Array.from({ length: count }, (_, n) => ({ n }))

async function collector(t: Test, options: JsonObject = {}, secretFiles?: ReadonlyMap<string, string>) {
  const splunkd = await hec(t)
  const output = await opened(t, splunk, { url: splunkd.url, ...FAST, ...options }, secretFiles)
  return { splunkd, ...output }
}

/** The numbers of the documents that were written, in their order. */
const written = ({ events }: Hec) => events.map(({ event }) => (event as { n: number }).n)

t.test('an event has its time, its places by its data set, and its id', async t => {
  const { splunkd, deliver } = await collector(t, {
    source: 'penstock',
    host: '%{host.name:-unknown}',
    index: 'm365_%{organization.id:-all}',
    datasets: {
      'o365.audit': { index: 'audit', event_field: 'event.original' },
      'azure.signinlogs': { sourcetype: 'azure:signin', source: 'entra', event_field: 'azure.signinlogs' },
    },
    fields: { tenant: '%{organization.name:-none}' },
  })
  const original = '{"Operation":"FileAccessed"}'
  const trace = { '@timestamp': '2026-05-01T10:15:30.007Z', event: { dataset: 'microsoft_exchange_online_message_trace.log' } }
  const other = {
    '@timestamp': 1777630530000,
    host: { name: 'h1' },
    organization: { id: '7', name: 'contoso' },
    event: { dataset: 'x' },
  }
  t.equal(
    (
      await deliver([
        { '@timestamp': '2026-05-01T10:15:30Z', event: { dataset: 'o365.audit', original } },
        { '@timestamp': 'yesterday', event: { dataset: 'o365.audit' } },
        trace,
        { event: { dataset: 'azure.signinlogs' }, azure: { signinlogs: { id: 's' } } },
        other,
      ])
    ).size,
    0,
  )
  const common = { host: 'unknown', source: 'penstock', index: 'm365_all' }
  const fields = { event_id: 'id', tenant: 'none' }
  t.strictSame(splunkd.events, [
    { time: 1777630530, ...common, sourcetype: 'o365:management:activity', index: 'audit', fields, event: original },
    {
      ...common,
      sourcetype: 'o365:management:activity',
      index: 'audit',
      fields,
      event: { '@timestamp': 'yesterday', event: { dataset: 'o365.audit' } },
    },
    { time: 1777630530.007, ...common, sourcetype: 'o365:graph:messagetrace', fields, event: trace },
    { ...common, source: 'entra', sourcetype: 'azure:signin', fields, event: { id: 's' } },
    {
      time: 1777630530,
      host: 'h1',
      source: 'penstock',
      sourcetype: '_json',
      index: 'm365_7',
      fields: { ...fields, tenant: 'contoso' },
      event: other,
    },
  ])
  t.match(splunkd.batches[0]?.body, '"time":1777630530.007,', 'milliseconds are written out')
})

t.test('row 67: an event that would choose an index of its own is a dead letter', async t => {
  const { items } = await collector(t, { index: 'm365_%{kind}' })
  for (const kind of ['Main', '../main', 'a b', 'a,b', 'ü']) t.throws(() => items([{ kind }]), { code: 'PEN_METADATA' }, kind)
  t.equal(items([{ kind: 'ok' }]).length, 1)
})

t.test('a batch is delivered when Splunk acknowledges it, and not before', async t => {
  const { splunkd, deliver } = await collector(t)
  splunkd.lateness = Infinity
  let delivered = false
  const writing = deliver(numbers(3)).then(() => {
    delivered = true
  })
  const asked = () => splunkd.seen.filter(({ url }) => url.startsWith('/services/collector/ack')).length
  await until(() => asked() > 5)
  t.notOk(delivered)
  splunkd.lateness = 0
  await writing
  t.equal(splunkd.batches.length, 1, 'it went out once')
  const channel = splunkd.batches[0]?.headers['x-splunk-request-channel'] as string
  t.match(channel, /^[0-9A-F]{8}-[0-9A-F]{4}-4[0-9A-F]{3}-[89AB][0-9A-F]{3}-[0-9A-F]{12}$/, 'a channel is a GUID')
  t.ok(splunkd.seen.at(-1)?.url.endsWith(`?channel=${channel}`), 'and is asked with its name')
})

t.test('what is never acknowledged is sent again through another channel, and its id tells that it is there twice', async t => {
  const { splunkd, items, write } = await collector(t, { ack_timeout_ms: 100 })
  splunkd.lateness = Infinity
  const batch = items(numbers(2))
  await t.rejects(write(batch), {
    name: 'RetryableError',
    message: /has not acknowledged a batch within .* s: it is sent again, and may be there twice/,
  })
  splunkd.lateness = 0
  t.equal((await write(batch)).size, 0)
  const channels = splunkd.batches.map(({ headers }) => headers['x-splunk-request-channel'])
  t.equal(new Set(channels).size, 2)
  t.same([...splunkd.indexed], [['id', 4]])
})

t.test('a Splunk that starts anew counts from 0 again, and its new acks are not taken for those of what it has lost', async t => {
  const { splunkd, items, write } = await collector(t, { ack_timeout_ms: 3_000, parallel: 4 })
  splunkd.careless = true
  await write(items(numbers(1)))
  splunkd.lateness = Infinity
  const first = items([{ n: 1 }])
  const losing = write(first)
  await until(() => splunkd.batches.length === 2)
  await splunkd.crash()
  await splunkd.back()
  splunkd.lateness = 0
  const others = [2, 3, 4].map(n => items([{ n }]))
  for (const one of others) t.equal((await write(one)).size, 0)
  t.notOk(written(splunkd).includes(1), 'it is lost there')
  await t.rejects(losing, { name: 'RetryableError' }, 'and not taken for delivered')
  t.equal((await write(first)).size, 0)
  t.ok(written(splunkd).includes(1))
})

t.test('a token without acknowledgement is found before anything is indexed', async t => {
  const { splunkd, items, write } = await collector(t)
  splunkd.ack = false
  const batch = items(numbers(2))
  await t.rejects(write(batch), {
    name: 'RetryableError',
    message: 'this token has no indexer acknowledgement: switch it on',
    after: 30_000,
  })
  t.equal(splunkd.events.length, 0)
  splunkd.ack = true
  t.equal((await write(batch)).size, 0)
  // It is switched off while events flow.
  splunkd.interfere = ({ url }, count) =>
    url.startsWith('/services/collector/event') && count === 2 ? { status: 200, body: { text: 'Success', code: 0 } } : undefined
  await t.rejects(write(batch), { name: 'RetryableError', message: 'took events without an ackId' })
  splunkd.ack = false
  await t.rejects(write(batch), { message: 'this token has no indexer acknowledgement' })
  t.equal(splunkd.batches.length, 2, 'and no more is sent')
})

t.test('without ack the answer of the collector is enough', async t => {
  const { splunkd, deliver } = await collector(t, { ack: false })
  splunkd.ack = false
  t.equal((await deliver(numbers(3))).size, 0)
  t.equal(splunkd.seen.length, 1)
  t.equal(splunkd.seen[0]?.headers['x-splunk-request-channel'], undefined)
  splunkd.ack = true
  await t.rejects(deliver(numbers(1)), { name: 'RetryableError', message: 'code 10 (Data channel is missing)' })
})

t.test(
  'an event that the collector names is sent alone, is a dead letter when it is refused alone, and the others arrive',
  async t => {
    const { splunkd, deliver } = await collector(t)
    splunkd.refuses = ({ event }) => ((event as { n: number }).n % 5 === 2 ? 6 : undefined)
    const rejects = await deliver(numbers(13))
    t.same(
      [...rejects.keys()].sort((a, b) => a - b),
      [2, 7, 12],
    )
    t.match(rejects.get(7), { name: 'PermanentError', message: 'answered 400, code 6 (Invalid data format)' })
    t.same(
      written(splunkd).sort((a, b) => a - b),
      [0, 1, 3, 4, 5, 6, 8, 9, 10, 11],
    )
  },
)

t.test('a collector that counts its events in another way, or not at all, loses no other event', async t => {
  const { splunkd, deliver } = await collector(t)
  const number = { value: 0 as number | undefined }
  splunkd.interfere = ({ url, body }) => {
    if (!url.startsWith('/services/collector/event') || !body.includes('"event":{"n":4}')) return undefined
    return { status: 400, body: { text: 'Invalid data format', code: 6, 'invalid-event-number': number.value } }
  }
  for (const value of [5, 0, 99, -1, undefined]) {
    number.value = value
    splunkd.events.length = 0
    const rejects = await deliver(numbers(9))
    t.same([...rejects.keys()], [4], `invalid-event-number ${value}`)
    t.same(
      written(splunkd).sort((a, b) => a - b),
      [0, 1, 2, 3, 5, 6, 7, 8],
    )
  }
})

t.test("the collector's other answers: what waits, what is told, and what is too large", async t => {
  const { splunkd, deliver, items } = await collector(t, { ack: false })
  splunkd.ack = false
  const answered = async (status: number, body: unknown, headers?: Record<string, string>) => {
    splunkd.interfere = () => ({ status, body, ...(headers && { headers }) })
    return deliver(numbers(1)).then(
      rejects => ({ name: rejects.get(0)?.name ?? 'delivered', message: rejects.get(0)?.message ?? '', after: undefined }),
      (error: Error & { after?: number }) => ({ name: error.name, message: error.message, after: error.after }),
    )
  }
  const waits = async (status: number, code: number, text: string, message: string | RegExp) =>
    t.match(await answered(status, { text, code }), { name: 'RetryableError', message }, `code ${code}`)
  await waits(403, 1, 'Token disabled', 'the token is disabled; nothing is lost')
  for (const [status, code] of [
    [401, 2],
    [401, 3],
    [403, 4],
  ] as const)
    await waits(status, code, 'no', 'the token is refused; nothing is lost: correct token')
  await waits(503, 9, 'Server is busy', 'answered 503')
  await waits(500, 8, 'Internal server error', 'answered 500')
  await waits(400, 7, 'Incorrect index', 'the index does not exist')
  await waits(400, 11, 'Invalid data channel', 'does not take the channel')
  await waits(404, 404, 'The requested URL was not found on this server.', 'this is no answer of HEC; look at url')
  t.match(await answered(200, '<html>welcome</html>'), {
    name: 'RetryableError',
    message: 'not as HEC does: a page; look at url',
  })
  t.match(await answered(200, { text: 'Success', code: 5 }), { name: 'RetryableError' })
  t.match(await answered(503, { text: 'Server is busy', code: 9 }, { 'retry-after': '3' }), { after: 3000 })
  t.match(await answered(413, 'too large'), { name: 'TooLargeError' })
  for (const code of [12, 13, 15, 6, 5])
    t.match(await answered(400, { text: 'no', code }), { name: 'PermanentError' }, `code ${code}`)

  splunkd.interfere = ({ body }) => (body.length > 400 ? { status: 413, body: '' } : undefined)
  t.equal((await deliver(numbers(20))).size, 0)
  t.same(
    written(splunkd),
    numbers(20).map(({ n }) => n),
    'in halves',
  )
  t.ok(items([{ n: 1 }]))
})

t.test('row 56: a token that is refused is read again from its file, and stands in no message', async t => {
  const planted = canary('hec')
  const file = join(t.testdir({ planted: { token: planted } }), 'planted', 'token')
  const { splunkd, deliver } = await collector(t, { token: planted, ack: false }, new Map([[planted, file]]))
  splunkd.ack = false
  const refused: Error = await deliver(numbers(1)).then(
    () => new Error('delivered'),
    error => error,
  )
  t.match(refused, { name: 'RetryableError', message: 'code 4 (Invalid token): the token is refused' })
  t.equal(findCanary(refused.message), undefined)
  writeFileSync(file, `${TOKEN}\n`)
  t.equal((await deliver(numbers(1))).size, 0)
})

t.test('https with a CA of your own, packed', async t => {
  const identity = certificate()
  const ca = join(t.testdir({ 'ca.pem': identity.cert }), 'ca.pem')
  const splunkd = await hec(t, identity)
  const { deliver } = await opened(t, splunk, { url: splunkd.url, ...FAST, ca, compression: 'gzip' })
  t.equal((await deliver(numbers(3))).size, 0)
  t.equal(splunkd.batches[0]?.headers['content-encoding'], 'gzip')
  t.same(written(splunkd), [0, 1, 2])
})

t.test(
  'rows 57, 58: a Splunk that crashes with unwritten events and comes back misses nothing, as the real program sees it',
  async t => {
    const COUNT = 2000
    const splunkd = await hec(t)
    splunkd.careless = true
    splunkd.lateness = 1
    let crashes = 0
    splunkd.interfere = ({ url }, count) => {
      if (url.startsWith('/services/collector/ack') || count % 6 !== 4 || crashes >= 3) return undefined
      crashes++
      void splunkd.crash()
      return { status: -1, body: '' }
    }
    const { ended, said } = runPipeline(
      t,
      COUNT,
      `{ type: splunk_hec, url: '${splunkd.url}', token: ${TOKEN}, ack_poll_ms: 20, ack_timeout_ms: 2000, parallel: 3, batch: { max_events: 100 }, retry: { min_ms: 20, max_ms: 200 } }`,
    )
    for (let crash = 1; crash <= 3; crash++) {
      await until(() => crashes === crash && !splunkd.server.listening, said)
      await splunkd.back()
    }
    const { code, stderr } = await ended
    t.equal(code, 0, stderr)
    t.equal(splunkd.indexed.size, COUNT, 'every event is written')
    t.notMatch(stderr, /dead letter/i)
  },
)
