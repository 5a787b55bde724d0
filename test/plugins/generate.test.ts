// What data cannot say of the generate input: the same bytes again, going on after a restart, and its pace.

import t from 'tap'
import { siteFiles } from '../../core/config/options-file.ts'
import { CHUNK_BYTES } from '../../core/plugin/buffers.ts'
import type { Chunk, Clock, Context } from '../../core/plugin/interfaces.ts'
import type { Json, JsonObject } from '../../core/plugin/json.ts'
import generate from '../../plugins/inputs/generate.ts'
import { RECORD_TYPES } from '../../plugins/lib/microsoft/tenant/feed.ts'

const DEFAULTS = { seed: 1, tenants: 1, users: 500, start: '2026-05-04T00:00:00Z', duplicates: 0 }

interface Run {
  readonly position?: Json
  readonly signal?: AbortSignal
  readonly clock?: Clock
  readonly maxEventBytes?: number
  readonly warnings?: string[]
}

async function* chunks(
  options: JsonObject,
  { position, signal, clock, maxEventBytes = 1e9, warnings = [] }: Run = {},
): AsyncGenerator<Chunk> {
  const input = generate.create(
    { ...DEFAULTS, ...options },
    { id: 'generate', folder: '/', expression: never, table: never, ...siteFiles() },
  )
  const context = { clock, maxEventBytes, log: { warn: (_: JsonObject, message: string) => warnings.push(message) } }
  await input.open?.(context as unknown as Context)
  yield* input.read({ get: () => position, partitions: () => [] }, signal ?? new AbortController().signal)
}
function never(): never {
  throw new Error('not for inputs')
}

function records(chunk: Chunk): JsonObject[] {
  const text = Buffer.from(chunk.bytes)
  return [...chunk.ends].map((end, i) => JSON.parse(text.subarray(chunk.starts?.[i] ?? 0, end).toString()))
}
async function all(options: JsonObject, run?: Run): Promise<JsonObject[]> {
  const found: JsonObject[] = []
  for await (const chunk of chunks(options, run)) found.push(...records(chunk))
  return found
}
async function bytes(options: JsonObject, run?: Run): Promise<string> {
  let text = ''
  for await (const chunk of chunks(options, run)) text += Buffer.from(chunk.bytes).toString()
  return text
}

t.test('the same options give the same bytes, another seed gives others', async t => {
  const first = await bytes({ count: 300 })
  t.equal(await bytes({ count: 300 }), first)
  t.not(await bytes({ count: 300, seed: 2 }), first)
  t.equal((await bytes({ count: 301 })).startsWith(first), true, 'a larger count only adds')
})

t.test('the offset and the ends of chunks lead to the records', async t => {
  let next = 0
  for await (const chunk of chunks({ count: 500 })) {
    t.equal(chunk.offset, next)
    t.equal(chunk.bytes.at(-1), 10, 'a newline ends the chunk')
    t.ok(chunk.bytes.length >= CHUNK_BYTES || next > 0, 'chunks are full, but for the last')
    t.ok(chunk.bytes.length < 4 * CHUNK_BYTES, 'and fit a pooled buffer')
    t.ok(records(chunk).every(record => typeof record['Id'] === 'string'))
    next += chunk.bytes.length
  }
})

t.test('from any position it goes on as if it had never stopped', async t => {
  const options = { count: 400, duplicates: 0.1 }
  const whole = await bytes(options)
  let before = ''
  for await (const chunk of chunks(options)) {
    before += Buffer.from(chunk.bytes).toString()
    t.equal(before + (await bytes(options, { position: chunk.position as Json })), whole)
  }
})

t.test('a larger count makes the rest, the same count nothing more', async t => {
  let position: Json | undefined
  for await (const chunk of chunks({ count: 100 })) position = chunk.position
  t.equal((await all({ count: 100 }, { position: position as Json })).length, 0)
  t.equal((await all({ count: 130 }, { position: position as Json })).length, 30)
})

t.test('with other options it begins again, and says so', async t => {
  let position: Json | undefined
  for await (const chunk of chunks({ count: 100 })) position = chunk.position
  const warnings: string[] = []
  t.equal((await all({ count: 100, users: 20 }, { position: position as Json, warnings })).length, 100)
  t.match(warnings, [/beginning again/])
  t.same(
    (await all({ count: 120, rate: 1e6 }, { position: position as Json, warnings, clock: new Time() })).length,
    20,
    'count and rate change no record',
  )
  t.equal(warnings.length, 1)
})

/** A clock that stands still but for sleeping. */
class Time implements Clock {
  ms = 0
  sleeps = 0
  now = () => this.ms
  monotonic = () => this.ms
  after = () => () => {}
  async sleep(ms: number, signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted()
    this.ms += ms
    this.sleeps++
  }
}

t.test('a rate is kept on average, also after a pause', async t => {
  const clock = new Time()
  let made = 0
  for await (const chunk of chunks({ rate: 40, count: 400 }, { clock })) {
    made += chunk.ends.length
    if (made > (clock.ms * 40) / 1000 + 1) t.fail(`ahead of its time: ${made} records after ${clock.ms} ms`)
    if (made > 100 && made < 110) clock.ms += 1000
  }
  t.equal(made, 400)
  t.ok(clock.ms >= 9_900 && clock.ms < 10_200, `ten seconds for 400 records at 40 a second: ${clock.ms}`)
  t.ok(clock.sleeps <= 100, 'and no wake-up for each record')
})

t.test('a rate below one a second waits as long as it must', async t => {
  const clock = new Time()
  const times: number[] = []
  for await (const _ of chunks({ rate: 0.1, count: 3 }, { clock })) times.push(clock.ms)
  t.same(times, [0, 10_000, 20_000])
})

t.test('an abort ends it, whether it waits or works', async t => {
  const stop = new AbortController()
  let made = 0
  for await (const chunk of chunks({}, { signal: stop.signal })) {
    made += chunk.ends.length
    stop.abort()
  }
  t.ok(made > 0 && made < 500)

  const waiting = new AbortController()
  const slow = chunks({ rate: 1 }, { signal: waiting.signal, clock: new Time() })
  await slow.next()
  waiting.abort()
  const end = await slow.next().catch((error: Error) => error.name)
  t.ok(end === 'AbortError' || (typeof end === 'object' && end.done))
})

t.test('a record longer than the engine takes is a fault with its place, and the others arrive', async t => {
  const whole = await bytes({ count: 200 })
  let made = 0
  let faulty = 0
  for await (const chunk of chunks({ count: 200 }, { maxEventBytes: 2000 })) {
    for (const fault of chunk.faults ?? []) {
      faulty++
      const place = Buffer.from(whole).subarray(fault.offset, fault.offset + fault.length)
      if (fault.length <= 2000 || !place.equals(fault.bytes)) t.fail(`the bytes at ${fault.offset} are others`)
    }
    t.ok(records(chunk).every(record => JSON.stringify(record).length <= 2000))
    made += chunk.ends.length
  }
  t.equal(made + faulty, 200)
  t.ok(faulty > 0)
})

t.test('records repeat each other only when that is asked for', async t => {
  const distinct = (found: JsonObject[]) => new Set(found.map(record => record['Id'])).size
  t.equal(distinct(await all({ count: 3000 })), 3000)
  const repeated = 3000 - distinct(await all({ count: 3000, duplicates: 0.1 }))
  t.ok(repeated > 240 && repeated < 360, `about a tenth: ${repeated}`)
})

t.test('records made with other options have other ids, of the same people', async t => {
  const runs = await Promise.all(
    [{ record_types: [15] }, { record_types: [50] }, { users: 501 }, {}].map(options => all({ count: 200, ...options })),
  )
  t.equal(new Set(runs.flat().map(record => record['Id'])).size, 800)
  const boxes = new Map<unknown, unknown>()
  for (const { UserId, MailboxOwnerUPN, MailboxGuid } of runs.flat()) {
    if (UserId !== MailboxOwnerUPN || MailboxGuid === undefined) continue
    if (boxes.has(UserId) && boxes.get(UserId) !== MailboxGuid) t.fail(`${UserId} has two mailboxes`)
    boxes.set(UserId, MailboxGuid)
  }
  t.ok(boxes.size > 50)
})

t.test('record types are those asked for, in every tenant', async t => {
  const found = await all({ count: 2000, record_types: [15, 6, 294], tenants: 3, users: 5 })
  t.same([...new Set(found.map(record => record['RecordType']))].sort(), [15, 294, 6].sort())
  t.equal(new Set(found.map(record => record['OrganizationId'])).size, 3)
  t.ok(found.filter(record => record['RecordType'] === 6).length > 1000, 'in their usual proportions')
})

t.test('records are whole, of the usual size, and of every type', async t => {
  const found = await all({ count: 5000, users: 50 })
  const types = new Set(found.map(record => record['RecordType']))
  t.same([...types].sort(), [...RECORD_TYPES].sort())
  const size = found.reduce((sum, record) => sum + JSON.stringify(record).length, 0) / found.length
  t.ok(size > 1300 && size < 1700, `about 1.5 kB on average: ${Math.round(size)}`)
  for (const key of [
    'Id',
    'RecordType',
    'CreationTime',
    'Operation',
    'OrganizationId',
    'UserType',
    'UserKey',
    'Workload',
    'UserId',
  ]) {
    t.ok(
      found.every(record => record[key] !== undefined),
      `${key} is mandatory`,
    )
  }
  t.ok(found.every(record => /^2026-\d\d-\d\dT\d\d:\d\d:\d\d$/.test(String(record['CreationTime']))))
  const order = found.filter((record, i) => i > 0 && String(record['CreationTime']) < String(found[i - 1]?.['CreationTime']))
  t.ok(order.length > 100, 'records are not quite in the order of their times')
})
