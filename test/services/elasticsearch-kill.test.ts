// The real program and a real Elasticsearch, both killed again and again: each record is there once.
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { scratch } from '../kit/kill-run.ts'
import { start as startProgram } from '../kit/process.ts'
import { full, randomOf } from '../kit/rounds.ts'
import { tcpProxy } from '../kit/tcp-proxy.ts'
import { until } from '../kit/until.ts'
import { elasticsearchMissing, startElasticsearch } from './elasticsearch/server.ts'
import { count, events, STREAM, TEMPLATE } from './elasticsearch-support.ts'

t.setTimeout(3_000_000)

const skip = elasticsearchMissing() ?? false
const SIZE = full ? { records: 100_000, kills: 30 } : { records: 20_000, kills: 3 }

t.test(
  `rows 1, 2: ${SIZE.records} records, program and server killed ${SIZE.kills} times each: each is there once`,
  { skip },
  async t => {
    const folder = scratch(t)
    const random = randomOf(600)
    let server = await startElasticsearch({ folder: join(folder, 'es') })
    t.teardown(() => server.stop())
    await server.request('PUT', '/_index_template/logs', TEMPLATE)
    const proxy = await tcpProxy({
      get port() {
        return Number(new URL(server.url).port)
      },
    })
    t.teardown(() => proxy.close())
    let sent = 0
    proxy.request(piece => {
      sent += piece.length
      return 'pass'
    })
    const lines = events(SIZE.records, 0, { text: 'x'.repeat(200) }).map(event => JSON.stringify(event))
    writeFileSync(join(folder, 'in.ndjson'), `${lines.join('\n')}\n`)
    mkdirSync(join(folder, 'state'))
    writeFileSync(
      join(folder, 'pipeline.yaml'),
      JSON.stringify({
        name: 'killed',
        inputs: [{ type: 'file', paths: ['in.ndjson'] }],
        outputs: [
          {
            ...{ type: 'elasticsearch', hosts: [`http://127.0.0.1:${proxy.port}`], namespace: 'test', timeout_ms: 5_000 },
            ...{ batch: { max_events: 100, max_ms: 20 }, retry: { min_ms: 50, max_ms: 500 } },
          },
        ],
      }),
    )
    const begin = () => startProgram(['run', 'pipeline.yaml', '--log-format', 'json', '--no-progress'], { cwd: folder })
    const moved = (bytes: number) => {
      const goal = sent + bytes
      return () => sent >= goal
    }
    let program = begin()
    let over = false
    const watch = () => {
      over = false
      void program.ended.then(() => {
        over = true
      })
    }
    watch()
    const share = (lines.join('').length * 1.3) / (SIZE.kills * 2 + 1)
    let kills = 0
    for (let round = 0; round < SIZE.kills; round++) {
      const wait = moved(share * (0.5 + random()))
      await until(
        () => wait() || over,
        () => 'nothing goes to the server',
        { ms: 120_000 },
      )
      if (over) break
      if (random() < 0.5) await server.request('POST', `/${STREAM}/_rollover`)
      await server.kill()
      server = await startElasticsearch({ folder: join(folder, 'es') })
      const then = moved(share * 0.5 * random())
      await until(
        () => then() || over,
        () => 'nothing goes to the server',
        { ms: 120_000 },
      )
      if (over) break
      program.child.kill('SIGKILL')
      await program.ended
      if (random() < 0.5) await server.request('POST', `/${STREAM}/_rollover`)
      program = begin()
      watch()
      kills++
    }
    const { code, stderr, stdout } = await program.ended
    t.equal(code, 0, stderr)
    t.comment(`${kills} kills of both; ${stdout.replace(/\s+/g, ' ')}`)
    t.equal(kills, SIZE.kills, 'the work was not over before')
    t.equal(await count(server, STREAM), SIZE.records)
    const { json } = await server.request('POST', `/${STREAM}/_search`, {
      size: 0,
      aggs: { different: { cardinality: { field: 'n', precision_threshold: 40_000 } }, sum: { sum: { field: 'n' } } },
    })
    t.equal(json.aggregations.sum.value, (SIZE.records * (SIZE.records - 1)) / 2, 'each number once')
  },
)
