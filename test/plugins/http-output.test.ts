// The http output on real servers: what it sends, what answers mean, and that nothing is lost or sent where it must not go.
import { writeFileSync } from 'node:fs'
import { type AddressInfo, createServer as createTcp, type Socket } from 'node:net'
import { join } from 'node:path'
import t from 'tap'
import type { JsonObject } from '../../core/plugin/json.ts'
import http from '../../plugins/outputs/http/index.ts'
import { canary, findCanary } from '../kit/canary.ts'
import { imbalance, inProcess, listInput, numbered } from '../kit/in-process.ts'
import { until } from '../kit/until.ts'
import { encoded } from './file-output-support.ts'
import { created, destination, opened, reset, runPipeline } from './http-output-support.ts'

t.setTimeout(120_000)

const THREE = [{ n: 1 }, { n: 2, text: 'a\nb ü' }, { n: 3 }]

t.test('a batch is one request: lines, an array, or text and a template of your own around it', async t => {
  const { url, seen } = await destination(t)
  const bodyOf = async (options: JsonObject, records: readonly JsonObject[] = THREE) => {
    const { deliver } = await opened(t, http, { url: `${url}/in`, ...options })
    t.equal((await deliver(records)).size, 0)
    return seen.splice(0).map(({ body }) => body)
  }
  const json = THREE.map(one => JSON.stringify(one))
  t.same(await bodyOf({}), [`${json.join('\n')}\n`])
  t.same(await bodyOf({ format: 'json' }), [`[${json.join(',')}]`])
  t.same(await bodyOf({ format: 'json' }, [THREE[0] as JsonObject]), [`[${json[0]}]`])
  t.same(await bodyOf({ format: 'each' }), json)
  t.same(await bodyOf({ prefix: '<', separator: '|ü|', suffix: '>' }), [`<${json.join('|ü|')}>`])
  t.same(await bodyOf({ format: 'json', template: { source: 'penstock', in: { records: '%{events}' } } }), [
    `{"source":"penstock","in":{"records":[${json.join(',')}]}}`,
  ])
  t.same(await bodyOf({ format: 'each', template: { record: '%{event}', v: 1 } }, [{ n: 1 }]), ['{"record":{"n":1},"v":1}'])
  t.same(await bodyOf({ compression: 'gzip' }), [`${json.join('\n')}\n`], 'packed, and unpacked by the destination')
})

t.test('method, type and headers are those of the options, and secrets stand where they belong', async t => {
  const { url, seen } = await destination(t)
  const headersOf = async (options: JsonObject) => {
    const { deliver } = await opened(t, http, { url, ...options })
    await deliver([{ n: 1 }])
    const [one] = seen.splice(0)
    return { ...one?.headers, method: one?.method }
  }
  t.match(await headersOf({}), { method: 'POST', 'content-type': 'application/x-ndjson', authorization: undefined })
  t.match(await headersOf({ format: 'json', method: 'PUT' }), { method: 'PUT', 'content-type': 'application/json' })
  for (const method of ['PATCH', 'DELETE']) t.equal((await headersOf({ method })).method, method)
  t.match(await headersOf({ headers: { 'Content-Type': 'text/plain', 'X-A': 'b' } }), {
    'content-type': 'text/plain',
    'x-a': 'b',
  })
  t.match(await headersOf({ bearer_token: 'tok' }), { authorization: 'Bearer tok' })
  t.match(await headersOf({ api_key: 'k' }), { 'x-api-key': 'k' })
  t.match(await headersOf({ api_key: 'k', api_key_header: 'Api' }), { api: 'k' })
  const basic = `Basic ${Buffer.from('ada:pässword').toString('base64')}`
  t.match(await headersOf({ username: 'ada', password: 'pässword' }), { authorization: basic })
  t.match(await headersOf({ secret_headers: { 'X-One': 'a', 'X-Two': 'b' } }), { 'x-one': 'a', 'x-two': 'b' })
  t.match(await headersOf({ compression: 'gzip' }), { 'content-encoding': 'gzip' })
})

t.test('row 67: events fill in a part of the URL and of headers, and lead nowhere else', async t => {
  const { url, seen } = await destination(t)
  const { output, deliver, items, write } = await opened(t, http, {
    url: `${url}/in/%{kind}/x?day=%{+yyyy-MM-dd}`,
    headers: { 'X-Tenant': 't-%{tenant:-none}' },
  })
  const at = '2026-05-01T10:00:00Z'
  const of = (kind: string, tenant?: string) => ({ '@timestamp': at, kind, ...(tenant && { tenant }) })
  t.equal((await deliver([of('a'), of('b', 'one'), of('a'), of('b', 'two'), of('user@contoso.example')])).size, 0)
  t.same(
    seen.map(({ url, headers, body }) => [url, headers['x-tenant'], body.split('\n').length - 1]),
    [
      ['/in/a/x?day=2026-05-01', 't-none', 2],
      ['/in/b/x?day=2026-05-01', 't-one', 1],
      ['/in/b/x?day=2026-05-01', 't-two', 1],
      ['/in/user@contoso.example/x?day=2026-05-01', 't-none', 1],
    ],
  )
  seen.length = 0
  // From a worker the same address comes as another object.
  const batch = items([of('a'), of('b', 'one'), of('a')]).map(item => ({ ...item, address: structuredClone(item.address) }))
  t.equal((await write(batch)).size, 0)
  t.same(
    seen.map(({ url }) => url.slice(0, 5)),
    ['/in/a', '/in/b'],
  )
  const refuse = (fields: JsonObject) =>
    t.throws(() => encoded(output, [{ '@timestamp': at, ...fields }]), { name: 'PermanentError' }, JSON.stringify(fields))
  const values = [
    '../x',
    '..',
    '.',
    'a/b',
    'a\\b',
    '@evil.example/',
    'a?b',
    'a#b',
    'a%2fb',
    'a&b=c',
    'a+b',
    'a b',
    'a\nb',
    '\ud800',
  ]
  for (const kind of values) refuse({ kind })
  for (const tenant of ['a\nX-Evil: 1', 'a\rb', 'ü', '\0']) refuse({ kind: 'a', tenant })
  refuse({ tenant: 'a' })
  for (const wide of [
    'https://%{a}/in',
    'https://x.example%{a}/in',
    'https://x.example:%{a}/',
    'https://%{a}:b@x.example/',
    '%{a}',
    'https:%{a}',
  ])
    t.throws(() => created(http, { url: wide }), { code: 'PEN_OPTION' }, wide)
})

t.test('an answer in full is what counts as delivered, and what its status means', async t => {
  const answers: Record<string, (response: import('node:http').ServerResponse) => void> = {}
  const { url, seen } = await destination(t, ({ url }, response) => answers[url.slice(1)]?.(response))
  const outcome = async (
    status: number,
    headers: Record<string, string> = {},
    options: JsonObject = {},
    text = 'because  of\nthis',
  ) => {
    answers['in'] = response => void response.writeHead(status, headers).end(status === 204 ? undefined : text)
    const { deliver } = await opened(t, http, { url: `${url}/in`, ...options })
    const started = seen.length
    const end: { name?: string; message?: string; after?: number; refused?: number } = await deliver([{ n: 1 }, { n: 2 }]).then(
      rejects => ({
        name: [...rejects.values()][0]?.name ?? 'delivered',
        message: [...rejects.values()][0]?.message ?? '',
        refused: rejects.size,
      }),
      error => ({ name: error.name, message: error.message, after: error.after }),
    )
    return { ...end, requests: seen.length - started }
  }
  for (const status of [200, 201, 202, 204]) t.match(await outcome(status), { name: 'delivered', requests: 1 }, `${status}`)
  for (const status of [408, 425, 429, 500, 502, 503, 504])
    t.match(
      await outcome(status),
      { name: 'RetryableError', message: `${status}: because of this`, after: undefined },
      `${status}`,
    )
  t.match(await outcome(429, { 'retry-after': '7' }), { name: 'RetryableError', after: 7000 })
  t.match(await outcome(503, { 'retry-after': '99999999' }), { after: 3_600_000 }, 'an hour at most')
  const date = await outcome(503, { 'retry-after': new Date(Date.now() + 60_000).toUTCString() })
  t.ok((date.after ?? 0) > 50_000 && (date.after ?? 0) <= 60_000, 'a date')
  t.match(await outcome(503, {}, {}, '<html>a page</html>'), { message: /answered 503$/ }, 'nothing of a page')
  for (const status of [404, 405, 409, 410, 415])
    t.match(await outcome(status), {
      name: 'PermanentError',
      message: `answered ${status}: because of this`,
      refused: 2,
      requests: 1,
    })
  for (const status of [400, 422])
    t.match(await outcome(status), { name: 'PermanentError', refused: 2, requests: 3 }, `${status}: the events one by one`)
  t.match(await outcome(404, {}, { answers: { 404: 'retry' } }), { name: 'RetryableError' })
  t.match(await outcome(409, {}, { answers: { 409: 'success' } }), { name: 'delivered' })
  t.match(await outcome(503, {}, { answers: { '5xx': 'permanent' } }), { name: 'PermanentError' })
  t.match(
    await outcome(503, {}, { answers: { '5xx': 'permanent', 503: 'retry' } }),
    { name: 'RetryableError' },
    'a status before its class',
  )
  for (const status of [401, 403, 407])
    t.match(
      await outcome(status, {}, { answers: { '4xx': 'permanent' } }),
      { name: 'RetryableError' },
      `${status} waits, whatever its class`,
    )
  t.match(await outcome(507, {}, { answers: { 507: 'too_large' } }), { name: 'TooLargeError', refused: 2, requests: 3 })
})

t.test('row 56: refused credentials wait for ever, and are read again from their file', async t => {
  const planted = canary('token')
  let good = 'second'
  const { url, seen } = await destination(t, ({ headers }, response) => {
    const ok = headers.authorization === `Bearer ${good}`
    response.writeHead(ok ? 200 : 401).end(ok ? '' : `${headers.authorization} is no good`)
  })
  const folder = t.testdir({ planted: { token: planted } })
  const file = join(folder, 'planted', 'token')
  const { deliver } = await opened(t, http, { url, bearer_token: planted }, new Map([[planted, file]]))
  const refused: Error = await deliver([{ n: 1 }]).then(
    () => new Error('delivered'),
    error => error,
  )
  t.match(refused, {
    name: 'RetryableError',
    message: /refuses the credentials \(401: Bearer \*\*\* is no good\); nothing is lost: correct bearer_token/,
  })
  t.equal(findCanary(refused.message), undefined, 'what the server repeats of a secret is not shown')
  writeFileSync(file, 'second\n')
  t.equal((await deliver([{ n: 1 }])).size, 0, 'no restart is needed')
  t.same(seen.map(({ headers }) => headers.authorization).slice(1), [`Bearer ${planted}`, 'Bearer second'])
  good = 'third'
  await t.rejects(deliver([{ n: 2 }]), { name: 'RetryableError' })
  for (const status of [403, 407]) {
    const other = await destination(t, (_, response) => void response.writeHead(status).end())
    const { deliver } = await opened(t, http, { url: other.url })
    await t.rejects(deliver([{ n: 1 }]), { name: 'RetryableError', message: 'none are configured' })
  }
})

t.test('row 56: a pipeline whose credentials are refused keeps its events, and none is a dead letter', async t => {
  let allowed = false
  const { url, seen } = await destination(t, (_, response) => void response.writeHead(allowed ? 200 : 403).end())
  const records = numbered(200)
  const { pipeline, store, health } = inProcess({
    inputs: { in: listInput(records) },
    outputs: { out: { output: () => created(http, { url }) } },
  })
  const running = pipeline.run()
  await until(() => seen.length > 30)
  t.match(JSON.stringify(health.ailing()), /refuses the credentials \(403\)/, 'health says so')
  allowed = true
  const end = await running
  t.equal(end.status, 'ended')
  t.same(imbalance(end.figures), [])
  t.equal((await store.letters.list({})).length, 0)
  t.equal(end.figures.outputs[0]?.delivered, 200)
})

t.test(
  'row 55: a request that is too large goes out in halves; an event that is too large by itself is a dead letter',
  async t => {
    const stored: string[] = []
    const { url, seen } = await destination(t, ({ body }, response) => {
      if (body.length > 100) return void response.writeHead(413).end('too much')
      stored.push(...body.trim().split('\n'))
      response.end()
    })
    const { deliver, lines } = await opened(t, http, { url })
    const records: JsonObject[] = Array.from({ length: 20 }, (_, n) => ({ n }))
    records[13] = { n: 13, text: 'x'.repeat(200) }
    const rejects = await deliver(records)
    t.same([...rejects.keys()], [13])
    t.match(rejects.get(13), { name: 'TooLargeError', message: 'answered 413: too much' })
    t.same(
      stored.map(line => JSON.parse(line).n),
      records.flatMap(({ n }) => (n === 13 ? [] : [n])),
      'each of the others once, in order',
    )
    t.match(lines, [/^warn localhost:\d+ takes no request of this size: lower batch.max_bytes/])
    t.ok(seen.length > 4)
  },
)

t.test('row 55: a server that refuses a large body before it has read it is heard', async t => {
  const big = { text: 'x'.repeat(4 * 1024 * 1024) }
  const server = createTcp(socket => {
    socket.on('error', () => {})
    socket.once('data', () => {
      socket.pause()
      socket.write('HTTP/1.1 413 Payload Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n')
    })
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => server.close())
  const { deliver } = await opened(t, http, { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` })
  t.match((await deliver([big])).get(0), { name: 'TooLargeError' })
})

t.test('the event that a batch is refused for is found, and only it is a dead letter', async t => {
  const stored: number[] = []
  const { url } = await destination(t, ({ body }, response) => {
    const events = JSON.parse(body) as { n: number }[]
    const bad = events.find(({ n }) => n === 3 || n === 8)
    if (bad) return void response.writeHead(422).end(`event ${bad.n} is wrong`)
    stored.push(...events.map(({ n }) => n))
    response.end()
  })
  const { deliver } = await opened(t, http, { url, format: 'json' })
  const rejects = await deliver(Array.from({ length: 11 }, (_, n) => ({ n })))
  t.same(
    [...rejects].map(([index, { name, message }]) => [index, name, message.replace(/.*: /, '')]),
    [
      [3, 'PermanentError', 'event 3 is wrong'],
      [8, 'PermanentError', 'event 8 is wrong'],
    ],
  )
  t.same(stored, [0, 1, 2, 4, 5, 6, 7, 9, 10])
})

t.test('what one request has delivered is not sent again for what another could not', async t => {
  let down = true
  const { url, seen } = await destination(
    t,
    ({ url }, response) => void response.writeHead(url === '/b' && down ? 503 : 200).end(),
  )
  const { items, write } = await opened(t, http, { url: `${url}/%{to}` })
  const batch = items(['a', 'b', 'a', 'c'].map(to => ({ to })))
  await t.rejects(write(batch), { name: 'RetryableError' })
  await t.rejects(write(batch), { name: 'RetryableError' })
  down = false
  t.equal((await write(batch)).size, 0)
  t.same(
    seen.map(({ url, body }) => url + body.length),
    ['/a', '/b', '/b', '/b', '/c'].map(path => path + (path === '/a' ? 2 : 1) * '{"to":"a"}\n'.length),
  )
  t.equal((await write(batch)).size, 0)
  t.equal(seen.length, 8, 'the same events again are other events')
})

t.test('row 58: an answer that is cut off is none, and the batch is sent again', async t => {
  const whole = 'HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\ngood'
  const ways: Record<string, (socket: Socket) => void> = {
    'cut body': socket => socket.end(whole.slice(0, -1)),
    'cut head': socket => socket.end(whole.slice(0, 10)),
    'no byte': socket => socket.end(),
    reset: socket => reset(socket),
    'reset within the body': socket => socket.write(whole.slice(0, -1), () => reset(socket)),
    'no HTTP': socket => socket.end('SSH-2.0-OpenSSH_9.2\r\n'),
  }
  for (const [name, way] of Object.entries(ways)) {
    let requests = 0
    const sockets = new Set<Socket>()
    const server = createTcp(socket => {
      sockets.add(socket)
      socket.on('error', () => {})
      let text = ''
      socket.on('data', part => {
        text += part
        if (!text.endsWith('{"n":1}\n')) return
        text = ''
        if (requests++ === 0) way(socket)
        else socket.write(whole)
      })
    })
    await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
    const { items, write } = await opened(t, http, { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` })
    const batch = items([{ n: 1 }])
    const error: Error & { code?: string } = await write(batch).then(
      () => new Error('delivered'),
      error => error,
    )
    t.match(error, { name: 'RetryableError', code: 'PEN_NO_ANSWER' }, `${name}: ${error.message}`)
    t.equal((await write(batch)).size, 0, name)
    t.equal(requests, 2, name)
    for (const socket of sockets) socket.destroy()
    server.close()
  }
})

t.test('row 58: a page in the place of an answer is no success when it never ends', async t => {
  const { url } = await destination(t, (_, response) => void response.end('x'.repeat(3 * 1024 * 1024)))
  const { deliver } = await opened(t, http, { url })
  await t.rejects(deliver([{ n: 1 }]), { name: 'RetryableError', message: 'over its limit (1048576 bytes)' })
})

t.test(
  'row 57: nobody there, a server that never answers, and one that takes no bytes, are retried and never end the pipeline',
  async t => {
    const gone = await destination(t)
    await gone.die()
    const refused = await opened(t, http, { url: gone.url })
    await t.rejects(refused.deliver([{ n: 1 }]), { name: 'RetryableError', code: 'PEN_NO_ANSWER', message: 'ECONNREFUSED' })
    await gone.back()
    t.equal((await refused.deliver([{ n: 1 }])).size, 0, 'it is back')

    const sockets: Socket[] = []
    const mute = createTcp({ pauseOnConnect: true }, socket => void sockets.push(socket.on('error', () => {})))
    await new Promise<void>(resolve => mute.listen(0, '127.0.0.1', resolve))
    t.teardown(() => {
      for (const socket of sockets) socket.destroy()
      mute.close()
    })
    const silent = await opened(t, http, { url: `http://127.0.0.1:${(mute.address() as AddressInfo).port}`, timeout_ms: 200 })
    await t.rejects(silent.deliver([{ n: 1 }]), { name: 'RetryableError', message: 'has not answered in full within 0.2 s' })
    const big = { text: 'x'.repeat(16 * 1024 * 1024) }
    await t.rejects(silent.deliver([big]), { name: 'RetryableError', code: 'PEN_NO_ANSWER' })
    // A connection that breaks while a body is written is EPIPE to the system, which to the engine means that nobody reads any more.
    const breaking = createTcp({ pauseOnConnect: true }, socket => reset(socket))
    await new Promise<void>(resolve => breaking.listen(0, '127.0.0.1', resolve))
    t.teardown(() => breaking.close())
    const broken = await opened(t, http, { url: `http://127.0.0.1:${(breaking.address() as AddressInfo).port}` })
    for (let n = 0; n < 5; n++) await t.rejects(broken.deliver([big]), { name: 'RetryableError', code: 'PEN_NO_ANSWER' })

    const stop = new AbortController()
    const asked = silent.deliver([{ n: 1 }], stop.signal)
    stop.abort()
    await t.rejects(asked, { name: 'AbortError' }, 'an abort stays an abort')
  },
)

t.test('row 68: redirects are not followed, and no header reaches where they lead', async t => {
  const other = await destination(t)
  const { url, seen } = await destination(
    t,
    (_, response) => void response.writeHead(307, { location: `${other.url}/steal?secret=1` }).end(),
  )
  const { deliver } = await opened(t, http, { url, bearer_token: 'made-up' })
  const error: Error = await deliver([{ n: 1 }]).then(
    () => new Error('delivered'),
    error => error,
  )
  t.match(error, { name: 'RetryableError', message: `answered 307, which leads to ${other.url}; redirects are not followed` })
  t.notMatch(error.message, 'secret')
  t.equal(seen.length, 1)
  t.equal(other.seen.length, 0)
})

t.test(
  'rows 57, 58: a destination that dies in the middle of requests and comes back misses nothing, as the real program sees it',
  async t => {
    const COUNT = 3000
    const ids = new Set<string>()
    const stored = (body: string) => {
      for (const line of body.trim().split('\n')) ids.add(JSON.parse(line).event.id)
    }
    let deaths = 0
    const target = await destination(t, ({ body }, response, count) => {
      if (count % 7 !== 3 || deaths >= 3) {
        stored(body)
        return void response.end()
      }
      // Every second time it has the events already when it dies.
      if (deaths++ % 2 === 0) stored(body)
      void target.die()
    })
    const { ended, said } = runPipeline(
      t,
      COUNT,
      `{ type: http, url: '${target.url}/in', batch: { max_events: 100 }, retry: { min_ms: 20, max_ms: 200 } }`,
    )
    for (let death = 1; death <= 3; death++) {
      await until(() => deaths === death && !target.server.listening, said)
      await until(() => said().split('output does not take events').length > death, said)
      await target.back()
    }
    const { code, stderr } = await ended
    t.equal(code, 0, stderr)
    t.equal(ids.size, COUNT, 'every event is there')
    t.match(stderr, /output takes events again/)
    t.notMatch(stderr, /dead letter/i)
  },
)
