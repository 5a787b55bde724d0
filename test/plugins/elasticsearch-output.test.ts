// The output elasticsearch on a server that is made up: each answer is understood, none costs an event, and nothing is there twice.
import { renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { memoryStore } from '../../core/cli/memory-store.ts'
import type { Chunk } from '../../core/plugin/interfaces.ts'
import type { JsonObject } from '../../core/plugin/json.ts'
import type { DeadLetter } from '../../core/state/types.ts'
import { Pace } from '../../plugins/outputs/elasticsearch/pace.ts'
import { chunkOf, imbalance, inProcess, listInput } from '../kit/in-process.ts'
import { type FakeElasticsearch, fakeElasticsearch, outputOn } from './elasticsearch-support.ts'

t.setTimeout(60_000)

const STREAM = 'logs-o365.audit-test'

function events(count: number, more: JsonObject = {}): JsonObject[] {
  return Array.from({ length: count }, (_, n) => ({
    '@timestamp': '2026-05-01T10:00:00Z',
    n,
    event: { id: `e${n}`, dataset: 'o365.audit' },
    ...more,
  }))
}

/** Runs the records through the output; they are no repeats, unless a chunk says so. */
async function run(
  t: Test,
  fake: FakeElasticsearch,
  records: readonly JsonObject[] | readonly Chunk[],
  { options = {}, batch = 7 }: { options?: JsonObject; batch?: number } = {},
) {
  const output = await outputOn(fake, options)
  const chunks = records.every(one => 'ends' in one)
    ? (records as readonly Chunk[])
    : Array.from({ length: Math.ceil(records.length / 5) }, (_, index) =>
        chunkOf((records as readonly JsonObject[]).slice(index * 5, index * 5 + 5), { again: false }),
      )
  const { pipeline, store, health } = inProcess({
    inputs: {
      in: {
        async *read() {
          yield* chunks
        },
      },
    },
    outputs: { es: { output, config: { batch: { max_events: batch, max_bytes: 1 << 20, max_ms: 5 } } } },
    store: memoryStore(),
  })
  const end = await pipeline.run()
  t.equal(end.status, 'ended', end.error?.message ?? '')
  t.same(imbalance(end.figures), [])
  const letters = await store.letters.list({})
  return { end, letters, health, figures: end.figures.outputs[0]! }
}

const errors = (letters: readonly DeadLetter[]) => letters.map(({ error }) => error)

t.test('each event is created once under its id, in the stream of its data set', async t => {
  const fake = await fakeElasticsearch(t)
  const { figures, letters } = await run(t, fake, [
    ...events(20),
    { '@timestamp': '2026-05-01T10:00:00Z', event: { id: 'other', dataset: 'entra.signin' } },
    { event: { id: 'none' } },
  ])
  t.same([...fake.streams.keys()].sort(), ['logs-entra.signin-test', STREAM])
  t.same(fake.streams.get(STREAM)?.[0]?.get('e3'), events(4)[3], 'the document is the event')
  t.equal(figures.delivered, 21)
  t.same(errors(letters), [
    'index: the event has no field "event.dataset"; give the template a default: %{event.dataset:-unknown}',
  ])
  const [bulk] = fake.requests
  t.match(bulk?.headers, { 'content-type': 'application/vnd.elasticsearch+x-ndjson; compatible-with=8' })
  t.match(bulk?.body.toString(), /^\{"create":\{.*"require_data_stream":true/, 'no index is made by mistake')
  t.notOk(
    fake.requests.some(({ path }) => path.endsWith('_search')),
    'nothing is looked up that cannot be there',
  )
})

t.test('row 51: one item of many is refused as too much: only that one is sent again', async t => {
  const fake = await fakeElasticsearch(t)
  let refused = 0
  fake.odd = () => ({
    item: (_part, id) => {
      if (id !== 'e250' || refused++ > 0) return undefined
      return { status: 429, error: { type: 'es_rejected_execution_exception', reason: 'queue is full' } }
    },
  })
  const { figures, letters } = await run(t, fake, events(500), { batch: 500 })
  t.equal(figures.delivered, 500)
  t.equal(figures.retried, 1)
  t.equal(fake.ids().length, 500)
  t.same(letters, [])
})

t.test('row 52: an item that the mapping refuses is a dead letter with the reason, and the others arrive', async t => {
  const fake = await fakeElasticsearch(t)
  fake.odd = () => ({
    item: (_part, id) =>
      id === 'e3'
        ? {
            status: 400,
            error: {
              type: 'document_parsing_exception',
              reason: 'failed to parse field [source.ip] of type [ip]',
              caused_by: { type: 'illegal_argument_exception', reason: "'x' is not an IP string literal." },
            },
          }
        : undefined,
  })
  const { figures, letters } = await run(t, fake, events(10))
  t.equal(figures.delivered, 9)
  t.same(errors(letters), [
    "elasticsearch: document_parsing_exception: failed to parse field [source.ip] of type [ip]; illegal_argument_exception: 'x' is not an IP string literal.",
  ])
})

t.test('row 53: a server that refuses nearly everything does not fill the dead letters', async t => {
  const fake = await fakeElasticsearch(t)
  let healthy = false
  fake.odd = (_, bulks) => {
    healthy = bulks > 15
    return {
      item: () => (healthy ? undefined : { status: 400, error: { type: 'strict_dynamic_mapping_exception', reason: 'no' } }),
    }
  }
  const output = await outputOn(fake)
  const { pipeline, store } = inProcess({
    inputs: { in: listInput(events(300), 50) },
    outputs: { es: { output, config: { batch: { max_events: 20, max_bytes: 1 << 20, max_ms: 5 } } } },
  })
  const running = pipeline.run()
  const letters = async () => (await store.letters.list({})).length
  while (fake.requests.filter(({ path }) => path === '/_bulk').length < 6) await new Promise(resolve => setImmediate(resolve))
  pipeline.stop()
  await running
  t.ok((await letters()) < 100, `${await letters()} of 300`)
})

t.test(
  'row 54: a blocked index and a server that is ill wait; a missing index waits, then is a dead letter, or at once where so set',
  async t => {
    const fake = await fakeElasticsearch(t)
    const block = {
      type: 'cluster_block_exception',
      reason: 'index [x] blocked by: [TOO_MANY_REQUESTS/12/disk usage exceeded flood-stage]',
    }
    const says = [
      { status: 429, error: block },
      { status: 403, error: block },
      { status: 503, error: { type: 'unavailable_shards_exception', reason: 'primary shard is not active' } },
      { status: 403, error: { type: 'security_exception', reason: 'action [indices:data/write] is unauthorized' } },
      { status: 404, error: { type: 'index_not_found_exception', reason: 'no such index' } },
    ]
    fake.odd = (_, bulks) => ({ item: _part => (bulks <= 20 ? (says[bulks % says.length] as JsonObject) : undefined) })
    const { figures, letters } = await run(t, fake, events(6))
    t.equal(figures.delivered, 6, 'after twenty refusals of each, although max_tries is 3')
    t.same(letters, [])

    const gone = await fakeElasticsearch(t)
    gone.odd = () => ({ item: () => says[4] as JsonObject })
    const at = await run(t, gone, events(3), { options: { on_missing_index: 'dead_letter' } })
    t.same(
      new Set(errors(at.letters)),
      new Set([
        `elasticsearch: ${STREAM} does not exist (index_not_found_exception: no such index); penstock setup elasticsearch installs the templates`,
      ]),
    )
    const later = await run(t, gone, events(3), { options: { missing_index_wait_ms: 30, index: 'own' } })
    t.equal(later.letters.length, 3, 'and after the wait')
    t.ok(later.figures.retried > 0)
  },
)

t.test('row 55: a request that is too large is halved; one event that is too large is a dead letter', async t => {
  const fake = await fakeElasticsearch(t)
  fake.odd = ({ path, body }) =>
    path === '/_bulk' && body.length > 400 ? { status: 413, text: '', headers: { 'x-elastic-product': '' } } : undefined
  const { figures, letters } = await run(t, fake, [...events(8), { ...events(9)[8], text: 'x'.repeat(1_000) }], { batch: 9 })
  t.equal(figures.delivered, 8)
  t.same(errors(letters), ['elasticsearch: a request is too large (status 413)'])
})

t.test('row 56: a refused key waits, is read again from its file, and nothing becomes a dead letter', async t => {
  const fake = await fakeElasticsearch(t)
  const folder = t.testdir({ key: 'old:key' })
  const file = join(folder, 'key')
  const wanted = `ApiKey ${Buffer.from('new:key').toString('base64')}`
  let refusals = 0
  fake.odd = ({ headers }) => {
    if (headers.authorization === wanted) return undefined
    if (++refusals === 5) {
      writeFileSync(`${file}.next`, 'new:key\n')
      renameSync(`${file}.next`, file)
    }
    return {
      status: refusals % 2 === 0 ? 403 : 401,
      json: { error: { type: 'security_exception', reason: 'unable to authenticate' }, status: 401 },
    }
  }
  // The support takes a value that begins with a slash for the file that it was read from.
  const { figures, letters, health } = await run(t, fake, events(20), { options: { api_key: file } })
  t.equal(figures.delivered, 20)
  t.same(letters, [])
  t.ok(refusals >= 5)
  t.equal(health.worst(), 'ok', 'well again')
})

t.test(
  'rows 57, 58: answers that are cut off, lost, no JSON, or of another length: nothing is lost, nothing is there twice',
  async t => {
    const fake = await fakeElasticsearch(t)
    fake.odd = ({ path }, bulks) => {
      if (path !== '/_bulk') return undefined
      switch (bulks % 7) {
        case 1:
          return { cut: true }
        case 2:
          return { lost: true }
        case 3:
          return { text: '<html>a proxy</html>', headers: { 'content-type': 'text/html' } }
        case 4:
          return {
            json: { items: [{ create: { status: 201 } }, ...Array.from({ length: 20 }, () => ({ create: { status: 201 } }))] },
          }
        case 5:
          return { status: 502, text: 'bad gateway', headers: { 'content-type': 'text/plain' } }
        default:
          return undefined
      }
    }
    const { figures, letters } = await run(t, fake, events(60))
    t.equal(figures.delivered, 60)
    t.same(letters, [])
    t.equal(new Set(fake.ids()).size, 60)
    t.equal(fake.ids().length, 60)
  },
)

t.test('row 57: a server that is away for a while loses nothing and gets everything when it is back', async t => {
  const fake = await fakeElasticsearch(t)
  await fake.stop()
  const running = run(t, fake, events(50))
  await fake.start()
  const { figures } = await running
  t.equal(figures.delivered, 50)
  t.equal(fake.ids().length, 50)
})

t.test('row 59: what is there already counts as delivered, and is no dead letter', async t => {
  const fake = await fakeElasticsearch(t)
  fake.streams.set(STREAM, [new Map(events(10).map(event => [(event['event'] as JsonObject)['id'] as string, event]))])
  const { figures, letters, end } = await run(t, fake, events(25))
  t.equal(figures.delivered, 25)
  t.same(letters, [])
  t.equal(fake.ids().length, 25)
  const rows = new Map(end.summaries[0]?.rows.map(([label, value]) => [label, value]))
  t.equal(rows.get('created'), 15)
  t.equal(rows.get('there before'), 10)
})

t.test('row 60: a rollover between two tries makes no second document', async t => {
  const fake = await fakeElasticsearch(t)
  fake.odd = ({ path }, bulks) => {
    if (path !== '/_bulk' || bulks % 2 === 0) return undefined
    // It is carried out, nobody hears of it, and the stream gets a new index.
    queueMicrotask(() => fake.rollover(STREAM))
    return { lost: true }
  }
  const { figures } = await run(t, fake, events(30), { options: { max_requests: 1 } })
  t.equal(figures.delivered, 30)
  t.ok((fake.streams.get(STREAM)?.length ?? 0) > 2)
  t.equal(fake.ids().length, 30, 'each is there once')
})

t.test(
  'row 60: what an earlier run may have sent is looked up, as far as it may have come, and not where that is switched off',
  async t => {
    const fake = await fakeElasticsearch(t)
    const old = () => new Map(events(10).map(event => [(event['event'] as JsonObject)['id'] as string, event]))
    fake.streams.set(STREAM, [old(), new Map()])
    await run(t, fake, [chunkOf(events(20))])
    t.equal(fake.ids().length, 20)
    t.equal(fake.requests.filter(({ path }) => path.endsWith('_search')).length > 0, true)

    fake.streams.set(STREAM, [old(), new Map()])
    await run(t, fake, [chunkOf(events(20))], { options: { look_up_repeats: false } })
    t.equal(fake.ids().length, 30)
  },
)

t.test('a look-up that is refused or comes to half waits, and says which right is missing', async t => {
  const fake = await fakeElasticsearch(t)
  let asked = 0
  fake.odd = ({ path }) => {
    if (!path.endsWith('_refresh') || ++asked > 4) return undefined
    return asked % 2 === 0
      ? { status: 403, json: { error: { type: 'security_exception', reason: 'unauthorized' } } }
      : { status: 503, json: { error: { type: 'no_shard_available_action_exception', reason: '' } } }
  }
  fake.streams.set(STREAM, [new Map()])
  const { figures, letters } = await run(t, fake, [chunkOf(events(5))])
  t.equal(figures.delivered, 5)
  t.same(letters, [])
  t.equal(asked > 4, true)
})

t.test('a document in a failure store counts apart, and is a dead letter where so set', async t => {
  const fake = await fakeElasticsearch(t)
  fake.odd = () => ({ item: (_part, id) => (id === 'e2' ? { status: 201, failure_store: 'used' } : undefined) })
  const { end, letters } = await run(t, fake, events(5))
  t.same(letters, [])
  t.same(
    end.summaries[0]?.rows.find(([label]) => label === 'in failure stores'),
    ['in failure stores', 1],
  )
  const buried = await run(t, fake, events(5), { options: { on_failure_store: 'dead_letter' } })
  t.equal(buried.letters.length, 1)
  t.match(errors(buried.letters)[0], /failure store/)
})

t.test('a whole request that is refused for one event costs that event alone', async t => {
  const fake = await fakeElasticsearch(t)
  fake.odd = ({ path, body }) =>
    path === '/_bulk' && body.includes('"poison"')
      ? { status: 400, json: { error: { type: 'illegal_argument_exception', reason: 'no' } } }
      : undefined
  const { figures, letters } = await run(t, fake, [...events(9), { ...events(10)[9], text: 'poison' }], { batch: 10 })
  t.equal(figures.delivered, 9)
  t.same(errors(letters), ['elasticsearch: the request is refused (400, illegal_argument_exception: no)'])
})

t.test('fewer requests go at once while there is too much, and more again when all of them are taken', async t => {
  const pace = new Pace(8)
  pace.slower()
  pace.slower()
  t.equal(pace.limit, 2)
  let most = 0
  let busy = 0
  const work = async () => {
    most = Math.max(most, ++busy)
    await new Promise(resolve => setImmediate(resolve))
    busy--
  }
  await Promise.all(Array.from({ length: 20 }, () => pace.run(work)))
  t.equal(most, 2)
  for (let taken = 0; taken < 8; taken++) pace.faster()
  t.equal(pace.limit, 3)
  for (let refused = 0; refused < 9; refused++) pace.slower()
  t.equal(pace.limit, 1, 'one always may')
  for (let taken = 0; taken < 1_000; taken++) pace.faster()
  t.equal(pace.limit, 8)
})

t.test('with Retry-After nothing is sent before, and requests may be packed', async t => {
  const fake = await fakeElasticsearch(t)
  fake.odd = ({ path }, bulks) => (path === '/_bulk' && bulks < 4 ? { status: 429, headers: { 'retry-after': '0' } } : undefined)
  const { figures } = await run(t, fake, events(40), { options: { compression: 'gzip' } })
  t.equal(figures.delivered, 40)
  const bulks = fake.requests.filter(({ path }) => path === '/_bulk')
  t.ok(bulks.every(({ headers }) => headers['content-encoding'] === 'gzip'))
})

t.test('ids that are too long are hashed, the same each time', async t => {
  const fake = await fakeElasticsearch(t)
  const long = { '@timestamp': '2026-05-01T10:00:00Z', event: { id: 'é'.repeat(300), dataset: 'o365.audit' } }
  await run(t, fake, [long])
  await run(t, fake, [long])
  t.equal(fake.ids().length, 1)
  t.match(fake.ids()[0], /^[\da-f]{64}$/)
})
