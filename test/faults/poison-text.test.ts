// Bytes that are no text, characters that end lines elsewhere, numbers that JavaScript cannot hold: nothing is mixed up, nothing invalid
// comes out.
import { isUtf8 } from 'node:buffer'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { penstock } from '../kit/process.ts'
import { shown, source, through } from './poison-support.ts'

t.setTimeout(150_000)

/** Latin-1: each character is a byte. */
const raw = (bytes: string) => Buffer.from(bytes, 'latin1')
const utf8 = (text: string) => Buffer.from(text)

/** What stands in a text, and what is made of it: the same, or (for bytes that are no UTF-8) U+FFFD where that is allowed. */
const TEXTS: Readonly<Record<string, { readonly bytes: Buffer; readonly invalid?: true }>> = {
  'bytes that begin nothing': { bytes: raw('a\xff\xfeb'), invalid: true },
  'a continuation without a beginning': { bytes: raw('a\x80b'), invalid: true },
  'a character that is cut off': { bytes: raw('a\xe2\x82'), invalid: true },
  'an overlong slash, two bytes': { bytes: raw('a\xc0\xafb'), invalid: true },
  'an overlong slash, three bytes': { bytes: raw('a\xe0\x80\xafb'), invalid: true },
  'an overlong slash, four bytes': { bytes: raw('a\xf0\x80\x80\xafb'), invalid: true },
  'an overlong quote': { bytes: raw('a\xc0\xa2,\xc0\xa2b'), invalid: true },
  'an overlong newline': { bytes: raw('a\xc0\x8ab'), invalid: true },
  'a raw surrogate': { bytes: raw('a\xed\xa0\x80b'), invalid: true },
  'a raw pair of surrogates': { bytes: raw('a\xed\xa0\xbd\xed\xb8\x80b'), invalid: true },
  'a character beyond the last': { bytes: raw('a\xf4\x90\x80\x80b'), invalid: true },
  'five bytes for one character': { bytes: raw('a\xf8\x88\x80\x80\x80b'), invalid: true },
  'the replacement character itself': { bytes: utf8('a\uFFFDb') },
  'line and paragraph separators': { bytes: utf8('a\u2028b\u2029c\u0085d\u000be\u000cf'.replace(/[\u000b\u000c]/g, '')) },
  'a byte order mark': { bytes: utf8('a\uFEFFb') },
  noncharacters: { bytes: utf8('a\uFFFF\uFFFE\u{10FFFF}b') },
  'directions and joiners': { bytes: utf8('a\u202Eb\u2066c\u2069\u200D\u200Bd') },
  'delete and the controls behind it': { bytes: utf8('a\u007f\u0080\u009b31mb') },
}

interface Case {
  readonly bytes: Buffer
  /** The line that comes out; none: a dead letter. */
  readonly out: string | undefined
  readonly replaced: string | undefined
}

function ndjson(): Case[] {
  const cases: Case[] = []
  const add = (bytes: Buffer, out: string | undefined, replaced = out) => {
    cases.push({ bytes, out, replaced })
  }
  for (const [name, { bytes, invalid }] of Object.entries(TEXTS)) {
    for (const [before, after] of [
      [`{"id":"${name}","x":"`, '"}'],
      [`{"id":"${name}, as a name","`, '":1}'],
    ] as const) {
      const record = Buffer.concat([utf8(before), bytes, utf8(after)])
      const line = JSON.stringify(JSON.parse(record.toString()))
      add(record, invalid ? undefined : line, line)
    }
  }
  for (const escaped of [
    '\\ud800',
    '\\udfff',
    '\\udc00\\ud800',
    'x\\ud83dy',
    '\\u0000',
    '\\u2028',
    '\\ufeff',
    '\\u001b[31m',
    '\\r\\n',
  ]) {
    const record = `{"id":"escaped","x":"${escaped}","${escaped}":1}`
    add(utf8(record), JSON.stringify(JSON.parse(record)))
  }
  // A raw control character is no JSON.
  for (const control of ['\0', '\x1b', '\t', '\r']) add(utf8(`{"id":"raw","x":"a${control}b"}`), undefined)
  add(utf8('{"id":"ends with a carriage return"}\r'), '{"id":"ends with a carriage return"}')
  add(utf8('\uFEFF{"id":"a byte order mark in the middle"}'), undefined)
  add(utf8('{"id":"good"}\uFEFF'), undefined)
  add(utf8('\0'), undefined)
  add(utf8('{"id":"last"}'), '{"id":"last"}')
  return cases
}

for (const workers of [0, 2]) {
  t.test(
    `row 76: what is no UTF-8 dies or is replaced, all else arrives, and what comes out is valid (${workers} workers)`,
    async t => {
      const cwd = t.testdir({})
      const cases = ndjson()
      const texts = Object.values(TEXTS)
      // Blank lines, each ended in its own way, are none; the file begins with a byte order mark.
      const file = Buffer.concat([utf8('\uFEFF'), ...cases.flatMap(({ bytes }) => [bytes, utf8('\n\r\n \n')])])
      const lines = Buffer.concat(texts.flatMap(({ bytes }) => [bytes, utf8('\0\r\n')]))
      const csv = Buffer.concat([
        utf8('\uFEFFid,x\r\n'),
        ...texts.flatMap(({ bytes }, n) => [utf8(`${n},"`), bytes, utf8('\r\n"\r\n')]),
      ])
      const input = (id: string, codec: string, invalid_utf8: string) => ({
        type: 'file',
        id,
        paths: [`in.${codec}`],
        codec: { type: codec, invalid_utf8 },
      })
      const codecs = ['ndjson', 'lines', 'csv'] as const
      const inputs = codecs.flatMap(codec => [input(codec, codec, 'dead_letter'), input(`${codec}_replaced`, codec, 'replace')])
      const outputs = inputs.map(({ id }) => ({
        type: 'file',
        id: `out_${id}`,
        path: `out/${id}`,
        when: `meta.input == "${id}"`,
      }))
      const files = { 'in.ndjson': file, 'in.lines': lines, 'in.csv': csv }
      const outcome = await through(cwd, { inputs, outputs, unmatched: 'drop' }, { files, workers })
      t.equal(outcome.code, 0, shown(outcome.stderr))
      t.equal(outcome.counts['dropped'], 0)

      const written = (id: string) => {
        const bytes = readFileSync(join(cwd, 'out', id))
        t.ok(isUtf8(bytes), `${id}: what comes out is UTF-8`)
        const text = bytes.toString()
        t.ok(text.endsWith('\n'))
        // Every line is JSON: none was cut in two by a character that ends lines elsewhere.
        return text
          .slice(0, -1)
          .split('\n')
          .map(line => JSON.stringify(JSON.parse(line)))
      }
      const due = (id: string, all: readonly Case[], pick: (one: Case) => string | undefined) => {
        t.same(
          written(id),
          all.map(pick).filter(line => line !== undefined),
          id,
        )
        t.same(
          outcome.letters.filter(({ input }) => input === id).map(({ bytes }) => Buffer.from(bytes).toString('latin1')),
          all.filter(one => pick(one) === undefined).map(({ bytes }) => bytes.toString('latin1')),
          `${id}: the dead letters hold the others, byte by byte`,
        )
      }
      due('ndjson', cases, ({ out }) => out)
      due('ndjson_replaced', cases, ({ replaced }) => replaced)
      const asLine = texts.map(({ bytes, invalid }): Case => {
        const replaced = JSON.stringify({ message: `${bytes}\0` })
        return { bytes: Buffer.concat([bytes, utf8('\0')]), out: invalid ? undefined : replaced, replaced }
      })
      due('lines', asLine, ({ out }) => out)
      due('lines_replaced', asLine, ({ replaced }) => replaced)
      const asRow = texts.map(({ bytes, invalid }, n): Case => {
        const replaced = JSON.stringify({ id: String(n), x: `${bytes}\r\n` })
        return { bytes: Buffer.concat([utf8(`${n},"`), bytes, utf8('\r\n"')]), out: invalid ? undefined : replaced, replaced }
      })
      due('csv', asRow, ({ out }) => out)
      due('csv_replaced', asRow, ({ replaced }) => replaced)
    },
  )
}

t.test('row 77: two events that differ in a digit that no number holds are two, whatever makes their ids', async t => {
  const close = [
    '9007199254740992',
    '9007199254740993',
    '-9007199254740993',
    '-9007199254740992',
    '1e400',
    '1e401',
    '123456789012345678901',
  ]
  const plain = close.flatMap(number => [`{"n":${number}}`, `{"n":1,"n":${number},"n":2}`])
  const audit = close.map(number => `{"RecordType":6,"Operation":"x","Id":${number}}`)
  const trace = close.map(
    number =>
      `{"MessageTraceId":${number},"SenderAddress":"a@b.example","RecipientAddress":"c@d.example","Received":"2026-05-06T08:12:33"}`,
  )
  const keyed = close.map(number => `{"key":{"of":[${number}]},"n":${number}}`)
  const records = [...plain, ...audit, ...trace, ...keyed]
  const outcome = await through(
    t.testdir({}),
    {
      inputs: [{ type: 'file', paths: ['in.ndjson'] }],
      filters: [
        { type: 'ecs', unknown: 'pass' },
        { type: 'dedupe', id: 'by_id' },
        { type: 'dedupe', id: 'by_number', fields: ['n'], when: '"key" in doc' },
        { type: 'dedupe', id: 'by_object', fields: ['key'] },
      ],
    },
    { files: { 'in.ndjson': `${records.join('\n')}\n` } },
  )
  t.equal(outcome.code, 0, shown(outcome.stderr))
  t.equal(outcome.counts['duplicates'], 0, 'none was taken for another one')
  t.equal(outcome.lines.length, records.length)
  const ids = outcome.lines.flatMap(line => (JSON.parse(line) as { event?: { id: string } }).event?.id ?? [])
  t.equal(ids.length, audit.length + trace.length)
  t.equal(new Set(ids).size, ids.length, 'each has an id of its own')
})

t.test('row 77: numbers, and keys that come twice, become what the page of the codec says', async t => {
  const records: readonly (readonly [record: string, line: string | undefined])[] = [
    ['{"n":9007199254740993}', '{"n":9007199254740992}'],
    ['{"n":12345678901234567890123}', '{"n":1.2345678901234568e+22}'],
    ['{"n":1e400,"m":-1E+999}', '{"n":null,"m":null}'],
    ['{"n":1e-400,"m":-0,"o":-0.0e5}', '{"n":0,"m":0,"o":0}'],
    [`{"n":${'9'.repeat(5_000)}}`, '{"n":null}'],
    [`{"n":0.${'3'.repeat(5_000)}}`, '{"n":0.3333333333333333}'],
    ['{"a":1,"b":2,"a":3}', '{"a":3,"b":2}'],
    ['{"n":"NaN","m":"Infinity","o":"1e400","p":"-0"}', '{"n":"NaN","m":"Infinity","o":"1e400","p":"-0"}'],
    ...['NaN', 'Infinity', '-Infinity', '0x10', '01', '1.', '.5', '+1', '1_000', '1n'].map(
      number => [`{"n":${number}}`, undefined] as const,
    ),
  ]
  const outcome = await through(
    t.testdir({}),
    { inputs: [{ type: 'stdin' }] },
    { input: `${records.map(([record]) => record).join('\n')}\n` },
  )
  t.equal(outcome.code, 0, shown(outcome.stderr))
  t.same(
    outcome.lines,
    records.map(([, line]) => line).filter(line => line !== undefined),
  )
  t.same(
    outcome.letters.map(source),
    records.filter(([, line]) => line === undefined).map(([record]) => record),
    'what is no JSON lies in the dead letters as it came',
  )
  const page = (await penstock(['plugins', 'codec', 'ndjson'], { cwd: t.testdirName })).stdout.replaceAll(/\s+/g, ' ')
  t.match(page, 'integers beyond 2^53 lose digits')
  t.match(page, 'of equal names in an object the last one counts')
  t.match(page, 'numbers beyond 1.8e308 become null, and -0 becomes 0')
})
