// Both servers for the tests of the sql plugins: one of each kind for a file of tests, and a database for each test.
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Test } from 'tap'
import { completeOptions } from '../../core/config/creation.ts'
import { compileExpression } from '../../core/config/expression.ts'
import { siteFiles } from '../../core/config/options-file.ts'
import type { OutputConfig } from '../../core/config/types.ts'
import type { Figures } from '../../core/flow/pipeline.ts'
import type { Health } from '../../core/observe/health.ts'
import type { Input, Log, Output, Site } from '../../core/plugin/interfaces.ts'
import type { JsonObject } from '../../core/plugin/json.ts'
import input from '../../plugins/inputs/sql/index.ts'
import type { Dialect, Session, SqlValue } from '../../plugins/lib/sql/dialect.ts'
import { dialectOf } from '../../plugins/lib/sql/dialects.ts'
import output from '../../plugins/outputs/sql/index.ts'
import { CANARY_VARIABLE } from '../kit/canary.ts'
import { imbalance, inProcess, listInput, quietLog } from '../kit/in-process.ts'
import { until } from '../kit/until.ts'
import * as mariadb from './mariadb/server.ts'
import type { LocalServer } from './postgres/local-server.ts'
import * as postgres from './postgres/server.ts'

/** What a pipeline file has for the password, which is the secret that every run has in its environment. */
export const PASSWORD_PLACE = `$${'{'}${CANARY_VARIABLE}}`

type Server = LocalServer & { admin(text: string, database?: string): Promise<{ readonly rows: unknown[][] }> }

const KINDS = [
  { dialect: 'mysql', missing: mariadb.mariadbMissing, start: mariadb.startMariadb },
  { dialect: 'postgres', missing: postgres.postgresMissing, start: postgres.startPostgres },
] as const

/** A database of a test's own. */
export interface Sql {
  readonly dialect: Dialect
  readonly server: Server
  readonly database: string
  /** The options of a connection. */
  readonly options: JsonObject
  /** Runs a statement as the superuser; names stand in "double quotes". */
  admin(text: string): Promise<unknown[][]>
  /** A connection as the plugins make it. */
  connect(): Promise<Session>
}

/** Runs the tests on each kind of server that can be had. A kind that cannot is skipped with the reason; SQL_DIALECT names one alone. */
export async function onEach(t: Test, tests: (t: Test, fresh: (t: Test) => Promise<Sql>) => Promise<void>): Promise<void> {
  const only = process.env['SQL_DIALECT']
  for (const { dialect, missing, start } of KINDS) {
    const skip = only !== undefined && only !== dialect ? `SQL_DIALECT is ${only}` : missing()
    await t.test(dialect, { skip: skip ?? false }, async t => {
      // These servers run as users of their own, who may not look into every folder.
      const folder = mkdtempSync(join(tmpdir(), 'penstock-sql-'))
      chmodSync(folder, 0o755)
      const server = await start(folder)
      t.teardown(async () => {
        await server.stop()
        rmSync(folder, { recursive: true, force: true })
      })
      let made = 0
      await tests(t, async () => {
        const database = `test_${++made}`
        await server.admin(
          `CREATE DATABASE ${database}${dialect === 'postgres' ? ` OWNER ${postgres.USER}` : ' CHARACTER SET utf8mb4'}`,
        )
        if (dialect === 'postgres')
          await server.admin(`ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO ${postgres.USER}`, database)
        return sqlOn(dialectOf(dialect), server, database)
      })
    })
  }
}

function sqlOn(dialect: Dialect, server: Server, database: string): Sql {
  const { USER: user, PASSWORD: password } = postgres
  return {
    ...{ dialect, server, database },
    options: { dialect: dialect.name, port: server.port, database, user, password },
    admin: async text => (await server.admin(dialect.name === 'mysql' ? text.replaceAll('"', '`') : text, database)).rows,
    connect: () =>
      dialect.connect(
        { dialect: dialect.name, host: '127.0.0.1', port: server.port, database, user, tls: false, connectMs: 5_000 },
        { password },
      ),
  }
}

/** A file with this secret: the site says that `value` was read from it. */
export function siteWith(secrets: Readonly<Record<string, string>> = {}): Site {
  const table = () => {
    throw new Error('no tables')
  }
  return { id: 'sql', folder: '/', expression: compileExpression, table, ...siteFiles(new Map(Object.entries(secrets))) }
}

export async function outputOf(options: JsonObject, site: Site = siteWith()): Promise<Output> {
  return output.create(await completeOptions(output as never, options, '/'), site)
}

export async function inputOf(options: JsonObject, site: Site = siteWith()): Promise<Input> {
  return input.create(await completeOptions(input as never, options, '/'), site)
}

/** Writes records with the output. Gives the figures, the errors of the dead letters, and what was logged. */
export async function write(
  t: Test,
  options: JsonObject,
  records: readonly JsonObject[],
  { site, config, chunk = 100 }: { readonly site?: Site; readonly config?: Partial<OutputConfig>; readonly chunk?: number } = {},
): Promise<{ readonly figures: Figures; readonly letters: string[]; readonly warnings: string[] }> {
  const made = await outputOf(options, site)
  const warnings: string[] = []
  const log: Log = { ...quietLog, warn: (fields, message) => void warnings.push(`${message} ${JSON.stringify(fields)}`) }
  const running = inProcess({
    inputs: { in: listInput(records, chunk) },
    outputs: {
      out: { output: () => made, config: { batch: { max_events: 1_000, max_bytes: 4 << 20, max_ms: 5 }, ...config } },
    },
    config: { in_flight_bytes: 64 << 20, max_event_bytes: 64 << 20 },
    log,
  })
  const end = await running.pipeline.run()
  t.equal(end.status, 'ended', end.error?.message ?? '')
  t.strictSame(imbalance(end.figures), [], 'conservation')
  const letters = (await running.store.letters.list({})).map(({ error }) => error)
  return { figures: end.figures, letters, warnings }
}

/** All rows of a table, in the order of its first columns. */
export async function rowsOf({ admin }: Sql, table: string, columns = '*', order = '1, 2'): Promise<unknown[][]> {
  return admin(`SELECT ${columns} FROM ${table} ORDER BY ${order}`)
}

/** Runs statements in a session of their own, and closes it. */
export async function during<T>(
  sql: Sql,
  work: (session: Session, run: (text: string, values?: SqlValue[]) => Promise<unknown>) => Promise<T>,
) {
  const session = await sql.connect()
  try {
    return await work(session, (text, values) =>
      session.run(sql.dialect.name === 'mysql' ? text.replaceAll('"', '`') : text, values),
    )
  } finally {
    await session.close()
  }
}

/** Why a step is not well, as soon as one is. */
export function whyOf(health: Health): Promise<string> {
  return until(() => health.ailing()[0]?.why)
}

export function secretFile(t: Test, text: string): string {
  const file = join(t.testdir({ planted: {} }), 'planted/password')
  writeFileSync(file, text)
  return file
}

/** A table, and the options that fill it. */
export const MAPPING = {
  tables: [
    {
      table: 't',
      columns: { id: { field: 'event.id', type: 'string(64)' }, who: 'who', n: { field: 'n', type: 'integer' } },
      key: 'id',
    },
  ],
}
export const MADE = 'CREATE TABLE t ("id" varchar(64) NOT NULL PRIMARY KEY, "who" varchar(8), "n" smallint)'
export const record = (id: string | number, more = {}) => ({ event: { id: `e${id}` }, who: 'ada', n: 1, ...more })
export const records = (count: number) => Array.from({ length: count }, (_, index) => record(String(index).padStart(4, '0')))
