// The ecs filter on the records of Elastic's integrations and of staged attacks, where those fixtures are there.
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { ChunkEvent } from '../../core/flow/event.ts'
import type { Filter, Site } from '../../core/plugin/interfaces.ts'
import { isObject, type JsonObject } from '../../core/plugin/json.ts'
import ecs from '../../plugins/filters/ecs/index.ts'

const FIXTURES = join(import.meta.dirname, '../../../shared/fixtures')
const TENANTS = { 'b86ab9d4-fcf1-4b11-8a06-7a8f91b47fbd': 'mytenant.onmicrosoft.com' }

interface Pair {
  readonly source: string
  readonly input: string
  readonly expected: JsonObject | null
}
type Fields = Map<string, unknown>
/** Differences of the document that are meant, by name. Each takes its fields out of both sides, where they are as it says. */
type Allowed = Readonly<Record<string, (got: Fields, expected: Fields) => void>>

function pairs(name: string): Pair[] {
  return readFileSync(join(FIXTURES, `${name}.ndjson`), 'utf8')
    .trimEnd()
    .split('\n')
    .map(line => JSON.parse(line) as Pair)
}

const defaults = Object.fromEntries(Object.entries(ecs.options).map(([name, option]) => [name, option.default]))

/** `{ foo: { bar: 1 } }` as `foo.bar` → 1; lists and empty objects are values. */
function flat(fields: JsonObject, path = '', into: Fields = new Map()): Fields {
  for (const [key, value] of Object.entries(fields)) {
    if (isObject(value) && Object.keys(value).length > 0) flat(value, `${path}${key}.`, into)
    else into.set(path + key, value)
  }
  return into
}

/** What the shipper or the test set adds, and what the geoip filter and a user agent parser would. */
const NOT_COMPARED =
  /^(tags|event\.(original|ingested|dataset|module)|data_stream\..*|agent\..*|(source|destination)\.(geo|as)\..*|user_agent\.(name|version|os\..*|device\..*))$/

function compared(fields: JsonObject): Fields {
  const all = flat(fields)
  for (const path of all.keys()) if (NOT_COMPARED.test(path)) all.delete(path)
  return all
}

function differences(got: Fields, expected: Fields): string[] {
  const found: string[] = []
  for (const path of new Set([...expected.keys(), ...got.keys()])) {
    const [ours, theirs] = [JSON.stringify(sorted(got.get(path))), JSON.stringify(sorted(expected.get(path)))]
    if (ours !== theirs) found.push(`${path}: ${ours} instead of ${theirs}`)
  }
  return found
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted)
  if (!isObject(value)) return value
  return Object.fromEntries(
    Object.keys(value)
      .sort()
      .map(key => [key, sorted(value[key])]),
  )
}

function map(filter: Filter, record: JsonObject, input: string): JsonObject {
  const bytes = Buffer.from(input)
  const event = new ChunkEvent(record, {}, bytes, 0, bytes.length)
  filter.apply?.(event)
  return event.fields
}

/** One record of the set is printed with quotes inside a text that are not escaped, and with a single backslash. */
function parse(input: string): JsonObject {
  try {
    return JSON.parse(input)
  } catch {
    const repaired = input
      .replaceAll('\\', '\\\\')
      .replace(/"Parameters": "(.*)", "Workload"/, (_, text: string) => `"Parameters": ${JSON.stringify(text)}, "Workload"`)
    return JSON.parse(repaired)
  }
}

interface Outcome {
  readonly equal: number
  readonly equalButNamed: number
  readonly total: number
}

/** Compares a data set; prints how often each named difference occurs, and every other one. */
function compare(
  test: Test,
  all: readonly Pair[],
  filter: Filter,
  allowed: Allowed,
  noTime: (record: JsonObject) => boolean,
): Outcome {
  let equal = 0
  let equalButNamed = 0
  const named = new Map<string, number>()
  for (const { source, input, expected } of all) {
    if (!expected) continue
    const record = parse(input)
    const timeless = noTime(record)
    const got = compared(map(filter, record, input))
    const wanted = compared(expected)
    if (timeless) {
      got.delete('@timestamp')
      wanted.delete('@timestamp')
    }
    if (isObject(expected['client']) && Object.keys(expected['client']).length === 0) wanted.delete('client')
    if (differences(got, wanted).length === 0) {
      equal++
      continue
    }
    for (const [name, take] of Object.entries(allowed)) {
      const before = differences(got, wanted).length
      take(got, wanted)
      if (differences(got, wanted).length < before) named.set(name, (named.get(name) ?? 0) + 1)
    }
    const left = differences(got, wanted)
    if (left.length === 0) equalButNamed++
    else test.comment(`${source}: ${left.join('; ')}`)
  }
  const total = all.filter(pair => pair.expected).length
  test.comment(`${equal} of ${total} equal, ${equalButNamed} more but for differences that are meant:`)
  for (const [name, count] of named) test.comment(`  ${name}: ${count}`)
  return { equal, equalButNamed, total }
}

/** Takes fields away that are new in ours. */
const gained = (got: Fields, expected: Fields, ...paths: string[]) => {
  for (const path of paths) if (!expected.has(path)) got.delete(path)
}

const there = existsSync(FIXTURES)

t.test(
  'audit records become the documents of Elastic’s o365 integration',
  { skip: there ? false : `${FIXTURES} is not there` },
  async t => {
    const filter = ecs.create({ ...defaults, tenants: TENANTS }, {} as Site)
    const result = compare(
      t,
      pairs('o365.audit'),
      filter,
      {
        'a document always has an id and an action (the record has none)': (got, expected) =>
          gained(got, expected, 'event.id', 'event.action'),
        'a mailbox item is of category email, with subject and attachments (as the integration has it since)'(got, expected) {
          if (got.get('event.code') !== 'ExchangeItem') return
          gained(got, expected, 'email.subject', 'email.attachments')
          const category = got.get('event.category') as string[]
          if (category.at(-1) === 'email') got.set('event.category', category.slice(0, -1))
        },
      },
      record => record['CreationTime'] === undefined,
    )
    t.equal(result.total, 219)
    t.equal(result.equal, 202, 'equal as they are')
    t.equal(result.equal + result.equalButNamed, 219, 'equal but for differences that are meant')
  },
)

t.test(
  'mail threats become the documents of the newer integration',
  { skip: there ? false : `${FIXTURES} is not there` },
  async t => {
    const filter = ecs.create({ ...defaults, tenants: TENANTS }, {} as Site)
    const all = pairs('o365.audit.newer').filter(pair => parse(pair.input)['RecordType'] === 28)
    const result = compare(t, all, filter, {}, () => false)
    t.equal(result.equal, 2)
  },
)

t.test(
  'traced messages become the documents of Elastic’s message trace integration',
  { skip: there ? false : `${FIXTURES} is not there` },
  async t => {
    const filter = ecs.create({ ...defaults, domains: ['contoso.com'] }, {} as Site)
    const result = compare(
      t,
      pairs('microsoft_exchange_online_message_trace.log'),
      filter,
      {
        'a document always has an id and an action, a kind, category and type': (got, expected) =>
          gained(got, expected, 'event.id', 'event.action', 'event.kind', 'event.category', 'event.type'),
      },
      () => false,
    )
    t.equal(result.equal + result.equalButNamed, 3)
  },
)

t.test(
  'records of staged attacks map with all that rules look for',
  { skip: there ? false : `${FIXTURES} is not there` },
  async t => {
    const filter = ecs.create(defaults, {} as Site)
    const lacking: string[] = []
    const all = pairs('o365.audit.attacks')
    for (const { source, input } of all) {
      const record = JSON.parse(input) as JsonObject
      const { Operation, Workload, UserId } = record
      const address = ['ClientIPAddress', 'ClientIP', 'ActorIpAddress'].some(name =>
        /\d+\.\d+\.\d+\.\d+|:.*:/.test(String(record[name] ?? '')),
      )
      const got = flat(map(filter, record, input))
      const wants: [string, boolean][] = [
        ['event.action', Operation !== undefined],
        ['event.provider', Workload !== undefined],
        ['event.code', true],
        ['event.id', true],
        ['event.dataset', true],
        ['@timestamp', true],
        ['user.id', UserId !== undefined && UserId !== ''],
        ['user.name', String(UserId).includes('@')],
        ['source.ip', address],
      ]
      for (const [path, wanted] of wants) if (wanted && typeof got.get(path) !== 'string') lacking.push(`${source}: ${path}`)
    }
    t.equal(all.length, 1097)
    t.strictSame(lacking, [])
  },
)
