// What listens and answers has limits: of time, size and number of its connections, and of the series in its metrics.
import { connect, type Socket } from 'node:net'
import t from 'tap'
import { Health } from '../../core/observe/health.ts'
import { LIMITS, serve } from '../../core/observe/http.ts'
import { MetricsStore } from '../../core/observe/metrics.ts'
import { quietLog } from '../kit/in-process.ts'
import { until } from '../kit/until.ts'
import { shown } from './poison-support.ts'
import { AUTHORIZED, ask, NASTY, send, serving } from './web-support.ts'

t.setTimeout(150_000)

const { port, delivered, append, stop } = await serving(t)

t.test('web rule 8: connections have limits of time, size and number', async t => {
  t.match(LIMITS, {
    headersTimeout: 10_000,
    requestTimeout: 30_000,
    keepAliveTimeout: 5_000,
    maxConnections: 256,
    maxHeadersCount: 64,
  })
  t.equal((await ask(port, 'GET /health', `X: ${'x'.repeat(20_000)}`)).status, 431, 'a long header')
  t.equal((await ask(port, `GET /${'x'.repeat(20_000)}`)).status, 431, 'a long path')
  t.equal((await ask(port, 'GET /health', ...Array.from({ length: 65 }, (_, n) => `X-${n}: 1`))).status, 431, 'many headers')
  // The body of a request is not waited for.
  t.equal(
    (await send(port, `POST /health HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000000\r\n\r\n${'x'.repeat(100_000)}`))
      .status,
    405,
  )
  t.equal(
    (await send(port, 'GET /health HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nffffff\r\nxx')).status,
    200,
  )

  const open: Socket[] = []
  for (let n = 0; n < LIMITS.maxConnections + 20; n++) open.push(connect(port, '127.0.0.1').on('error', () => {}))
  await until(() => open.filter(({ closed }) => closed).length >= 20)
  t.equal((await ask(port, 'GET /health')).status, 0, 'no more than 256 connections at once')
  for (const socket of open) socket.destroy()
  await until(async () => (await ask(port, 'GET /health')).status === 200)
  t.pass('it answers again when they are gone')
})

t.test('web rule 8: slow clients are left, and hold up nobody meanwhile', async t => {
  const metrics = { text: async () => ({ type: 'text/plain', body: 'x'.repeat(32 * 1024 * 1024) }) } as unknown as MetricsStore
  // The same server with shorter waits; no more connections than the slow ones need.
  const waits = { headersTimeout: 300, requestTimeout: 300, keepAliveTimeout: 300, connectionsCheckingInterval: 50, timeout: 300 }
  const slow = await serve(
    { host: '127.0.0.1', port: 0 },
    { metrics, health: new Health(), log: quietLog },
    { ...LIMITS, ...waits, maxConnections: 4 },
  )
  const clients: Socket[] = []
  const client = (first: string, drip?: string) => {
    const socket = connect(slow.port, '127.0.0.1', () => socket.write(first))
    clients.push(socket)
    const timer = drip === undefined ? undefined : setInterval(() => socket.write(drip), 20)
    let said = ''
    const left = new Promise<string>(resolve => socket.on('error', () => {}).on('close', () => resolve(said)))
    if (drip !== undefined) socket.on('data', part => (said += String(part)))
    return { socket, left: left.finally(() => clearInterval(timer)) }
  }
  try {
    const loris = client('GET /health HTTP/1.1\r\nHost: localhost\r\n', 'X: 1\r\n')
    const idle = client('', '')
    // Two that never read what they asked for: they hold their places until they are left.
    for (let n = 0; n < 2; n++) client('GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n').socket.pause()
    t.match(await loris.left, /^HTTP\/1\.1 408 [\s\S]*Content-Security-Policy/, 'a header that never ends')
    await idle.left
    t.pass('a connection that asks nothing')
    // Four that are answered and stay need all the places.
    const answered = () =>
      new Promise<Socket | undefined>(resolve => {
        const { socket, left } = client('GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n')
        socket.once('data', () => resolve(socket))
        void left.then(() => resolve(undefined))
      })
    await until(async () => {
      const four = await Promise.all([answered(), answered(), answered(), answered()])
      for (const socket of four) socket?.destroy()
      return four.every(socket => socket !== undefined)
    })
    t.pass('all four places are free again')
  } finally {
    for (const socket of clients) socket.destroy()
    await slow.close()
  }
})

t.test('web rule 19: labels come from configured names only, and their number is bounded', async t => {
  const scrape = async () =>
    (await ask(port, 'GET /metrics', AUTHORIZED)).body.split('\n').filter(line => line && !line.startsWith('#'))
  const before = await scrape()
  const more = Array.from({ length: 200 }, (_, n) => ({
    n: n + 1,
    user: { name: `${NASTY} ${n}` },
    [`field${n}`]: n,
    json: n % 2 ? '{' : '{}',
  }))
  const count = delivered()
  append(more)
  await until(() => delivered() === count + 100)
  const after = await scrape()
  const series = (lines: string[]) => lines.map(line => line.slice(0, line.lastIndexOf(' '))).sort()
  const own = (lines: string[]) => series(lines).filter(line => line.startsWith('penstock_'))
  t.ok(own(after).length > 10)
  t.same(own(after), own(before), 'two hundred other events make no other series')
  const names = new Set(['web', 'in', 'json', 'talker', 'out'])
  for (const line of own(after)) {
    for (const [, label, value = ''] of line.matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g))
      t.ok(label === 'fate' ? /^[a-z_]+$/.test(value) : names.has(value), `${label} ${value}`)
  }

  // A plugin that takes them from events all the same, or counts what is no number, spoils nothing but its own figures.
  const store = new MetricsStore()
  const { count: add, gauge } = store.of('p', 's')
  for (let n = 0; n < 5_000; n++) add('by_user', 'Help', 1, { user: `${NASTY} ${n}`, step: 'forged' })
  add('wrong name', 'Help')
  add('wrong_label', 'Help', 1, { 'no label': 'x' })
  add('no_number', 'Help', Number.NaN)
  add('backwards', 'Help', -1)
  gauge('twice', 'Help', 1)
  add('twice', 'Help', 1)
  add('good', 'Help', 2)
  const lines = (await store.text()).body.split('\n').filter(line => line.startsWith('penstock_'))
  const users = lines.filter(line => line.startsWith('penstock_by_user{'))
  t.equal(users.length, 1_001)
  t.equal(
    users.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' '))), 0),
    5_000,
    'nothing is left out of the sum',
  )
  t.ok(
    users.every(line => line.includes('step="s"')),
    'the step is the step',
  )
  t.ok(lines.includes('penstock_good{pipeline="p",step="s"} 2'))
  t.notOk(
    lines.some(line => line.startsWith('forged')),
    'no value begins a line',
  )
})

t.test('after all of it the program ends as it should', async t => {
  const { code, stderr } = await stop()
  t.equal(code, 0, shown(stderr))
})
