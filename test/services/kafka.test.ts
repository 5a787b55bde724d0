// The kafka output against a real broker: what arrives, and what becomes of it when the broker is killed, refuses, or is not heard.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { numbered } from '../kit/in-process.ts'
import { tcpProxy } from '../kit/tcp-proxy.ts'
import { until } from '../kit/until.ts'
import { killKafka, startKafka } from './kafka/server.ts'
import { broker, ended, keptLog, lettersOf, missing, onlooker, sending } from './kafka/support.ts'

t.setTimeout(900_000)
const OPTIONS = missing === undefined ? {} : { skip: missing }

t.test('with one broker', OPTIONS, async t => {
  const kafka = await broker(t)
  const look = onlooker(t, kafka.plain)
  const brokers = [kafka.plain]

  await t.test('keys, headers, partitions and the id arrive as they were meant', async t => {
    await look.topic('m365-logins', 4)
    const records = Array.from({ length: 300 }, (_, n) => ({
      n,
      user: { id: `u${n % 7}` },
      d: 'logins',
      event: { id: `e${n}` },
      text: 'a\0b',
    }))
    const options = { brokers, topic: 'm365-%{d}', key: 'user.id', headers: { source: 'penstock', user: '%{user.id}' } }
    const { pipeline } = await sending({ options, records })
    t.equal(ended(await pipeline.run()), 'ended')
    const found = await look.read('m365-logins')
    t.equal(found.length, 300)
    const places = new Map<string, Set<number>>()
    for (const { partition, message, value } of found) {
      const record = JSON.parse(value) as (typeof records)[number]
      t.strictSame(record, records[record.n])
      t.equal(message.key?.toString(), record.user.id)
      const headers = Object.fromEntries(Object.entries(message.headers ?? {}).map(([name, text]) => [name, String(text)]))
      t.strictSame(headers, { source: 'penstock', user: record.user.id, 'event-id': record.event.id })
      places.set(record.user.id, (places.get(record.user.id) ?? new Set()).add(partition))
    }
    for (const [user, partitions] of places) t.equal(partitions.size, 1, `${user} has one partition`)
    t.ok(new Set([...places.values()].flatMap(one => [...one])).size > 1, 'and not all the same one')
    const perUser = (n: number) =>
      found.filter(({ message }) => message.key?.toString() === `u${n}`).map(({ value }) => JSON.parse(value).n)
    for (let n = 0; n < 7; n++)
      t.strictSame(
        perUser(n),
        perUser(n).toSorted((a, b) => a - b),
        `those of u${n} are in order`,
      )
  })

  await t.test('without a key all partitions are used', async t => {
    await look.topic('spread', 3)
    const { pipeline } = await sending({ options: { brokers, topic: 'spread' }, records: numbered(300), batch: 10 })
    t.equal(ended(await pipeline.run()), 'ended')
    t.equal(new Set((await look.read('spread')).map(({ partition }) => partition)).size, 3)
  })

  for (const compression of ['none', 'gzip', 'snappy', 'lz4', 'zstd']) {
    await t.test(`compression ${compression}`, async t => {
      await look.topic(`packed-${compression}`)
      const records = numbered(500)
      const { pipeline } = await sending({ options: { brokers, topic: `packed-${compression}`, compression }, records })
      t.equal(ended(await pipeline.run()), 'ended')
      const found = await look.read(`packed-${compression}`)
      t.strictSame(
        found.map(({ value }) => JSON.parse(value)),
        records,
      )
    })
  }

  const token = () => {
    const now = Math.floor(Date.now() / 1000)
    const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')
    return `${part({ alg: 'none' })}.${part({ sub: 'penstock', iat: now, exp: now + 3600 })}.`
  }
  for (const tls of [undefined, { ca: kafka.ca }]) {
    for (const mechanism of [undefined, 'plain', 'scram-sha-256', 'scram-sha-512', 'oauthbearer']) {
      await t.test(`${mechanism ?? 'no SASL'} ${tls ? 'over TLS' : 'without TLS'}`, async t => {
        const door = mechanism ? (tls ? kafka.saslTls : kafka.sasl) : tls ? kafka.tls : kafka.plain
        const topic = `by-${mechanism ?? 'none'}-${tls ? 'tls' : 'plain'}`
        await look.topic(topic)
        const tokenFile = join(t.testdir({}), 'token')
        writeFileSync(tokenFile, `${token()}\n`)
        const credentials =
          mechanism === 'oauthbearer' ? { token_file: tokenFile } : { username: kafka.user, password: kafka.password }
        const options = { brokers: [door], topic, ...(tls && { tls }), ...(mechanism && { sasl: { mechanism, ...credentials } }) }
        const { pipeline } = await sending({ options, records: numbered(10) })
        t.equal(ended(await pipeline.run()), 'ended')
        t.equal(await look.stored(topic), 10)
      })
    }
  }

  await t.test('a client certificate is shown', async t => {
    await look.topic('shown')
    const options = { brokers: [kafka.tls], topic: 'shown', tls: { ca: kafka.ca, cert: kafka.ca, key: kafka.key } }
    const { pipeline } = await sending({ options, records: numbered(3) })
    t.equal(ended(await pipeline.run()), 'ended')
  })

  const refused: readonly (readonly [name: string, options: object, why: RegExp])[] = [
    [
      'a wrong password',
      { brokers: [kafka.sasl], sasl: { mechanism: 'plain', username: 'penstock', password: 'wrong' } },
      /authentication.*nothing is lost: mend sasl/i,
    ],
    ['a certificate that nobody signed', { brokers: [kafka.tls], tls: {} }, /signed by itself; name its PEM file with tls\.ca/],
  ]
  for (const [name, options, why] of refused) {
    await t.test(`${name} is waited for, and makes no dead letter`, async t => {
      const { lines, log } = keptLog()
      const { pipeline, health, store } = await sending({ options: { topic: 'spread', ...options }, records: numbered(3), log })
      const end = pipeline.run()
      const found = await until(
        () => health.ailing().find(({ why: text }) => why.test(text ?? '')),
        () => JSON.stringify(health.ailing()),
      )
      t.equal(found.status, 'degraded')
      t.equal(lines.filter(line => line.includes('does not take events')).length, 1, 'one line tells it')
      pipeline.stop()
      t.equal((await end).left, 3)
      t.strictSame(await lettersOf(store), [])
    })
  }

  await t.test('row 62: a topic that is not there yet is waited for, and health says what to do', async t => {
    const { pipeline, health, store } = await sending({ options: { brokers, topic: 'later' }, records: numbered(50) })
    const end = pipeline.run()
    await until(
      () => health.ailing().some(({ why = '' }) => /topic later: .*make the topic and it goes on/.test(why)),
      () => JSON.stringify(health.ailing()),
    )
    await look.topic('later')
    t.equal(ended(await end), 'ended')
    t.equal(health.worst(), 'ok')
    t.equal(await look.stored('later'), 50)
    t.strictSame(await lettersOf(store), [])
  })

  await t.test(
    'row 62: what a topic does not take for its length is a dead letter, and the rest of the batch arrives once',
    async t => {
      await look.topic('short', 2, { 'max.message.bytes': '2000' })
      const records = numbered(60).map((record, n) => ({ ...record, text: 'x'.repeat(n === 17 || n === 40 ? 3_000 : 300) }))
      const { pipeline, store } = await sending({ options: { brokers, topic: 'short', key: 'n' }, records })
      const end = await pipeline.run()
      t.equal(ended(end), 'ended')
      t.match(await lettersOf(store), [
        { code: 'PEN_TOO_LARGE', error: /more than topic short takes; raise its max\.message\.bytes/ },
        { code: 'PEN_TOO_LARGE' },
      ])
      const found = (await look.read('short')).map(({ value }) => JSON.parse(value).n as number)
      t.strictSame(
        found.toSorted((a, b) => a - b),
        records.map((_, n) => n).filter(n => n !== 17 && n !== 40),
      )
    },
  )
})

t.test(
  'row 62: a broker that is killed and started again in the middle loses nothing, and stores nothing twice',
  OPTIONS,
  async t => {
    const kafka = await broker(t)
    const look = onlooker(t, kafka.plain)
    await look.topic('killed', 3)
    const records = numbered(20_000)
    const { pipeline } = await sending({ options: { brokers: [kafka.plain], topic: 'killed', key: 'n' }, records })
    const end = pipeline.run()
    for (let kill = 0; kill < 2; kill++) {
      await until(() => (pipeline.figures().outputs[0]?.delivered ?? 0) > 4_000 * (kill + 1))
      await killKafka(kafka.dir)
      await startKafka({ dir: kafka.dir })
    }
    t.equal(ended(await end), 'ended')
    const found = (await look.read('killed')).map(({ value }) => JSON.parse(value).n as number)
    t.strictSame(
      found.toSorted((a, b) => a - b),
      records.map(({ n }) => n),
    )
  },
)

t.test('answers that are lost', OPTIONS, async t => {
  // Clients are sent through the proxy by what the broker says of itself.
  const to = { port: 0 }
  const proxy = await tcpProxy(to)
  t.teardown(() => proxy.close())
  const kafka = await broker(t, { 'advertised.listeners': `PLAINTEXT://127.0.0.1:${proxy.port}` })
  to.port = Number(kafka.plain.split(':')[1])
  const look = onlooker(t, `127.0.0.1:${proxy.port}`)
  const PRODUCE = 0

  for (const idempotent of [true, false]) {
    await t.test(`idempotent: ${idempotent}: none is lost${idempotent ? ', and each is stored once' : ''}`, async t => {
      const topic = `answers-${idempotent}`
      await look.topic(topic, 2)
      // Which connections have a Produce request under way: its answer is cut off, once in seven times.
      const producing = new Set<number>()
      let answers = 0
      let lost = 0
      proxy.request((piece, connection) => {
        if (piece.length > 8 && piece.readInt16BE(4) === PRODUCE) producing.add(connection)
        return 'pass'
      })
      proxy.answer((_, connection) => {
        if (!producing.delete(connection) || ++answers % 7 > 0) return 'pass'
        lost++
        return 'cut'
      })
      const records = numbered(3_000)
      const { pipeline } = await sending({
        options: { brokers: [`127.0.0.1:${proxy.port}`], topic, key: 'n', idempotent },
        records,
        batch: 50,
      })
      t.equal(ended(await pipeline.run()), 'ended')
      proxy.answer(() => 'pass')
      proxy.request(() => 'pass')
      t.ok(lost > 3, `${lost} answers were lost`)
      const found = (await look.read(topic)).map(({ value }) => JSON.parse(value).n as number)
      const all = records.map(({ n }) => n)
      if (idempotent)
        t.strictSame(
          found.toSorted((a, b) => a - b),
          all,
        )
      else
        t.strictSame(
          [...new Set(found)].toSorted((a, b) => a - b),
          all,
        )
      t.comment(`${lost} answers lost, ${found.length - all.length} messages twice`)
    })
  }

  await t.test('a batch whose answers stay away goes again as it was, and is stored once', async t => {
    await look.topic('away', 2)
    const { lines, log } = keptLog()
    let producing = false
    let seen = 0
    proxy.request(piece => {
      if (piece.length > 8 && piece.readInt16BE(4) === PRODUCE) producing = true
      return 'pass'
    })
    // More often than kafkajs tries by itself: it goes back to the old numbers and gives up, and whoever calls it tries again.
    proxy.answer(() => {
      if (!producing) return 'pass'
      producing = false
      return ++seen > 12 ? 'pass' : 'cut'
    })
    const records = numbered(400)
    const { pipeline } = await sending({
      options: { brokers: [`127.0.0.1:${proxy.port}`], topic: 'away', key: 'n' },
      records,
      log,
    })
    t.equal(ended(await pipeline.run()), 'ended')
    proxy.answer(() => 'pass')
    proxy.request(() => 'pass')
    const found = (await look.read('away')).map(({ value }) => JSON.parse(value).n as number)
    t.strictSame(
      found.toSorted((a, b) => a - b),
      records.map(({ n }) => n),
    )
    t.ok(
      lines.some(line => line.includes('output does not take events')),
      'kafkajs had given up',
    )
    t.notOk(lines.some(line => line.includes('producer reset')))
  })

  await t.test('row 63: a sequence that the broker does not take makes another producer, and nothing is lost', async t => {
    await look.topic('sequence', 1)
    const { lines, log } = keptLog()
    let produced = 0
    // The third batch's numbers begin elsewhere: the field is behind the producer's id and epoch in the batch's head, and its checksum
    // is made anew by nobody, so the answer is made instead.
    proxy.request((piece, connection) => {
      if (piece.length > 8 && piece.readInt16BE(4) === PRODUCE && ++produced === 3) asked.add(connection)
      return 'pass'
    })
    const asked = new Set<number>()
    proxy.answer((piece, connection) => {
      if (!asked.delete(connection)) return 'pass'
      // Produce answer: length, correlation, one topic by its name, one partition: its number, then the error's code.
      const name = piece.readInt16BE(12)
      piece.writeInt16BE(45, 14 + name + 4 + 4)
      return 'pass'
    })
    const records = numbered(500)
    const { pipeline } = await sending({ options: { brokers: [`127.0.0.1:${proxy.port}`], topic: 'sequence' }, records, log })
    t.equal(ended(await pipeline.run()), 'ended')
    proxy.answer(() => 'pass')
    proxy.request(() => 'pass')
    t.match(
      lines.filter(line => line.includes('producer reset')),
      [/^warn kafka: producer reset .*OUT_OF_ORDER_SEQUENCE.*"possible_duplicates":100/],
    )
    const found = (await look.read('sequence')).map(({ value }) => JSON.parse(value).n as number)
    t.strictSame(
      [...new Set(found)].toSorted((a, b) => a - b),
      records.map(({ n }) => n),
    )
    t.equal(found.length, 600, 'the batch that was stored and refused is there twice')
  })
})
