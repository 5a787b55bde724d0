// Records that are far too large, or nest far too deep: dead letters with what is needed to find them, in bounded memory, alone.
import { createHash } from 'node:crypto'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { full } from '../kit/rounds.ts'
import { balances, linesOf, type Outcome, shown, source, through } from './poison-support.ts'

t.setTimeout(150_000)

const MIB = 1024 * 1024
const KEPT = 64 * 1024
const ids = ({ lines }: Outcome) => lines.map(line => (JSON.parse(line) as { id: string }).id)

/** The dead letter of a record that is too long: its first 64 KiB, and enough to find all of it. */
function tooLong(t: Test, { letters }: Outcome, input: string, bytes: Buffer, offset: number): void {
  const letter = letters.find(one => one.input === input && one.length === bytes.length)
  t.match(letter, { code: 'PEN_TOO_LONG', step: input, stage: 'decode', offset, tries: 0 }, `${input}: its place`)
  t.ok(letter && Buffer.from(letter.bytes).equals(bytes.subarray(0, KEPT)), `${input}: its first 64 KiB`)
  t.equal(letter?.sha256, createHash('sha256').update(bytes).digest('hex'), `${input}: the hash of all of it`)
}

t.test(
  'row 74: an event of 100 MB is a dead letter before anything parses it; one with a field of 1 MB, or very many keys, arrives',
  async t => {
    const huge = Buffer.concat([Buffer.from('{"id":"huge","text":"'), Buffer.alloc(100_000_000, 'x'), Buffer.from('"}')])
    const keys = full ? 1_000_000 : 100_000
    const many = `{"id":"many",${Array.from({ length: keys }, (_, n) => `"k${n}":0`).join(',')}}`
    const large = `{"id":"large","text":"${'é'.repeat(MIB / 2)}"}`
    const before = '{"id":"first"}\n'
    const after = ['{"id":"second"}', large, '{"id":"third"}', many, `{"id":"name","${'k'.repeat(MIB)}":1}`, '{"id":"last"}']
    const outcome = await through(
      t.testdir({}),
      { inputs: [{ type: 'file', id: 'in', paths: ['in.ndjson'] }] },
      { files: { 'in.ndjson': Buffer.concat([Buffer.from(before), huge, Buffer.from(`\n${after.join('\n')}\n`)]) } },
    )
    t.comment(`at most ${outcome.peak} MiB of memory, with ${keys} keys in one event`)
    t.equal(outcome.code, 0, shown(outcome.stderr))
    balances(t, outcome, 8)
    t.same(ids(outcome), ['first', 'second', 'large', 'third', 'many', 'name', 'last'])
    t.equal(outcome.lines[2], large)
    t.ok(outcome.lines[4] === many, 'all keys are there')
    tooLong(t, outcome, 'in', huge, before.length)
    t.ok(outcome.peak < (full ? 900 : 450), `${outcome.peak} MiB`)
  },
)

t.test('row 74: the same for every codec, from files and standard input, with workers', async t => {
  const blob = (of: string) => Buffer.alloc(8 * MIB, of)
  const bytes = (...parts: (string | Buffer)[]) => Buffer.concat(parts.map(part => Buffer.from(part)))
  const huge = {
    ndjson: bytes('{"id":"huge","text":"', blob('x'), '"}'),
    json: bytes('{"id":"huge","list":[{"a":1},"', blob('[{'), '"]}'),
    csv: bytes('huge,"', 'two\nlines, ""quoted""'.repeat(MIB / 3), '"'),
    lines: blob('line '),
  }
  const around = {
    ndjson: ['{"id":"n1"}\n', '\n{"id":"n2"}\n'],
    json: ['[{"id":"j1"},\n', ',\n{"id":"j2"}]\n'],
    csv: ['id,text\nc1,x\n', '\nc2,y\n'],
    lines: ['l1\n', '\nl2\n'],
  } as const
  const whole = (codec: keyof typeof huge) => bytes(around[codec][0], huge[codec], around[codec][1])
  const inputs = [
    { type: 'stdin', id: 'ndjson' },
    { type: 'file', id: 'json', paths: ['in.json'], codec: 'json' },
    { type: 'file', id: 'csv', paths: ['in.csv'], codec: 'csv' },
    { type: 'file', id: 'lines', paths: ['in.txt'], codec: { type: 'lines', field: 'id' } },
  ]
  const files = { 'in.json': whole('json'), 'in.csv': whole('csv'), 'in.txt': whole('lines') }
  const outcome = await through(t.testdir({}), { inputs, max_event_bytes: MIB }, { files, input: whole('ndjson'), workers: 2 })
  t.comment(`at most ${outcome.peak} MiB of memory`)
  t.equal(outcome.code, 0, shown(outcome.stderr))
  balances(t, outcome, 12)
  t.same(ids(outcome).sort(), ['c1', 'c2', 'j1', 'j2', 'l1', 'l2', 'n1', 'n2'])
  for (const codec of ['ndjson', 'json', 'csv', 'lines'] as const)
    tooLong(t, outcome, codec, huge[codec], Buffer.byteLength(around[codec][0]))
  t.ok(outcome.peak < 450, `${outcome.peak} MiB`)
})

t.test('row 74: a CSV whose first row has thirty thousand equal names is read as quickly as any other', async t => {
  const columns = 30_000
  const row = `${'1,'.repeat(columns - 1)}1\n`
  const outcome = await through(
    t.testdir({}),
    {
      inputs: [{ type: 'file', paths: ['in.csv'], codec: 'csv' }],
      filters: [{ type: 'keep', fields: ['a', 'a_2', `a_${columns}`] }],
    },
    { files: { 'in.csv': `${'a,'.repeat(columns - 1)}a\n${row}too,few\n${row}` } },
  )
  t.equal(outcome.code, 0, outcome.code === null ? 'ended by the deadline' : shown(outcome.stderr))
  t.same(outcome.lines, Array(2).fill(`{"a":"1","a_2":"1","a_${columns}":"1"}`))
  t.equal(outcome.letters.length, 1, 'the short row')
})

/** Nestings: what opens and closes one, and how many bytes of it make a level. */
const FORMS = { lists: ['[', ']'], objects: ['{"a":', '}'], mixed: ['[{"b":', '}]'] } as const
const DEEPEST = full ? 300_000 : 20_000

/** A value that nests so deep. */
function nested(form: keyof typeof FORMS, levels: number): string {
  const [open, close] = FORMS[form]
  const times = Math.ceil(levels / (form === 'mixed' ? 2 : 1))
  return `${open.repeat(times)}${form === 'lists' ? '' : '1'}${close.repeat(times)}`
}

interface Deep {
  /** Stands in the record, and in what becomes of it. */
  readonly id: string
  readonly record: string
  /** What must become of it; either: where the stack ends is not for tests to know. */
  readonly fate: 'arrives' | 'dies' | 'either'
}

function deepRecords(forms: readonly (keyof typeof FORMS)[]): Deep[] {
  const found: Deep[] = []
  const add = (name: string, fate: Deep['fate'], fields: string) => {
    const id = `${found.length} ${name}`
    found.push({ id, fate, record: `{"id":"${id}",${fields}}` })
    found.push({ id: `after ${id}`, fate: 'arrives', record: `{"id":"after ${id}"}` })
  }
  for (const form of forms) {
    add(`${form}, 60`, 'arrives', `"x":${nested(form, 60)}`)
    add(`${form}, as deep as fits into 2 KiB`, 'arrives', `"x":${nested(form, SHORT[form])}`)
    for (const levels of [100, 5_000, DEEPEST]) {
      const deep = nested(form, levels)
      const text = JSON.stringify(deep)
      const audit = (more: string) => JSON.stringify(`{"Id":"${found.length} ${form}","RecordType":6${more},"X":${deep}}`)
      const fate = levels === 100 ? 'arrives' : 'either'
      add(`${form}, ${levels}`, 'dies', `"x":${deep},"pad":"${'p'.repeat(2048)}"`)
      // JSON within a text nests nothing until somebody parses it.
      add(`${form}, ${levels}, in a text`, 'arrives', `"text":${text}`)
      add(`${form}, ${levels}, parsed by a filter`, 'dies', `"json":${text}`)
      add(`${form}, ${levels}, in AuditData`, fate, `"AuditData":${audit('')}`)
      add(`${form}, ${levels}, in AdditionalInfo`, fate, `"RecordType":6,"AdditionalInfo":${text}`)
      add(`${form}, ${levels}, ${MATCHED}`, fate, `"AuditData":${audit(',"DetectedValues":[{"Name":"secret"}]')}`)
    }
  }
  add('a million levels', 'dies', `"x":${nested('mixed', 1_000_000)}`)
  add('opened only', 'dies', `"x":${'['.repeat(DEEPEST)}`)
  add('closed only', 'dies', `"x":${']'.repeat(DEEPEST)}`)
  return found
}

/** Levels of a record that is just short of the length from which on depth is asked for. */
const SHORT = { lists: 990, objects: 320, mixed: 460 } as const
const MATCHED = 'with matched values'

/** The number of the record that a line or a dead letter is of. */
function keyOf(text: string): string | undefined {
  return /"((?:after )?\d+) [a-z]/.exec(text)?.[1]
}

for (const workers of [0, 2]) {
  t.test(
    `row 75: what nests too deep is a dead letter, from decoding to encoding; its neighbours arrive (${workers} workers)`,
    async t => {
      const records = deepRecords(full || workers === 0 ? ['lists', 'objects', 'mixed'] : ['mixed'])
      const filters = [
        { type: 'parse', field: 'json', target: 'x' },
        { type: 'ecs', when: 'has(doc.AuditData) || has(doc.RecordType)' },
        { type: 'set', fields: { seen: true }, copy: { again: 'x' } },
        { type: 'dedupe', fields: ['event.id', 'o365'] },
      ]
      const outputs = [
        { type: 'file', id: 'out', path: 'out/o.ndjson' },
        // Its filters work on a copy of each event: what cannot be copied is a dead letter of this output.
        { type: 'file', id: 'copies', path: 'out/copies.ndjson', filters: [{ type: 'set', id: 'own', fields: { own: 1 } }] },
      ]
      const cwd = t.testdir({})
      const outcome = await through(
        cwd,
        { inputs: [{ type: 'file', paths: ['in.ndjson'] }], filters, outputs },
        { files: { 'in.ndjson': records.map(({ record }) => `${record}\n`).join('') }, workers },
      )
      t.comment(`at most ${outcome.peak} MiB of memory`)
      t.equal(outcome.code, 0, shown(outcome.stderr))
      t.equal(outcome.counts['read'], records.length)
      const arrived = outcome.lines.map(keyOf)
      const letters = outcome.letters.filter(({ step }) => step !== 'copies')
      const buried = letters.map(letter => keyOf(source(letter)))
      for (const { id, fate } of records) {
        const key = keyOf(`"${id}`)
        const lines = arrived.filter(one => one === key).length
        const died = buried.filter(one => one === key).length
        // What holds matched values and is too deep to take them out is replaced whole: nobody can say which record that was.
        if (fate === 'either' && id.includes(MATCHED)) t.ok(lines + died <= 1, id)
        else if (fate === 'either') t.equal(lines + died, 1, id)
        else t.same([lines, died], fate === 'arrives' ? [1, 0] : [0, 1], id)
      }
      t.equal(arrived.length + buried.length, records.length, 'nothing is missing')
      const copies = linesOf(join(cwd, 'out/copies.ndjson')).length
      const routed = arrived.length + letters.filter(({ step }) => step === 'out').length
      const uncopied = outcome.letters.length - letters.length
      t.equal(copies + uncopied, routed, 'the other output has a copy, or a dead letter, of each')
      t.ok(copies > routed / 2)
    },
  )
}

t.test('row 75: in one JSON text, deep elements and one that never ends cost only themselves', async t => {
  const good = (n: number) => `{"id":"${n}"}`
  const deep = (['lists', 'objects', 'mixed'] as const).map(form => `{"x":${nested(form, DEEPEST)}}`)
  const text = `[${good(0)},\n${deep.map((record, n) => `${record},\n${good(n + 1)}`).join(',\n')},\n{"x":${'[{"y":'.repeat(DEEPEST / 2)}\n${good(9)}]`
  const outcome = await through(
    t.testdir({}),
    { inputs: [{ type: 'file', paths: ['in.json'], codec: 'json' }] },
    { files: { 'in.json': text } },
  )
  t.equal(outcome.code, 0, shown(outcome.stderr))
  t.same(ids(outcome), ['0', '1', '2', '3'])
  t.same(outcome.letters.slice(0, 3).map(source), deep)
  t.equal(outcome.letters.length, 4)
  t.ok(
    source(outcome.letters[3]!).endsWith(`${good(9)}]`),
    'nobody knows where the unclosed one ends: its letter holds what follows',
  )
})
