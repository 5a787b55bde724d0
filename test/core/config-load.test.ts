// A pipeline file as the engine gets it: defaults, environment, paths, ids, warnings, bounds.
import { resolve } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import t, { type Test } from 'tap'
import { type LoadOptions, loadPipeline, loadPipelines } from '../../core/config/load.ts'
import { ConfigError } from '../../core/config/problem.ts'
import type { InputConfig } from '../../core/config/types.ts'

const plugins = fileURLToPath(new URL('../fixtures/config/plugins/', import.meta.url))
const source = `type: ${plugins}source.ts, paths: [a], codec: ${plugins}text.ts`
const sink = `type: ${plugins}sink.ts`

function write(t: Test, text: string, name = 'x.yaml'): string {
  return resolve(t.testdir({ [name]: text }), name)
}
async function load(t: Test, text: string, options?: LoadOptions) {
  return loadPipeline(write(t, text), options)
}
async function errors(t: Test, text: string | Buffer, options?: LoadOptions): Promise<string> {
  try {
    await loadPipeline(resolve(t.testdir({ 'x.yaml': text }), 'x.yaml'), options)
  } catch (error) {
    if (error instanceof ConfigError)
      return error.problems.map(({ line, column, message }) => `${line}:${column}: ${message}`).join('\n')
    throw error
  }
  throw new Error('there is no error')
}

t.test('the smallest pipeline gets every default', async t => {
  const file = write(t, `inputs: [{ ${source} }]\noutputs: [{ ${sink} }]\n`, 'My Logs.v2.yaml')
  const folder = resolve(file, '..')
  const { config, warnings } = await loadPipeline(file, { env: {} })
  t.strictSame(warnings, [])
  const { inputs, outputs, ...rest } = config
  t.strictSame(rest, {
    file,
    folder,
    name: 'my_logs_v2',
    filters: [],
    tables: [],
    workers: 0,
    in_flight_bytes: 8 * 1024 * 1024,
    commit_interval_ms: 100,
    max_event_bytes: 16 * 1024 * 1024,
    grace_ms: 15_000,
    worker_timeout_ms: 30_000,
    tests: [],
  })
  const input = inputs[0]
  t.match(input, { id: 'source', type: `${plugins}source.ts`, url: pathToFileURL(`${plugins}source.ts`).href, folder })
  t.strictSame(input?.options, { paths: ['a'], follow: false, poll_ms: 1000 })
  t.equal(input?.plugin.kind, 'input')
  t.match(input?.codec, { id: 'source.codec', type: `${plugins}text.ts`, options: { delimiter: '\n' }, folder })
  const [output] = outputs
  t.match(output, { id: 'sink', folder: process.cwd(), filters: [], retry: { min_ms: 200, max_ms: 4_000 }, max_tries: 10 })
  t.strictSame(
    output?.batch,
    { max_events: 7, max_bytes: 1024 * 1024, max_ms: 200 },
    "the plugin's limits before the common ones",
  )
  t.notOk('when' in (output ?? {}))
})

t.test('everything that is said is kept', async t => {
  const { config } = await load(
    t,
    `
name: all_of-it
description: says everything
workers: 2
in_flight_bytes: 1000
commit_interval_ms: 1
max_event_bytes: 2000
grace_ms: 0
inputs:
  - { ${source}, id: first, follow: true, labels: { a: b }, anything: { x: [1, { y: null }] }, tenants: [{ tenant_id: t }] }
  - type: ${plugins}source.ts
    id: second
    paths: [b]
    codec: { type: ${plugins}text.ts, delimiter: ";" }
filters:
  - { type: ${plugins}check.ts, when: a == 1, table: words }
tables:
  - { type: ${plugins}words.ts, words: [a] }
outputs:
  - ${sink.replace(/^/, '{ ')}, id: one, when: a == 1, batch: { max_ms: 5 }, retry: { max_ms: 300 }, max_tries: 3, filters: [{ type: drop, when: b == 2 }] }
  - { ${sink}, id: two, when: " unmatched " }
http: { port: 0 }
tests:
  - name: an object
    input: { a: 1 }
    output: { a: 1 }
    outputs: { one: 1 }
  - name: a list
    input_id: second
    input: [{ a: 1 }, "text \${NOT_FILLED}"]
    output: []
    exact: true
    dead_letters: no record
    duplicates: 1
`,
  )
  t.match(config, {
    name: 'all_of-it',
    description: 'says everything',
    workers: 2,
    in_flight_bytes: 1000,
    commit_interval_ms: 1,
    grace_ms: 0,
  })
  const [first, second] = config.inputs
  t.strictSame(first?.options.anything, { x: [1, { y: null }] }, 'a free-form option is left alone')
  t.strictSame(first?.options.tenants, [{ tenant_id: 't', cloud: 'global' }], 'defaults inside of objects in lists')
  t.strictSame(second?.codec.options, { delimiter: ';' })
  t.match(config.filters, [{ id: 'check', when: 'a == 1' }])
  t.match(config.tables, [{ id: 'words', options: { words: ['a'] } }])
  const [one, two] = config.outputs
  t.match(one, { when: 'a == 1', max_tries: 3, filters: [{ id: 'drop', when: 'b == 2' }] })
  t.strictSame(one?.batch, { max_events: 7, max_bytes: 1024 * 1024, max_ms: 5 })
  t.strictSame(one?.retry, { min_ms: 200, max_ms: 300 })
  t.equal(two?.when, 'unmatched')
  t.strictSame(config.http, { port: 0, host: '127.0.0.1' })
  t.strictSame(config.tests, [
    { name: 'an object', input: [{ a: 1 }], output: [{ a: 1 }], exact: false, outputs: { one: 1 }, line: 24 },
    {
      name: 'a list',
      input_id: 'second',
      input: [{ a: 1 }, `text \${NOT_FILLED}`],
      output: [],
      exact: true,
      dead_letters: ['no record'],
      duplicates: 1,
      line: 28,
    },
  ])
})

t.test('the environment is filled into scalars, and becomes what the option takes', async t => {
  const { config } = await load(
    t,
    `
name: \${NAME}
workers: \${TWO}
grace_ms: "\${TWO}000"
inputs:
  - type: ${plugins}source.ts
    codec: ${plugins}text.ts
    paths: ["$\${A}", "\${A}\${B:-b}", "\${EMPTY:-x}", "\${EMPTY}", "$A $5 \${A} {A}"]
    follow: \${YES}
    ratio: \${RATIO}
    since: \${TWO}
    labels:
      yaml: "\${YAML}"
      \${A}: key
outputs: [{ ${sink} }]
`,
    { env: { NAME: 'from_env', TWO: '2', A: 'a', EMPTY: '', YES: 'true', RATIO: '-1.5e2', YAML: 'x, y: [1]\n- z' } },
  )
  t.match(config, { name: 'from_env', workers: 2, grace_ms: 2000 })
  t.strictSame(config.inputs[0]?.options, {
    paths: [`\${A}`, 'ab', 'x', '', '$A $5 a {A}'],
    follow: true,
    ratio: -150,
    since: '2',
    labels: { yaml: 'x, y: [1]\n- z', [`\${A}`]: 'key' },
    poll_ms: 1000,
  })
})

t.test('secrets come from files; one that everybody can read is a warning', async t => {
  const folder = t.testdir({ key: 'k3y\n', crlf: 'k3y\r\n', two: 'a\n\n' })
  const { chmod, writeFile } = await import('node:fs/promises')
  for (const name of ['crlf', 'two']) await chmod(resolve(folder, name), 0o640)
  await chmod(resolve(folder, 'key'), 0o644)
  const file = resolve(folder, 'x.yaml')
  const tenant = (name: string) => `{ tenant_id: a, client_secret: "\${secret:file:${name}}" }`
  await writeFile(
    file,
    `inputs:\n  - ${`{ ${source}`}, tenants: [${tenant('key')}, ${tenant('crlf')}, ${tenant(resolve(folder, 'two'))}] }\noutputs: [{ ${sink} }]\n`,
  )
  const { config, warnings } = await loadPipeline(file)
  t.strictSame(
    ((config.inputs[0] as InputConfig).options.tenants as { client_secret: string }[]).map(one => one.client_secret),
    ['k3y', 'k3y', 'a\n'],
    'one newline at the end is not part of the secret',
  )
  t.equal(warnings.length, 1)
  t.match(warnings[0]?.message, /everybody on this machine can read the secret file .*key/)
  t.notMatch(JSON.stringify(warnings), 'k3y')
})

t.test('paths count from the pipeline for inputs, filters and tables, from the working folder for outputs', async t => {
  const { config } = await load(
    t,
    `inputs: [{ ${source}, state: s/x }]\noutputs: [{ ${sink}, path: o/y }]\nhttp: { port: 1, tls: { cert: c, key: /k } }\n`,
  )
  t.equal(config.inputs[0]?.options.state, resolve(config.folder, 's/x'))
  t.strictSame(config.inputs[0]?.options.paths, ['a'], 'a glob stays as it is')
  t.equal(config.outputs[0]?.options.path, resolve('o/y'))
  t.strictSame(config.http?.tls, { cert: resolve(config.folder, 'c'), key: '/k' })
})

t.test('anchors, aliases and merges', async t => {
  const { config } = await load(
    t,
    `
inputs:
  - &in { ${source}, id: one, poll_ms: 20, labels: &labels { a: b } }
  - { <<: *in, id: two, poll_ms: 30 }
  - <<: [{ ratio: 1 }, *in]
    id: three
    labels: *labels
outputs: [{ ${sink} }]
`,
  )
  t.strictSame(
    config.inputs.map(({ id, options: { poll_ms, labels, ratio } }) => ({ id, poll_ms, labels, ratio })),
    [
      { id: 'one', poll_ms: 20, labels: { a: 'b' }, ratio: undefined },
      { id: 'two', poll_ms: 30, labels: { a: 'b' }, ratio: undefined },
      { id: 'three', poll_ms: 20, labels: { a: 'b' }, ratio: 1 },
    ],
  )
})

t.test('words are words: no, on and 012 are not what YAML 1.1 made of them', async t => {
  const { config } = await load(
    t,
    `inputs: [{ ${source}, labels: { no: no, on: on, y: yes, v: "1.10", time: 12:30 }, chunk_bytes: 012 }]\noutputs: [{ ${sink} }]\n`,
  )
  t.strictSame(config.inputs[0]?.options.labels, { no: 'no', on: 'on', y: 'yes', v: '1.10', time: '12:30' })
  t.equal(config.inputs[0]?.options.chunk_bytes, 12)
})

t.test('an input and an output of one name need no ids; the output is reached by either name', async t => {
  const { config } = await load(
    t,
    `
inputs: [{ ${source}, id: sink }]
filters: [{ type: drop, id: drop }]
outputs:
  - { ${sink}, when: a == 1 }
  - { ${sink}, id: other, when: a == 2 }
unmatched: sink
tests: [{ name: x, input: {}, outputs: { sink: 1, other: 0 } }]
`,
  )
  t.strictSame(
    config.outputs.map(({ id }) => id),
    ['sink_output', 'other'],
  )
  t.equal(config.unmatched, 'sink_output')
  t.strictSame(config.tests[0]?.outputs, { sink_output: 1, other: 0 })
})

t.test('what has no effect is a warning', async t => {
  const steps = `inputs: [{ ${source} }]\noutputs:\n  - { ${sink}, id: all }\n  - { ${sink}, id: rest, when: unmatched }\n`
  t.match((await load(t, steps)).warnings, [{ line: 4, message: /rest|the output sink never gets an event/ }])
  const unmatched = `inputs: [{ ${source} }]\noutputs: [{ ${sink}, id: all }]\nunmatched: drop\n`
  t.match((await load(t, unmatched)).warnings, [{ line: 3, message: /unmatched has no effect/ }])
  const filled = `inputs: [{ ${source} }]\noutputs: [{ ${sink}, when: 'a == "\${B}"' }]\nunmatched: drop\n`
  t.match((await load(t, filled)).warnings, [{ line: 2, message: /not filled into expressions/ }])
})

t.test('a server that others can reach needs tls and a token', async t => {
  const steps = `inputs: [{ ${source} }]\noutputs: [{ ${sink} }]\n`
  const open = 'http: { port: 1, host: 0.0.0.0, token: "12345678", tls: { cert: c, key: k } }'
  t.equal((await load(t, `${steps}${open}`)).config.http?.host, '0.0.0.0')
  for (const host of ['localhost', '127.0.0.1', '127.1.2.3', '"::1"']) await load(t, `${steps}http: { port: 1, host: ${host} }`)
  t.match(await errors(t, `${steps}http: { port: 1, host: 10.0.0.1, token: "12345678" }`), /needs tls \(cert and key\);/)
  t.match(await errors(t, `${steps}http: { port: 1, host: localhost.example.org }`), /needs tls .* and a token;/)
})

t.test('several files: all problems of all files, and no name twice', async t => {
  const good = `inputs: [{ ${source} }]\noutputs: [{ ${sink} }]\n`
  const folder = t.testdir({ 'a.yaml': good, 'b.yaml': `name: a\n${good}`, 'c.yaml': 'x: 1', 'd.yaml': '- 1' })
  const at = (...names: string[]) => names.map(name => resolve(folder, name))
  t.strictSame(
    (await loadPipelines(at('a.yaml'))).map(({ config }) => config.name),
    ['a'],
  )
  await t.rejects(loadPipelines(at('a.yaml', 'b.yaml')), {
    code: 'PEN_CONFIG',
    problems: [{ line: 1, column: 7, message: /is named a too/ }],
  })
  await t.rejects(loadPipelines(at('a.yaml', 'a.yaml')), { message: /a\.yaml:1:1: the pipeline in .*a\.yaml is named a too/ })
  const both = await loadPipelines(at('c.yaml', 'd.yaml')).catch(error => error as ConfigError)
  t.match((both as ConfigError).problems, [
    { file: /c\.yaml/, message: /unknown option x/ },
    { message: /needs inputs/ },
    { message: /needs outputs/ },
    { file: /d\.yaml/, message: /a pipeline is a map/ },
  ])
})

t.test('files that are none are refused in a sentence', async t => {
  await t.rejects(loadPipeline(resolve(t.testdir({}), 'no.yaml')), {
    code: 'PEN_CONFIG',
    message: /no\.yaml:1:1: .*there is no such file/,
  })
  await t.rejects(loadPipeline(t.testdir({})), { code: 'PEN_CONFIG', message: /cannot be read/ })
  t.match(await errors(t, Buffer.from([0x61, 0x3a, 0xff, 0xfe])), /not UTF-8/)
  t.match(await errors(t, Buffer.from('\ufeffname: X\n', 'utf16le')), /not UTF-8/)
  t.match(await errors(t, `# ${'x'.repeat(1024 * 1024)}`), /has 1048578 bytes; it may have at most 1048576/)
  t.match(
    await errors(t, '\ufeffname: "X"\r\ninputs: 3\r\n'),
    /^1:1: the pipeline needs outputs.*\n1:7: name takes .*\n2:9: inputs must be a list/,
  )
})

t.test('depth and aliases are bounded, whatever the size', async t => {
  t.match(await errors(t, `a: ${'['.repeat(20_000)}`), /^1:\d+: more than 64 levels/)
  t.match(await errors(t, '- '.repeat(20_000)), /more than 64 levels/)
  t.match(await errors(t, 'a: '.repeat(20_000)), /more than 64 levels/)
  const bomb = ['a: &a [x, x, x, x, x, x, x, x, x, x]']
  for (const [from, to] of ['ab', 'bc', 'cd', 'de', 'ef', 'fg', 'gh', 'hi'])
    bomb.push(`${to}: &${to} [${`*${from}, `.repeat(10)}]`)
  t.match(await errors(t, bomb.join('\n')), /more than 100000 values, with those that aliases repeat/)
  const deep = `{ x: ${'['.repeat(60)}1${']'.repeat(60)} }`
  await t.resolves(load(t, `inputs: [{ ${source}, anything: ${deep} }]\noutputs: [{ ${sink} }]\n`), '64 levels are fine')
})

t.test('a hundred pipelines are checked in less than two seconds', async t => {
  const text = `
inputs: [{ ${source} }]
filters:
  - { type: drop, when: 'event.action == "x" && user.name in ["a", "b"]' }
  - { type: ${plugins}check.ts, condition: a == 1 }
outputs: [{ ${sink}, when: '"x" in event.category' }, { ${sink}, id: rest, when: unmatched }]
`
  const folder = t.testdir(Object.fromEntries(Array.from({ length: 100 }, (_, index) => [`p${index}.yaml`, text])))
  const started = performance.now()
  const pipelines = await loadPipelines(Array.from({ length: 100 }, (_, index) => resolve(folder, `p${index}.yaml`)))
  const took = performance.now() - started
  t.equal(pipelines.length, 100)
  t.ok(took < 2000, `took ${took.toFixed(0)} ms`)
})
