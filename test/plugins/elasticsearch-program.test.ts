// The real program in front of an Elasticsearch that is down.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { penstock, start } from '../kit/process.ts'
import { until } from '../kit/until.ts'
import { fakeElasticsearch } from './elasticsearch-support.ts'

t.setTimeout(120_000)

t.test(
  'row 24: SIGTERM while Elasticsearch is down ends the program in order, and the next start delivers what is left',
  async t => {
    const fake = await fakeElasticsearch(t)
    const { url } = fake
    await fake.stop()
    const records = Array.from({ length: 500 }, (_, n) => JSON.stringify({ event: { id: `e${n}`, dataset: 'o365.audit' } }))
    const cwd = t.testdir({ 'in.ndjson': `${records.join('\n')}\n` })
    writeFileSync(
      join(cwd, 'pipeline.yaml'),
      JSON.stringify({
        ...{ name: 'down', grace_ms: 300, inputs: [{ type: 'file', paths: ['in.ndjson'] }] },
        outputs: [{ type: 'elasticsearch', hosts: [url], namespace: 'test' }],
      }),
    )
    const { child, ended } = start(['run', 'pipeline.yaml', '--log-format', 'json'], { cwd })
    let said = ''
    child.stderr?.on('data', (text: string) => {
      said += text
    })
    await until(
      () => said.includes('output does not take events'),
      () => said,
    )
    child.kill('SIGTERM')
    const { code, stderr } = await ended
    t.equal(code, 0, stderr)
    t.match(stderr, /500 left for the next start/)
    t.notMatch(stderr, /dead-lettered +[1-9]/)

    await fake.start()
    const next = await penstock(['run', 'pipeline.yaml'], { cwd })
    t.equal(next.code, 0, next.stderr)
    t.equal(fake.ids().length, 500)
  },
)
