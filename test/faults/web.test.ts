// What listens and answers: every rule with a table of requests, sent as bytes to the running program.
import { writeFileSync } from 'node:fs'
import { networkInterfaces } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { Health } from '../../core/observe/health.ts'
import { serve } from '../../core/observe/http.ts'
import { MetricsStore } from '../../core/observe/metrics.ts'
import { MARK } from '../kit/canary.ts'
import { quietLog } from '../kit/in-process.ts'
import { penstock } from '../kit/process.ts'
import { until } from '../kit/until.ts'
import { shown } from './poison-support.ts'
import { AUTHORIZED, answers, ask, send, serving, TOKEN } from './web-support.ts'

t.setTimeout(150_000)

const { cwd, port, delivered, append, stop } = await serving(t)

t.test('web rule 1: it listens on 127.0.0.1 alone; any other address needs TLS and a token', async t => {
  for (const { address, internal } of Object.values(networkInterfaces()).flatMap(all => all ?? [])) {
    if (!internal && !address.includes(':')) await t.rejects(send(port, '', address), { code: 'ECONNREFUSED' }, address)
  }
  await t.rejects(send(port, '', '::1'), /ECONNREFUSED|EADDRNOTAVAIL/, '::1')
  const hosts = ['0.0.0.0', '::', '192.0.2.1', 'siem.example', '127.0.0.1.siem.example', '0', '127.1', '::ffff:127.0.0.1']
  const base = { inputs: [{ type: 'stdin' }], outputs: [{ type: 'discard' }] }
  for (const [n, host] of hosts.entries())
    writeFileSync(join(cwd, `h${n}.yaml`), JSON.stringify({ ...base, http: { port: 0, host } }))
  const { code, stderr } = await penstock(['check', ...hosts.map((_, n) => `h${n}.yaml`)], { cwd })
  t.equal(code, 78)
  for (const [n, host] of hosts.entries()) t.match(stderr, `h${n}.yaml:1:`, host)
  t.equal(stderr.match(/a host that others can reach needs tls \(cert and key\) and a token/g)?.length, hosts.length)
})

t.test('web rule 2: health tells no detail and needs no token; the rest needs the very token', async t => {
  const health = await ask(port, 'GET /health')
  t.equal(health.status, 200)
  t.match(health.body, /^\{"status":"(ok|degraded)"\}\n$/)
  const wrong = [
    [],
    ['Authorization:'],
    ['Authorization: Bearer'],
    ['Authorization: Bearer '],
    [`Authorization: ${TOKEN}`],
    [`Authorization: bearer ${TOKEN}`],
    [`Authorization: Basic ${Buffer.from(`x:${TOKEN}`).toString('base64')}`],
    [`Authorization: Bearer ${TOKEN}x`],
    [`Authorization: Bearer ${TOKEN.slice(0, -1)}`],
    [`Authorization: Bearer ${TOKEN.toUpperCase()}`],
    [`Authorization: Bearer ${'x'.repeat(5_000)}`],
    [`Cookie: token=${TOKEN}`],
    [`X-Forwarded-For: 127.0.0.1`],
    // What stands twice counts as it stands first.
    ['Authorization: Bearer no', AUTHORIZED],
  ]
  for (const path of ['/ready', '/metrics']) {
    for (const [n, lines] of wrong.entries()) {
      const { status, headers, body } = await ask(port, `GET ${path}`, ...lines)
      t.same([status, headers.get('www-authenticate'), body], [401, 'Bearer', 'a token is needed\n'], `${path}, wrong ${n}`)
    }
    t.equal((await ask(port, `GET ${path}?token=${TOKEN}`)).status, 401, 'not in the URL')
  }
  t.equal((await ask(port, 'GET /metrics', AUTHORIZED)).status, 200)
  const ready = await ask(port, 'GET /ready', AUTHORIZED)
  t.equal(ready.status, 503)
  t.match(JSON.parse(ready.body), { status: 'degraded', steps: [{ pipeline: 'web', step: 'talker' }] })
})

const FOREIGN = [
  'evil.example',
  `evil.example:${port}`,
  '127.0.0.1.evil.example',
  'localhost.evil.example',
  `evil@127.0.0.1:${port}`,
  `127.0.0.1:${port}@evil.example`,
  '127.0.0.1:evil',
  '127.0.0.1:',
  '127.0.0.256.1',
  'localhost.',
  '[::1',
  '[::1]evil',
  '::1',
  '0.0.0.0',
  '192.0.2.1',
  '',
]

t.test('web rule 3: only the names of loopback are answered, and there is no CORS', async t => {
  for (const host of FOREIGN) {
    const { status } = await ask(port, 'GET /health', `Host: ${host}`, AUTHORIZED)
    t.ok(status === 421 || status === 400, `${host || 'no name'}: ${status}`)
  }
  t.equal((await send(port, 'GET /health HTTP/1.0\r\n\r\n')).status, 421, 'no Host at all')
  t.equal((await send(port, 'GET /health HTTP/1.1\r\nConnection: close\r\n\r\n')).status, 421, 'nor where there must be one')
  for (const host of ['127.0.0.1', `127.0.0.1:${port}`, 'localhost', `LocalHost:${port}`, '[::1]', `[::1]:${port}`])
    t.equal((await ask(port, 'GET /health', `Host: ${host}`)).status, 200, host)
  t.not((await ask(port, 'GET http://evil.example/health', `Host: 127.0.0.1:${port}`)).status, 200, 'a whole URL')
  for (const first of ['GET /health', 'GET /metrics', 'OPTIONS /metrics', 'POST /health']) {
    const { headers } = await ask(port, first, 'Origin: https://evil.example', 'Access-Control-Request-Method: GET', AUTHORIZED)
    t.same(
      [...headers.keys()].filter(name => name.startsWith('access-control')),
      [],
      first,
    )
  }
  // Other addresses of loopback, as a pipeline may have them.
  for (const host of ['127.0.0.2', 'LOCALHOST', '[::1]']) {
    const own = await serve({ host, port: 0 }, { metrics: new MetricsStore(), health: new Health(), log: quietLog }).catch(
      error => error as Error,
    )
    if (own instanceof Error) {
      t.match(own.message, /EADDRNOTAVAIL/, `${host} is not on this machine`)
      continue
    }
    const to = host === '127.0.0.2' ? host : host === '[::1]' ? '::1' : 'localhost'
    const foreign = await send(own.port, 'GET /health HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n', to)
    t.equal(foreign.status, 421, `listening on ${host}`)
    t.equal((await send(own.port, 'GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n', to)).status, 200)
    await own.close()
  }
})

t.test('web rule 4: it reads only', async t => {
  for (const method of ['POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'TRACE', 'PROPFIND', 'QUERY', 'PURGE']) {
    for (const path of ['/health', '/metrics', '/nothing', '*']) {
      const { status, headers } = await ask(port, `${method} ${path}`, AUTHORIZED)
      t.same([status, headers.get('allow')], [405, 'GET, HEAD'], `${method} ${path}`)
    }
  }
  const body = JSON.stringify({ reload: true })
  const posted = await ask(
    port,
    'POST /reload',
    'Content-Type: application/json',
    `Content-Length: ${body.length}`,
    AUTHORIZED,
    '',
    body,
  )
  t.equal(posted.status, 405)
  t.not((await ask(port, 'CONNECT evil.example:443', AUTHORIZED)).status, 200)
  t.not((await ask(port, 'get /health')).status, 200)
  const head = await ask(port, 'HEAD /health')
  t.same([head.status, head.body], [200, ''])
  const upgrade = await ask(port, 'GET /health', 'Upgrade: websocket', 'Sec-WebSocket-Key: x')
  t.not(upgrade.status, 101)
})

t.test('web rule 13: paths are exact, whatever stands behind them', async t => {
  for (const path of ['/health', '/health?', '/health?x=/metrics', '/health?\x01'.slice(0, -1)])
    t.equal((await ask(port, `GET ${path}`)).status, 200, path)
  const others = [
    '/',
    '/Health',
    '/health/',
    '//health',
    '/./health',
    '/x/../health',
    '/%68ealth',
    '/health%00',
    '/health%3f',
    '/health;x',
    '/health#x',
    '/metrics.json',
    '/metrics/',
    '/..',
    '/../p.yaml',
    '/p.yaml',
    '/state/state.db',
    '/favicon.ico',
    '/__proto__',
    '/constructor',
    '\\health',
    'health',
  ]
  for (const path of others) {
    const { status, body } = await ask(port, `GET ${path}`, AUTHORIZED)
    t.ok(status === 404 || status === 400, `${path}: ${status}`)
    t.notOk(body.includes(path) && path.length > 8, 'the path is not repeated')
  }
})

t.test('web rule 15: every answer has the headers that protect, and says nothing of the server', async t => {
  const refused = [
    '',
    '\0\0\0\0\r\n\r\n',
    'GET\r\n\r\n',
    'GET /health\r\n\r\n',
    'GET /health HTTP/9.9\r\n\r\n',
    'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
    '\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03\r\n\r\n',
  ]
  for (const request of refused.slice(1))
    t.ok([0, 400, 421].includes((await send(port, request)).status), JSON.stringify(request))
  const smuggled = [
    'Content-Length: 3\r\nTransfer-Encoding: chunked',
    'Content-Length: 1\r\nContent-Length: 2',
    'X: a\0b',
    'X : y',
    ' X: y',
    'Expect: x',
    `X: ${'x'.repeat(20_000)}`,
  ]
  for (const lines of smuggled) {
    const { status } = await ask(port, 'GET /health', lines)
    t.ok(status >= 400, `${JSON.stringify(lines.slice(0, 60))}: ${status}`)
  }
  const statuses = new Set<number>()
  for (const { request, answer } of answers) {
    const { status, headers } = answer
    if (status === 0) continue
    statuses.add(status)
    const about = `${status} to ${JSON.stringify(request.slice(0, 60)).replaceAll(MARK, '***')}`
    t.match(
      headers.get('content-security-policy'),
      /^default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'$/,
      about,
    )
    t.match(
      Object.fromEntries(headers),
      {
        'x-content-type-options': 'nosniff',
        'referrer-policy': 'no-referrer',
        'cross-origin-resource-policy': 'same-origin',
        'cross-origin-opener-policy': 'same-origin',
        'cache-control': 'no-store',
      },
      about,
    )
    t.same(
      [...headers.keys()].filter(name => /^(server|x-powered-by|etag|set-cookie)$/.test(name)),
      [],
      about,
    )
  }
  for (const status of [200, 400, 401, 404, 405, 417, 421, 431, 503]) t.ok(statuses.has(status), `there was a ${status}`)
})

t.test('web rule 18: an answer to a fault says neither why nor where', async t => {
  const said: string[] = []
  const log = { ...quietLog, error: (fields: object, message: string) => void said.push(`${message} ${JSON.stringify(fields)}`) }
  const metrics = { text: () => Promise.reject(new Error(`cannot read /etc/penstock with ${TOKEN}`)) } as unknown as MetricsStore
  const own = await serve({ host: '127.0.0.1', port: 0 }, { metrics, health: new Health(), log })
  const { status, body } = await ask(own.port, 'GET /metrics')
  await own.close()
  t.same([status, body], [500, 'internal error\n'])
  t.match(said, [/a request failed .*cannot read/], 'whoever reads the log knows')
  for (const { answer } of answers) t.notMatch(answer.body, /node:internal|\.ts:\d|at .*\(|\/work|p\.yaml/)
})

t.test('web rule 20: nothing that was sent breaks a line of the log, and no token is in it', async t => {
  await ask(port, 'GET /\x1b[8m%0a{"level":"error"}', AUTHORIZED, 'User-Agent: \x1b[8m{"level":"error"}', 'Cookie: a=b')
  // The program lives and works, after all that was sent.
  const count = delivered()
  append([{ n: 'last' }])
  await until(() => delivered() === count + 1)
  t.equal((await ask(port, 'GET /health')).status, 200)
  // The kit looks for the token in all that was said and written.
  const { code, stderr } = await stop()
  t.equal(code, 0, shown(stderr))
  for (const line of stderr.split('\n').filter(text => text.startsWith('{'))) {
    t.notMatch(line, /[\0-\x1f\x7f-\x9f\u202e]|evil\.example|Bearer|Cookie/)
    t.equal(typeof JSON.parse(line).level, 'string')
  }
  t.notMatch(stderr, /a request failed/)
})
