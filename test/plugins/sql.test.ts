// From events to rows: which table, which values, and what is refused; and times and values on their way back.
import t from 'tap'
import { completeOptions } from '../../core/config/creation.ts'
import { compileExpression } from '../../core/config/expression.ts'
import { siteFiles } from '../../core/config/options-file.ts'
import { ChunkEvent } from '../../core/flow/event.ts'
import { ByteWriter } from '../../core/plugin/byte-writer.ts'
import type { PluginOf } from '../../core/plugin/define.ts'
import type { Site } from '../../core/plugin/interfaces.ts'
import type { Json, JsonObject } from '../../core/plugin/json.ts'
import ecs from '../../plugins/filters/ecs/index.ts'
import { cursorOf, positionOf } from '../../plugins/inputs/sql/pages.ts'
import { jsonValue } from '../../plugins/inputs/sql/records.ts'
import { dialectOf } from '../../plugins/lib/sql/dialects.ts'
import { networkFailure } from '../../plugins/lib/sql/failure.ts'
import { layoutTables, tableOf } from '../../plugins/lib/sql/layout.ts'
import { classifyMysql } from '../../plugins/lib/sql/mysql-session.ts'
import { classifyPostgres } from '../../plugins/lib/sql/postgres-session.ts'
import { earlier, isoTime, sqlTime } from '../../plugins/lib/sql/times.ts'
import { converter } from '../../plugins/lib/sql/values.ts'
import sql from '../../plugins/outputs/sql/index.ts'

const site: Site = {
  ...{ id: 'sql', folder: '/', expression: (text: string) => compileExpression(text) },
  table: () => ({ lookup: () => undefined }),
  ...siteFiles(),
}
const BASE = { dialect: 'mysql', database: 'audit', user: 'penstock' }
const ID = '11111111-aaaa-4bbb-8ccc-000000000001'

async function encoder(options: JsonObject) {
  const output = (sql as PluginOf<'output'>).create(await completeOptions(sql as never, { ...BASE, ...options }, '/'), site)
  return (event: ChunkEvent) => {
    const writer = new ByteWriter()
    const address = output.encode(event, writer)
    return { to: address?.to, row: JSON.parse(Buffer.from(writer.finish()).toString('utf8')) as Json[] }
  }
}

const eventOf = (fields: JsonObject, meta: JsonObject = {}) => {
  const bytes = Buffer.from(JSON.stringify(fields))
  return new ChunkEvent(JSON.parse(bytes.toString('utf8')), meta, bytes, 0, bytes.length)
}
/** A row with the names of its columns. */
const named = (table: string, row: readonly Json[], more?: string) =>
  Object.fromEntries(
    layoutTables(more)
      .find(one => one.name === table)
      ?.columns.map(({ name }, at) => [name, row[at] ?? null]) ?? [],
  )

t.test('the record type decides on the table, and the workload where the type has no name', t => {
  const cases: [type: unknown, workload: unknown, table: string][] = [
    [15, 'AzureActiveDirectory', 'auditaad'],
    ['AzureActiveDirectory', undefined, 'auditaad'],
    ['50', 'Exchange', 'auditexchange'],
    [6, 'OneDrive', 'auditsharepoint'],
    [11, 'SharePoint', 'auditgeneral'],
    [13, 'Exchange', 'auditgeneral'],
    [25, 'MicrosoftTeams', 'auditgeneral'],
    [999_999, 'Exchange', 'auditexchange'],
    [undefined, 'AzureActiveDirectory', 'auditaad'],
    [undefined, undefined, 'auditgeneral'],
    [{}, 'constructor', 'auditgeneral'],
  ]
  for (const [type, workload, table] of cases) t.equal(tableOf(type, workload), table, `${String(type)} ${String(workload)}`)
  t.end()
})

t.test('lists and objects stay whole, as JSON', async t => {
  const encode = await encoder({ layout: 'o365' })
  const record = {
    ...{ Id: ID, RecordType: 1, Workload: 'Exchange', CreationTime: '2026-05-01T09:12:33', UserType: 2, ExternalAccess: false },
    Parameters: [{ Name: "it's", Value: '"x"' }],
  }
  const { to, row } = encode(eventOf(record))
  t.equal(to, 'auditexchange')
  t.match(named('auditexchange', row), {
    ...{ Id: ID, CreationTime: '2026-05-01 09:12:33', RecordType: 1, UserType: 2, ExternalAccess: 'false', Operation: null },
    Parameters: JSON.stringify(record.Parameters),
  })
})

t.test('what has no column of its own is kept whole: in auditgeneral always, else where a column is named', async t => {
  const teams = { Id: ID, RecordType: 25, TeamName: 'Ops', Members: [{ UPN: 'ada@contoso.example' }] }
  const general = (await encoder({ layout: 'o365' }))(eventOf(teams))
  t.strictSame(JSON.parse(String(named('auditgeneral', general.row)['AuditData'])), teams)
  const signIn = { Id: ID, RecordType: 15, Odd: { deep: [1] } }
  const aad = (await encoder({ layout: 'o365', record_column: 'raw' }))(eventOf(signIn))
  t.strictSame(JSON.parse(String(named('auditaad', aad.row, 'raw')['raw'])), signIn)
})

t.test('behind the ecs filter the record has its columns again', async t => {
  const record = {
    ...{
      Id: ID,
      RecordType: 6,
      Workload: 'SharePoint',
      CreationTime: '2026-05-01T09:12:33',
      Operation: 'FileAccessed',
      UserType: 0,
    },
    ...{
      OrganizationId: '11111111-1111-1111-1111-111111111111',
      UserKey: 'key',
      UserId: 'ada@contoso.example',
      ClientIP: '192.0.2.7',
    },
    ...{ ObjectId: 'https://contoso.example/a.docx', EventSource: 'SharePoint', ItemType: 'File', Site: 's', UserAgent: 'curl' },
    ...{ SourceFileExtension: 'docx', SiteUrl: 'https://contoso.example/', SourceFileName: 'a.docx', SourceRelativeUrl: 'Docs' },
  }
  const filter = (ecs as PluginOf<'filter'>).create(await completeOptions(ecs as never, {}, '/'), site)
  const mapped = eventOf(record)
  filter.apply?.(mapped)
  t.notOk(mapped.fields['Id'], 'the filter has moved it')
  const encode = await encoder({ layout: 'o365' })
  const [before, after] = [encode(eventOf(record)), encode(mapped)]
  t.equal(after.to, 'auditsharepoint')
  t.strictSame(after.row, before.row)
  t.strictSame((await encoder({ layout: 'o365', record: 'original' }))(mapped).row, before.row)
})

t.test('matched values do not reach the tables, and the event keeps what it has for other outputs', async t => {
  const record = { Id: ID, RecordType: 13, Workload: 'Exchange', PolicyDetails: [{ DetectedValues: [{ Value: '4111 1111' }] }] }
  const event = eventOf(record)
  const { row } = (await encoder({ layout: 'o365' }))(event)
  t.notMatch(JSON.stringify(row), /4111/)
  t.strictSame(event.fields, record)
  t.match(JSON.stringify((await encoder({ layout: 'o365', keep_matched_values: true }))(event).row), /4111/)
})

t.test('an event that fits no column is refused with the place and the reason', async t => {
  const encode = await encoder({ layout: 'o365' })
  const cases: [JsonObject, RegExp][] = [
    [{ Id: `${ID}-and-more` }, /auditgeneral\.Id: ".*" has 45 characters, and the column takes 36/],
    [{ Id: 'ünïcödé' }, /auditgeneral\.Id: "ünïcödé" has other characters/],
    [{ Id: 'x ' }, /auditgeneral\.Id: "x " ends with a blank/],
    [{ Id: ID, CreationTime: 'yesterday' }, /auditgeneral\.CreationTime: "yesterday" is no time/],
    [{ Id: ID, CreationTime: '2026-02-30T00:00:00' }, /is no time/],
    [{ Id: ID, RecordType: 'NobodyKnows' }, /auditgeneral\.RecordType: "NobodyKnows" is no whole number/],
  ]
  for (const [record, why] of cases) t.throws(() => encode(eventOf(record)), { message: why, code: 'PEN_SQL_VALUE' })
})

t.test("a record without an id has the event's, which is the same each time", async t => {
  const encode = await encoder({ layout: 'o365' })
  const [first, again] = [encode(eventOf({ RecordType: 25, n: 1 })), encode(eventOf({ RecordType: 25, n: 1 }))]
  t.match(first.row[1], /^[0-9a-f]{32}$/)
  t.equal(first.row[1], again.row[1])
})

t.test("tables of one's own take the first whose when fits, from fields, meta and the event's id", async t => {
  const encode = await encoder({
    tables: [
      {
        table: 'logins',
        when: 'kind == "login"',
        columns: {
          id: { field: 'event.id', type: 'string(64)' },
          tenant: { meta: 'tenant' },
          who: 'user.name',
          all: { field: '.', type: 'json' },
        },
        key: 'id',
      },
      { table: 'others', when: 'kind == "other"', columns: { n: { field: 'n', type: 'bigint' } }, key: ['n'] },
    ],
  })
  const login = { kind: 'login', user: { name: 'ada' } }
  const { to, row } = encode(eventOf(login, { tenant: 'contoso' }))
  t.equal(to, 'logins')
  t.match(row[0], /^[0-9a-f]{32}$/)
  t.strictSame(row.slice(1, 3), ['contoso', 'ada'])
  t.strictSame(JSON.parse(String(row[3])), login)
  t.strictSame(encode(eventOf({ kind: 'other', n: 7 })), { to: 'others', row: ['7'] })
  t.throws(() => encode(eventOf({ kind: 'other' })), /others\.n: the event has no value for this key/)
  t.throws(() => encode(eventOf({ kind: 'x' })), /no table takes this event/)
})

t.test('values become what their columns are, or are refused', t => {
  const dialect = dialectOf('postgres')
  const good: [type: string, value: unknown, stored: unknown][] = [
    ['text', 7, '7'],
    ['text', { a: [1] }, '{"a":[1]}'],
    ['text', '', ''],
    ['integer', '-7', -7],
    ['integer', '', null],
    ['bigint', 9007199254740991, '9007199254740991'],
    ['bigint', '9223372036854775807', '9223372036854775807'],
    ['double', '1e3', 1000],
    ['boolean', 'True', true],
    ['boolean', 0, false],
    ['time', 1_777_626_753_007, '2026-05-01 09:12:33.007'],
    ['json', 'text', '"text"'],
  ]
  for (const [name, value, stored] of good)
    t.equal(converter({ name } as never, 'c', dialect)(value), stored, `${name} ${JSON.stringify(value)}`)
  const bad: [type: string, value: unknown][] = [
    ['integer', 2 ** 31],
    ['integer', 1.5],
    ['integer', true],
    ['bigint', 2 ** 53],
    ['bigint', '9223372036854775808'],
    ['double', 'Infinity'],
    ['double', ' '],
    ['boolean', 'perhaps'],
    ['time', '2026-13-01T00:00:00Z'],
    ['text', 'a\0b'],
  ]
  for (const [name, value] of bad)
    t.throws(
      () => converter({ name } as never, 'c', dialect)(value),
      { code: 'PEN_SQL_VALUE' },
      `${name} ${JSON.stringify(value)}`,
    )
  t.equal(converter({ name: 'string', length: 2 }, 'c', dialect)('🇨🇭'), '🇨🇭', 'characters are counted, not units of UTF-16')
  t.throws(() => converter({ name: 'string', length: 2 }, 'c', dialectOf('sqlserver'))('🇨🇭'), 'but SQL Server counts these')
  t.end()
})

t.test('times go into a database and out of it without a change', t => {
  for (const [time, stored] of [
    ['2026-05-01T09:12:33', '2026-05-01 09:12:33'],
    ['2026-05-01T09:12:33.120Z', '2026-05-01 09:12:33.12'],
    ['2026-05-01T09:12:33.1234567Z', '2026-05-01 09:12:33.123456'],
    ['2026-05-01T00:30:00+02:00', '2026-04-30 22:30:00'],
    ['2026-05-01', '2026-05-01 00:00:00'],
    ['0999-01-01T00:00:00Z', '0999-01-01 00:00:00'],
  ] as const) {
    t.equal(sqlTime(time), stored, time)
    t.equal(sqlTime(isoTime(stored)), stored, 'and back')
  }
  for (const none of ['', 'x', '2026-02-30', '2026-05-01T25:00:00Z', null, {}, Number.NaN, 1e18])
    t.equal(sqlTime(none), undefined)
  for (const odd of ['infinity', '0000-00-00', '0044-03-15 00:00:00 BC']) t.equal(isoTime(odd), odd)
  t.equal(earlier('2026-05-01 00:00:10.5', 60_000), '2026-04-30 23:59:10.5')
  t.equal(earlier('2026-05-01 00:00:10', 500), '2026-05-01 00:00:09', 'never less far back than was asked for')
  t.end()
})

t.test('values of rows become JSON', t => {
  t.equal(jsonValue('9007199254740993', 'integer', false), '9007199254740993')
  t.equal(jsonValue('12', 'integer', false), 12)
  t.equal(jsonValue('NaN', 'double', false), 'NaN')
  t.equal(jsonValue(Number.POSITIVE_INFINITY, 'double', false), 'Infinity')
  t.equal(jsonValue('t', 'boolean', false), true)
  t.equal(jsonValue(new Date('2026-05-01T09:12:33.007Z'), 'time', false), '2026-05-01T09:12:33.007Z')
  t.equal(jsonValue(Buffer.from([0, 255]), 'bytes', false), 'AP8=')
  t.equal(jsonValue('true', 'text', true), 'true')
  t.strictSame(jsonValue('null', 'json', true), null)
  t.end()
})

t.test('a stored position is used for its own key alone', t => {
  const stored = positionOf(['at', 'id'], { nulls: false, at: ['2026-05-01 09:12:33', '7'] }, true)
  t.strictSame(cursorOf(stored, ['at', 'id']), { nulls: false, at: ['2026-05-01 09:12:33', '7'], end: true })
  t.equal(cursorOf(stored, ['id']), undefined)
  t.equal(cursorOf(undefined, ['id']), undefined)
  t.equal(cursorOf('nonsense', ['id']), undefined)
  t.end()
})

t.test('row 54: what a server says decides what becomes of a batch', t => {
  const my = (errno: number, sqlState = 'HY000') =>
    classifyMysql(Object.assign(new Error('said'), { errno, sqlState, code: 'ER_X' })).kind
  for (const [errno, kind] of [
    [1213, 'busy'],
    [1205, 'busy'],
    [1040, 'busy'],
    [1290, 'busy'],
    [1114, 'busy'],
    [1406, 'row'],
    [1366, 'row'],
    [4025, 'row'],
    [1146, 'configuration'],
    [1045, 'configuration'],
    [1142, 'configuration'],
    [1053, 'connection'],
    [9999, 'busy'],
  ] as const)
    t.equal(my(errno), kind, String(errno))
  t.equal(my(9999, '22007'), 'row')
  const pg = (code: string) => classifyPostgres(Object.assign(new Error('said'), { code })).kind
  for (const [code, kind] of [
    ['40P01', 'busy'],
    ['40001', 'busy'],
    ['55P03', 'busy'],
    ['53100', 'busy'],
    ['53300', 'busy'],
    ['25006', 'busy'],
    ['57014', 'busy'],
    ['57P01', 'connection'],
    ['22001', 'row'],
    ['23514', 'row'],
    ['42P01', 'configuration'],
    ['42501', 'configuration'],
    ['28P01', 'configuration'],
    ['99999', 'busy'],
  ] as const)
    t.equal(pg(code), kind, code)
  t.equal(classifyPostgres(new Error('Connection terminated unexpectedly')).kind, 'connection')
  t.end()
})

t.test('row 61: a certificate that is refused is said with what to do', t => {
  const said = (code: string) => networkFailure('PostgreSQL', Object.assign(new Error('said'), { code }))
  t.match(said('ERR_TLS_CERT_ALTNAME_INVALID'), { kind: 'configuration', message: /write the host as its certificate has it/ })
  t.match(said('SELF_SIGNED_CERT_IN_CHAIN'), { kind: 'configuration', message: /with ca$/ })
  const mysql2 = classifyMysql(
    Object.assign(new Error("Hostname/IP does not match certificate's altnames"), { code: 'HANDSHAKE_SSL_ERROR' }),
  )
  t.match(mysql2, { kind: 'configuration', message: /write the host as its certificate has it/ })
  t.match(said('ECONNREFUSED'), { kind: 'connection' })
  t.equal(said('ER_DUP_ENTRY'), undefined)
  t.end()
})
