// The output elasticsearch on a real server: what it answers is what Penstock takes it for, and kills on both sides lose and repeat nothing.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { memoryStore } from '../../core/cli/memory-store.ts'
import type { Chunk } from '../../core/plugin/interfaces.ts'
import type { JsonObject } from '../../core/plugin/json.ts'
import { chunkOf, imbalance, inProcess } from '../kit/in-process.ts'
import { tcpProxy } from '../kit/tcp-proxy.ts'
import { until } from '../kit/until.ts'
import { outputOn } from '../plugins/elasticsearch-support.ts'
import { elasticsearchMissing } from './elasticsearch/server.ts'
import { count, events, STREAM, serverIn, TEMPLATE } from './elasticsearch-support.ts'

t.setTimeout(3_000_000)

const skip = elasticsearchMissing() ?? false
async function run(t: Test, url: string, records: readonly JsonObject[], options: JsonObject = {}, again = false) {
  const chunks: Chunk[] = []
  for (let at = 0; at < records.length; at += 50) chunks.push(chunkOf(records.slice(at, at + 50), { again }))
  const output = await outputOn({ url }, options)
  const { pipeline, store, health } = inProcess({
    inputs: {
      in: {
        async *read() {
          yield* chunks
        },
      },
    },
    outputs: {
      es: { output, config: { batch: { max_events: 100, max_bytes: 1 << 20, max_ms: 20 }, retry: { min_ms: 20, max_ms: 500 } } },
    },
    store: memoryStore(),
  })
  const ended = pipeline.run().then(end => {
    t.equal(end.status, 'ended', end.error?.message ?? '')
    t.same(imbalance(end.figures), [])
    return end
  })
  const letters = async () => (await store.letters.list({})).map(({ error }) => error)
  return { ended, letters, health, figures: () => pipeline.figures().outputs[0] ?? { retried: 0, delivered: 0, inFlight: 0 } }
}

t.test('documents, repeats, refusals, missing and blocked indices, failure stores, rollovers', { skip }, async t => {
  const server = await serverIn(t)
  const { url } = server

  await t.test('row 54: without a template nothing is made and everything waits; with it everything arrives', async t => {
    const { ended, figures, letters, health } = await run(t, url, events(120))
    await until(() => figures().retried > 0 && health.ailing().length > 0)
    t.match(health.ailing()[0]?.why, /does not exist \(.*\); penstock setup elasticsearch installs the templates/)
    t.equal((await server.request('GET', `/_resolve/index/logs-*`)).json?.indices?.length ?? 0, 0, 'no index was made')
    t.equal((await server.request('PUT', '/_index_template/logs', TEMPLATE)).status, 200)
    const end = await ended
    t.equal(end.figures.outputs[0]?.delivered, 120)
    t.same(await letters(), [])
    t.equal(await count(server, STREAM), 120)
  })

  await t.test('row 59: what is there is not written again, and counts as delivered', async t => {
    const { ended } = await run(t, url, events(200))
    const end = await ended
    t.equal(end.figures.outputs[0]?.delivered, 200)
    const rows = new Map(end.summaries[0]?.rows)
    t.equal(rows.get('there before'), 120)
    t.equal(rows.get('created'), 80)
    t.equal(await count(server, STREAM), 200)
  })

  await t.test('row 52: a field that does not fit is a dead letter with the reason', async t => {
    const bad = events(1, 1_000, { source: { ip: 'no address' } })
    const { ended, letters } = await run(t, url, [...events(20, 1_001), ...bad])
    await ended
    const [letter, ...others] = await letters()
    t.match(letter, /^elasticsearch: document_parsing_exception: .*failed to parse field \[source\.ip\] of type \[ip\]/)
    t.same(others, [])
    t.equal(await count(server, STREAM), 220)
  })

  await t.test('rows 51, 54: an index that a full disk has blocked waits, and goes on when the block is gone', async t => {
    await server.request('PUT', `/${STREAM}/_settings`, { 'index.blocks.read_only_allow_delete': true })
    const { ended, figures, letters, health } = await run(t, url, events(50, 2_000))
    await until(() => figures().retried > 100)
    t.match(health.ailing()[0]?.why, /cluster_block_exception/)
    await server.request('PUT', `/${STREAM}/_settings`, { 'index.blocks.read_only_allow_delete': null })
    await ended
    t.same(await letters(), [])
    t.equal(await count(server, STREAM), 270)
  })

  await t.test('row 60: a rollover between a lost answer and the next try makes no second document', async t => {
    const proxy = await tcpProxy({ port: Number(new URL(url).port) })
    t.teardown(() => proxy.close())
    proxy.answer(() => 'drop')
    const before = await count(server, STREAM)
    const { ended, figures } = await run(t, `http://127.0.0.1:${proxy.port}`, events(100, 3_000), {
      max_requests: 1,
      timeout_ms: 1_000,
    })
    await until(async () => (await count(server, STREAM)) === before + 100)
    t.equal(figures().delivered, 0, 'all of it is there, and nobody was told')
    t.equal((await server.request('POST', `/${STREAM}/_rollover`)).status, 200)
    proxy.answer(() => 'pass')
    proxy.cut()
    const end = await ended
    t.equal(end.figures.outputs[0]?.delivered, 100)
    t.equal(await count(server, STREAM), before + 100)
    const rows = new Map(end.summaries[0]?.rows)
    t.equal(rows.get('there before'), 100)
  })

  await t.test('row 60: what an earlier run may have sent before a rollover is not written again', async t => {
    const before = await count(server, STREAM)
    await (await run(t, url, events(100, 3_000), {}, true)).ended
    t.equal(await count(server, STREAM), before)
    await (await run(t, url, events(100, 3_000), { look_up_repeats: false }, true)).ended
    t.equal(await count(server, STREAM), before + 100, 'without the look-up it would be')
  })

  await t.test('events take the place of documents where these lie, also behind a rollover, and the others are made', async t => {
    await (await run(t, url, events(30, 6_000))).ended
    await server.request('POST', `/${STREAM}/_rollover`)
    const before = await count(server, STREAM)
    await (await run(t, url, events(40, 6_000, { mapped: 'anew' }), { existing: 'replace' })).ended
    t.equal(await count(server, STREAM), before + 10)
    const { json } = await server.request('POST', `/${STREAM}/_search`, {
      size: 0,
      track_total_hits: true,
      query: { match: { mapped: 'anew' } },
    })
    t.equal(json.hits.total.value, 40)
  })

  await t.test('a document in a failure store is counted apart', async t => {
    const template = { ...TEMPLATE, index_patterns: ['logs-spilling-*'], priority: 600 }
    const made = await server.request('PUT', '/_index_template/spilling', {
      ...template,
      template: { ...template.template, data_stream_options: { failure_store: { enabled: true } } },
    })
    t.equal(made.status, 200)
    const records = [...events(5, 4_000), ...events(1, 4_005, { source: { ip: 'no address' } })].map(record => ({
      ...record,
      event: { ...(record['event'] as JsonObject), dataset: 'spilling' },
    }))
    const { ended, letters } = await run(t, url, records)
    const end = await ended
    t.same(await letters(), [])
    t.equal(new Map(end.summaries[0]?.rows).get('in failure stores'), 1)
    t.equal(await count(server, 'logs-spilling-test'), 5)
    const again = await run(
      t,
      url,
      records.slice(5).map(record => ({ ...record, event: { id: 'x', dataset: 'spilling' } })),
      {
        on_failure_store: 'dead_letter',
      },
    )
    await again.ended
    t.match((await again.letters())[0], /failure store/)
  })

  await t.test('indices named after the time of the event', async t => {
    await (await run(t, url, events(10, 5_000), { index: 'audit-%{+yyyy.MM}' })).ended
    t.equal(await count(server, 'audit-2026.05'), 10)
  })
})

t.test(
  'row 55: what is longer than the server takes is halved; one event that is too long is a dead letter',
  { skip },
  async t => {
    const server = await serverIn(t, { settings: { 'http.max_content_length': '64kb' } })
    await server.request('PUT', '/_index_template/logs', TEMPLATE)
    const records = [...events(60, 0, { text: 'x'.repeat(5_000) }), ...events(1, 60, { text: 'x'.repeat(100_000) })]
    const { ended, letters } = await run(t, server.url, records)
    const end = await ended
    t.equal(end.figures.outputs[0]?.delivered, 60)
    t.match(await letters(), [/too large \(status 413\)/])
    t.equal(await count(server, STREAM), 60)
  },
)

t.test('row 51: a server that takes less than it gets is given less at once, and gets everything', { skip }, async t => {
  const server = await serverIn(t, { settings: { 'indexing_pressure.memory.limit': '300kb' } })
  await server.request('PUT', '/_index_template/logs', TEMPLATE)
  const { ended, figures } = await run(t, server.url, events(600, 0, { text: 'x'.repeat(2_000) }), { max_requests: 8 })
  const end = await ended
  t.ok(figures().retried > 0, `${figures().retried} events were tried again`)
  t.equal(end.figures.outputs[0]?.delivered, 600)
  t.equal(await count(server, STREAM), 600)
})

t.test(
  'row 56: a wrong key waits; the right one, put into its file, is taken without a restart; a key without a right says so',
  { skip },
  async t => {
    const server = await serverIn(t, { security: true })
    await server.request('PUT', '/_index_template/logs', TEMPLATE)
    const { json: none } = await server.request('POST', '/_security/api_key', {
      name: 'none',
      role_descriptors: { none: { cluster: [], indices: [{ names: ['other'], privileges: ['read'] }] } },
    })
    const { json: right } = await server.request('POST', '/_security/api_key', {
      name: 'right',
      role_descriptors: {
        writer: {
          cluster: [],
          indices: [{ names: ['logs-*'], privileges: ['auto_configure', 'create_doc', 'read', 'maintenance'] }],
        },
      },
    })
    const key = join(t.testdir({}), 'key')
    writeFileSync(key, 'd3Jvbmc6a2V5')
    const { ended, health, letters, figures } = await run(t, server.url, events(60), { api_key: key }, true)
    await until(() => health.ailing().length > 0)
    t.match(health.ailing()[0]?.why, /authentication failed \(401/)
    writeFileSync(key, none.encoded)
    await until(() => /right/.test(health.ailing()[0]?.why ?? ''))
    t.match(health.ailing()[0]?.why, /lacks a right \(403|may not be written/)
    writeFileSync(key, right.encoded)
    // A key that is refused for want of rights is none that is wrong: nobody looks into its file before the server says so.
    await server.request('DELETE', '/_security/api_key', { ids: [none.id] })
    const end = await ended
    t.equal(end.figures.outputs[0]?.delivered, 60)
    t.equal(figures().inFlight, 0)
    t.same(await letters(), [])
    t.equal(await count(server, STREAM), 60)
  },
)
