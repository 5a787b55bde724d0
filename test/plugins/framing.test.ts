// What the framers promise beside the records themselves: bounds, places, copies, and going on from where another one stopped.
import { createHash } from 'node:crypto'
import t from 'tap'
import { buffers } from '../../core/plugin/buffers.ts'
import type { Chunk, Framer, FramerStart } from '../../core/plugin/interfaces.ts'
import type { JsonObject } from '../../core/plugin/json.ts'
import { csvFramer } from '../../plugins/lib/framing/csv.ts'
import { jsonFramer } from '../../plugins/lib/framing/json.ts'
import { parseRecord } from '../../plugins/lib/framing/json-record.ts'
import { newlineFramer } from '../../plugins/lib/framing/newline.ts'
import { cut, recordsOf } from './framing-support.ts'

const KINDS: Readonly<Record<string, (start?: FramerStart, meta?: JsonObject) => Framer>> = {
  lines: (start, meta = {}) => newlineFramer(meta, start, 'skip'),
  json: (start, meta = {}) => jsonFramer(meta, start, []),
  path: (start, meta = {}) => jsonFramer(meta, start, ['value']),
  csv: (start, meta = {}) => csvFramer(meta, start, { quote: '"' }),
}
const STREAMS: Readonly<Record<string, string>> = {
  lines: '{"a":1}\n\n{"b":22}\r\n{"c":333}\n{"d":4444}',
  json: '[{"a":1}, {"b":22},\n{"c":333},{"d":4444}]\n',
  path: '{"x":[],"value":[{"a":1},{"b":22}, {"c":333},{"d":4444}],"y":1}\n',
  csv: '#TYPE x\na;b\n1;x\n2;"y\n;"\n\n3;z\r\n4;"q""q"\n',
}
const bytesOf = (text: string) => Buffer.from(text, 'latin1')

for (const [kind, framer] of Object.entries(KINDS)) {
  const stream = bytesOf(STREAMS[kind] as string)

  t.test(`${kind}: records and faults know their place in the stream`, async t => {
    for (const size of [1, 3, 64]) {
      const { records, consumed } = cut(framer(), stream, [size])
      t.equal(records.length, 4)
      for (const [offset, text] of records) t.equal(stream.toString('latin1', offset, offset + text.length), text)
      t.equal(consumed, stream.length)
    }
  })

  t.test(`${kind}: the chunks carry the stream's meta`, async t => {
    const chunks = [...framer(undefined, { path: '/a' }).push(stream)]
    t.match(chunks[0]?.meta, { path: '/a' })
  })

  t.test(`${kind}: another framer goes on wherever one stopped`, async t => {
    const whole = cut(framer(), stream).records
    for (let stop = 0; stop <= stream.length; stop++) {
      const one = framer()
      const before = [...one.push(stream.subarray(0, stop))].flatMap(recordsOf)
      const { consumed } = one
      const state = one.state === undefined ? undefined : JSON.parse(JSON.stringify(one.state))
      t.ok(consumed <= stop)
      const after = cut(framer({ state }), stream.subarray(consumed))
      const placed = after.records.map(([offset, text]) => [offset + consumed, text])
      t.strictSame([...before, ...placed], whole, `stopped at ${stop}, went on from ${consumed}`)
      t.strictSame(after.faults, [])
    }
  })

  t.test(`${kind}: a record that is too long is a fault, the others arrive, and memory stays`, async t => {
    const long = kind === 'csv' ? (fill: string) => `5;"${fill}\n"` : (fill: string) => `{"long":"${fill}"}`
    const fill = 'x'.repeat(200_000)
    const record = long(fill)
    const text = stream.toString('latin1')
    const between = kind === 'lines' || kind === 'csv' ? '\n' : ','
    const first = { lines: '{"b":22}', json: '{"b":22}', path: '{"b":22}', csv: '2;"y\n;"' }[kind] as string
    const at = text.indexOf(first)
    const spoiled = bytesOf(`${text.slice(0, at)}${record}${between}${text.slice(at)}`)
    const whole = cut(framer({ maxEventBytes: 1000 }), spoiled)
    t.equal(whole.records.length, 4)
    t.strictSame(whole.faults, [
      {
        code: 'PEN_TOO_LONG',
        reason: whole.faults[0]?.reason,
        offset: at,
        length: record.length,
        sha256: createHash('sha256').update(record).digest('hex'),
      },
    ])
    t.match(whole.faults[0]?.reason, 'The record is longer than 1000 bytes (max_event_bytes)')
    t.equal(whole.pieces[0], record.slice(0, 64 * 1024))
    for (const size of [1000, 999, 65_536, 100_000]) t.strictSame(cut(framer({ maxEventBytes: 1000 }), spoiled, [size]), whole)
  })

  t.test(`${kind}: a record as long as is allowed is one`, async t => {
    const record = { lines: '{"b":22}', json: '{"b":22}', path: '{"b":22}', csv: '2;"y\n;"' }[kind] as string
    const exact = cut(framer({ maxEventBytes: Math.max(10, record.length) }), stream, [1])
    t.equal(exact.records.length, 4)
    const [shorter] = [cut(framer({ maxEventBytes: 5 }), stream, [1])]
    t.ok(shorter.faults.length > 0)
    t.strictSame(cut(framer({ maxEventBytes: 5 }), stream), shorter)
  })

  t.test(`${kind}: parts of one buffer are never in two chunks`, async t => {
    const long = Buffer.concat([stream.subarray(0, stream.length - 1), ...Array.from({ length: 5000 }, () => Buffer.from(' '))])
    for (const size of [10, 20, 70_000]) {
      const one = framer()
      let seen = 0
      const held: { readonly chunk: Chunk; readonly text: string }[] = []
      for (let at = 0; at < long.length; at += size) {
        for (const chunk of one.push(long.subarray(at, at + size))) {
          if (seen++ % 2 === 0) held.push({ chunk, text: JSON.stringify(recordsOf(chunk)) })
          else buffers.recycle(chunk.bytes)
        }
      }
      for (const { chunk, text } of held)
        t.equal(JSON.stringify(recordsOf(chunk)), text, 'what comes later and what is given back leave it alone')
      for (const { chunk } of held) buffers.recycle(chunk.bytes)
    }
  })
}

t.test('a line of 100 MB costs no memory, and what follows arrives', async t => {
  const framer = newlineFramer({}, undefined, 'skip')
  const piece = Buffer.alloc(1024 * 1024, 'x')
  const hash = createHash('sha256')
  framer.push(Buffer.from('{"a":1}\n'))
  const before = process.memoryUsage()
  let highest = 0
  for (let i = 0; i < 100; i++) {
    hash.update(piece)
    t.strictSame([...framer.push(piece)], [])
    const now = process.memoryUsage()
    highest = Math.max(highest, now.arrayBuffers + now.external - before.arrayBuffers - before.external)
  }
  t.equal(framer.consumed, 8, 'a restart reads it again')
  const [chunk] = [...framer.push(Buffer.from('\n{"b":2}\n'))]
  t.match(chunk?.faults, [{ code: 'PEN_TOO_LONG', offset: 8, length: 100 * 1024 * 1024, sha256: hash.digest('hex') }])
  t.equal(chunk?.faults?.[0]?.bytes.length, 64 * 1024)
  t.strictSame(recordsOf(chunk as Chunk), [[8 + 100 * 1024 * 1024 + 1, '{"b":2}']])
  t.ok(highest < 128 * 1024 * 1024, `${highest} bytes at the highest`)
})

t.test(
  'json: records go on at the indentation of the last one, unless that is so far in that its blanks would have to be kept',
  async t => {
    for (const [blanks, expected] of [
      [64, ['{"a":1}', '{"b":2}', '{"c":3}']],
      [65, ['{"a":1}', '{"c":3}']],
      [1024 * 1024, ['{"a":1}', '{"c":3}']],
    ] as const) {
      const far = ' '.repeat(blanks)
      const text = `${far}{"a":1}\n}broken\n${far}{"b":2}\n{"c":3}\n`
      for (const size of [1000, text.length]) {
        const { records, faults } = cut(jsonFramer({}, undefined, []), bytesOf(text), [size])
        t.strictSame(
          records.map(([, record]) => record),
          expected,
          `${blanks} blanks`,
        )
        t.equal(faults.length, 1)
      }
    }
  },
)

t.test('a broken piece is kept whole up to the length of a record', async t => {
  const text = `{"a":1}\n{"b":"${'x'.repeat(100_000)}\n{"c":3}\n`
  const { records, pieces, faults } = cut(jsonFramer({}, undefined, []), bytesOf(text), [4096])
  t.equal(records.length, 2)
  t.equal(pieces[0]?.length, faults[0]?.length)
  t.notOk('sha256' in (faults[0] ?? {}))
})

t.test('json: what nests a million levels deep is one record, which the decoder refuses', async t => {
  const deep = `[{"a":1},{"b":${'['.repeat(1_000_000)}${']'.repeat(1_000_000)}},{"c":3}]`
  const { records, faults } = cut(jsonFramer({}, undefined, []), bytesOf(deep), [65_536])
  t.strictSame(
    records.map(([, text]) => text.length),
    [7, 2_000_006, 7],
  )
  t.throws(() => parseRecord(Buffer.from(records[1]?.[1] ?? ''), 'dead_letter'), { code: 'PEN_DEPTH' })
  t.strictSame(faults, [])
})

t.test('json: an array that was cut off goes on where it ended, should it grow', async t => {
  const one = jsonFramer({}, undefined, [])
  cut(one, bytesOf('[\n  {"a":1},\n  {"b":2}'))
  t.strictSame(one.state, { in: 'array', column: 2 })
  const { records, faults } = cut(jsonFramer({}, { state: one.state }, []), bytesOf(',\n  {"c":3}\n]\n'))
  t.strictSame([records.map(([, text]) => text), faults], [['{"c":3}'], []])
})

t.test('json: a hint names path where a whole object is too long', async t => {
  const { faults } = cut(jsonFramer({}, { maxEventBytes: 20 }, []), bytesOf('{"value":[{"a":1},{"b":2},{"c":3}]}'))
  t.match(faults, [{ reason: /with the option path\.$/, length: 35 }])
})

t.test('csv: rows say their columns, also those of a framer that goes on', async t => {
  const one = csvFramer({}, undefined, { quote: '"' })
  const [chunk] = [...one.push(bytesOf('a;b\n1;2\n'))]
  t.strictSame(chunk?.meta, { columns: ['a', 'b'], delimiter: ';' })
  t.strictSame(one.state, chunk?.meta)
  const [later] = [...csvFramer({}, { state: one.state }, { quote: '"' }).push(bytesOf('3;4\n'))]
  t.strictSame(later?.meta, chunk?.meta)
  t.equal(later?.count, 1)
})

t.test('csv: options that changed count more than what was stored', async t => {
  const state = { columns: ['a', 'b'], delimiter: ';' }
  const [chunk] = [...csvFramer({}, { state }, { quote: '"', columns: ['x', 'y'], delimiter: ',' }).push(bytesOf('3,4\n'))]
  t.strictSame(chunk?.meta, { columns: ['x', 'y'], delimiter: ',' })
})

t.test('csv: without a header that can be read no row has columns', async t => {
  for (const text of ['"a"x,b\n1,2\n', `${'a'.repeat(100)},b\n1,2\n`]) {
    const chunks = [...csvFramer({}, { maxEventBytes: 50 }, { quote: '"' }).push(bytesOf(text))]
    t.equal(chunks[0]?.faults?.length, 1)
    t.strictSame(chunks[0]?.meta?.['columns'], [])
    t.equal(chunks[0]?.count, 1)
  }
})
