// The program as a user runs it: verbs, exit codes, signals, what it prints.
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { get } from 'node:http'
import { join } from 'node:path'
import t from 'tap'
import { root } from '../kit/cases.ts'
import { penstock, start } from '../kit/process.ts'
import { until } from '../kit/until.ts'

t.setTimeout(150_000)

const quiet = ['--log-level', 'error', '--no-progress']
const record = (id: string, rest: object = {}) =>
  `${JSON.stringify({ Id: id, CreationTime: '2026-05-06T08:12:33', Operation: 'FileAccessed', RecordType: 6, Workload: 'OneDrive', ...rest })}\n`
const lines = (file: string) => (existsSync(file) ? readFileSync(file, 'utf8').split('\n').filter(Boolean) : [])

t.test('the quick start: everything arrives, the torn line lies in the dead letters, a second run reads nothing', async t => {
  const cwd = t.testdir({})
  const pipeline = join(root, 'pipelines/quickstart.yaml')
  const first = await penstock(['run', pipeline, ...quiet], { cwd })
  t.equal(first.code, 0, first.stderr)
  const documents = lines(join(cwd, 'out/quickstart.ndjson')).map(line => JSON.parse(line))
  t.equal(documents.length, 2_545)
  for (const path of ['@timestamp', 'event.id', 'event.action', 'event.dataset']) {
    const missing = documents.filter(document => path.split('.').reduce((at, key) => at?.[key], document) === undefined)
    t.same(missing.slice(0, 3), [], `every document has ${path}`)
  }
  t.match(first.stderr, /read\s+2,657/)
  t.match(first.stderr, /duplicates\s+111/)
  t.match(first.stderr, /dead-lettered\s+1 {2}look at them: penstock dlq list/)
  t.match(first.stderr, /By workload[\s\S]*Top countries[\s\S]*Failed logins/)

  const second = await penstock(['run', pipeline, ...quiet], { cwd })
  t.equal(second.code, 0)
  t.match(second.stderr, /read\s+0/)
  t.match(second.stderr, /Nothing new/)
  t.equal(lines(join(cwd, 'out/quickstart.ndjson')).length, 2_545)

  const list = await penstock(['dlq', 'list'], { cwd })
  t.match(list.stdout, /1 dead letter\n/)
  const show = await penstock(['dlq', 'show', '1'], { cwd })
  t.match(show.stdout, /late\.ndjson/)
  t.match(show.stdout, /offset\s+[\d,]+ bytes/)
  t.equal((await penstock(['dlq', 'show', '99'], { cwd })).code, 1)
  const state = await penstock(['state', 'show', '--json'], { cwd })
  t.equal(lines(join(cwd, 'nothing')).length + state.stdout.trim().split('\n').length, 11, 'a position for each file')
  t.equal((await penstock(['state', 'reset', 'quickstart'], { cwd })).code, 0)
  const third = await penstock(['run', pipeline, ...quiet], { cwd })
  t.match(third.stderr, /read\s+2,657/)
})

t.test('dead letters: exit code 3 when asked, and a replay once the cause is gone', async t => {
  const cwd = t.testdir({ 'in.ndjson': `${record('a')}{"Id":"b","Oper\n${record('c')}` })
  writeFileSync(
    join(cwd, 'p.yaml'),
    'name: p\ninputs: [{ type: file, paths: [in.ndjson] }]\nfilters: [{ type: parse, field: text }]\noutputs: [{ type: file, id: out, path: out/o.ndjson }]\n',
  )
  writeFileSync(join(cwd, 'in.ndjson'), '{"text":"{\\"n\\":1}"}\n{"text":"no json"}\n')
  const failed = await penstock(['run', 'p.yaml', '--fail-on-dead-letters', ...quiet], { cwd })
  t.equal(failed.code, 3, failed.stderr)
  writeFileSync(
    join(cwd, 'p.yaml'),
    readFileSync(join(cwd, 'p.yaml'), 'utf8').replace('{ type: parse, field: text }', '{ type: set, fields: { healed: true } }'),
  )
  t.match((await penstock(['dlq', 'replay', '--all'], { cwd })).stdout, /1 dead letter marked/)
  const healed = await penstock(['run', 'p.yaml', '--fail-on-dead-letters', ...quiet], { cwd })
  t.equal(healed.code, 0, healed.stderr)
  t.match(healed.stderr, /1 of them dead letters, replayed/)
  t.same(
    lines(join(cwd, 'out/o.ndjson')).map(line => JSON.parse(line)),
    [{ text: { n: 1 } }, { text: 'no json', healed: true }],
  )
  t.match((await penstock(['dlq', 'list'], { cwd })).stdout, /no dead letters/)
})

t.test('bad input: the bad pieces are dead letters with file and offset, all others arrive', async t => {
  const cwd = t.testdir({})
  const long = Buffer.alloc(100_000_000, 'x')
  const bad: [string, Buffer][] = [
    ['not an object', Buffer.from('[1,2,3]')],
    ['invalid UTF-8', Buffer.concat([Buffer.from('{"Id":"'), Buffer.from([0xff, 0xfe]), Buffer.from('"}')])],
    ['nesting', Buffer.from(`{"a":${'['.repeat(1_000_000)}${']'.repeat(1_000_000)}}`)],
    ['100 MB', long],
    ['torn', Buffer.from('{"Id":"x","Ope')],
  ]
  const good = record('proto', JSON.parse('{"__proto__":{"polluted":true},"constructor":{"prototype":{"x":1}}}'))
  const parts: Buffer[] = []
  bad.forEach(([, bytes], index) => {
    parts.push(Buffer.from(record(`good${index}`)), bytes, Buffer.from('\n'))
  })
  parts.push(Buffer.from(good), Buffer.from(record('last')))
  writeFileSync(join(cwd, 'in.ndjson'), Buffer.concat(parts))
  writeFileSync(
    join(cwd, 'in.csv'),
    'Id,CreationTime,Operation\nc1,2026-05-06T08:12:33,A\nc2,2026-05-06T08:12:33\nc3,2026-05-06T08:12:33,B\n',
  )
  writeFileSync(
    join(cwd, 'p.yaml'),
    'name: p\ninputs:\n  - { type: file, id: json, paths: [in.ndjson] }\n  - { type: file, id: csv, paths: [in.csv], codec: csv }\noutputs: [{ type: file, id: out, path: out/o.ndjson }]\n',
  )
  const { code, stderr } = await penstock(['run', 'p.yaml', ...quiet], { cwd, env: { NODE_OPTIONS: '--max-old-space-size=96' } })
  t.equal(code, 0, stderr)
  const ids = lines(join(cwd, 'out/o.ndjson')).map(line => JSON.parse(line).Id)
  t.same(ids.sort(), ['c1', 'c3', 'good0', 'good1', 'good2', 'good3', 'good4', 'last', 'proto'])
  const letters = (await penstock(['dlq', 'list', '--json'], { cwd })).stdout
    .trim()
    .split('\n')
    .map(line => JSON.parse(line))
  t.equal(letters.length, bad.length + 1)
  for (const letter of letters) {
    t.type(letter.offset, 'number')
    t.match(letter.meta.path, /in\.(ndjson|csv)$/)
    t.ok(letter.error.length > 10, letter.error)
  }
  t.equal(
    letters.find(({ length }) => length === long.length)?.bytes.length,
    Math.ceil(65_536 / 3) * 4,
    'of the long one the first 64 KiB',
  )
})

t.test('check: all mistakes of a file at once, in its order, with place and remedy; exit code 78', async t => {
  const cwd = t.testdir({
    'bad.yaml':
      'name: bad\ninputs:\n  - { type: file, path: [x] }\nfilters:\n  - { type: geo_ip }\n  - { type: drop, when: "user.name ==" }\noutputs:\n  - { type: file, id: a, path: out/x.ndjson, when: "1 + 1" }\n',
  })
  const { code, stderr } = await penstock(['check', 'bad.yaml'], { cwd })
  t.equal(code, 78)
  const places = [...stderr.matchAll(/bad\.yaml:(\d+):(\d+): (.*)/g)].map(([, line, , message]) => `${line} ${message}`)
  t.ok(places.length >= 4, stderr)
  t.same(
    [...places].sort((a, b) => Number.parseInt(a, 10) - Number.parseInt(b, 10)),
    places,
    'in the order of the file',
  )
  t.match(stderr, /did you mean paths/)
  t.match(stderr, /did you mean geoip/)
  t.equal((await penstock(['check', join(root, 'pipelines/quickstart.yaml')], { cwd })).code, 0)
})

t.test('test: a failure shows the difference field by field', async t => {
  const cwd = t.testdir({
    'p.yaml': `name: p
inputs: [{ type: stdin }]
filters: [{ type: set, fields: { user.name: ana } }]
outputs: [{ type: discard }]
tests:
  - { name: good, input: { a: 1 }, output: { user: { name: ana } }, outputs: { discard: 1 } }
  - { name: wrong, input: { a: 1 }, output: { user: { name: bo }, b: 2 } }
`,
  })
  const { code, stdout } = await penstock(['test', 'p.yaml'], { cwd })
  t.equal(code, 1)
  t.match(stdout, /user\.name: expected "bo", got "ana"/)
  t.match(stdout, /b: expected 2, but it is absent/)
  t.match(stdout, /1 passed, 1 failed\n$/)
})

t.test('a wrong command line: exit code 2 and what to do', async t => {
  const cwd = t.testdir({})
  for (const [args, text] of [
    [['rum'], /did you mean run/],
    [['run'], /run needs a pipeline file/],
    [['run', 'x.yaml', '--no-such'], /no-such/],
    [['dlq', 'purge'], /needs ids, or --all/],
  ] as const) {
    const { code, stderr } = await penstock(args, { cwd })
    t.equal(code, 2, args.join(' '))
    t.match(stderr, text)
  }
  for (const verb of ['run', 'check', 'test', 'plugins', 'dlq', 'state']) {
    const { code, stdout } = await penstock([verb, '--help'], { cwd })
    t.equal(code, 0)
    t.match(stdout, /Examples\n/, `${verb} --help has examples`)
  }
})

/** A pipeline that follows a file until it is stopped. */
function following(cwd: string, extra = ''): void {
  writeFileSync(join(cwd, 'in.ndjson'), record('a'))
  writeFileSync(
    join(cwd, 'p.yaml'),
    `name: p\n${extra}inputs: [{ type: file, paths: [in.ndjson], follow: true }]\noutputs: [{ type: file, id: out, path: out/o.ndjson }]\n`,
  )
}

t.test('row 23: SIGTERM delivers what was read and ends with 0; the next run goes on from there', async t => {
  const cwd = t.testdir({})
  following(cwd)
  const { child, ended } = start(['run', 'p.yaml', ...quiet], { cwd })
  await until(() => lines(join(cwd, 'out/o.ndjson')).length === 1)
  writeFileSync(join(cwd, 'in.ndjson'), record('b'), { flag: 'a' })
  await until(() => lines(join(cwd, 'out/o.ndjson')).length === 2)
  child.kill('SIGTERM')
  const { code, stderr } = await ended
  t.equal(code, 0, stderr)
  t.match(stderr, /stopped by a signal/)
  writeFileSync(join(cwd, 'in.ndjson'), record('c'), { flag: 'a' })
  const again = start(['run', 'p.yaml', ...quiet], { cwd })
  await until(() => lines(join(cwd, 'out/o.ndjson')).length === 3)
  again.child.kill('SIGINT')
  t.equal((await again.ended).code, 0)
  t.same(
    lines(join(cwd, 'out/o.ndjson')).map(line => JSON.parse(line).Id),
    ['a', 'b', 'c'],
  )
})

t.test('row 19: one state directory, one engine: the second is refused with 75, and a killed one leaves no lock', async t => {
  const cwd = t.testdir({})
  following(cwd)
  const first = start(['run', 'p.yaml', ...quiet], { cwd })
  await until(() => lines(join(cwd, 'out/o.ndjson')).length === 1)
  const second = await penstock(['run', 'p.yaml', ...quiet], { cwd })
  t.equal(second.code, 75)
  t.match(second.stderr, new RegExp(`in use by pid ${first.child.pid}`))
  t.equal((await penstock(['dlq', 'list'], { cwd })).code, 0, 'dead letters can be listed beside it')
  first.child.kill('SIGKILL')
  await first.ended
  const third = start(['run', 'p.yaml', ...quiet], { cwd })
  writeFileSync(join(cwd, 'in.ndjson'), record('b'), { flag: 'a' })
  await until(() => lines(join(cwd, 'out/o.ndjson')).some(line => line.includes('"b"')))
  third.child.kill('SIGTERM')
  t.equal((await third.ended).code, 0)
})

t.test('http: /health, /ready and /metrics on loopback', async t => {
  const cwd = t.testdir({})
  following(cwd, 'http: { port: 0, token: "0123456789abcdef" }\n')
  const { child, ended } = start(['run', 'p.yaml', '--log-level', 'info', '--log-format', 'json', '--no-progress'], { cwd })
  let log = ''
  child.stderr?.on('data', (text: string) => {
    log += text
  })
  await until(() => /"port":\d+/.test(log) && lines(join(cwd, 'out/o.ndjson')).length === 1)
  const port = Number(/"port":(\d+)/.exec(log)?.[1])
  const ask = (path: string, headers: Record<string, string> = {}): Promise<{ status: number | undefined; body: string }> =>
    new Promise((resolve, reject) => {
      get({ host: '127.0.0.1', port, path, headers }, response => {
        let body = ''
        response.setEncoding('utf8').on('data', text => {
          body += text
        })
        response.on('end', () => resolve({ status: response.statusCode, body }))
      }).on('error', reject)
    })
  t.same(await ask('/health'), { status: 200, body: '{"status":"ok"}\n' })
  t.equal((await ask('/metrics')).status, 401)
  const authorized = { Authorization: 'Bearer 0123456789abcdef' }
  const metrics = await ask('/metrics', authorized)
  t.equal(metrics.status, 200)
  t.match(metrics.body, /penstock_events_total\{pipeline="p",fate="read"\} 1\n/)
  t.match(metrics.body, /penstock_output_events_total\{pipeline="p",step="out",fate="delivered"\} 1\n/)
  t.equal((await ask('/ready', authorized)).status, 200)
  t.equal((await ask('/health', { Host: 'evil.example' })).status, 421)
  t.notMatch(log, /0123456789abcdef/, 'the token is in no log line')
  child.kill('SIGTERM')
  t.equal((await ended).code, 0)
})

t.test('row 15: an unusable state directory is refused before anything runs, with 78', async t => {
  const cwd = t.testdir({ 'state-file': 'x' })
  following(cwd)
  const { code, stderr } = await penstock(['run', 'p.yaml', '--state-dir', 'state-file', ...quiet], { cwd })
  t.equal(code, 78, stderr)
  t.match(stderr, /state/)
  t.notOk(existsSync(join(cwd, 'out')), 'nothing was written')
})
