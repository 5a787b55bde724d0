// The syslog output on real receivers: lines that receivers can read, and batches that go out again when nobody can have had them whole.
import { createSocket } from 'node:dgram'
import type { Socket } from 'node:net'
import { hostname } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { ByteWriter } from '../../core/plugin/byte-writer.ts'
import type { JsonObject } from '../../core/plugin/json.ts'
import syslog from '../../plugins/outputs/syslog/index.ts'
import { until } from '../kit/until.ts'
import { certificate, created, OLD_TLS, opened, reset, runPipeline, wrongCertificates } from './http-output-support.ts'
import { counted, receiver } from './syslog-output-support.ts'

t.setTimeout(120_000)

const AT = '2026-05-01T10:15:30.123Z'

/** What one event becomes, without a receiver. */
function lineOf(options: JsonObject, fields: JsonObject): string {
  const output = created(syslog, { host: 'siem.example', port: 514, transport: 'udp', ...options })
  const writer = new ByteWriter()
  output.encode({ fields, id: 'the-id', meta: {}, original: new Uint8Array(), split: () => [], redact() {} }, writer)
  return writer.finish().toString()
}

const TCP = { host: 'localhost', transport: 'tcp', confirm_ms: 20 }

t.test('the header of RFC 5424, part by part', t => {
  const event = { '@timestamp': AT, event: { dataset: 'o365.audit', action: 'Log in' }, host: { name: 'contoso ü' }, n: 1 }
  const json = JSON.stringify(event)
  t.equal(lineOf({}, event), `<134>1 ${AT} ${hostname()} penstock - o365.audit - ${json}`)
  const options = {
    hostname: '%{host.name}',
    app_name: 'etl-%{n}',
    msgid: '%{event.action}',
    facility: 'authpriv',
    severity: 'alert',
  }
  t.equal(
    lineOf(options, event),
    `<81>1 ${AT} contoso__ etl-1 - Log_in - ${json}`,
    'blanks and other letters have no place in a header',
  )
  t.equal(lineOf({ bom: true, hostname: 'h' }, { n: 1 }), '<134>1 - h penstock - - - \ufeff{"n":1}', 'what is absent is a dash')
  const long = lineOf({ hostname: 'h'.repeat(300), app_name: 'a'.repeat(60), msgid: 'm'.repeat(40) }, { n: 1 })
  t.match(long, ` ${'h'.repeat(255)} ${'a'.repeat(48)} - ${'m'.repeat(32)} - `)
  for (const [time, written] of [
    ['2026-05-01T12:15:30+02:00', '2026-05-01T10:15:30.000Z'],
    ['2026-05-01T10:15:30', '2026-05-01T10:15:30.000Z'],
    ['2026-05-01', '2026-05-01T00:00:00.000Z'],
    [1777630530123, AT],
    ['yesterday', '-'],
    ['2026-13-45T00:00:00Z', '-'],
    [1e17, '-'],
  ] as const)
    t.match(lineOf({}, { '@timestamp': time }), `>1 ${written} `, String(time))
  t.throws(
    () => lineOf({ msgid: '%{event.action}' }, { n: 1 }),
    { name: 'PermanentError' },
    'a field without a default that is missing',
  )
  t.end()
})

t.test('severity comes from the event', t => {
  const of = (fields: JsonObject) => Number(/^<(\d+)>/.exec(lineOf({ facility: 'kern' }, fields))?.[1])
  t.equal(of({}), 6)
  t.equal(of({ event: { kind: 'alert' } }), 4)
  t.same(
    [1, 2, 3, 4, 9].map(severity => of({ event: { severity } })),
    [6, 5, 4, 3, 3],
  )
  t.same(
    ['Error', 'warn', 'crit', 'Informational', 'debug'].map(level => of({ log: { level }, event: { severity: 4 } })),
    [3, 4, 2, 6, 7],
  )
  t.equal(of({ log: { level: '4' }, event: { severity: 1 } }), 6, 'a level that is no word says nothing')
  t.equal(of({ log: { level: 'error', syslog: { severity: { code: 0 } } } }), 0)
  t.equal(of({ log: { syslog: { severity: { code: 9 } } } }), 6)
  t.end()
})

t.test('structured data escapes what would end it', t => {
  const options = {
    structured_data: { 'm365@32473': { tenant: '%{tenant:-}', user: '%{user:-}' }, 'more@1.2': { a: 'b' } },
    hostname: 'h',
  }
  const data = (fields: JsonObject) => lineOf(options, fields).split(' - - ')[1]?.split(' {')[0]
  t.equal(data({ tenant: 'a"b\\c]d\ne', user: 'ü' }), '[m365@32473 tenant="a\\"b\\\\c\\]d e" user="ü"][more@1.2 a="b"]')
  t.equal(data({}), '[more@1.2 a="b"]', 'what is empty is left out')
  t.end()
})

t.test('CEF: the header, the fields of ECS, and what must be escaped', t => {
  const options = { payload: 'cef', header: 'time', hostname: 'agent7' }
  const event = {
    '@timestamp': AT,
    message: 'a=b\\c|d\r\nnext ',
    event: {
      id: 'x1',
      action: 'File|Down\\loaded\n',
      dataset: 'o365.audit',
      outcome: 'success',
      category: ['file', 'web'],
      severity: 3,
      provider: 'OneDrive',
    },
    user: { name: 'ana', email: 'ana@contoso.example', id: '7' },
    source: { ip: '203.0.113.20', port: 443 },
    destination: { ip: '2001:db8::1' },
    user_agent: { original: 'Mozilla/5.0 (X11; a=b)' },
    file: { name: 'plan.xlsx', size: 12 },
  }
  t.equal(
    lineOf(options, event),
    `${AT} agent7 CEF:0|Penstock|Microsoft 365|1|File\\|Down\\\\loaded |File\\|Down\\\\loaded |6|externalId=x1 rt=1777630530123 ` +
      'start=1777630530123 end=1777630530123 msg=a\\=b\\\\c|d\\r\\nnext act=File|Down\\\\loaded\\n outcome=success cat=file,web ' +
      'suser=ana@contoso.example suid=7 src=203.0.113.20 spt=443 c6a3Label=Destination IPv6 Address c6a3=2001:db8::1 ' +
      'destinationServiceName=OneDrive requestClientApplication=Mozilla/5.0 (X11; a\\=b) fname=plan.xlsx fsize=12 ' +
      'cs1Label=dataset cs1=o365.audit',
  )
  t.equal(
    lineOf(
      {
        ...{ payload: 'cef', header: 'time' },
        cef: {
          ...{
            vendor: 'MC|AS',
            product: 'SIEM_Agent',
            version: '0.285.10',
            signature: 'EVENT_%{event.action:-X}',
            name: 'Log out',
            severity: 0,
          },
          extension: {
            dvc: '%{source.ip}',
            cs1: '',
            cs2Label: 'portalURL',
            cs2: 'https://portal.example/#a?id=%{event.id}',
            none: '%{no.such}',
            two: '%{n}-%{no.such}',
            list: '%{tags}',
            d: '%{no:-x}',
          },
        },
      },
      { '@timestamp': AT, event: { id: 'x1', dataset: 'd' }, source: { ip: '2001:db8::2' }, n: 1, tags: ['a', 'b=c', null] },
    ),
    `${AT} CEF:0|MC\\|AS|SIEM_Agent|0.285.10|EVENT_X|Log out|0|externalId=x1 rt=1777630530123 start=1777630530123 end=1777630530123 ` +
      'c6a2Label=Source IPv6 Address c6a2=2001:db8::2 dvc=2001:db8::2 cs2Label=portalURL ' +
      'cs2=https://portal.example/#a?id\\=x1 list=a,b\\=c d=x',
    'as the line of an agent; a key whose field an event lacks is left out',
  )
  t.match(lineOf({ payload: 'cef' }, {}), 'CEF:0|Penstock|Microsoft 365|1|event|event|0|externalId=the-id')
  t.match(lineOf({ payload: 'cef' }, { event: { kind: 'alert' } }), '|event|event|3|')
  t.end()
})

t.test('octet counting counts bytes, and newlines end lines that hold none', async t => {
  const records = [{ text: 'ü😀' }, { text: 'a\nb' }, { text: 'x'.repeat(100_000) }]
  const bodies = records.map(record => JSON.stringify(record))
  const one = await receiver(t)
  const first = await opened(t, syslog, { ...TCP, port: one.port, hostname: 'h' })
  await first.deliver(records)
  await first.deliver(records)
  const head = '<134>1 - h penstock - - - '
  await until(() => counted(one.texts[0] ?? '').length === 6)
  t.same(
    counted(one.texts[0] ?? ''),
    [...bodies, ...bodies].map(body => head + body),
  )
  t.equal(one.texts.length, 1, 'over one connection')
  const two = await receiver(t)
  const second = await opened(t, syslog, { ...TCP, port: two.port, framing: 'newline', hostname: 'h' })
  await second.deliver(records)
  await until(() => two.texts[0]?.split('\n').length === 4)
  t.equal(two.texts[0], bodies.map(body => `${head + body}\n`).join(''))
})

t.test('a message that is too long is a dead letter', async t => {
  const { items } = await opened(t, syslog, { ...TCP, port: 1, max_message_bytes: 500, hostname: 'h' })
  t.throws(() => items([{ text: 'ü'.repeat(240) }]), {
    code: 'PEN_SYSLOG_LENGTH',
    message: /has 51\d bytes, and 500 are allowed/,
  })
  t.equal(items([{ text: 'ü'.repeat(220) }]).length, 1)
  t.throws(() => lineOf({}, { text: 'x'.repeat(66_000) }), { message: 'and 65507 are allowed' }, 'a datagram has an end')
})

t.test('a connection that ends while a batch is on its way sends all of it again', async t => {
  const ways: Record<string, (socket: Socket) => void> = {
    reset: socket => reset(socket),
    'closed in both ways': socket => socket.destroy(),
    'closed in one way': socket => socket.end(),
  }
  for (const [name, way] of Object.entries(ways)) {
    const records = Array.from({ length: 16 }, (_, n) => ({ n, text: 'x'.repeat(256 * 1024) }))
    const target = await receiver(t, (socket, text, connection) => {
      if (connection > 0 || text.length < 100_000 || socket.destroyed) return
      socket.pause()
      way(socket)
    })
    // However much of it the systems in between have taken.
    const { items, write } = await opened(t, syslog, { ...TCP, port: target.port, confirm_ms: 10_000 })
    const batch = items(records)
    await t.rejects(
      write(batch),
      { name: 'RetryableError', code: 'PEN_SYSLOG', message: 'while a batch was on its way: all of it is sent again' },
      name,
    )
    const again = await opened(t, syslog, { ...TCP, port: target.port })
    t.equal((await again.write(batch)).size, 0, name)
    await again.output.close?.()
    await until(
      () => counted(target.texts[1] ?? '').length === 16,
      () => name,
      { every: 50 },
    )
    t.same(
      counted(target.texts[1] ?? '').map(line => JSON.parse(line.slice(line.indexOf('{'))).n),
      records.map(({ n }) => n),
      name,
    )
  }
})

t.test('a batch that the system has taken is not delivered when the receiver goes away before it is confirmed', async t => {
  for (const [name, way] of [
    ['closed', (socket: Socket) => void socket.end()],
    // Who has something to say, too.
    ['closed with a word', (socket: Socket) => void socket.end('bye\n')],
    ['reset', reset],
  ] as const) {
    const target = await receiver(t, (socket, _, connection) => {
      if (connection === 0) way(socket)
    })
    const { items, write } = await opened(t, syslog, { ...TCP, port: target.port, confirm_ms: 5_000 })
    const batch = items([{ n: 1 }])
    await t.rejects(write(batch), { name: 'RetryableError' }, name)
    const again = await opened(t, syslog, { ...TCP, port: target.port })
    t.equal((await again.write(batch)).size, 0)
  }
})

t.test('row 57: nobody there, a receiver that takes nothing, and one that comes back', async t => {
  const gone = await receiver(t)
  await new Promise<void>(resolve => gone.server.close(() => resolve()))
  const { deliver } = await opened(t, syslog, { ...TCP, port: gone.port })
  await t.rejects(deliver([{ n: 1 }]), { name: 'RetryableError', message: /no connection to localhost:\d+: .*ECONNREFUSED/ })
  await gone.listen()
  t.equal((await deliver([{ n: 1 }])).size, 0)
  // It closes between two batches, and is there again.
  gone.sockets[0]?.end()
  await until(() => gone.sockets[0]?.destroyed)
  t.equal((await deliver([{ n: 2 }])).size, 0)
  t.equal(gone.texts.length, 2)

  const full = await receiver(t, socket => void socket.pause())
  const stuck = await opened(t, syslog, { ...TCP, port: full.port, timeout_ms: 300 })
  const big = Array.from({ length: 64 }, () => ({ text: 'x'.repeat(512 * 1024) }))
  await t.rejects(stuck.deliver(big), { name: 'RetryableError', message: 'nothing was taken from a batch for 0.3 s' })
  const stop = new AbortController()
  const writing = stuck.deliver(big, stop.signal)
  await until(() => full.texts.length === 2)
  stop.abort()
  await t.rejects(writing, { name: 'AbortError' })
})

t.test('several batches at once keep their order on one connection', async t => {
  const target = await receiver(t)
  const { items, write, output } = await opened(t, syslog, { ...TCP, port: target.port, parallel: 4 })
  t.equal(output.concurrency, 4)
  await Promise.all([0, 1, 2, 3].map(n => write(items([{ n }, { n: n + 0.5 }]))))
  await until(() => counted(target.texts[0] ?? '').length === 8)
  t.same(
    counted(target.texts[0] ?? '').map(line => JSON.parse(line.slice(line.indexOf('{'))).n),
    [0, 0.5, 1, 1.5, 2, 2.5, 3, 3.5],
  )
  t.equal(target.texts.length, 1)
})

t.test('row 61: over TLS a receiver that is not who it should be gets nothing, and is told apart', async t => {
  const ca = certificate({ hosts: ['ca.example'] })
  const own = certificate({ by: ca, hosts: ['penstock.example'] })
  const folder = t.testdir({ 'ca.pem': ca.cert, 'own.pem': own.cert + own.key })
  const TLS = { host: 'localhost', confirm_ms: 50, ca: join(folder, 'ca.pem') }
  const good = await receiver(t, undefined, certificate({ by: ca }))
  const { deliver, output } = await opened(t, syslog, { ...TLS, port: good.port })
  t.equal((await deliver([{ n: 1 }, { text: 'x'.repeat(300_000) }])).size, 0)
  await output.close?.()
  await until(() => counted(good.texts[0] ?? '').length === 2)
  for (const [identity, said] of wrongCertificates(ca)) {
    const wrong = await receiver(t, undefined, identity)
    const strict = await opened(t, syslog, { ...TLS, port: wrong.port })
    await t.rejects(strict.deliver([{ n: 1 }]), { name: 'RetryableError', message: said }, said)
    t.equal(wrong.texts.join(''), '')
    const careless = await opened(t, syslog, { ...TLS, port: wrong.port, tls_insecure: true })
    t.equal((await careless.deliver([{ n: 1 }])).size, 0)
    t.match(careless.lines, [/^warn tls_insecure/])
    t.equal(careless.gauges.get('tls_insecure'), 1)
  }
  const old = await receiver(t, undefined, { ...certificate({ by: ca }), ...OLD_TLS })
  const modern = await opened(t, syslog, { ...TLS, port: old.port })
  await t.rejects(modern.deliver([{ n: 1 }]), { message: 'none of the versions of TLS that are sound' })

  const asking = await receiver(t, undefined, {
    ...certificate({ by: ca }),
    requestCert: true,
    rejectUnauthorized: true,
    ca: ca.cert,
  })
  const known = await opened(t, syslog, { ...TLS, port: asking.port, client_certificate: join(folder, 'own.pem') })
  t.equal((await known.deliver([{ n: 1 }])).size, 0)
  // With TLS 1.3 the refusal comes after the handshake, when bytes may have been taken already.
  const unknown = await opened(t, syslog, { ...TLS, port: asking.port, confirm_ms: 5_000 })
  await t.rejects(unknown.deliver([{ n: 1 }]), { name: 'RetryableError', message: 'it asks for a client certificate' })
  await t.rejects(opened(t, syslog, { ...TLS, port: 1, ca: join(folder, 'none.pem') }), {
    code: 'PEN_OPTION',
    message: 'cannot be read',
  })
})

t.test('over UDP a message is a datagram, and every start warns', async t => {
  const socket = createSocket('udp4')
  const seen: string[] = []
  socket.on('message', message => void seen.push(message.toString()))
  await new Promise<void>(resolve => socket.bind(0, '127.0.0.1', resolve))
  t.teardown(() => socket.close())
  const { deliver, lines, output } = await opened(t, syslog, {
    host: '127.0.0.1',
    port: socket.address().port,
    transport: 'udp',
    hostname: 'h',
  })
  t.match(lines, [/^warn transport: udp: nobody confirms anything/])
  t.equal(output.concurrency, 1)
  for (let n = 0; n < 20; n++) {
    await deliver([{ n }, { n: n + 0.5 }])
    await until(() => seen.length === 2 * (n + 1))
  }
  t.equal(seen[0], '<134>1 - h penstock - - - {"n":0}')
  t.same(
    seen.map(line => JSON.parse(line.slice(line.indexOf('{'))).n),
    Array.from({ length: 40 }, (_, n) => n / 2),
  )
})

t.test('row 57: over UDP a port where nobody listens is told where the system says so', async t => {
  const socket = createSocket('udp4')
  await new Promise<void>(resolve => socket.bind(0, '127.0.0.1', resolve))
  const { port } = socket.address()
  await new Promise<void>(resolve => socket.close(() => resolve()))
  const { deliver } = await opened(t, syslog, { host: '127.0.0.1', port, transport: 'udp' })
  const told = async () => {
    try {
      await deliver([{ n: 1 }])
      return undefined
    } catch (error) {
      return error as Error
    }
  }
  const error = await until(told)
  t.match(error, { name: 'RetryableError', message: /ECONNREFUSED.*the batch is sent again/ })
})

t.test('row 57: a receiver that stops and comes back misses nothing, as the real program sees it', async t => {
  const COUNT = 3000
  let stops = 0
  const target = await receiver(t, (_, text) => {
    if (stops >= 3 || text.length < 40_000 || !target.server.listening) return
    // A stop as a receiver makes it: it reads on until its clients have seen that it has closed its half.
    stops++
    target.server.close()
    for (const socket of target.sockets) socket.end()
  })
  const { ended, said } = runPipeline(
    t,
    COUNT,
    `{ type: syslog, host: localhost, port: ${target.port}, transport: tcp, confirm_ms: 100, batch: { max_events: 100 }, retry: { min_ms: 20, max_ms: 200 } }`,
  )
  for (let stop = 1; stop <= 3; stop++) {
    await until(() => stops === stop && target.sockets.every(({ destroyed }) => destroyed), said)
    if (stop === 1) await until(() => said().includes('output does not take events'), said)
    await target.listen()
  }
  const { code, stderr } = await ended
  t.equal(code, 0, stderr)
  const ids = () =>
    new Set(target.texts.flatMap(text => counted(text)).map(line => JSON.parse(line.slice(line.indexOf('{'))).event.id as string))
  await until(
    () => ids().size === COUNT,
    () => `${ids().size} of ${COUNT}`,
  )
  t.equal(ids().size, COUNT, 'every event is there')
  t.match(stderr, /output takes events again/)
  t.notMatch(stderr, /dead letter/i)
})
