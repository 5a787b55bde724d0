// The input sql on real servers: every row is read, however it was stopped, and as what it is.
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import type { Json, JsonObject } from '../../core/plugin/json.ts'
import type { Store } from '../../core/state/types.ts'
import { inProcess, listOutput } from '../kit/in-process.ts'
import { start } from '../kit/process.ts'
import { until } from '../kit/until.ts'
import { inputOf, onEach, PASSWORD_PLACE, type Sql, whyOf } from './sql-support.ts'

t.setTimeout(3_000_000)

const ROWS = 10_000
/** As the exporter script makes them: see the reference. */
const EXPORTER: Readonly<Record<string, string>> = {
  auditsharepoint:
    'Operation OrganizationId RecordType UserKey UserType Workload ClientIP ObjectId UserId EventSource ItemType Site UserAgent ' +
    'SourceFileExtension SiteUrl SourceFileName SourceRelativeUrl',
  auditexchange:
    'Operation OrganizationId RecordType ResultStatus UserKey UserType Workload ObjectId UserId ExternalAccess OrganizationName ' +
    'OriginatingServer Parameters',
  auditaad:
    'Operation OrganizationId RecordType ResultStatus UserKey UserType Workload ClientIP ObjectId UserId AzureActiveDirectoryEventType ' +
    'Client LoginStatus UserDomain',
}

/** The exporter's tables with so many rows each; seven of them have the same time, and some have none. */
async function exported(sql: Sql, rows: number): Promise<void> {
  for (const [table, names] of Object.entries(EXPORTER)) {
    const columns = names.split(' ')
    const type = (name: string) => (name === 'RecordType' || name === 'UserType' ? 'INT' : 'TEXT')
    const time = sql.dialect.name === 'mysql' ? 'DATETIME' : 'TIMESTAMP'
    await sql.admin(
      `CREATE TABLE ${table} ("CreationTime" ${time}, "Id" CHAR(36) NOT NULL PRIMARY KEY, ${columns.map(name => `"${name}" ${type(name)}`).join(', ')})`,
    )
    const [numbers, n, id, when] =
      sql.dialect.name === 'mysql'
        ? [`seq_1_to_${rows}`, 'seq', "CONCAT(MD5(seq), '0000')", "TIMESTAMP('2018-06-01') + INTERVAL FLOOR(seq / 7) SECOND"]
        : [
            `generate_series(1, ${rows}) AS seq`,
            'seq',
            "md5(seq::text) || '0000'",
            "TIMESTAMP '2018-06-01' + (seq / 7) * INTERVAL '1 second'",
          ]
    const values = columns.map(name => (type(name) === 'INT' ? `CASE WHEN ${n} % 3 = 0 THEN NULL ELSE 6 END` : `'${name}'`))
    await sql.admin(
      `INSERT INTO ${table} SELECT CASE WHEN ${n} % 1000 = 0 THEN NULL ELSE ${when} END, ${id}, ${values.join(', ')} FROM ${numbers}`,
    )
  }
}

async function read(t: Test, options: JsonObject, store?: Store) {
  const delivered: JsonObject[] = []
  const input = await inputOf(options)
  const running = inProcess({
    inputs: { sql: input },
    outputs: { out: { output: listOutput(delivered) } },
    ...(store && { store }),
  })
  const { status, error } = await running.pipeline.run()
  t.equal(status, 'ended', error?.message ?? '')
  return { delivered, ...running }
}

await onEach(t, async (t, fresh) => {
  await t.test('the tables of the exporter move to a file, 10,000 rows each, through kills of both sides', async t => {
    const sql = await fresh(t)
    await exported(sql, ROWS)
    const folder = t.testdir({})
    const input = { type: 'sql', ...sql.options, password: PASSWORD_PLACE, layout: 'o365', page_rows: 200 }
    const output = { type: 'file', path: 'out.ndjson', batch: { max_events: 300, max_ms: 5 } }
    writeFileSync(
      join(folder, 'p.yaml'),
      JSON.stringify({ name: 'p', inputs: [input], outputs: [output], commit_interval_ms: 10, in_flight_bytes: 1_000_000 }),
    )
    const file = join(folder, 'out.ndjson')
    const size = () => (existsSync(file) ? statSync(file).size : 0)
    let life = start(['run', 'p.yaml', '--log-level', 'error'], { cwd: folder })
    t.teardown(() => life.child.kill('SIGKILL'))
    let kills = 0
    for (let kill = 0; kill < 4; kill++) {
      const before = size()
      await until(() => size() > before + 500_000 || life.child.exitCode !== null)
      if (life.child.exitCode !== null) break
      kills++
      if (kill % 2 === 0) {
        await sql.server.kill()
        await sql.server.start()
      } else {
        life.child.kill('SIGKILL')
        await life.ended
        life = start(['run', 'p.yaml', '--log-level', 'error'], { cwd: folder })
      }
    }
    const { code, stderr } = await life.ended
    t.equal(code, 0, stderr)
    t.comment(`${kills} kills`)
    t.ok(kills >= 2)
    const lines = readFileSync(file, 'utf8').trim().split('\n')
    const moved = lines.map(line => JSON.parse(line) as JsonObject)
    for (const table of Object.keys(EXPORTER)) {
      // UserAgent, OriginatingServer, Client: each has columns that the others have not.
      const mark = { auditsharepoint: 'UserAgent', auditexchange: 'OriginatingServer', auditaad: 'Client' }[table] as string
      const ids = new Set(moved.filter(one => one[mark] !== undefined).map(one => one['Id']))
      t.equal(ids.size, ROWS, table)
    }
    t.comment(`${lines.length - 3 * ROWS} rows twice`)
    t.ok(lines.length < 3.5 * ROWS, 'a run that was killed does not begin again')
    const [first] = moved.filter(one => one['UserAgent'] && one['CreationTime'] === '2018-06-01T00:00:01Z')
    t.match(first, { Id: /^[0-9a-f]{32}0000$/, Operation: 'Operation', SiteUrl: 'SiteUrl' })
    t.equal(moved.filter(one => one['CreationTime'] === undefined).length >= 30, true, 'rows without a time are read too')
  })

  await t.test('new rows and late ones are found, each once; the next run reads what has come since', async t => {
    const sql = await fresh(t)
    const time = sql.dialect.name === 'mysql' ? 'DATETIME(6)' : 'TIMESTAMP'
    await sql.admin(`CREATE TABLE t ("at" ${time}, "id" int NOT NULL PRIMARY KEY)`)
    await sql.admin('CREATE INDEX t_at ON t ("at", "id")')
    const add = (id: number, at: string) => sql.admin(`INSERT INTO t VALUES (${at === 'NULL' ? at : `'${at}'`}, ${id})`)
    for (let id = 1; id <= 20; id++) await add(id, `2026-05-01 10:00:${String(id).padStart(2, '0')}`)
    await add(21, 'NULL')
    const options = { ...sql.options, tables: [{ table: 't', key: ['at', 'id'] }], page_rows: 3 }
    const delivered: JsonObject[] = []
    const input = await inputOf({ ...options, poll_interval_ms: 100, overlap_ms: 60_000 })
    const { pipeline, store } = inProcess({ inputs: { sql: input }, outputs: { out: { output: listOutput(delivered) } } })
    const running = pipeline.run()
    const ids = () => delivered.map(({ id }) => id as number).sort((a, b) => a - b)
    await until(() => delivered.length === 21)
    await add(30, '2026-05-01 10:05:00')
    await add(31, '2026-05-01 10:00:20.5')
    await until(() => delivered.length === 23)
    await add(32, '2026-05-01 10:04:30')
    await add(33, '2026-05-01 09:00:00')
    await add(34, 'NULL')
    await until(() => delivered.length === 25)
    // Two more rounds: nothing comes twice, and the row that is older than the overlap is not there.
    await add(35, '2026-05-01 10:06:00')
    await until(() => delivered.length === 26)
    pipeline.stop()
    await running
    t.strictSame(ids(), [...Array.from({ length: 21 }, (_, index) => index + 1), 30, 31, 32, 34, 35])

    await add(40, '2026-05-01 10:07:00')
    const { delivered: next } = await read(t, { ...options, overlap_ms: 30_000 }, store)
    const nextIds = next.map(({ id }) => id).sort((a, b) => Number(a) - Number(b))
    t.strictSame(nextIds, [21, 34, 35, 40], 'those without a time, those within the overlap, and the new one')
  })

  await t.test('a number as the key: each row once, over several runs', async t => {
    const sql = await fresh(t)
    await sql.admin('CREATE TABLE t ("id" bigint NOT NULL PRIMARY KEY, "who" varchar(20))')
    const big = '9007199254740993'
    await sql.admin(`INSERT INTO t VALUES (-5, 'a'), (3, 'b'), (20, 'c'), (100, 'd'), (${big}, 'e'), (9007199254740994, 'f')`)
    const options = { ...sql.options, tables: [{ table: 't', key: ['id'] }], page_rows: 2 }
    const first = await read(t, options)
    t.strictSame(
      first.delivered.map(({ id, who }) => [id, who]),
      [
        [-5, 'a'],
        [3, 'b'],
        [20, 'c'],
        [100, 'd'],
        [big, 'e'],
        ['9007199254740994', 'f'],
      ],
    )
    await sql.admin("INSERT INTO t VALUES (9007199254740995, 'g'), (7, 'too late')")
    const second = await read(t, options, first.store)
    t.strictSame(
      second.delivered.map(({ who }) => who),
      ['g'],
    )
  })

  await t.test('a query is read as a table is', async t => {
    const sql = await fresh(t)
    await sql.admin('CREATE TABLE t ("id" int NOT NULL PRIMARY KEY, "who" varchar(20))')
    for (let id = 1; id <= 10; id++) await sql.admin(`INSERT INTO t VALUES (${id}, 'who ${id}')`)
    const query = 'SELECT id * 10 AS ten, who FROM t WHERE id > 3'
    const { delivered } = await read(t, { ...sql.options, tables: [{ query, name: 'q', key: ['ten'] }], page_rows: 3 })
    t.strictSame(
      delivered.map(({ ten }) => ten),
      [40, 50, 60, 70, 80, 90, 100],
    )
  })

  await t.test('no digit is lost: every type becomes JSON', async t => {
    const sql = await fresh(t)
    const my = sql.dialect.name === 'mysql'
    const blob = my ? ['blob', "x'00ff10'"] : ['bytea', "'\\x00ff10'"]
    const columns: [name: string, type: string, value: string, json: Json][] = [
      ['big', 'bigint', '9223372036854775807', '9223372036854775807'],
      ['small', 'smallint', '-7', -7],
      ['exact', 'decimal(30, 10)', '12345678901234567890.0123456789', '12345678901234567890.0123456789'],
      ['part', my ? 'double' : 'double precision', '0.1', 0.1],
      ['day', 'date', "'2026-05-01'", '2026-05-01'],
      ['moment', my ? 'datetime(6)' : 'timestamp', "'2026-05-01 09:12:33.000010'", '2026-05-01T09:12:33.00001Z'],
      [
        'zoned',
        my ? 'timestamp' : 'timestamptz',
        my ? "'2026-05-01 09:12:33'" : "'2026-05-01 11:12:33+02'",
        '2026-05-01T09:12:33Z',
      ],
      ['yes', 'boolean', 'true', my ? 1 : true],
      ['bytes', blob[0] as string, blob[1] as string, 'AP8Q'],
      ['doc', 'json', `'{"a": [1, null]}'`, { a: [1, null] }],
      ['list', 'text', `'[{"Name": "x"}]'`, [{ Name: 'x' }]],
      ['broken', 'text', `'[{"Name": '`, '[{"Name": '],
      ['plain', 'text', `'12'`, '12'],
      ['emoji', 'text', `'🇨🇭 "quoted"'`, '🇨🇭 "quoted"'],
    ]
    await sql.admin("SET time_zone = '+00:00'").catch(() => {})
    await sql.admin(
      `CREATE TABLE t ("id" int NOT NULL PRIMARY KEY, ${columns.map(([name, type]) => `"${name}" ${type}`).join(', ')})`,
    )
    const values = columns.map(([, , value]) => value.replaceAll('\\', my ? '\\\\' : '\\')).join(', ')
    // Strings with double quotes in them: not through admin(), which changes those.
    const session = await sql.connect()
    await session.run(`INSERT INTO t VALUES (1, ${values})`)
    await session.run('INSERT INTO t (id) VALUES (2)')
    await session.close()
    const options = {
      ...sql.options,
      tables: [{ table: 't', key: ['id'] }],
      json_columns: ['list', 'BROKEN', 'plain', ...(my ? ['doc'] : [])],
    }
    const { delivered } = await read(t, options)
    t.strictSame(delivered[0], { id: 1, ...Object.fromEntries(columns.map(([name, , , json]) => [name, json])) })
    t.strictSame(delivered[1], { id: 2 })
    const kept = await read(t, { ...options, nulls: 'keep' })
    t.equal(kept.delivered[1]?.['doc'], null)
  })

  await t.test('keys by which rows would be passed over are refused, and what is missing is waited for', async t => {
    const sql = await fresh(t)
    const cases: [made: string, key: string[], why: RegExp][] = [
      [
        'CREATE TABLE t ("id" int NOT NULL PRIMARY KEY, "at" int)',
        ['at'],
        /two rows of t may have the same at, and one could be passed over/,
      ],
      ['CREATE TABLE t ("id" int NOT NULL PRIMARY KEY, "at" int)', ['id', 'at'], /the column at of t may be NULL/],
      ['CREATE TABLE t ("id" int NOT NULL PRIMARY KEY)', ['nr'], /t has no column nr; it has id/],
      ['CREATE TABLE t ("id" int UNIQUE)', ['id'], /t has rows whose id is NULL; add a second column to the key/],
      ['CREATE TABLE other ("id" int)', ['id'], /there is no table t in test_\d+ on 127\.0\.0\.1/],
    ]
    for (const [made, key, why] of cases) {
      await sql.admin(made)
      if (made.includes('UNIQUE')) await sql.admin('INSERT INTO t VALUES (NULL), (1)')
      const delivered: JsonObject[] = []
      const input = await inputOf({ ...sql.options, tables: [{ table: 't', key }] })
      const { pipeline, health } = inProcess({ inputs: { sql: input }, outputs: { out: { output: listOutput(delivered) } } })
      const running = pipeline.run()
      t.match(await whyOf(health), why)
      if (made.includes('other')) {
        await sql.admin('CREATE TABLE t ("id" int NOT NULL PRIMARY KEY)')
        await sql.admin('INSERT INTO t VALUES (1)')
        t.equal((await running).status, 'ended')
        t.equal(delivered.length, 1)
      } else {
        pipeline.stop()
        await running
        await sql.admin('DROP TABLE t')
      }
    }
  })

  await t.test('row 56: a wrong password is waited with, and a server that is away too', async t => {
    const sql = await fresh(t)
    await sql.admin('CREATE TABLE t ("id" int NOT NULL PRIMARY KEY)')
    await sql.admin('INSERT INTO t VALUES (1), (2)')
    const wrong = await inputOf({ ...sql.options, password: 'wrong', tables: [{ table: 't', key: ['id'] }] })
    const refused = inProcess({ inputs: { sql: wrong }, outputs: { out: { output: listOutput([]) } } })
    const running = refused.pipeline.run()
    t.match(await whyOf(refused.health), /look at user and password/)
    refused.pipeline.stop()
    await running

    await sql.server.kill()
    const delivered: JsonObject[] = []
    const input = await inputOf({ ...sql.options, tables: [{ table: 't', key: ['id'] }] })
    const away = inProcess({ inputs: { sql: input }, outputs: { out: { output: listOutput(delivered) } } })
    const waiting = away.pipeline.run()
    t.match(await whyOf(away.health), /ECONNREFUSED/)
    await sql.server.start()
    t.equal((await waiting).status, 'ended')
    t.equal(delivered.length, 2)
  })
})
