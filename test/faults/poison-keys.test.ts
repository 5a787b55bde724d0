// Keys and values that are the names of JavaScript's own things: data, wherever they stand, and never a way to a prototype.
import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { penstock } from '../kit/process.ts'
import { fc, rounds, seed } from '../kit/rounds.ts'
import { linesOf, type Outcome, shown, through } from './poison-support.ts'

t.setTimeout(150_000)

const checker = join(import.meta.dirname, 'poison-prototypes.ts')
const NAMES = [
  '__proto__',
  'constructor',
  'prototype',
  'toString',
  'hasOwnProperty',
  'valueOf',
  '__defineGetter__',
  'toJSON',
  'then',
]

/** JSON text of objects that are full of such names, at every depth; no key comes twice in one object. */
const { object } = fc.letrec<{ value: string; object: string; list: string }>(tie => ({
  value: fc.oneof(
    { maxDepth: 5 },
    fc.constantFrom(
      ...NAMES.map(name => JSON.stringify(name)),
      '1',
      'null',
      'true',
      '{"polluted":true}',
      '{"prototype":{"polluted":1}}',
    ),
    tie('object'),
    tie('list'),
  ),
  object: fc
    .uniqueArray(fc.tuple(fc.constantFrom(...NAMES, 'a', 'b'), tie('value')), { selector: ([key]) => key, maxLength: 4 })
    .map(members => `{${members.map(([key, value]) => `${JSON.stringify(key)}:${value}`).join(',')}}`),
  list: fc.array(tie('value'), { maxLength: 3 }).map(values => `[${values.join(',')}]`),
}))

const randoms = fc.sample(fc.tuple(object, object), { numRuns: rounds(1_000), seed })
/** What goes in, and what must come out: texts both, so that no object of this test can be wrong in the same way. */
const cases = randoms.map(([one, other], n) => {
  const begin = `{"id":"r${n}","one":${one},"json":${JSON.stringify(other)}`
  const end = `"__proto__":${one},"constructor":{"prototype":{"polluted":${n}}},"toString":${other}`
  return { in: `${begin},${end}}`, out: `${begin},${end},"copy":{"valueOf":${one}},"parsed":${other}}` }
})

/** Keys of tables: the rows have such names as columns. What the tables do not know stays as it is. */
const TABLE = ['__proto__', 'constructor', 'toString', 'hasOwnProperty']
const looked = [...NAMES, 'nobody'].map(key => ({
  in: JSON.stringify({ id: `k ${key}`, key }),
  out: TABLE.includes(key)
    ? `{"id":"k ${key}","key":"${key}","owner":{"constructor":"${key}","__proto__":"proto","valueOf":"value"},"got":{"hasOwnProperty":"${key}"},"__proto__":{"polluted":"${key}"},"json row":true}`
    : `{"id":"k ${key}","key":"${key}"}`,
}))

const csv = `id,__proto__,constructor,toString,hasOwnProperty,__proto__\nc1,p,c,t,h,again\nc2,{},[],null,true,\n`
const csvOut = [
  '{"id":"c1","__proto__":"p","constructor":"c","toString":"t","hasOwnProperty":"h","__proto___2":"again"}',
  '{"id":"c2","__proto__":"{}","constructor":"[]","toString":"null","hasOwnProperty":"true","__proto___2":""}',
]

/** Names in the lists that the ecs filter makes objects of, and a severity that is one. */
const list = (of: (name: string) => string) => `[${NAMES.map(name => `{"Name":"${name}",${of(name)}}`).join(',')}]`
const audit =
  `{"RecordType":11,"Operation":"DlpRuleMatch","Id":"audit","CreationTime":"2026-05-06T08:12:33","UserId":"__proto__@constructor",
"Parameters":${list(name => `"Value":{"polluted":"${name}"}`)},"ExtendedProperties":${list(name => `"Value":"${name}"`)},
"ModifiedProperties":${list(name => `"NewValue":"${name}","OldValue":{"polluted":1}`)},"Workload":"constructor","ResultStatus":"toString",
"PolicyDetails":[{"Rules":[{"RuleId":"1","Severity":"constructor"},{"RuleId":"2","Severity":"High"},{"RuleId":"3","Severity":"__proto__"}]}],
"__proto__":{"polluted":1},"constructor":{"prototype":{"polluted":1}}}`.replaceAll('\n', '')

const pipeline = {
  inputs: [
    { type: 'file', id: 'json', paths: ['in.ndjson'] },
    { type: 'file', id: 'csv', paths: ['in.csv'], codec: 'csv' },
  ],
  tables: [
    { type: 'csv', id: 'people', path: 'people.csv', key: 'constructor' },
    { type: 'json', id: 'things', path: 'things.json' },
  ],
  filters: [
    { type: checker, id: 'before' },
    { type: 'ecs', when: 'has(doc.RecordType)' },
    { type: 'set', copy: { 'copy.valueOf': 'one' } },
    { type: 'parse', field: 'json', target: 'parsed' },
    { type: 'enrich', id: 'people_of', table: 'people', field: 'key', target: 'owner' },
    { type: 'enrich', id: 'got', table: 'people', field: 'key', target: 'got', fields: { constructor: 'hasOwnProperty' } },
    { type: 'enrich', id: 'things_of', table: 'things', field: 'key' },
    { type: 'dedupe', fields: ['id', 'toString'] },
    { type: checker, id: 'after' },
  ],
  outputs: [
    { type: 'file', id: 'out', path: 'out/o.ndjson', filters: [{ type: checker, id: 'own' }] },
    { type: 'file', id: 'by_key', path: 'out/by/%{key:-none}.ndjson', when: '"key" in doc' },
    { type: 'file', id: 'method', path: 'out/%{toString:-none}.ndjson', when: 'doc.key == "nobody"' },
    { type: 'file', id: 'inherited', path: 'out/inherited.ndjson', when: 'doc.hasOwnProperty != "h" && doc.key == "nobody"' },
    { type: 'tally', tables: [{ title: 'Keys', field: 'key', top: 20 }] },
  ],
}
const files = {
  'in.ndjson': `${[...cases, ...looked].map(one => one.in).join('\n')}\n${audit}\n`,
  'in.csv': csv,
  'people.csv': `constructor,__proto__,valueOf\n${TABLE.map(name => `${name},proto,value\n`).join('')}`,
  'things.json': `{${TABLE.map(name => `"${name}":{"__proto__":{"polluted":"${name}"},"json row":true}`).join(',')}}`,
}

function arrived(t: Test, cwd: string, outcome: Outcome): void {
  t.comment(`seed ${seed}, ${cases.length} random records`)
  t.equal(outcome.code, 0, shown(outcome.stderr))
  t.same(
    outcome.letters.map(({ step, error }) => `${step}: ${error}`),
    [],
    'nobody refused an event, and nobody found a prototype changed',
  )
  const ids = (line: string) => /^\{"id":"(\w+)/.exec(line)?.[1]?.[0] ?? ''
  const lines = outcome.lines.filter(line => ids(line) === 'r' || ids(line) === 'k')
  t.same(
    lines,
    [...cases, ...looked].map(one => one.out),
    'out comes what went in, and what tables and filters add to it',
  )
  t.same(
    outcome.lines.filter(line => ids(line) === 'c'),
    csvOut,
  )
  const document = JSON.parse(outcome.lines.find(line => line.includes('"dataset":"o365.audit"')) ?? '{}')
  const { audit: kept } = document.o365
  for (const name of NAMES) {
    t.same(own(kept.Parameters, name), { polluted: name }, `Parameters ${name}`)
    t.equal(own(kept.ExtendedProperties, name), name, `ExtendedProperties ${name}`)
    t.same(own(kept.ModifiedProperties, name), { NewValue: name, OldValue: { polluted: 1 } }, `ModifiedProperties ${name}`)
  }
  t.same(own(kept, '__proto__'), { polluted: 1 })
  t.equal(document.event.severity, 4, 'a severity that is no word for one counts as none')
  t.equal(document.user.name, '__proto__')

  for (const key of NAMES) t.equal(linesOf(join(cwd, `out/by/${key}.ndjson`)).length, 1, `the file ${key}.ndjson`)
  t.equal(linesOf(join(cwd, 'out/none.ndjson')).length, 1, 'a field that an event lacks is absent, whatever objects inherit')
  t.notOk(existsSync(join(cwd, 'out/inherited.ndjson')), 'and false in an expression')
  for (const key of NAMES) t.match(outcome.stderr, new RegExp(`^ +${key} +1 `, 'm'), `${key} is counted`)
}

function own(of: object, key: string): unknown {
  return Object.getOwnPropertyDescriptor(of, key)?.value
}

for (const workers of [0, 2]) {
  t.test(
    `row 72: names such as __proto__ are data, in records, tables, templates and expressions (${workers} workers)`,
    async t => {
      const cwd = t.testdir({})
      arrived(t, cwd, await through(cwd, pipeline, { files, workers }))
    },
  )
}

t.test('row 72: a path through a prototype is refused at its place; other such names in paths mean own fields', async t => {
  const cwd = t.testdir({})
  const paths = [
    '__proto__',
    'a.__proto__.b',
    'constructor',
    'a.constructor.prototype',
    'prototype',
    'a["__proto__"]',
    "a['constructor']",
  ]
  const options: ((path: string) => object)[] = [
    path => ({ type: 'set', fields: { [path]: 1 } }),
    path => ({ type: 'set', copy: { a: path } }),
    path => ({ type: 'rename', fields: { a: path } }),
    path => ({ type: 'rename', fields: { [path]: 'a' } }),
    path => ({ type: 'parse', field: 'a', target: path }),
    path => ({ type: 'remove', fields: [path] }),
    path => ({ type: 'keep', fields: ['a', path] }),
    path => ({ type: 'dedupe', fields: [path] }),
    path => ({ type: 'geoip', fields: [path] }),
    path => ({ type: 'enrich', table: 'things', field: 'a', target: path }),
    path => ({ type: 'enrich', table: 'things', field: 'a', fields: { b: path } }),
  ]
  const refused = options.flatMap(of => paths.map(path => of(path)))
  const lines = refused.map((step, n) => `  - ${JSON.stringify({ id: `f${n}`, ...step })}`)
  const allowed = options.map((of, n) => `  - ${JSON.stringify({ id: `g${n}`, ...of('toString.valueOf.hasOwnProperty') })}`)
  const outputs = paths.map((path, n) => `  - ${JSON.stringify({ id: `o${n}`, type: 'file', path: `out/%{${path}}.ndjson` })}`)
  const head = ['inputs: [{ type: stdin }]', 'tables: [{ type: json, id: things, path: things.json }]', 'filters:']
  writeFileSync(join(cwd, 'things.json'), '{}')
  writeFileSync(join(cwd, 'p.yaml'), [...head, ...lines, ...allowed, 'outputs:', ...outputs, ''].join('\n'))
  const { code, stderr } = await penstock(['check', 'p.yaml'], { cwd })
  t.equal(code, 78)
  const first = head.length + 1
  const due = [...lines.keys()]
    .map(n => n + first)
    .concat([...outputs.keys()].map(n => n + first + lines.length + allowed.length + 1))
  const errors = [...stderr.matchAll(/^p\.yaml:(\d+):\d+: (.*)$/gm)].map(([, line, message]) => [Number(line), message] as const)
  const never = errors.filter(([, message]) =>
    /(__proto__|constructor|prototype) is never (part of a field path|a key)/.test(message ?? ''),
  )
  t.same([...new Set(never.map(([line]) => line))], due, 'every one of them')
  t.same(
    errors.filter(([line]) => !due.includes(line)),
    [],
    'and none of the others',
  )
})
