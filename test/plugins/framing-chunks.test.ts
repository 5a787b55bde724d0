// Properties of the framers and codecs: pieces of any size give the same, no byte gets lost, and no input crashes or hangs them.

import t from 'tap'
import type { Codec, Framer, FramerStart } from '../../core/plugin/interfaces.ts'
import type { JsonObject } from '../../core/plugin/json.ts'
import csv from '../../plugins/codecs/csv.ts'
import json from '../../plugins/codecs/json.ts'
import lines from '../../plugins/codecs/lines.ts'
import ndjson from '../../plugins/codecs/ndjson.ts'
import { csvFramer } from '../../plugins/lib/framing/csv.ts'
import { jsonFramer } from '../../plugins/lib/framing/json.ts'
import { newlineFramer } from '../../plugins/lib/framing/newline.ts'
import { fc } from '../kit/rounds.ts'
import { type Cut, cut } from './framing-support.ts'

const FRAMERS: Readonly<Record<string, (start?: FramerStart) => Framer>> = {
  lines: start => newlineFramer({}, start, 'skip'),
  json: start => jsonFramer({}, start, []),
  'json below a path': start => jsonFramer({}, start, ['a', 'b']),
  csv: start => csvFramer({}, start, { quote: '"', delimiter: ',' }),
}

const sizes = fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 6 })
const maxEventBytes = fc.constantFrom(4, 10, 25, 100_000)
/** Text of the pieces that decide things, in any order: most of it is broken. */
const tokens = fc
  .array(
    fc.oneof(
      {
        weight: 8,
        arbitrary: fc.constantFrom('{', '}', '[', ']', '"', ',', ':', '\n', '\\', ' ', '\r\n', '""', 'x', '1', '\uFEFF'),
      },
      {
        weight: 4,
        arbitrary: fc.constantFrom(
          '{"a":1}\n',
          '{"a":{"b":[',
          '[{"a":1},',
          '"a":',
          '"b":',
          'null',
          '\n  {',
          'a,b\n',
          '1,"2\n"\n',
        ),
      },
      {
        weight: 1,
        arbitrary: fc.constantFrom(
          'x'.repeat(50),
          ' '.repeat(40),
          '"'.repeat(35),
          '\\'.repeat(33),
          '['.repeat(70),
          ']'.repeat(70),
        ),
      },
    ),
    { maxLength: 60 },
  )
  .map(parts => Buffer.from(parts.join('')))
const noise = fc.uint8Array({ maxLength: 200 }).map(bytes => Buffer.from(bytes))
const anything = fc.oneof({ weight: 5, arbitrary: tokens }, { weight: 1, arbitrary: noise })

for (const [name, framer] of Object.entries(FRAMERS)) {
  t.test(`${name}: pieces of any size give the same records, faults and state`, async () => {
    fc.assert(
      fc.property(anything, sizes, maxEventBytes, (stream, pieces, max) => {
        const whole = cut(framer({ maxEventBytes: max }), stream)
        const parts = cut(framer({ maxEventBytes: max }), stream, pieces)
        if (JSON.stringify(parts) !== JSON.stringify(whole)) throw new Error(`${JSON.stringify(whole)}\n${JSON.stringify(parts)}`)
      }),
      { numRuns: 2000 },
    )
  })

  t.test(`${name}: what is in no record and no fault only separates`, async () => {
    fc.assert(
      fc.property(anything, sizes, maxEventBytes, (stream, pieces, max) => {
        const left = leftOver(stream, cut(framer({ maxEventBytes: max }), stream, pieces))
        // A CSV's header and type line are read, and the objects around a path's array are passed over.
        const pattern = { lines: /^[\s\xef\xbb\xbf]*$/, json: /^[\s,[\]\x1e\xef\xbb\xbf]*$/ }[name]
        if (pattern && !pattern.test(left)) throw new Error(`left over: ${JSON.stringify(left)}`)
      }),
      { numRuns: 1000 },
    )
  })
}

/** The bytes that nothing accounts for; throws where two pieces lie on each other. */
function leftOver(stream: Buffer, { records, faults }: Cut): string {
  const pieces = [
    ...records.map(([offset, text]) => [offset, text.length]),
    ...faults.map(({ offset, length }) => [offset, length]),
  ]
  let left = ''
  let at = 0
  for (const [offset, length] of pieces.sort((a, b) => (a[0] as number) - (b[0] as number)) as [number, number][]) {
    if (offset < at) throw new Error(`byte ${offset} is in two pieces`)
    left += stream.toString('latin1', at, offset)
    at = offset + length
  }
  return left + stream.toString('latin1', at)
}

const fields = fc
  .dictionary(fc.string({ unit: 'binary' }), fc.jsonValue({ maxDepth: 3 }), { maxKeys: 4 })
  .map(value => JSON.parse(JSON.stringify(value)) as JsonObject)
const records = fc.array(fields, { maxLength: 8 })

/** Every object of the stream; throws at what is none. */
function decodeAll(codec: Codec, stream: Buffer, pieces: readonly number[]): JsonObject[] {
  const framer = codec.framer({})
  const { faults, records: cuts } = cut(framer, stream, pieces)
  if (faults.length > 0) throw new Error(JSON.stringify(faults))
  const meta = framer.state && typeof framer.state === 'object' ? (framer.state as JsonObject) : {}
  return cuts.flatMap(([, text]) => codec.decode(Buffer.from(text, 'latin1'), meta))
}

function sameAsWritten(
  plugin: { create(options: JsonObject, site: never): Codec },
  options: JsonObject,
  write: (records: readonly JsonObject[]) => string,
) {
  const codec = plugin.create({ invalid_utf8: 'dead_letter', ...options }, {} as never)
  fc.assert(
    fc.property(records, sizes, (all, pieces) => {
      const read = decodeAll(codec, Buffer.from(write(all)), pieces)
      if (JSON.stringify(read) !== JSON.stringify(all)) throw new Error(`${JSON.stringify(read)}\n${write(all)}`)
    }),
    { numRuns: 500 },
  )
}

t.test('ndjson reads what was written', async () => {
  sameAsWritten(ndjson, {}, all => all.map(each => `${JSON.stringify(each)}\r\n`).join(''))
})

t.test('json reads what was written: an array, an indented one, values in a row', async () => {
  sameAsWritten(json, {}, all => JSON.stringify(all))
  sameAsWritten(json, {}, all => JSON.stringify(all, undefined, 3))
  sameAsWritten(json, {}, all => all.map(each => JSON.stringify(each, undefined, '\t')).join(''))
  sameAsWritten(json, { path: 'a.value' }, all => JSON.stringify({ value: all, a: { b: all, value: all, c: [all] }, d: 'a' }))
})

t.test('csv reads what was written', async () => {
  const cell = fc.oneof(fc.string({ unit: 'binary' }), fc.string({ unit: fc.constantFrom('"', ',', '\n', '\r', 'x') }))
  const quoted = (text: string) => `"${text.replaceAll('"', '""')}"`
  const codec = csv.create({ delimiter: ',', quote: '"', relax_columns: false, invalid_utf8: 'dead_letter' }, {} as never)
  fc.assert(
    fc.property(fc.array(fc.tuple(cell, cell, cell), { maxLength: 8 }), sizes, (rows, pieces) => {
      const text = `a,b,c\r\n${rows.map(row => `${row.map(quoted).join(',')}\r\n`).join('')}`
      const read = decodeAll(codec, Buffer.from(text), pieces)
      const written = rows.map(([a, b, c]) => ({ a: wellFormed(a), b: wellFormed(b), c: wellFormed(c) }))
      if (JSON.stringify(read) !== JSON.stringify(written)) throw new Error(JSON.stringify(read))
    }),
    { numRuns: 1000 },
  )
})

function wellFormed(text: string): string {
  return Buffer.from(text).toString()
}

t.test('no record crashes a decoder: it gives objects or says why not', async () => {
  const codecs = [ndjson, json, lines, csv].map(plugin =>
    (plugin as unknown as { create(options: JsonObject): Codec }).create({
      invalid_utf8: 'dead_letter',
      field: 'message',
      skip_empty: true,
      delimiter: ',',
      quote: '"',
      relax_columns: false,
    }),
  )
  fc.assert(
    fc.property(anything, record => {
      for (const codec of codecs) {
        try {
          const value = codec.decode(record, { columns: ['a', 'b'], delimiter: ',' })
          if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new TypeError('no object')
        } catch (error) {
          if (!/^PEN_(JSON|UTF8|DEPTH|CSV)$/.test((error as { code?: string }).code ?? '')) throw error
        }
      }
      if ('polluted' in {}) throw new Error('a prototype was touched')
    }),
    { numRuns: 2000 },
  )
})

t.test('input that is made to be slow is not', async t => {
  const repeat = (text: string, bytes: number) => Buffer.from(text.repeat(Math.ceil(bytes / text.length)))
  const size = 100_000
  const slow = [
    '{\n',
    '[\n',
    '{"a":\n',
    '{"a":[\n{},\n',
    '"',
    '\\',
    '{"\\',
    '{}]\n',
    '{"a":"\n',
    '[{"a":[1}\n',
    '1,"\n',
    '"a""\n',
    '""',
    ',',
    '\n',
    '\r',
  ]
  for (const [name, framer] of Object.entries(FRAMERS)) {
    for (const text of slow) {
      const start = performance.now()
      cut(framer(), repeat(text, size), [65_536])
      const took = performance.now() - start
      t.ok(took < 2000, `${name} ${JSON.stringify(text)}: ${took.toFixed()} ms`)
    }
  }
})
