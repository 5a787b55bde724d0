// SQL Server: no such server runs here. Tested are the statements, and what the driver's requests hold that carry them.

import type { EventEmitter } from 'node:events'
import t from 'tap'
import * as tedious from 'tedious'
import { Collation } from 'tedious/lib/collation.js'
import type { ColumnType, FoundColumn, Target } from '../../plugins/lib/sql/dialect.ts'
import { dialectOf } from '../../plugins/lib/sql/dialects.ts'
import { layoutTables } from '../../plugins/lib/sql/layout.ts'
import { classifySqlserver, configuration, sessionOn, type Wire } from '../../plugins/lib/sql/sqlserver-session.ts'
import { targetOf, writeRows } from '../../plugins/outputs/sql/writing.ts'

const dialect = dialectOf('sqlserver')
const driver = ((tedious as { default?: unknown }).default ?? tedious) as typeof tedious
const SHAPE = {
  name: "dbo.it's [odd]",
  columns: [
    { name: 'id', type: { name: 'string', length: 64 } },
    { name: 'at', type: { name: 'time' } },
    { name: 'n', type: { name: 'integer' } },
  ],
  key: ['id'],
} as const

interface Sent {
  readonly how: string
  readonly text: string | undefined
  readonly parameters: readonly { name: string; type: string; value: unknown; length?: number | undefined }[]
}

/** A connection that remembers the requests, and answers each with what `answer` says. */
function wire(answer: (request: tedious.Request, sent: Sent) => void) {
  const sent: Sent[] = []
  const send = (how: string) => (request: tedious.Request) => {
    const one: Sent = {
      how,
      text: request.sqlTextOrProcedure,
      parameters: request.parameters.map(({ name, type, value, length }) => ({ name, type: type.name, value, length })),
    }
    sent.push(one)
    setImmediate(() => answer(request, one))
  }
  const connection = { execSql: send('execSql'), execSqlBatch: send('execSqlBatch'), close() {} } as unknown as Wire
  return { session: sessionOn(connection, driver), sent }
}
const fine = (request: tedious.Request) => request.callback(null, 0)
const refusal = (number: number, message: string) => Object.assign(new tedious.RequestError(message, 'EREQUEST'), { number })

t.test('a row is inserted where its key is missing, and values are parameters', t => {
  t.equal(
    dialect.upsert(SHAPE, 2, false),
    "MERGE INTO [dbo].[it's [odd]]] WITH (HOLDLOCK) AS t " +
      'USING (VALUES (@p0, CAST(@p1 AS datetime2(6)), @p2), (@p3, CAST(@p4 AS datetime2(6)), @p5)) AS s ([id], [at], [n]) ' +
      'ON t.[id] = s.[id] WHEN NOT MATCHED THEN INSERT ([id], [at], [n]) VALUES (s.[id], s.[at], s.[n]);',
  )
  t.match(dialect.upsert(SHAPE, 1, true), / WHEN MATCHED THEN UPDATE SET \[at\] = s\.\[at\], \[n\] = s\.\[n\];$/)
  t.end()
})

t.test('a table is made only where it is missing, with a key that tells small from capital letters', t => {
  t.strictSame(dialect.create({ ...SHAPE, indexes: [['at', 'id']] }), [
    "IF OBJECT_ID(N'[dbo].[it''s [odd]]]', N'U') IS NULL CREATE TABLE [dbo].[it's [odd]]] (\n" +
      '  [id] nvarchar(64) COLLATE Latin1_General_100_BIN2 NOT NULL,\n  [at] datetime2(6),\n  [n] int,\n  PRIMARY KEY ([id]),\n' +
      "  INDEX [it's [odd]]_at_id] ([at], [id])\n)",
  ])
  t.match(dialect.create(layoutTables()[0] as never)[0], /\[Id\] char\(36\) COLLATE Latin1_General_100_BIN2 NOT NULL/)
  t.end()
})

t.test('no statement has more parameters than a call may have', t => {
  for (const table of layoutTables('AuditData')) {
    const { most } = targetOf(dialect, table, false)
    t.ok(most * table.columns.length <= 2_098, `${table.name}: ${most} rows`)
    t.equal(most * 2 * table.columns.length > 2_098 || most === 128, true, 'and not fewer than needed')
  }
  t.end()
})

t.test('a batch goes to the driver as typed parameters in a transaction', async t => {
  const { session, sent } = wire(request => request.callback(null, 2))
  const rows = [
    { index: 0, values: ['a', '2026-05-01 09:12:33.5', 1], bytes: 40 },
    { index: 1, values: ["b'; DROP TABLE t; --", null, null], bytes: 40 },
  ]
  const written = await writeRows(session, new Map([[targetOf(dialect, SHAPE, false), rows]]), () => t.fail('no row is refused'))
  t.strictSame(written, { affected: 2, rows: 2 })
  t.strictSame(
    sent.map(({ how, text }) => [how, text?.slice(0, 20)]),
    [
      ['execSqlBatch', 'BEGIN TRANSACTION'],
      ['execSql', 'MERGE INTO [dbo].[it'],
      ['execSqlBatch', 'COMMIT TRANSACTION'],
    ],
  )
  t.strictSame(sent[1]?.parameters, [
    { name: 'p0', type: 'NVarChar', value: 'a', length: 64 },
    { name: 'p1', type: 'NVarChar', value: '2026-05-01 09:12:33.5', length: 40 },
    { name: 'p2', type: 'Int', value: 1, length: undefined },
    { name: 'p3', type: 'NVarChar', value: "b'; DROP TABLE t; --", length: 64 },
    { name: 'p4', type: 'NVarChar', value: null, length: 40 },
    { name: 'p5', type: 'Int', value: null, length: undefined },
  ])
})

t.test('the driver accepts every type of value, also at its limits', async t => {
  const values: [ColumnType, string | number | boolean][] = [
    [{ name: 'text' }, 'x'.repeat(10_000)],
    [{ name: 'string', length: 36, fixed: true }, '11111111-1111-1111-1111-111111111111'],
    [{ name: 'integer' }, -(2 ** 31)],
    [{ name: 'bigint' }, '-9223372036854775808'],
    [{ name: 'double' }, 0.1],
    [{ name: 'boolean' }, false],
    [{ name: 'json' }, '{}'],
  ]
  const { session, sent } = wire(request => {
    // The driver's own check, which a connection makes before it sends anything.
    const check = request.validateParameters.bind(request) as (collation: unknown, options: unknown) => void
    check(Collation.fromBuffer(Buffer.from([9, 4, 208, 0, 52])), { useUTC: true })
    request.callback(null, 1)
  })
  await session.run(
    'x',
    values.map(([, value]) => value),
    values.map(([type]) => type),
  )
  t.strictSame(
    sent[0]?.parameters.map(({ type }) => type),
    ['NVarChar', 'VarChar', 'Int', 'BigInt', 'Float', 'Bit', 'NVarChar'],
  )
})

t.test('rows come as lists, with what their columns are', async t => {
  const { session } = wire(request => {
    const said = request as unknown as EventEmitter
    said.emit('columnMetadata', [
      { colName: 'a', type: driver.TYPES.NVarChar },
      { colName: 'b', type: driver.TYPES.BigInt },
      { colName: 'c', type: driver.TYPES.DateTime2 },
    ])
    said.emit('row', [{ value: 'x' }, { value: '7' }, { value: new Date(0) }])
    request.callback(null, 1)
  })
  const { columns, rows } = await session.run('SELECT')
  t.strictSame(columns, [
    { name: 'a', sort: 'text' },
    { name: 'b', sort: 'integer' },
    { name: 'c', sort: 'time' },
  ])
  t.strictSame(rows, [['x', '7', new Date(0)]])
})

t.test('a row that is too long is found and refused, though the server has ended the transaction', async t => {
  const { session, sent } = wire((request, { text, parameters }) => {
    const bad = text?.startsWith('MERGE') && parameters.some(({ value }) => value === 'bad')
    if (bad) request.callback(refusal(2628, "String or binary data would be truncated in table 't'"))
    else fine(request)
  })
  const rows = ['a', 'bad', 'c'].map((id, index) => ({ index, values: [id, null, null], bytes: 20 }))
  const rejected = new Map<number, Error>()
  await writeRows(session, new Map([[targetOf(dialect, SHAPE, false), rows]]), (index, error) => rejected.set(index, error))
  t.strictSame([...rejected.keys()], [1])
  t.match(rejected.get(1)?.message, /SQL Server: String or binary data would be truncated in table 't' \(2628\)/)
  t.ok(sent.some(({ text }) => text === 'IF @@TRANCOUNT > 0 ROLLBACK TRANSACTION'))
})

t.test('what the server says decides what becomes of a batch', t => {
  const kinds: [number, string][] = [
    [1205, 'busy'],
    [1222, 'busy'],
    [9002, 'busy'],
    [40_501, 'busy'],
    [208, 'configuration'],
    [229, 'configuration'],
    [18_456, 'configuration'],
    [2627, 'row'],
    [515, 'row'],
    [99_999, 'busy'],
  ]
  for (const [number, kind] of kinds) t.equal(classifySqlserver(refusal(number, 'said')).kind, kind, String(number))
  const login = classifySqlserver(new tedious.ConnectionError("Login failed for user 'penstock'.", 'ELOGIN'))
  t.match(login, { kind: 'configuration', message: /Login failed for user 'penstock'.*look at user and password/ })
  t.equal(classifySqlserver(new tedious.ConnectionError('Failed to connect', 'ESOCKET')).kind, 'connection')
  t.end()
})

t.test('columns are found with their lengths, and read without losing digits', async t => {
  const answers = [
    [
      ['CreationTime', 'datetime', 8, 23, 3, true, 0, 0],
      ['Id', 'char', 36, 0, 0, false, 0, 0],
      ['Operation', 'nvarchar', -1, 0, 0, true, 0, 0],
      ['price', 'decimal', 9, 18, 4, true, 0, 0],
      ['nr', 'bigint', 8, 19, 0, false, 0, 1],
    ],
    [
      [1, true, 'Id'],
      [2, false, 'CreationTime'],
      [2, false, 'Id'],
    ],
  ]
  const { session, sent } = wire(request => {
    for (const row of answers.shift() ?? []) {
      const cells: unknown = (row as unknown[]).map(value => ({ value }))
      ;(request as unknown as EventEmitter).emit('row', cells)
    }
    request.callback(null, 1)
  })
  const found = await dialect.describe(session, 'dbo.t')
  t.equal(sent[0]?.parameters[0]?.value, '[dbo].[t]')
  t.strictSame(found?.indexes, [
    { columns: ['Id'], unique: true },
    { columns: ['CreationTime', 'Id'], unique: false },
  ])
  t.strictSame(
    found?.columns.map(({ typeText, length, required, generated }) => [typeText, length, required, generated]),
    [
      ['datetime', undefined, false, false],
      ['char(36)', 36, true, false],
      ['nvarchar(max)', undefined, false, false],
      ['decimal(18, 4)', undefined, false, false],
      ['bigint', undefined, false, true],
    ],
  )
  const columns = found?.columns as FoundColumn[]
  t.strictSame(columns.map(dialect.selected), [
    'CONVERT(varchar(33), [CreationTime], 126) AS [CreationTime]',
    '[Id]',
    '[Operation]',
    'CONVERT(varchar(60), [price]) AS [price]',
    '[nr]',
  ])
  t.equal(dialect.comparable('@p0', columns[0] as FoundColumn), 'CAST(@p0 AS datetime)')
  t.equal(dialect.page('[t]', '[a]', '[a] > @p0', '[a]', 11), 'SELECT TOP (11) [a] FROM [t] WHERE [a] > @p0 ORDER BY [a]')
})

t.test('the connection is encrypted and checked unless it is said otherwise, and takes a token of Entra', t => {
  const target: Target = {
    ...{ dialect: 'sqlserver', host: 'sql.example', port: 1433, database: 'audit', user: 'penstock', connectMs: 5_000 },
    tls: { insecure: false },
  }
  t.match(configuration(target, { password: 'x' }), {
    server: 'sql.example',
    authentication: { type: 'default', options: { userName: 'penstock', password: 'x' } },
    options: { encrypt: true, trustServerCertificate: false, abortTransactionOnError: false, database: 'audit' },
  })
  t.match(configuration({ ...target, tls: { ca: 'PEM', insecure: true } }, { token: 'a token' }), {
    authentication: { type: 'azure-active-directory-access-token', options: { token: 'a token' } },
    options: { encrypt: true, trustServerCertificate: true, cryptoCredentialsDetails: { ca: 'PEM' } },
  })
  t.match(configuration({ ...target, tls: false }, { password: 'x' }), { options: { encrypt: false } })
  t.end()
})
