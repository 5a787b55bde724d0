// The kafka input against a real broker: what a group reads, commits and shares, also when its members are killed.
import { readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import t from 'tap'
import { stringify } from 'yaml'
import type { JsonObject } from '../../core/plugin/json.ts'
import { numbered } from '../kit/in-process.ts'
import { start } from '../kit/process.ts'
import { until } from '../kit/until.ts'
import { killKafka, startKafka } from './kafka/server.ts'
import { broker, ended, keptLog, lettersOf, missing, onlooker, receiving, sending } from './kafka/support.ts'

t.setTimeout(900_000)
const OPTIONS = missing === undefined ? {} : { skip: missing }

const messagesOf = (records: readonly JsonObject[]) =>
  records.map(record => ({ key: String(record['n']), value: JSON.stringify(record) }))
const numbersOf = (records: readonly JsonObject[]) => [...new Set(records.map(({ n }) => n as number))].toSorted((a, b) => a - b)

t.test('with one broker', OPTIONS, async t => {
  const kafka = await broker(t)
  const look = onlooker(t, kafka.plain)
  const brokers = [kafka.plain]

  await t.test('a group reads everything once, commits it, and goes on there', async t => {
    await look.topic('read', 3)
    await look.write('read', messagesOf(numbered(2_000)))
    const options = { brokers, group_id: 'readers', topics: ['read'] }
    for (const [from, to] of [
      [0, 2_000],
      [2_000, 2_500],
    ] as const) {
      if (from > 0) await look.write('read', messagesOf(numbered(to).slice(from)))
      const delivered: JsonObject[] = []
      const { pipeline } = await receiving(options, delivered)
      const end = pipeline.run()
      await until(() => delivered.length >= to - from)
      pipeline.stop()
      t.equal(ended(await end), 'stopped')
      t.equal(delivered.length, to - from)
      t.strictSame(
        numbersOf(delivered),
        numbered(to)
          .slice(from)
          .map(({ n }) => n),
      )
      t.equal(await look.committed('readers', 'read'), to, 'all is committed at the stop')
    }
  })

  await t.test('an offset is committed only when every output has confirmed', async t => {
    await look.topic('confirmed')
    await look.write('confirmed', messagesOf(numbered(100)))
    let open = false
    let asked = 0
    const options = { brokers, group_id: 'confirmers', topics: ['confirmed'] }
    const run = async (delivered: JsonObject[]) =>
      receiving(options, delivered, async () => {
        asked++
        if (!open) throw new Error('the destination is away')
      })
    const first: JsonObject[] = []
    const { pipeline } = await run(first)
    const end = pipeline.run()
    await until(() => asked > 20)
    t.equal(await look.committed('confirmers', 'confirmed'), 0)
    pipeline.stop()
    t.equal(ended(await end), 'stopped')
    t.equal(await look.committed('confirmers', 'confirmed'), 0, 'nor at the stop')
    open = true
    const second: JsonObject[] = []
    const { pipeline: again } = await run(second)
    const over = again.run()
    await until(() => second.length >= 100)
    await until(async () => (await look.committed('confirmers', 'confirmed')) === 100)
    again.stop()
    await over
    t.strictSame([first.length, second.length], [0, 100])
  })

  await t.test('while an output is slow the member stays in its group, reads little ahead, and loses nothing', async t => {
    await look.topic('slow')
    const text = 'x'.repeat(10_000)
    await look.write('slow', messagesOf(numbered(3_000).map(record => ({ ...record, text }))))
    const { lines, log } = keptLog()
    let open = false
    const delivered: JsonObject[] = []
    const options = { brokers, group_id: 'slow', topics: ['slow'], session_timeout_ms: 6_000, heartbeat_interval_ms: 200 }
    const { pipeline } = await receiving(
      options,
      delivered,
      async () => {
        if (!open) throw new Error('the destination is slow')
      },
      { log },
    )
    const end = pipeline.run()
    await until(() => pipeline.figures().counts.read > 0)
    // Longer than its session: without heartbeats it would be put out.
    for (const until = performance.now() + 9_000; performance.now() < until; await new Promise(done => setTimeout(done, 500))) {
      t.equal(await look.members('slow'), 1)
    }
    t.ok(pipeline.figures().counts.read < 1_000, `${pipeline.figures().counts.read} of 3000 are read`)
    open = true
    await until(() => delivered.length >= 3_000)
    pipeline.stop()
    t.equal(ended(await end), 'stopped')
    t.equal(delivered.length, 3_000, 'each once')
    t.equal(lines.filter(line => line.includes('this member reads these partitions')).length, 1, 'it joined once')
  })

  await t.test('two members share the partitions; what one had when it leaves is read by the other', async t => {
    await look.topic('shared', 4)
    const delivered: JsonObject[][] = [[], []]
    const options = { brokers, group_id: 'sharers', topics: ['shared'], heartbeat_interval_ms: 200, session_timeout_ms: 6_000 }
    const first = (await receiving(options, delivered[0]!)).pipeline
    const second = (await receiving(options, delivered[1]!)).pipeline
    const ends = [first.run(), second.run()]
    await until(async () => (await look.members('sharers')) === 2)
    let written = 0
    const more = async () => {
      await look.write('shared', messagesOf(numbered(written + 1_000).slice(written)))
      written += 1_000
    }
    await more()
    await until(() => delivered[0]!.length + delivered[1]!.length >= 1_000)
    t.ok(delivered[0]!.length > 0 && delivered[1]!.length > 0, `${delivered[0]!.length} and ${delivered[1]!.length}`)
    await more()
    first.stop()
    t.equal(ended(await ends[0]!), 'stopped')
    await more()
    await until(
      () => numbersOf(delivered.flat()).length === written,
      () => `${numbersOf(delivered.flat()).length} of ${written}`,
    )
    second.stop()
    t.equal(ended(await ends[1]!), 'stopped')
    await look.stored('shared')
    t.equal(await look.committed('sharers', 'shared'), written)
    t.comment(`${delivered.flat().length - written} of ${written} messages twice`)
  })

  await t.test('from: latest leaves out what is there, and nothing that comes later', async t => {
    await look.topic('latest', 2)
    await look.write('latest', messagesOf(numbered(50)))
    const delivered: JsonObject[] = []
    const options = { brokers, group_id: 'late', topics: ['latest'], from: 'latest' }
    const { pipeline } = await receiving(options, delivered)
    const end = pipeline.run()
    await until(
      async () => (await look.committed('late', 'latest')) === 50,
      () => 'it did not commit where it began',
    )
    pipeline.stop()
    await end
    await look.write('latest', messagesOf(numbered(80).slice(50)))
    const { pipeline: again } = await receiving(options, delivered)
    const over = again.run()
    await until(() => delivered.length >= 30)
    again.stop()
    await over
    t.strictSame(
      numbersOf(delivered),
      numbered(80)
        .slice(50)
        .map(({ n }) => n),
    )
  })

  await t.test('a topic that is made later, and one that the pattern finds later, are read', async t => {
    await look.topic('found-1')
    await look.write('found-1', messagesOf(numbered(10)))
    const delivered: JsonObject[] = []
    const options = { brokers, group_id: 'finders', topics: ['not-yet'], topics_pattern: 'found-.*', metadata_max_age_ms: 1_000 }
    const { pipeline, health } = await receiving(options, delivered)
    const end = pipeline.run()
    await until(() => delivered.length === 10)
    t.match(health.ailing(), [{ status: 'degraded', why: /there is no topic not-yet .*the others are read/ }])
    await look.topic('not-yet')
    await look.topic('found-2')
    await look.write('not-yet', messagesOf(numbered(20).slice(10)))
    await look.write('found-2', messagesOf(numbered(30).slice(20)))
    await until(
      () => numbersOf(delivered).length === 30,
      () => `${delivered.length}`,
    )
    t.equal(health.worst(), 'ok')
    pipeline.stop()
    await end
  })

  await t.test('tombstones, empty messages and broken ones do not stop a partition, and are accounted for', async t => {
    await look.topic('odd')
    const plain = messagesOf(numbered(4)) as { key: string; value: string | null }[]
    await look.write('odd', [
      plain[0]!,
      { key: 'a', value: null },
      { key: 'b', value: '' },
      { key: 'c', value: '{"n":' },
      plain[1]!,
      { key: 'd', value: '{"records":[{"n":2},{"n":3}]}' },
      { key: 'e', value: null },
    ])
    const delivered: JsonObject[] = []
    const { pipeline, store } = await receiving({ brokers, group_id: 'odd', topics: ['odd'], unwrap: 'records' }, delivered)
    const end = pipeline.run()
    await until(async () => (await look.committed('odd', 'odd')) === 7)
    pipeline.stop()
    t.equal(ended(await end), 'stopped')
    t.strictSame(numbersOf(delivered), [0, 1, 2, 3])
    t.match(await lettersOf(store), [{ code: 'PEN_CUT_OFF', meta: { topic: 'odd', partition: 'odd/0', offset: '3' } }])
  })

  await t.test('what is gone before it was read is told, and reading goes on with the oldest that is there', async t => {
    await look.topic('gone')
    await look.write('gone', messagesOf(numbered(100)))
    const admin = await look.admin()
    await admin.setOffsets({ groupId: 'gone', topic: 'gone', partitions: [{ partition: 0, offset: '10' }] })
    await admin.deleteTopicRecords({ topic: 'gone', partitions: [{ partition: 0, offset: '60' }] })
    const { lines, log } = keptLog()
    const delivered: JsonObject[] = []
    const { pipeline } = await receiving({ brokers, group_id: 'gone', topics: ['gone'], from: 'latest' }, delivered, undefined, {
      log,
    })
    const end = pipeline.run()
    await until(() => delivered.length >= 40)
    pipeline.stop()
    await end
    t.strictSame(
      numbersOf(delivered),
      numbered(100)
        .slice(60)
        .map(({ n }) => n),
    )
    t.match(
      lines.filter(line => line.startsWith('error')),
      [/messages are gone that were not read.*"up_to":"60"/],
    )
  })

  await t.test('what the output wrote keeps its ids, also where it was sent twice', async t => {
    await look.topic('ids')
    const records = [...numbered(20), ...numbered(20)].map(({ n }) => ({ n, event: { id: `e${n}` } }))
    const { pipeline: to } = await sending({ options: { brokers, topic: 'ids' }, records })
    t.equal(ended(await to.run()), 'ended')
    const ids: string[] = []
    const delivered: JsonObject[] = []
    const { pipeline } = await receiving({ brokers, group_id: 'ids', topics: ['ids'] }, delivered, async items => {
      ids.push(...items.map(({ id }) => id))
    })
    const end = pipeline.run()
    await until(() => delivered.length >= 40)
    pipeline.stop()
    await end
    t.strictSame(
      ids,
      records.map(({ event }) => event.id),
    )
  })

  await t.test('by SASL and TLS, as Event Hubs has it', async t => {
    await look.topic('hub')
    await look.write('hub', [{ value: '{"records":[{"n":0},{"n":1}]}' }, { value: '[{"n":2}]' }, { value: '{"n":3}' }])
    const sasl = { mechanism: 'plain', username: kafka.user, password: kafka.password }
    const delivered: JsonObject[] = []
    const options = { brokers: [kafka.saslTls], tls: { ca: kafka.ca }, sasl, group_id: 'hub', topics: ['hub'], unwrap: 'records' }
    const { pipeline } = await receiving(options, delivered)
    const end = pipeline.run()
    await until(() => delivered.length >= 4)
    pipeline.stop()
    t.equal(ended(await end), 'stopped')
    t.strictSame(numbersOf(delivered), [0, 1, 2, 3])
  })
})

t.test('a broker that is killed and started again in the middle loses nothing', OPTIONS, async t => {
  const kafka = await broker(t)
  const look = onlooker(t, kafka.plain)
  await look.topic('killed', 3)
  await look.write('killed', messagesOf(numbered(5_000)))
  const delivered: JsonObject[] = []
  const options = { brokers: [kafka.plain], group_id: 'killed', topics: ['killed'], fetch_bytes: 20_000 }
  const { pipeline, health } = await receiving(options, delivered)
  const end = pipeline.run()
  await until(() => delivered.length > 1_000)
  await killKafka(kafka.dir)
  await startKafka({ dir: kafka.dir })
  await look.write('killed', messagesOf(numbered(6_000).slice(5_000)))
  await until(
    () => numbersOf(delivered).length === 6_000,
    () => `${numbersOf(delivered).length}, ${JSON.stringify(health.ailing())}`,
  )
  await until(async () => (await look.committed('killed', 'killed')) === 6_000)
  pipeline.stop()
  t.equal(ended(await end), 'stopped')
  t.equal(health.worst(), 'ok')
  t.comment(`${delivered.length - 6_000} of 6000 messages twice`)
})

t.test('a member that is killed is replaced by the other, and nothing is lost', OPTIONS, async t => {
  const kafka = await broker(t)
  const look = onlooker(t, kafka.plain)
  await look.topic('work', 4)
  const folder = dirname(kafka.dir)
  const lives = ['a', 'b'].map(name => {
    const file = join(folder, `${name}.yaml`)
    const input = {
      ...{ type: 'kafka', brokers: [kafka.plain], group_id: 'workers', topics: ['work'] },
      ...{
        session_timeout_ms: 6_000,
        heartbeat_interval_ms: 500,
        commit_interval_ms: 100,
        fetch_wait_ms: 50,
        fetch_bytes: 20_000,
      },
    }
    const output = { type: 'file', path: `${name}.ndjson` }
    writeFileSync(file, stringify({ name, inputs: [input], outputs: [output] }))
    const life = start(['run', file, '--state-dir', join(folder, `state-${name}`), '--log-level', 'warn'], { cwd: folder })
    t.teardown(() => life.child.kill('SIGKILL'))
    return life
  })
  await until(
    async () => (await look.members('workers')) === 2,
    () => 'they did not join',
    { every: 100 },
  )
  const lines = (name: string) => {
    try {
      return readFileSync(join(folder, `${name}.ndjson`), 'utf8')
        .split('\n')
        .slice(0, -1)
    } catch {
      return []
    }
  }
  const found = () => numbersOf(['a', 'b'].flatMap(lines).map(line => JSON.parse(line) as JsonObject))
  await look.write('work', messagesOf(numbered(20_000)))
  await until(
    () => lines('a').length > 500 && lines('b').length > 500,
    () => `${lines('a').length} and ${lines('b').length}`,
  )
  lives[0]!.child.kill('SIGKILL')
  await look.write('work', messagesOf(numbered(25_000).slice(20_000)))
  await until(
    () => found().length === 25_000,
    () => `${found().length} of 25000`,
    { every: 200 },
  )
  await until(
    async () => (await look.committed('workers', 'work')) === 25_000,
    () => 'not all is committed',
    { every: 100 },
  )
  lives[1]!.child.kill('SIGTERM')
  const { code, stderr } = await lives[1]!.ended
  t.equal(code, 0, stderr)
  t.strictSame(
    found(),
    numbered(25_000).map(({ n }) => n),
  )
  t.comment(`${lines('a').length + lines('b').length - 25_000} of 25000 messages twice`)
})
