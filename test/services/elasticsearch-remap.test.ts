// penstock remap on a real Elasticsearch: a changed mapping takes the place of the old documents, or goes to a place of its own.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { penstock } from '../kit/process.ts'
import { elasticsearchMissing } from './elasticsearch/server.ts'
import { count, STREAM, serverIn, TEMPLATE } from './elasticsearch-support.ts'

t.setTimeout(900_000)

const RECORDS = Array.from({ length: 300 }, (_, n) =>
  JSON.stringify({ id: `r${n}`, time: new Date(Date.UTC(2026, 4, 1) + n * 600_000).toISOString(), who: `Ada ${n}` }),
)

t.test(
  'a changed field is changed in each document, in whichever index of the stream it lies, or stands in new ones elsewhere',
  { skip: elasticsearchMissing() ?? false },
  async t => {
    const server = await serverIn(t)
    await server.request('PUT', '/_index_template/logs', TEMPLATE)
    const cwd = t.testdir({ 'in.ndjson': `${RECORDS.join('\n')}\n` })
    const pipeline = (mapping: object) =>
      writeFileSync(
        join(cwd, 'pipeline.yaml'),
        JSON.stringify({
          name: 'mapped',
          inputs: [{ type: 'file', paths: ['in.ndjson'] }],
          filters: [
            { type: 'rename', fields: { time: '@timestamp', id: 'event.id', who: 'user.name' } },
            { type: 'set', fields: { 'event.dataset': 'o365.audit', ...mapping } },
          ],
          outputs: [
            { type: 'vault', path: 'vault' },
            { type: 'elasticsearch', id: 'siem', hosts: [server.url], namespace: 'test', batch: { max_events: 50 } },
          ],
        }),
      )
    const mapped = async (name: string, value: string) => {
      await server.request('POST', `/${name}/_refresh`)
      const { json } = await server.request('POST', `/${name}/_search`, {
        ...{ size: 0, track_total_hits: true, query: { match: { 'user.roles': value } } },
      })
      return json.hits.total.value as number
    }
    pipeline({ 'user.roles': 'old' })
    const first = await penstock(['run', 'pipeline.yaml'], { cwd })
    t.equal(first.code, 0, first.stderr)
    t.equal(await mapped(STREAM, 'old'), 300)
    await server.request('POST', `/${STREAM}/_rollover`)

    pipeline({ 'user.roles': 'new' })
    const range = ['--from', '2026-05-01T10:00:00Z', '--to', '2026-05-02T00:00:00Z']
    const replaced = await penstock(['remap', 'pipeline.yaml', '--output', 'siem', ...range, '--replace'], { cwd })
    t.equal(replaced.code, 0, replaced.stderr)
    t.equal(await mapped(STREAM, 'new'), 84, 'ten minutes each from ten to midnight')
    t.equal(await mapped(STREAM, 'old'), 216)
    t.equal(await count(server, STREAM), 300, 'none is there twice')

    const copied = await penstock(['remap', 'pipeline.yaml', '--output', 'siem', ...range, '--set', 'index=audit-remapped'], {
      cwd,
    })
    t.equal(copied.code, 0, copied.stderr)
    t.equal(await mapped('audit-remapped', 'new'), 84)
    t.equal(await count(server, STREAM), 300)
  },
)
