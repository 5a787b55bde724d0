// The codecs as targets of the fuzzer: what each of them promises beside what all do.
import assert from 'node:assert/strict'
import type { Codec, Site } from '../../core/plugin/interfaces.ts'
import type { JsonObject } from '../../core/plugin/json.ts'
import csv from '../../plugins/codecs/csv.ts'
import json from '../../plugins/codecs/json.ts'
import lines from '../../plugins/codecs/lines.ts'
import ndjson from '../../plugins/codecs/ndjson.ts'
import { apply, BYTE_TOKENS, mutator, oneOf, pick, type Random, TEXT_TOKENS } from '../kit/mutate.ts'
import { onInput, type Target } from './fuzz-target.ts'
import { asObject, type Cut, checkStream, decoded, drive, leftOver, linesOf, type Outcome, same } from './fuzz-text.ts'

const LIMITS = [4, 25, 200, 1000, 100_000]
const LARGE = 100_000
const TOKENS = [...TEXT_TOKENS, ...TEXT_TOKENS, ...BYTE_TOKENS]

const codecOf = (plugin: { create(options: never, site: Site): Codec }, options: JsonObject): Codec =>
  plugin.create({ invalid_utf8: 'dead_letter', ...options } as never, {} as Site)

/** Single records that do not nest deep, for inputs that are put together here. */
const objects = (input: Buffer): string[] =>
  linesOf(input, LARGE, false)
    .records.map(([, text]) => Buffer.from(text, 'latin1'))
    .filter(record => asObject(record) && record.toString().split('{').length < 20)
    .map(record => record.toString().trim())

/** What stands between records is blanks, and nothing else. */
const LINES_LEFT = /^[ \t\r\n]*(?:\xef\xbb\xbf)?[ \t\r\n]*$/
const JSON_LEFT = /^[ \t\r\n,[\]\x1e]*(?:\xef\xbb\xbf)?[ \t\r\n,[\]\x1e]*$/

function checkLines(codec: Codec, input: Buffer, random: Random, blanks: boolean): Outcome {
  const max = oneOf(random, LIMITS)
  const outcome = checkStream(codec, input, random, max)
  const { records, faults } = linesOf(input, max, blanks)
  same(JSON.stringify(outcome.records.map(([offset, text]) => [offset, text])), JSON.stringify(records), 'the lines')
  same(JSON.stringify(outcome.faults.map(({ offset, length }) => [offset, length])), JSON.stringify(faults), 'the long lines')
  assert.match(leftOver(outcome, input), LINES_LEFT)

  // A damage in one place costs the lines that it touches, and no other.
  if (random() < 0.5) return outcome
  const { damage } = mutator(random, TOKENS)
  const hit = damage(input, 0, input.length)
  const start = { maxEventBytes: LARGE }
  const before = drive(codec, input, [input.length], start).records
  const damaged = apply(input, hit)
  const after = drive(codec, damaged, [damaged.length], start).records
  const next = input.indexOf(10, hit.to)
  const shift = damaged.length - input.length
  const intact = before.flatMap(([offset, text]): [number, string][] => {
    // The mark of the first line, and the newline of the line before, belong to it.
    if (offset + text.length + 2 <= hit.from) return [[offset, text]]
    return next >= 0 && offset > next ? [[offset + shift, text]] : []
  })
  const there = new Set(after.map(([offset, text]) => `${offset} ${text}`))
  onInput(damaged, () => {
    for (const [offset, text] of intact) assert.ok(there.has(`${offset} ${text}`), `the line at ${offset} is gone`)
  })
  return outcome
}

/** What each record becomes is what JSON.parse says of it. */
function checkObjects(codec: Codec, outcome: Outcome): void {
  const became = decoded(codec, outcome)
  outcome.records.forEach(([offset, text], i) => {
    const object = asObject(Buffer.from(text, 'latin1'))
    if (object) same(became[i] as string, JSON.stringify(object), `the record at ${offset}`)
    else
      assert.match(
        became[i] as string,
        /^PEN_(JSON|UTF8|DEPTH)$/,
        `the record at ${offset} is none: ${JSON.stringify(text.slice(0, 200))}`,
      )
  })
}

/** A text that JSON.parse takes gives its elements: all of them, in their order, and no fault. */
function checkJson(codec: Codec, input: Buffer, path: string | undefined): void {
  const text = input.toString('utf8')
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return
  }
  // A longer number is taken for none.
  if (/[\w.+-]{65}/.test(text)) return
  if (path !== undefined) {
    // JSON.parse takes the last of equal names, the framer each of them.
    if (text.split(`"${path}"`).length !== 2 || text.includes('\\u')) return
    if (typeof value !== 'object' || value === null || Array.isArray(value) || !Object.hasOwn(value, path)) return
    value = (value as JsonObject)[path]
  }
  const outcome = drive(codec, input, [input.length], { maxEventBytes: LARGE })
  assert.deepEqual(outcome.faults, [], 'a JSON text has no faults')
  const elements = Array.isArray(value) ? value : [value]
  assert.equal(outcome.records.length, elements.length, 'each element is a record')
  outcome.records.forEach(([offset, record], i) => {
    same(
      JSON.stringify(JSON.parse(Buffer.from(record, 'latin1').toString())),
      JSON.stringify(elements[i]),
      `the element at ${offset}`,
    )
  })
}

const LAYOUTS: readonly ((records: readonly string[], path: string | undefined) => string)[] = [
  (records, path) => (path ? `{"x":[{}],"${path}":[\n${records.join(',\n')}\n],"y":1}\n` : `[\n${records.join(',\n')}\n]\n`),
  (records, path) => (path ? `{\n  "${path}": [\n    ${records.join(',\n    ')}\n  ]\n}` : `  ${records.join('\n  ')}\n`),
  (records, path) => {
    const values = records.map(record => JSON.parse(record) as unknown)
    return JSON.stringify(path ? { count: 1, [path]: values } : values, undefined, 2)
  },
]

/** A damage inside of one record costs this one: those before and behind it come, where each begins on a line of its own. */
function checkJsonDamage(codec: Codec, input: Buffer, random: Random, path: string | undefined): void {
  const records = objects(input).slice(0, 6)
  if (records.length < 3) return
  const text = Buffer.from(oneOf(random, LAYOUTS)(records, path))
  const start = { maxEventBytes: LARGE }
  const before = drive(codec, text, [text.length], start)
  if (before.records.length !== records.length) assert.fail(`${before.records.length} records of ${records.length} in ${text}`)
  const index = pick(random, records.length)
  const [offset, record] = before.records[index] as Cut
  const { damage } = mutator(random, TEXT_TOKENS)
  const hit = damage(text, offset + 1, offset + record.length - 1)
  // With a bracket more or less the record may go on into those behind it, and the text is as good as before: then nobody can
  // tell. Nor is that told below so many levels that the record is none anyway.
  const touched = hit.put.toString('latin1') + text.toString('latin1', hit.from, hit.to)
  if (/[[\]]/.test(touched) || touched.split('{').length > 40) return
  const damaged = apply(text, hit)
  // Where a brace comes to stand at the beginning of a line, a record seems to begin: what then closes an array of the old one
  // closes that of the records.
  const begins = (bytes: Buffer) => bytes.toString('latin1').match(/\n[ \t]*\{/g)?.length ?? 0
  if (begins(damaged) > begins(text)) return
  const after = new Map(drive(codec, damaged, [damaged.length], start).records.map(([at, is]) => [at, is]))
  const shift = damaged.length - text.length
  const what = `${JSON.stringify(hit.put.toString('latin1'))} in record ${index} of ${records.length}`
  onInput(damaged, () => {
    before.records.forEach(([at, is], i) => {
      const place = i < index ? at : at + shift
      if (i !== index) assert.equal(after.get(place), is, `record ${i} is gone by ${what}`)
    })
  })
}

function jsonTarget(name: string, path: string | undefined): Target {
  const codec = codecOf(json, path === undefined ? {} : { path })
  return {
    name,
    formats: ['json', 'ndjson'],
    tokens: TOKENS,
    check(input, random) {
      const outcome = checkStream(codec, input, random, oneOf(random, LIMITS), true)
      checkObjects(codec, outcome)
      const left = leftOver(outcome, input)
      if (path === undefined) assert.match(left, JSON_LEFT)
      checkJson(codec, input, path)
      if (random() < 0.5) checkJsonDamage(codec, input, random, path)
    },
  }
}

/** Bytes that say where a CSV value begins or ends. */
const CSV_SIGNS = /[",;\t|\r\n]/

function checkCsv(codec: Codec, input: Buffer, random: Random): void {
  const outcome = checkStream(codec, input, random, oneOf(random, LIMITS))
  leftOver(outcome, input)
  for (const text of decoded(codec, outcome)) assert.match(text, /^(?:\{.*\}|PEN_(?:CSV|UTF8))$/s)

  // Inside of a value any damage costs this row at most, as long as it puts no quote, delimiter or line end there, or takes one away.
  if (random() < 0.5) return
  const start = { maxEventBytes: LARGE }
  const before = drive(codec, input, [input.length], start)
  const [first] = before.records
  if (!first || input.length <= first[0]) return
  const from = first[0] + pick(random, input.length - first[0])
  const to = Math.min(input.length, from + 1 + pick(random, 6))
  if (CSV_SIGNS.test(input.toString('latin1', from, to))) return
  const damaged = Buffer.from(input)
  for (let i = from; i < to; i++) damaged[i] = oneOf(random, [0, 0x20, 0x2b, 0x7f, 0x80, 0xc3, 0xff])
  const after = drive(codec, damaged, [damaged.length], start)
  onInput(damaged, () => {
    assert.equal(after.records.length + after.faults.length, before.records.length + before.faults.length, 'as many rows')
    before.records.forEach(([offset, text], i) => {
      if (offset + text.length <= from || offset >= to) assert.deepEqual(after.records[i], before.records[i], `row ${i}`)
    })
  })
}

/** One quote too many in a table without quotes: the row it stands in is lost at most. */
function checkQuote(codec: Codec, random: Random): void {
  const rows = Array.from({ length: 3 + pick(random, 6) }, (_, i) => [
    `row${i}`,
    oneOf(random, ['', 'x', 'ü', ' ']),
    `${pick(random, 1000)}`,
  ])
  const header = Buffer.from('name,text,number\n')
  const text = Buffer.concat([header, Buffer.from(rows.map(row => `${row.join(',')}\n`).join(''))])
  const at = header.length + pick(random, text.length - header.length)
  const damaged = apply(text, { from: at, to: at, put: Buffer.from('"') })
  const start = { maxEventBytes: LARGE }
  const hit = text.subarray(header.length, at).toString('latin1').split('\n').length - 1
  const got = decoded(codec, drive(codec, damaged, [damaged.length], start))
  onInput(damaged, () => {
    rows.forEach(([name, value, number], i) => {
      const expected = JSON.stringify({ name, text: value, number })
      if (i !== hit) assert.ok(got.includes(expected), `row ${i} is gone by a quote in row ${hit}`)
    })
  })
}

export const CODECS: readonly Target[] = [
  {
    name: 'ndjson',
    formats: ['ndjson'],
    tokens: TOKENS,
    check(input, random) {
      const codec = codecOf(ndjson, {})
      checkObjects(codec, checkLines(codec, input, random, false))
    },
  },
  {
    name: 'lines',
    formats: ['lines', 'ndjson'],
    tokens: TOKENS,
    check(input, random) {
      const blanks = random() < 0.5
      const codec = codecOf(lines, { field: 'message', skip_empty: !blanks, invalid_utf8: 'replace' })
      const outcome = checkLines(codec, input, random, blanks)
      const became = decoded(codec, outcome)
      outcome.records.forEach(([offset, text], i) => {
        same(became[i] as string, JSON.stringify({ message: Buffer.from(text, 'latin1').toString() }), `the line at ${offset}`)
      })
    },
  },
  jsonTarget('json', undefined),
  jsonTarget('json-path', 'value'),
  {
    name: 'csv',
    formats: ['csv'],
    tokens: TOKENS,
    check(input, random) {
      const columns = random() < 0.3 ? { columns: ['CreationDate', 'UserIds', 'AuditData'] } : {}
      checkCsv(codecOf(csv, { delimiter: ',', quote: '"', relax_columns: random() < 0.3, ...columns }), input, random)
      if (random() < 0.1) checkQuote(codecOf(csv, { delimiter: ',', quote: '"', relax_columns: false }), random)
    },
  },
  {
    name: 'csv-auto',
    formats: ['csv'],
    tokens: TOKENS,
    check(input, random) {
      checkCsv(codecOf(csv, { delimiter: 'auto', quote: '"', relax_columns: true, invalid_utf8: 'replace' }), input, random)
    },
  },
]
