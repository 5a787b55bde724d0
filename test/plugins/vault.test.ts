// The output vault: every record byte for byte, by day, with where it came from.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { zstdDecompressSync } from 'node:zlib'
import t from 'tap'
import { ChunkEvent } from '../../core/flow/event.ts'
import { entryOf, parseEntry } from '../../plugins/lib/vault/entry.ts'
import { penstock } from '../kit/process.ts'

t.test('what is kept of an event gives the record again, whatever its bytes are', t => {
  for (const bytes of [
    Buffer.from('{"a":"é😀\\u2028"}'),
    Buffer.from([0x7b, 0xff, 0xfe, 0x7d]),
    Buffer.from('\ufeff{"a":1}'),
    Buffer.alloc(0),
  ]) {
    const ids = { given: 'x~1' }
    const event = new ChunkEvent(
      { '@timestamp': '2026-05-01T10:00:00Z' },
      { input: 'in', path: 'a.json' },
      bytes,
      0,
      bytes.length,
      ids,
    )
    for (const one of [event, ...event.split([{ '@timestamp': '2026-05-01T10:00:00Z' }])]) {
      const entry = parseEntry(JSON.stringify(entryOf(one)))
      t.same(entry, {
        ...{ input: 'in', meta: { input: 'in', path: 'a.json' }, record: bytes, id: 'x~1', time: Date.UTC(2026, 4, 1, 10) },
      })
    }
  }
  t.equal(parseEntry('{"input":"in"}'), undefined)
  t.equal(parseEntry('{"record":"x"}'), undefined)
  t.equal(parseEntry('{"rec'), undefined)
  t.end()
})

t.test('a pipeline fills a file a day; what has no time lies apart; what a filter took away for good is not there', async t => {
  const records = [
    '{"@timestamp":"2026-05-01T23:59:59Z","n":1}',
    '{"@timestamp":"2026-05-02T00:00:01Z","n":2}',
    '{"@timestamp":"2026-05-02T02:00:00+04:00", "n" : 3}',
    '{"@timestamp":"yesterday","n":4}',
    '{"n":5}',
  ]
  const cwd = t.testdir({ 'in.ndjson': `${records.join('\n')}\n` })
  writeFileSync(
    join(cwd, 'pipeline.yaml'),
    JSON.stringify({
      name: 'kept',
      inputs: [{ type: 'file', paths: ['in.ndjson'] }],
      filters: [{ type: 'set', fields: { mapped: true } }],
      outputs: [
        { type: 'vault', path: 'vault/' },
        { type: 'file', path: 'out.ndjson' },
      ],
    }),
  )
  const { code, stderr } = await penstock(['run', 'pipeline.yaml'], { cwd })
  t.equal(code, 0, stderr)
  const entries = Object.fromEntries(
    readdirSync(join(cwd, 'vault')).map(name => {
      const lines = zstdDecompressSync(readFileSync(join(cwd, 'vault', name)))
        .toString()
        .trim()
        .split('\n')
      return [name, lines.map(line => parseEntry(line)?.record.toString())]
    }),
  )
  t.same(entries, {
    '2026-05-01.ndjson.zst': [records[0], records[2]],
    '2026-05-02.ndjson.zst': [records[1]],
    'undated.ndjson.zst': [records[3], records[4]],
  })
})

const RECORDS = Array.from({ length: 200 }, (_, n) =>
  JSON.stringify({ id: `r${n}`, time: new Date(Date.UTC(2026, 4, 1) + n * 3_600_000).toISOString(), old: n }),
)

/** A pipeline with a vault and files; `mapping` is what its filter says. */
function pipelineIn(cwd: string, mapping: object): void {
  writeFileSync(
    join(cwd, 'pipeline.yaml'),
    JSON.stringify({
      name: 'kept',
      inputs: [{ type: 'file', paths: ['in.ndjson'] }],
      filters: [
        { type: 'set', id: 'empty', fields: { event: {} } },
        { type: 'rename', fields: { time: '@timestamp', id: 'event.id' } },
        { type: 'dedupe' },
        { type: 'set', fields: mapping },
      ],
      outputs: [
        { type: 'vault', path: 'vault' },
        { type: 'file', id: 'documents', path: 'out.ndjson', when: 'doc.mapping > 0' },
        { type: 'file', id: 'other', path: 'other.ndjson' },
      ],
    }),
  )
}

const linesIn = (path: string) =>
  readFileSync(path, 'utf8')
    .split('\n')
    .filter(Boolean)
    .map(line => JSON.parse(line) as { mapping: number; event: { id: string } })

t.test('remap sends a time range through the filters of today, under the same ids, to one output alone', async t => {
  const cwd = t.testdir({ 'in.ndjson': `${RECORDS.join('\n')}\n` })
  pipelineIn(cwd, { mapping: 1 })
  const first = await penstock(['run', 'pipeline.yaml'], { cwd })
  t.equal(first.code, 0, first.stderr)
  pipelineIn(cwd, { mapping: 2 })
  const range = ['--from', '2026-05-02', '--to', '2026-05-04T12:00:00Z']
  const { code, stderr } = await penstock(
    ['remap', 'pipeline.yaml', '--output', 'documents', ...range, '--set', 'path=new.ndjson'],
    { cwd },
  )
  t.equal(code, 0, stderr)
  t.match(stderr, /delivered +60 +to documents/)
  const mapped = linesIn(join(cwd, 'new.ndjson'))
  t.same(new Set(mapped.map(({ mapping }) => mapping)), new Set([2]))
  t.same(
    mapped.map(({ event }) => event.id),
    Array.from({ length: 60 }, (_, n) => `r${24 + n}`),
  )
  t.equal(linesIn(join(cwd, 'out.ndjson')).length, 200, 'what was there stays')
  t.equal(linesIn(join(cwd, 'other.ndjson')).length, 200, 'the other output gets nothing')
  const again = await penstock(['remap', 'pipeline.yaml', '--output', 'documents', ...range, '--set', 'path=third.ndjson'], {
    cwd,
  })
  t.equal(again.code, 0, again.stderr)
  t.equal(linesIn(join(cwd, 'third.ndjson')).length, 60)
})

t.test('remap says what is wrong with its command line', async t => {
  const cwd = t.testdir({ 'in.ndjson': '' })
  pipelineIn(cwd, { mapping: 1 })
  const range = ['--from', '2026-05-02', '--to', '2026-05-04']
  for (const [args, said] of [
    [[], /remap needs one pipeline file/],
    [['pipeline.yaml', ...range], /--output says which output/],
    [['pipeline.yaml', '--output', 'documents', '--to', '2026-05-04'], /--from takes a time/],
    [['pipeline.yaml', '--output', 'nobody', ...range], /no output called nobody; it has vault, documents, other/],
    [['pipeline.yaml', '--output', 'documents', ...range, '--replace'], /cannot replace what is there; give it a new target/],
    [['pipeline.yaml', '--output', 'documents', ...range, '--set', 'pat=x'], /pat/],
    [['pipeline.yaml', '--output', 'documents', ...range, '--set', 'mode=x'], /mode/],
    [['pipeline.yaml', '--output', 'documents', ...range, '--vault', 'v'], /no output of the type vault called v; it has vault/],
  ] as const) {
    const { code, stderr } = await penstock(['remap', ...args], { cwd })
    t.equal(code, 2, `${args.join(' ')}: ${stderr}`)
    t.match(stderr, said)
  }
})

t.test('what of a vault is damaged is named and costs nothing else', async t => {
  const cwd = t.testdir({ 'in.ndjson': `${RECORDS.slice(0, 24).join('\n')}\n` })
  pipelineIn(cwd, { mapping: 1 })
  t.equal((await penstock(['run', 'pipeline.yaml'], { cwd })).code, 0)
  const day = join(cwd, 'vault/2026-05-01.ndjson.zst')
  writeFileSync(day, Buffer.concat([readFileSync(day), Buffer.from('no frame at all'), readFileSync(day)]))
  const args = ['--output', 'documents', '--from', '2026-05-01', '--to', '2026-05-02', '--set', 'path=new.ndjson']
  const { code, stderr } = await penstock(['remap', 'pipeline.yaml', ...args], { cwd })
  t.equal(code, 0, stderr)
  t.equal(linesIn(join(cwd, 'new.ndjson')).length, 48)
  const letters = await penstock(['dlq', 'list', '--state-dir', 'state/remap'], { cwd })
  t.match(letters.stdout, /PEN_VAULT/)
})
