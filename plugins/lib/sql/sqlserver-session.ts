// One connection to SQL Server or Azure SQL, by tedious. Values go as parameters, never into the text.
import type { Connection, ConnectionConfiguration, Request } from 'tedious'
import { asError, errorCode } from '../../../core/plugin/errors.ts'
import type { ColumnType, Login, Result, Session, Sort, Target } from './dialect.ts'
import { type FailureKind, failure, type Meaning, networkFailure, SqlFailure } from './failure.ts'

const PRODUCT = 'SQL Server'
/** A statement has no limit of its own; this much of one is enough. */
const MAX_BYTES = 64 * 1024 * 1024

/** What is used of the driver's connection: tests put another in its place. */
export type Wire = Pick<Connection, 'execSql' | 'execSqlBatch' | 'close'>
export type Driver = Pick<typeof import('tedious'), 'Request' | 'TYPES'>

export async function connectSqlserver(target: Target, login: Login): Promise<Session> {
  const tedious = (await import('tedious')).default as unknown as typeof import('tedious')
  const connection = new tedious.Connection(configuration(target, login))
  // What a connection says while nothing is under way, the next statement says again.
  connection.on('error', () => {})
  await new Promise<void>((resolve, reject) => {
    connection.connect(error => {
      if (!error) return resolve()
      connection.close()
      reject(classifySqlserver(error))
    })
  })
  return sessionOn(connection, tedious)
}

export function configuration(target: Target, login: Login): ConnectionConfiguration {
  const { host, port, database, user, tls, connectMs } = target
  return {
    server: host,
    authentication:
      'token' in login
        ? { type: 'azure-active-directory-access-token', options: { token: login.token } }
        : { type: 'default', options: { userName: user, password: login.password } },
    options: {
      ...{ port, database, connectTimeout: connectMs, appName: 'penstock' },
      encrypt: tls !== false,
      trustServerCertificate: tls !== false && tls.insecure,
      ...(tls && tls.ca !== undefined && { cryptoCredentialsDetails: { ca: tls.ca } }),
      // The engine has its own times; a statement that is cut off would leave a transaction behind.
      requestTimeout: 0,
      // A row that is refused ends its statement, and not what was done before in the transaction.
      abortTransactionOnError: false,
      dateFormat: 'ymd',
    },
  }
}

interface Cell {
  readonly value: unknown
  readonly metadata: { readonly colName: string; readonly type: { readonly name: string } }
}

export function sessionOn(wire: Wire, { Request, TYPES }: Driver): Session {
  const bound = (type: ColumnType | undefined) => {
    switch (type?.name) {
      case 'integer':
        return { type: TYPES.Int }
      case 'bigint':
        return { type: TYPES.BigInt }
      case 'double':
        return { type: TYPES.Float }
      case 'boolean':
        return { type: TYPES.Bit }
      case 'string':
        return { type: type.fixed ? TYPES.VarChar : TYPES.NVarChar, options: { length: type.length as number } }
      case 'time':
        return { type: TYPES.NVarChar, options: { length: 40 } }
      default:
        // One length for all, so that the server keeps one plan for all.
        return { type: TYPES.NVarChar, options: { length: Number.POSITIVE_INFINITY } }
    }
  }

  const send = (text: string, fill: (request: Request) => void, how: 'execSql' | 'execSqlBatch') =>
    new Promise<Result>((resolve, reject) => {
      let columns: Result['columns'] = []
      const rows: unknown[][] = []
      const request = new Request(text, (error, affected) => {
        if (error) reject(classifySqlserver(error))
        else resolve({ columns, rows, affected: affected ?? 0 })
      })
      request.on('columnMetadata', found => {
        const list = found as readonly { readonly colName: string; readonly type: { readonly name: string } }[]
        columns = list.map(({ colName, type }) => ({ name: colName, sort: sortOf(type.name) }))
      })
      request.on('row', (cells: readonly Cell[]) => void rows.push(cells.map(({ value }) => value)))
      try {
        fill(request)
        wire[how](request)
      } catch (thrown) {
        reject(classifySqlserver(thrown))
      }
    })
  const batch = async (text: string) => void (await send(text, () => {}, 'execSqlBatch'))

  return {
    run: (text, values = [], types = []) =>
      send(
        text,
        request => {
          values.forEach((value, index) => {
            const { type, options } = bound(types[index % (types.length || 1)])
            request.addParameter(`p${index}`, type, value, options)
          })
        },
        'execSql',
      ),
    begin: () => batch('BEGIN TRANSACTION'),
    commit: () => batch('COMMIT TRANSACTION'),
    // Some errors have ended the transaction already.
    rollback: () => batch('IF @@TRANCOUNT > 0 ROLLBACK TRANSACTION'),
    maxBytes: MAX_BYTES,
    close: async () => wire.close(),
    destroy: () => wire.close(),
  }
}

function sortOf(type: string): Sort {
  if (/^(?:Tiny|Small|Big)?Int/.test(type)) return 'integer'
  if (/^(?:Decimal|Numeric|Money|SmallMoney)/.test(type)) return 'decimal'
  if (/^(?:Float|Real)/.test(type)) return 'double'
  if (type === 'Date') return 'date'
  if (/^(?:Small)?DateTime/.test(type)) return 'time'
  if (/^Bit/.test(type)) return 'boolean'
  return /^(?:VarBinary|Binary|Image)/.test(type) ? 'bytes' : 'text'
}

const SETUP = 'penstock setup sql makes the tables'
const RIGHTS = 'give the user the right to SELECT, INSERT and UPDATE there'
const MEANINGS: Readonly<Record<number, Meaning>> = {
  ...said('row', [220, 232, 241, 242, 245, 295, 515, 547, 2601, 2627, 2628, 8114, 8115, 8152, 50_000]),
  ...said(
    'busy',
    [701, 1105, 1205, 1222, 3906, 3960, 8645, 9002, 10_928, 10_929, 40_197, 40_501, 40_544, 40_613, 49_918, 49_919],
  ),
  ...said('busy', [49_920]),
  ...said('configuration', [207, 208], SETUP),
  ...said('configuration', [229, 230, 262, 916], RIGHTS),
  ...said('configuration', [4060], 'create the database, or write its name as it is'),
  ...said('configuration', [18_456, 18_486, 18_487, 18_488], 'look at user and password'),
  ...said('configuration', [40_615], "let this machine's address in, in the server's firewall"),
}

function said(kind: FailureKind, numbers: readonly number[], remedy?: string): Record<number, Meaning> {
  return Object.fromEntries(numbers.map(number => [number, remedy === undefined ? { kind } : { kind, remedy }]))
}

export function classifySqlserver(thrown: unknown): SqlFailure {
  if (thrown instanceof SqlFailure) return thrown
  const network = networkFailure(PRODUCT, thrown)
  if (network) return network
  const { number } = thrown as { number?: number }
  const code = errorCode(asError(thrown))
  const meaning = number === undefined ? undefined : MEANINGS[number]
  if (meaning) return failure(PRODUCT, meaning, thrown, String(number))
  if (code === 'ELOGIN' || code === 'EFEDAUTH') {
    return failure(
      PRODUCT,
      { kind: 'configuration', remedy: 'look at user and password, or at the application of Entra' },
      thrown,
      code,
    )
  }
  // A value that the driver cannot send as what it should be.
  if (code === 'EPARAM') return failure(PRODUCT, { kind: 'row' }, thrown, code)
  // A refusal that nobody has foreseen is never the end of an event.
  return failure(
    PRODUCT,
    { kind: number === undefined ? 'connection' : 'busy' },
    thrown,
    number === undefined ? code : String(number),
  )
}
