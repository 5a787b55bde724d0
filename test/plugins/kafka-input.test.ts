// What the kafka input makes of messages and of its share of the partitions, without a broker.
import t from 'tap'
import { completeOptions } from '../../core/config/creation.ts'
import type { Chunk, Codec } from '../../core/plugin/interfaces.ts'
import { isObject, type JsonObject } from '../../core/plugin/json.ts'
import json from '../../plugins/codecs/json.ts'
import { type Cut, type CuttingOptions, cutBatch } from '../../plugins/inputs/kafka/cutting.ts'
import { Shares } from '../../plugins/inputs/kafka/shares.ts'
import type { InMessage } from '../../plugins/lib/kafka/client.ts'
import { decodeAll } from '../kit/contract.ts'
import { inBatch, inMessage } from './kafka-support.ts'

const codec = json.create(await completeOptions(json, {}, '/'), {} as never) as Codec
const OPTIONS: CuttingOptions = { codec, maxEventBytes: 1 << 20, unwrap: undefined, decorate: false, idHeader: 'event-id' }

const cutAll = (messages: readonly InMessage[], options: Partial<CuttingOptions> = {}, end?: string): Cut[] => [
  ...cutBatch(inBatch(messages, end === undefined ? {} : { end }), { ...OPTIONS, ...options }),
]

/** What a worker makes of a chunk: its records, and the faults' codes. */
function recordsOf({ bytes, ends, starts, count = ends.length, meta = {}, faults = [] }: Chunk): unknown[] {
  const records: unknown[] = []
  let start = 0
  for (let record = 0; record < count; record++) {
    if (starts) start = starts[record] as number
    records.push(codec.decode(bytes.subarray(start, ends[record]), meta))
    start = (ends[record] as number) + 1
  }
  return [...records, ...faults.map(({ code }) => code)]
}
const allOf = (cuts: readonly Cut[]) => cuts.flatMap(({ chunk }) => recordsOf(chunk))

t.test('small messages share a chunk, which says from where to where it reaches', async t => {
  const cuts = cutAll([inMessage(5, '{"n":1}'), inMessage(7, '{"n":2}\n{"n":3}'), inMessage(9, '[{"n":4},{"n":5}]')], {}, '12')
  t.equal(cuts.length, 1)
  t.strictSame(
    allOf(cuts),
    [1, 2, 3, 4, 5].map(n => ({ n })),
  )
  t.match(cuts[0], { end: 12n, chunk: { meta: { topic: 'logs', offset: '5', last_offset: '9' } } })
})

t.test('a chunk is full before it grows beyond its size, and nothing is lost or in two of them', async t => {
  const text = 'x'.repeat(50_000)
  const messages = Array.from({ length: 20 }, (_, n) => inMessage(n, JSON.stringify({ n, text })))
  const cuts = cutAll([
    ...messages,
    inMessage(20, JSON.stringify({ n: 20, text: 'y'.repeat(700_000) })),
    inMessage(21, '{"n":21}'),
  ])
  t.strictSame(
    allOf(cuts).map(record => (record as JsonObject)['n']),
    Array.from({ length: 22 }, (_, n) => n),
  )
  let records = 0
  for (const { chunk, end } of cuts) {
    records += chunk.count ?? chunk.ends.length
    t.equal(end, BigInt(records), 'its position is behind the last message in it')
  }
  t.ok(cuts.length > 5)
})

t.test('tombstones are counted and left out, and the position goes on behind them', async t => {
  const cuts = cutAll([inMessage(0, null), inMessage(1, '{"n":1}'), inMessage(2, null)])
  t.strictSame(allOf(cuts), [{ n: 1 }])
  t.equal(cuts.at(-1)?.end, 3n)
  t.equal(
    cuts.reduce((sum, { tombstones }) => sum + tombstones, 0),
    2,
  )
  const none = cutAll([inMessage(8, null), inMessage(9, null)], {}, '11')
  t.match(none, [{ end: 11n, tombstones: 2, chunk: { ends: new Uint32Array(0) } }])
})

t.test('an empty message holds no record, and the position goes on behind it', async t => {
  t.strictSame(
    cutAll([inMessage(4, ''), inMessage(5, ' \n')]).map(({ end, chunk }) => [end, recordsOf(chunk)]),
    [
      [5n, []],
      [6n, []],
    ],
  )
})

t.test('a message that is no record is a fault by itself, with its own offset, and its neighbours are read', async t => {
  const cuts = cutAll([inMessage(0, '{"n":0}'), inMessage(1, '{"n":'), inMessage(2, '{"n":2}')])
  t.strictSame(allOf(cuts), [{ n: 0 }, 'PEN_CUT_OFF', { n: 2 }])
  t.strictSame(
    cuts.map(({ chunk, end }) => [chunk.meta?.['offset'], end]),
    [
      ['0', 1n],
      ['1', 2n],
      ['2', 3n],
    ],
  )
})

t.test('a message that gives several chunks is read again from its beginning until the last of them is settled', async t => {
  const broken = '{"n":1}\n{"n":\n{"n":2}'
  const framer: Codec = {
    ...codec,
    framer(meta, start) {
      const own = codec.framer(meta, start)
      // Two pushes where one would do: a chunk from each.
      return { ...own, push: bytes => [...own.push(bytes.subarray(0, 8)), ...own.push(bytes.subarray(8))], end: () => own.end() }
    },
  } as Codec
  const cuts = cutAll([inMessage(3, broken), inMessage(4, '{"n":3}')], { codec: framer })
  t.ok(cuts.length >= 3)
  t.equal(cuts[0]?.end, 3n)
  t.equal(cuts.at(-1)?.end, 5n)
})

t.test('decorate: each event has its own message in meta', async t => {
  const message = { key: Buffer.from('k'), timestamp: '1767225600000', headers: { source: 'a' } }
  const cuts = cutAll([inMessage(1, '{"n":1}', message), inMessage(2, '{"n":2}')], { decorate: true })
  t.strictSame(
    cuts.map(({ chunk }) => chunk.meta),
    [
      { topic: 'logs', offset: '1', timestamp: 1767225600000, headers: { source: 'a' }, key: 'k' },
      { topic: 'logs', offset: '2', timestamp: 0, headers: {} },
    ],
  )
})

t.test('the id in a header is the id of the event, and of the parts of a message', async t => {
  const headers = { 'event-id': 'e1' }
  const messages = [inMessage(0, '{"n":0}'), inMessage(1, '{"n":1}', { headers }), inMessage(2, '[{"n":2},{"n":3}]', { headers })]
  const expected = [
    [1, 'e1'],
    [2, 'e1#1'],
    [3, 'e1#2'],
  ]
  t.strictSame([...(cutAll(messages)[0]?.chunk.ids ?? [])], expected)
  t.strictSame(
    cutAll(messages, { decorate: true }).map(({ chunk }) => [...(chunk.ids?.values() ?? [])]),
    [[], ['e1'], ['e1#1', 'e1#2']],
  )
  t.equal(cutAll(messages, { idHeader: '' })[0]?.chunk.ids, undefined)
})

t.test('unwrap takes the shapes in which Azure sends records', async t => {
  const shapes: readonly (readonly [text: string, expected: readonly unknown[]])[] = [
    ['{"records":[{"n":1},{"n":2}]}', [{ n: 1 }, { n: 2 }]],
    ['{ "time": "t", "records" : [ {"n":1} ] }', [{ n: 1 }]],
    ['[{"n":1},{"n":2}]', [{ n: 1 }, { n: 2 }]],
    ['{"n":1}', [{ n: 1 }]],
    ['{"n":1}\r\n{"n":2}', [{ n: 1 }, { n: 2 }]],
    ['{"records":[{"n":1}]}\n{"records":[{"n":2}]}\n{"n":3}', [{ n: 1 }, { n: 2 }, { n: 3 }]],
    ['[{"records":[{"n":1}]},{"n":2}]', [{ n: 1 }, { n: 2 }]],
    ['{"records":[]}', []],
    ['{"text":"records","records":"three"}', [{ text: 'records', records: 'three' }]],
    ['{"a":{"records":[1]}}', [{ a: { records: [1] } }]],
    ['{"records":[{"n":1},{"n":', ['PEN_CUT_OFF']],
  ]
  for (const [text, expected] of shapes) {
    const found = allOf(cutAll([inMessage(0, text)], { unwrap: 'records' }))
    t.strictSame(found.filter(isObject), expected.filter(isObject), text)
    t.equal(
      found.some(one => typeof one === 'string'),
      expected.some(one => typeof one === 'string'),
      `${text}: a fault or none`,
    )
  }
})

t.test('unwrap finds no fewer records than the codec, whatever it is given', async t => {
  for (const text of ['', 'x', '{"a":1}x', '{"a":1}\nx\n{"b":2}', '{"records":1}', '[', '{"records":[{"a":1}]} trailing']) {
    const { events, letters } = decodeAll(codec, Buffer.from(text), text.length || 1)
    const found = allOf(cutAll([inMessage(0, text)], { unwrap: 'other' }))
    t.equal(found.length, events.length + letters.length, JSON.stringify(text))
  }
})

const part = (partition: number, committed?: string) => ({ topic: 'logs', partition, committed })
const at = (partition: number) => ({ topic: 'logs', partition })

t.test('what is settled is due, and what was committed is not', async t => {
  const shares = new Shares()
  t.strictSame(shares.assign([part(0, '5'), part(1)]), [])
  const number = shares.of(at(0))!.number
  shares.settle('logs/0', { offset: '9', share: number })
  t.strictSame(shares.due(), [{ topic: 'logs', partition: 0, offset: '9' }])
  shares.committed(shares.due())
  t.strictSame(shares.due(), [])
})

t.test('offsets of partitions that another member has now are not committed', async t => {
  const shares = new Shares()
  shares.assign([part(0, '5')])
  const share = shares.of(at(0))!
  share.next = 9n
  shares.assign([part(1)])
  shares.settle('logs/0', { offset: '9', share: share.number })
  t.strictSame(shares.due(), [])
  t.notOk(shares.isOwn(share))
  // It comes back, and the other has begun elsewhere.
  shares.assign([part(0, '6')])
  shares.settle('logs/0', { offset: '9', share: share.number })
  t.strictSame(shares.due(), [], 'nor when it comes back')
  t.ok(shares.of(at(0))?.back)
})

t.test('a partition that stays goes on where it was, and is not read again', async t => {
  const shares = new Shares()
  shares.assign([part(0, '5'), part(1, '5')])
  const share = shares.of(at(0))!
  share.next = 20n
  t.strictSame(shares.assign([part(0, '7')]), [{ topic: 'logs', partition: 0, offset: '20' }])
  t.equal(shares.of(at(0)), share)
  shares.settle('logs/0', { offset: '15', share: share.number })
  t.strictSame(shares.due(), [{ topic: 'logs', partition: 0, offset: '15' }])
})

t.test('a partition that somebody else has read on, or that was told to go back, begins where the group says', async t => {
  for (const committed of ['30', '2', undefined]) {
    const shares = new Shares()
    shares.assign([part(0, '5')])
    const share = shares.of(at(0))!
    share.next = 20n
    t.strictSame(shares.assign([committed === undefined ? part(0) : part(0, committed)]), [])
    t.not(shares.of(at(0)), share)
    t.notOk(shares.isOwn(share))
  }
})
