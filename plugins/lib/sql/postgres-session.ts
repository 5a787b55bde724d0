// One connection to PostgreSQL, by pg. Values go as parameters, never into the text.
import { hash } from 'node:crypto'
import type { FieldDef, QueryArrayConfig } from 'pg'
import { asError, errorCode } from '../../../core/plugin/errors.ts'
import type { Login, Result, Session, Sort, SqlValue, Target } from './dialect.ts'
import { type FailureKind, failure, type Meaning, networkFailure, SqlFailure } from './failure.ts'

const PRODUCT = 'PostgreSQL'
/** What one message to the server may have. */
const MAX_BYTES = 512 * 1024 * 1024
/** Statements that the server keeps ready for this connection; others it reads each time. */
const STATEMENTS = 64

export async function connectPostgres(target: Target, login: Login): Promise<Session> {
  const { default: pg } = await import('pg')
  const { host, port, user, database, tls, connectMs } = target
  const client = new pg.Client({
    ...{ host, port, user, database, password: 'password' in login ? login.password : login.token },
    ssl: tls && { ...(tls.ca !== undefined && { ca: tls.ca }), rejectUnauthorized: !tls.insecure },
    ...{ connectionTimeoutMillis: connectMs, keepAlive: true, application_name: 'penstock' },
    // Every value as the text that the server sends.
    types: { getTypeParser: () => (text: string) => text } as never,
  })
  // What a connection says while nothing is under way, the next statement says again.
  client.on('error', () => {})
  const destroy = () => {
    const { stream } = (client as unknown as { connection: { stream: { destroy(): void } } }).connection
    stream.destroy()
  }
  const known = new Map<string, string>()
  const named = (text: string): { name?: string } => {
    const name = known.get(text)
    if (name !== undefined) return { name }
    if (known.size >= STATEMENTS) return {}
    known.set(text, hash('sha256', text, 'hex').slice(0, 32))
    return { name: known.get(text) as string }
  }

  const run = async (text: string, values: readonly SqlValue[] = []): Promise<Result> => {
    try {
      const query: QueryArrayConfig = {
        text,
        rowMode: 'array',
        ...(values.length > 0 && { values: [...values], ...named(text) }),
      }
      const { rows, fields, rowCount } = await client.query(query)
      return { columns: fields.map(column), rows, affected: rowCount ?? 0 }
    } catch (thrown) {
      throw classifyPostgres(thrown)
    }
  }
  const only = async (text: string) =>
    void (await client.query(text).catch((thrown: unknown) => Promise.reject(classifyPostgres(thrown))))

  try {
    await client.connect().catch((thrown: unknown) => Promise.reject(classifyPostgres(thrown)))
    await only("SET TIME ZONE 'UTC'; SET DateStyle = 'ISO, YMD'; SET bytea_output = 'hex'; SET extra_float_digits = 1")
    return {
      run,
      // A constraint that waits for the commit would not say which row it is about.
      begin: () => only('BEGIN; SET CONSTRAINTS ALL IMMEDIATE'),
      commit: () => only('COMMIT'),
      rollback: () => only('ROLLBACK'),
      maxBytes: MAX_BYTES,
      close: () => client.end().catch(destroy),
      destroy,
    }
  } catch (error) {
    destroy()
    throw error
  }
}

/** By the number of the type in the catalog. */
const SORTS: Readonly<Record<number, Sort>> = {
  ...{ 16: 'boolean', 17: 'bytes', 20: 'integer', 21: 'integer', 23: 'integer', 26: 'integer', 700: 'double', 701: 'double' },
  ...{ 790: 'decimal', 1700: 'decimal', 1082: 'date', 1114: 'time', 1184: 'time', 114: 'json', 3802: 'json' },
}

function column({ name, dataTypeID }: FieldDef): Result['columns'][number] {
  return { name, sort: SORTS[dataTypeID] ?? 'text' }
}

const SETUP = 'penstock setup sql makes the tables'
const LOGIN = "look at user and password, and at the server's pg_hba.conf"
const MEANINGS: Readonly<Record<string, Meaning>> = {
  '42P01': { kind: 'configuration', remedy: SETUP },
  '42703': { kind: 'configuration', remedy: SETUP },
  '42501': { kind: 'configuration', remedy: 'give the user the right to SELECT, INSERT and UPDATE there' },
  '42P10': { kind: 'configuration', remedy: 'the key needs a primary key or a unique index' },
  '3D000': { kind: 'configuration', remedy: 'create the database, or write its name as it is' },
  '3F000': { kind: 'configuration', remedy: 'create the schema, or write its name as it is' },
  '28P01': { kind: 'configuration', remedy: LOGIN },
  '28000': { kind: 'configuration', remedy: LOGIN },
  '25006': { kind: 'busy', remedy: 'it only reads now (a standby, or a disk that was full)' },
  '54000': { kind: 'row' },
  '44000': { kind: 'row' },
  P0001: { kind: 'row' },
}
const CLASSES: Readonly<Record<string, FailureKind>> = {
  ...{ '08': 'connection', '57': 'connection', '22': 'row', '23': 'row', '28': 'configuration', '42': 'configuration' },
  ...{ '0A': 'configuration', '40': 'busy', '53': 'busy', '55': 'busy', '58': 'busy', XX: 'busy' },
}

export function classifyPostgres(thrown: unknown): SqlFailure {
  if (thrown instanceof SqlFailure) return thrown
  const network = networkFailure(PRODUCT, thrown)
  if (network) return network
  const code = errorCode(asError(thrown))
  // 57014: somebody has cancelled the statement, and not the connection.
  const kind = code === '57014' ? 'busy' : CLASSES[code.slice(0, 2)]
  const meaning = MEANINGS[code] ?? (kind && /^[0-9A-Z]{5}$/.test(code) ? { kind } : undefined)
  if (meaning) return failure(PRODUCT, meaning, thrown, code)
  const message = asError(thrown).message
  if (/does not support SSL/i.test(message))
    return failure(PRODUCT, { kind: 'configuration', remedy: 'switch TLS on there (ssl = on), or write tls: false' }, thrown)
  if (/password must be a string|no pg_hba/i.test(message))
    return failure(PRODUCT, { kind: 'configuration', remedy: LOGIN }, thrown)
  // What is left are the driver's own errors: a connection that ended or never began. A code that nobody knows is tried again.
  return failure(PRODUCT, { kind: /^[0-9A-Z]{5}$/.test(code) ? 'busy' : 'connection' }, thrown)
}
