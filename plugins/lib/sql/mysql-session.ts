// One connection to MySQL or MariaDB, by mysql2. Values go as parameters of prepared statements, never into the text.
import type { FieldPacket, ResultSetHeader, RowDataPacket } from 'mysql2'
import { asError, errorCode } from '../../../core/plugin/errors.ts'
import type { Login, Result, Session, Sort, SqlValue, Target } from './dialect.ts'
import { type FailureKind, failure, type Meaning, networkFailure, SqlFailure } from './failure.ts'

const PRODUCT = 'MySQL'
/** A server allows about 16,000 for all of its clients together. */
const STATEMENTS = 64
/** Of a packet, what is no value. */
const HEAD_BYTES = 64 * 1024
const BINARY = 63

export async function connectMysql(target: Target, login: Login): Promise<Session> {
  const { createConnection } = await import('mysql2/promise')
  const { host, port, user, database, tls, connectMs } = target
  const connection = await createConnection({
    ...(host.startsWith('/') ? { socketPath: host } : { host, port }),
    ...{ user, database, password: 'password' in login ? login.password : login.token },
    ...(tls && {
      // Without verifyIdentity any certificate of the same signer would do.
      ssl: { ...(tls.ca !== undefined && { ca: tls.ca }), rejectUnauthorized: !tls.insecure, verifyIdentity: !tls.insecure },
    }),
    ...{ connectTimeout: connectMs, charset: 'utf8mb4', maxPreparedStatements: STATEMENTS, flags: ['-FOUND_ROWS'] },
    ...{ supportBigNumbers: true, bigNumberStrings: true, dateStrings: true, jsonStrings: true, rowsAsArray: true },
  }).catch((thrown: unknown) => {
    throw classifyMysql(thrown)
  })
  // What a connection says while nothing is under way, the next statement says again.
  connection.on('error', () => {})
  const destroy = () => connection.destroy()

  const run = async (text: string, values: readonly SqlValue[] = []): Promise<Result> => {
    try {
      const [rows, fields] = await (values.length > 0
        ? connection.execute<RowDataPacket[][] | ResultSetHeader>(text, [...values])
        : connection.query<RowDataPacket[][] | ResultSetHeader>(text))
      if (!Array.isArray(rows)) return { columns: [], rows: [], affected: rows.affectedRows }
      return { columns: fields.map(column), rows: rows as unknown as unknown[][], affected: 0 }
    } catch (thrown) {
      throw classifyMysql(thrown)
    }
  }
  const only = async (text: string) => void (await run(text))

  try {
    // Otherwise a value that does not fit is cut, or becomes 0, and the server says so in a warning alone.
    await only(`SET SESSION sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION', time_zone = '+00:00'`)
    const { rows } = await run('SELECT @@max_allowed_packet')
    return {
      run,
      begin: () => only('START TRANSACTION'),
      commit: () => only('COMMIT'),
      rollback: () => only('ROLLBACK'),
      maxBytes: Math.max(1024, Number(rows[0]?.[0]) - HEAD_BYTES),
      close: () => connection.end().catch(destroy),
      destroy,
    }
  } catch (error) {
    destroy()
    throw error
  }
}

const INTEGERS = new Set([1, 2, 3, 8, 9, 13])
const TEXTS_OR_BYTES = new Set([15, 249, 250, 251, 252, 253, 254])

function column({ name, columnType = -1, characterSet, extendedFormat }: FieldPacket): Result['columns'][number] {
  return { name, sort: sortOf(columnType, characterSet === BINARY, extendedFormat === 'json') }
}

/** By the type's number in the protocol. MariaDB's JSON is a text with a mark. */
function sortOf(type: number, binary: boolean, json: boolean): Sort {
  if (json || type === 245) return 'json'
  if (INTEGERS.has(type)) return 'integer'
  if (type === 0 || type === 246) return 'decimal'
  if (type === 4 || type === 5) return 'double'
  if (type === 7 || type === 12) return 'time'
  if (type === 10 || type === 14) return 'date'
  return type === 16 || (binary && TEXTS_OR_BYTES.has(type)) ? 'bytes' : 'text'
}

const SETUP = 'penstock setup sql makes the tables'
const RIGHTS = 'give the user the right to SELECT, INSERT and UPDATE there'
const LOGIN = 'look at user and password, and at the hosts that the user may come from'
const MEANINGS: Readonly<Record<number, Meaning>> = {
  ...said('busy', [1020, 1021, 1030, 1034, 1038, 1040, 1041, 1114, 1180, 1203, 1205, 1206, 1213, 1226, 1290, 1317, 1637, 1792]),
  ...said('busy', [1836, 1969, 3024, 3101]),
  ...said('connection', [1053, 1152, 1158, 1159, 1160, 1161, 1184, 1927, 4031]),
  ...said('row', [1048, 1062, 1118, 1264, 1265, 1292, 1300, 1366, 1406, 1411, 1526, 1644, 3140, 3819, 4025]),
  ...said('too_large', [1153, 1301]),
  ...said('configuration', [1146, 1054], SETUP),
  ...said('configuration', [1044, 1142, 1143, 1227, 1370], RIGHTS),
  ...said('configuration', [1045, 1130, 1698, 1820, 1862, 3118, 4151], LOGIN),
  ...said('configuration', [1129], 'FLUSH HOSTS on the server lets this host in again'),
  ...said('configuration', [1049], 'create the database, or write its name as it is'),
  ...said('configuration', [3159], 'the server wants TLS: tls: true'),
  ...said('configuration', [1364], 'give the column a default, or fill it'),
}

function said(kind: FailureKind, numbers: readonly number[], remedy?: string): Record<number, Meaning> {
  return Object.fromEntries(numbers.map(number => [number, remedy === undefined ? { kind } : { kind, remedy }]))
}

/** By the class of the SQLSTATE, for what is not in the list. */
const CLASSES: Readonly<Record<string, FailureKind>> = {
  ...{ '22': 'row', '23': 'row', '40': 'busy', '08': 'connection', '28': 'configuration', '42': 'configuration' },
}

export function classifyMysql(thrown: unknown): SqlFailure {
  if (thrown instanceof SqlFailure) return thrown
  const network = networkFailure(PRODUCT, thrown)
  if (network) return network
  const { errno = 0, sqlState = '', fatal } = thrown as { errno?: number; sqlState?: string; fatal?: boolean }
  const code = errorCode(asError(thrown))
  const meaning = MEANINGS[errno] ?? (CLASSES[sqlState.slice(0, 2)] && { kind: CLASSES[sqlState.slice(0, 2)] as FailureKind })
  if (meaning) return failure(PRODUCT, meaning, thrown, code)
  if (code === 'HANDSHAKE_NO_SSL_SUPPORT')
    return failure(PRODUCT, { kind: 'configuration', remedy: 'switch TLS on there, or write tls: false' }, thrown, code)
  // A refusal that nobody has foreseen is never the end of an event.
  return failure(PRODUCT, { kind: fatal || code.startsWith('PROTOCOL') || errno === 0 ? 'connection' : 'busy' }, thrown, code)
}
