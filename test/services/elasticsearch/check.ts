// Shows that the started server answers as README.md says: node test/services/elasticsearch/check.ts "$(cat "$ES_RUN/url")"
import assert from 'node:assert/strict'
import process from 'node:process'

const [, , base] = process.argv
if (base === undefined) throw new Error('which server? node check.ts http://127.0.0.1:PORT')

// biome-ignore lint/suspicious/noExplicitAny: answers of many shapes
async function call(method: string, path: string, body?: object | string): Promise<any> {
  const response = await fetch(base + path, {
    method,
    headers: {
      authorization: `Basic ${btoa('penstock:penstock-test')}`,
      'content-type': typeof body === 'string' ? 'application/x-ndjson' : 'application/json',
    },
    body: typeof body === 'object' ? JSON.stringify(body) : (body ?? null),
  })
  assert.equal(response.headers.get('x-elastic-product'), 'Elasticsearch')
  const answer: unknown = await response.json()
  return { status: response.status, ...(answer as object) }
}

async function create(index: string, id: string, doc: object) {
  const lines = [{ create: { _index: index, _id: id } }, doc].map(line => `${JSON.stringify(line)}\n`).join('')
  return (await call('POST', '/_bulk', lines)).items[0].create
}

async function hits(index: string, query: object): Promise<number> {
  return (await call('POST', `/${index}/_search`, { query })).hits.total.value
}

const nodes = await call('GET', '/_nodes/_local?filter_path=nodes.*.version')
const version = (Object.values(nodes.nodes) as { version: string }[])[0]?.version ?? ''
// Its own at each run.
const stream = `logs-check.${Date.now()}-default`
const doc = {
  '@timestamp': '2026-01-02T03:04:05.678Z',
  message: 'user logged in',
  user: { name: 'Alice' },
  source: { ip: '192.0.2.1' },
}

const template = await call('PUT', '/_index_template/logs-check', {
  index_patterns: ['logs-check.*'],
  data_stream: {},
  priority: 500,
  template: {
    settings: { number_of_replicas: 0, 'index.lifecycle.name': 'logs' },
    data_stream_options: { failure_store: { enabled: false } },
    mappings: {
      dynamic: false,
      properties: {
        '@timestamp': { type: 'date' },
        data_stream: { properties: { type: { type: 'constant_keyword', value: 'logs' } } },
        message: { type: 'match_only_text' },
        user: { properties: { name: { type: 'keyword', fields: { text: { type: 'match_only_text' } } } } },
        source: { properties: { ip: { type: 'ip' }, geo: { properties: { location: { type: 'geo_point' } } } } },
        process: { properties: { command_line: { type: 'wildcard' } } },
        o365: { properties: { audit: { type: 'flattened' } } },
      },
    },
  },
})
assert.equal(template.acknowledged, true, JSON.stringify(template))

assert.equal((await create(stream, 'a', doc)).status, 201)
const again = await create(stream, 'a', doc)
assert.deepEqual([again.status, again.error.type], [409, 'version_conflict_engine_exception'])
const bad = await create(stream, 'b', { ...doc, source: { ip: 'nowhere' } })
assert.deepEqual([bad.status, bad.error.type], [400, 'document_parsing_exception'])

for (const [block, status] of [
  ['write', 403],
  ['read_only', 403],
  ['read_only_allow_delete', 429],
] as const) {
  await call('PUT', `/${stream}/_settings`, { [`index.blocks.${block}`]: true })
  const refused = await create(stream, 'c', doc)
  assert.deepEqual([refused.status, refused.error.type], [status, 'cluster_block_exception'])
  await call('PUT', `/${stream}/_settings`, { [`index.blocks.${block}`]: null })
}

await call('POST', `/${stream}/_refresh`)
assert.equal(await hits(stream, { kql: { query: 'user.name: Al* and source.ip: 192.0.2.0/24 and not message: gone' } }), 1)
assert.equal(await hits(stream, { query_string: { query: 'user.name:Alice AND source.ip:"192.0.2.0/24"' } }), 1)

if (version.startsWith('8.')) {
  const esql = await call('POST', '/_query', { query: `FROM ${stream} | WHERE user.name == "Alice" | STATS n = COUNT(*)` })
  assert.deepEqual(esql.values, [[1]])
} else {
  assert.equal((await call('GET', `/_data_stream/${stream}`)).data_streams[0].indices.length, 1)
  assert.equal((await call('DELETE', `/_data_stream/${stream}`)).acknowledged, true)
}
console.log(`Elasticsearch ${version} at ${base}: all as expected`)
