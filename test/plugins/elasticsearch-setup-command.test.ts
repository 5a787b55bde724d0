// penstock setup elasticsearch, from the pipeline file to the requests.
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { verb } from '../../plugins/outputs/elasticsearch/setup/command.ts'
import { Cluster } from './elasticsearch-setup-support.ts'
import { IDS } from './kibana-ids.ts'

/** A cluster and a Kibana behind one port. */
async function site(t: Test) {
  const cluster = new Cluster()
  const keys = new Set<string | undefined>()
  const imports: string[] = []
  const server = createServer(async (request, response) => {
    let body = ''
    for await (const piece of request.setEncoding('utf8')) body += piece
    keys.add(request.headers.authorization)
    response.setHeader('x-elastic-product', 'Elasticsearch').setHeader('content-type', 'application/json')
    const { url = '', method = '' } = request
    if (url.includes('saved_objects')) {
      imports.push(url)
      response.end(JSON.stringify({ success: true, successCount: IDS.length }))
      return
    }
    const { status, json } = await cluster.request(method, url, body === '' ? undefined : JSON.parse(body))
    response.writeHead(status).end(JSON.stringify(json ?? {}))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close())
  return { cluster, keys, imports, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` }
}

/** Runs the command on a pipeline with these outputs; what it said, and its exit code. */
async function setup(t: Test, outputs: string, args: readonly string[]) {
  const folder = t.testdir({ 'p.yaml': `name: p\ninputs: [{ type: stdin }]\noutputs:\n${outputs}\n` })
  const said: string[] = []
  const restore = t.capture(process.stdout, 'write', text => {
    said.push(String(text))
    return true
  })
  try {
    const code = await verb.run([join(folder, 'p.yaml'), ...args])
    return { code, said: said.join(''), folder }
  } finally {
    restore.restore()
  }
}

t.test('the templates are those of the outputs: of their data streams, and of their own names', async t => {
  const { cluster, url } = await site(t)
  const outputs = [
    `  - { type: elasticsearch, hosts: ["${url}"] }`,
    `  - { type: elasticsearch, id: months, hosts: ["${url}"], index: "audit-%{+yyyy.MM}" }`,
    `  - { type: elasticsearch, id: stream, hosts: ["${url}"], index: "mine", data_stream: true }`,
  ].join('\n')
  const first = await setup(t, outputs, ['--dataset', 'nginx.access'])
  t.equal(first.code, 0)
  const names = [...cluster.kept.keys()].filter(path => path.startsWith('/_index_template/')).map(path => path.slice(17))
  t.strictSame(names.sort(), [
    'penstock-index-audit-any',
    'penstock-logs-microsoft_exchange_online_message_trace.log',
    'penstock-logs-nginx.access',
    'penstock-logs-o365.audit',
    'penstock-logs-penstock',
    'penstock-stream-mine',
  ])
  t.match(first.said, /11 of 11 were changed/)
  t.match((await setup(t, outputs, ['--dataset', 'nginx.access'])).said, /nothing to change/)
})

t.test('what is in the way ends in exit code 1, and nothing is changed', async t => {
  const { cluster, url } = await site(t)
  cluster.kept.set('/_index_template/mine', { index_patterns: ['logs-*'], priority: 900 })
  const { code, said } = await setup(t, `  - { type: elasticsearch, hosts: ["${url}"] }`, [])
  t.equal(code, 1)
  t.match(said, /Nothing was changed:\n.*mine/)
  t.strictSame(cluster.puts, [])
  t.equal((await setup(t, `  - { type: elasticsearch, hosts: ["${url}"] }`, ['--priority', '901'])).code, 0)
})

t.test('a key for setup takes the place of the output’s, and is not said', async t => {
  const { keys, url } = await site(t)
  process.env['SETUP_KEY_OF_TEST'] = 'id:secretkey'
  t.teardown(() => delete process.env['SETUP_KEY_OF_TEST'])
  const outputs = `  - { type: elasticsearch, hosts: ["${url}"], username: ana, password: weak }`
  const { said } = await setup(t, outputs, ['--api-key-env', 'SETUP_KEY_OF_TEST'])
  t.strictSame([...keys], [`ApiKey ${Buffer.from('id:secretkey').toString('base64')}`])
  t.notMatch(said, /secretkey/)
  keys.clear()
  await setup(t, outputs, ['--user', 'root', '--password-env', 'SETUP_KEY_OF_TEST'])
  t.strictSame([...keys], [`Basic ${Buffer.from('root:id:secretkey').toString('base64')}`])
  await t.rejects(setup(t, outputs, ['--api-key-env', 'NOT_THERE_OF_TEST']), { code: 'PEN_USAGE', message: /NOT_THERE_OF_TEST/ })
})

t.test('a dry run prints all requests, also where no cluster answers', async t => {
  const { cluster, url } = await site(t)
  const { code, said } = await setup(t, `  - { type: elasticsearch, hosts: ["${url}"] }`, ['--dry-run', '--ilm-policy', 'keep'])
  t.equal(code, 0)
  t.equal(said.match(/^PUT \/_/gm)?.length, 9)
  t.match(said, /9 of 9 would be changed/)
  t.strictSame(cluster.puts, [])
  const alone = await setup(t, '  - { type: elasticsearch, hosts: ["http://127.0.0.1:9"] }', ['--dry-run'])
  t.equal(alone.code, 0)
  t.match(alone.said, /PUT \/_component_template\/penstock-ecs/)
  t.match(alone.said, /what the cluster has already is not known/)
})

t.test('the roles are as narrow as each output writes, and no cluster is asked', async t => {
  const outputs = [
    '  - { type: elasticsearch, hosts: ["http://127.0.0.1:9"], namespace: prod }',
    '  - { type: elasticsearch, id: months, hosts: ["http://127.0.0.1:9"], index: "audit-%{+yyyy}", look_up_repeats: false }',
  ].join('\n')
  const { code, said } = await setup(t, outputs, ['--print-role'])
  t.equal(code, 0)
  const roles = said
    .trim()
    .split('\n\n')
    .map(part => Object.values(JSON.parse(part.slice(part.indexOf('{'))).role_descriptors)[0])
  t.match(roles, [
    {
      indices: [
        {
          names: ['logs-o365.audit-prod', /trace\.log-prod$/, 'logs-penstock.*-prod'],
          privileges: ['create_doc', 'auto_configure', 'read', 'maintenance'],
        },
      ],
    },
    { indices: [{ names: ['audit-*'], privileges: ['create_doc', 'auto_configure'] }] },
    { cluster: ['manage_index_templates'] },
  ])
})

t.test('dashboards go into a file, or into Kibana', async t => {
  const { imports, url } = await site(t)
  const file = join(t.testdir({}), 'penstock.ndjson')
  const { code, said } = await setup(t, `  - { type: elasticsearch, hosts: ["${url}"] }`, [
    ...['--dashboards', file, '--kibana', url, '--space', 'soc'],
  ])
  t.equal(code, 0)
  t.equal(readFileSync(file, 'utf8').trimEnd().split('\n').length, IDS.length)
  t.strictSame(imports, ['/s/soc/api/saved_objects/_import?overwrite=true'])
  t.match(said, /objects were imported into/)
})

t.test('a wrong command line is told before anything is sent', async t => {
  const { cluster, url } = await site(t)
  const outputs = `  - { type: elasticsearch, hosts: ["${url}"] }`
  const wrong: [string[], RegExp][] = [
    [['--retention', 'long'], /--retention/],
    [['--priority', 'high'], /--priority/],
    [['--index-mode', 'fast'], /--index-mode takes standard, logsdb/],
    [['--space', 'soc'], /--kibana/],
    [['--user', 'root'], /--password-env/],
    [['other.yaml'], /one pipeline file/],
  ]
  for (const [args, message] of wrong) await t.rejects(setup(t, outputs, args), { code: 'PEN_USAGE', message })
  await t.rejects(setup(t, '  - { type: stdout }', []), { code: 'PEN_USAGE', message: /no output of the type elasticsearch/ })
  t.strictSame(cluster.asked, [])
})
