// Writes the rows of a batch: all in one transaction, in statements of many rows. A row that can never be stored is found and left out.
import { PermanentError } from '../../../core/plugin/errors.ts'
import { transaction } from '../../lib/sql/database.ts'
import type { ColumnType, Dialect, Session, SqlValue, TableShape } from '../../lib/sql/dialect.ts'
import { SqlFailure } from '../../lib/sql/failure.ts'

/** Rows of one statement at most. Statements have 1, 2, 4 … rows, so that a server has few of them to remember. */
const ROWS = 128
/** What a value takes beside its text. Bytes. */
const VALUE_BYTES = 12

export interface Row {
  /** Its place in the batch. */
  readonly index: number
  readonly values: readonly SqlValue[]
  /** Of its values, or a little more. */
  readonly bytes: number
}

/** A table that rows can be written into. */
export interface Target {
  readonly shape: TableShape
  readonly types: readonly ColumnType[]
  /** Rows of one statement at most: a power of two. */
  readonly most: number
  /** The statement for so many rows. */
  upsert(rows: number): string
  keyOf(row: Row): string
}

export function targetOf(dialect: Dialect, shape: TableShape, update: boolean): Target {
  const statements = new Map<number, string>()
  const keys = shape.key.map(name => shape.columns.findIndex(column => column.name === name))
  return {
    shape,
    types: shape.columns.map(({ type }) => type),
    most: powerOfTwo(Math.max(1, Math.min(ROWS, Math.floor(dialect.maxValues / shape.columns.length)))),
    upsert(rows) {
      let text = statements.get(rows)
      if (text === undefined) {
        text = dialect.upsert(shape, rows, update)
        statements.set(rows, text)
      }
      return text
    },
    keyOf: ({ values }) => (keys.length === 1 ? String(values[keys[0] as number]) : JSON.stringify(keys.map(at => values[at]))),
  }
}

/** The largest power of two that is not larger. */
function powerOfTwo(number: number): number {
  return 2 ** Math.floor(Math.log2(number))
}

interface Statement {
  readonly target: Target
  readonly rows: readonly Row[]
  /** Has rows whose keys an earlier statement has too: it stays behind that. */
  readonly late: boolean
}

export interface Written {
  /** Rows that were inserted (and, where rows are updated, those too, as the server counts them). */
  readonly affected: number
  readonly rows: number
}

/**
 * Writes all rows, or none. `reject` is called for rows that can never be stored; the others are durable when it resolves.
 * @throws SqlFailure when the database cannot take them now
 */
export async function writeRows(
  session: Session,
  batch: ReadonlyMap<Target, readonly Row[]>,
  reject: (index: number, error: Error) => void,
): Promise<Written> {
  const statements: Statement[] = []
  for (const [target, rows] of batch)
    statements.push(...planned(target, fitting(rows, target, session, reject), session.maxBytes))
  statements.sort((a, b) => Number(a.late) - Number(b.late))
  for (;;) {
    let at = 0
    let affected = 0
    try {
      if (statements.length > 0) {
        await transaction(session, async () => {
          for (; at < statements.length; at++) affected += await insert(session, statements[at] as Statement)
        })
      }
      return { affected, rows: statements.reduce((sum, { rows }) => sum + rows.length, 0) }
    } catch (error) {
      const failed = statements[at]
      if (!failed || !(error instanceof SqlFailure) || (error.kind !== 'row' && error.kind !== 'too_large')) throw error
      statements.splice(at, 1)
      const { target, rows, late } = failed
      const [only] = rows
      if (only && rows.length === 1) {
        reject(only.index, new PermanentError(`${target.shape.name}: ${error.message}`, { code: 'PEN_SQL_ROW', cause: error }))
        continue
      }
      // The halves come first: the one with the bad row fails before the rest of the batch is sent once more.
      const middle = powerOfTwo(rows.length - 1)
      const halves = [rows.slice(0, middle), rows.slice(middle)].map(half => ({ target, rows: half, late }))
      statements.splice(late ? at : 0, 0, ...halves)
    }
  }
}

async function insert(session: Session, { target, rows }: Statement): Promise<number> {
  const values = rows.flatMap(row => row.values)
  const { affected } = await session.run(target.upsert(rows.length), values, target.types)
  return affected
}

/** Without rows that no statement can hold. */
function fitting(
  rows: readonly Row[],
  { shape }: Target,
  { maxBytes }: Session,
  reject: (index: number, error: Error) => void,
): Row[] {
  return rows.filter(row => {
    const bytes = sizeOf(row)
    if (bytes <= maxBytes) return true
    const why = `the row has ${bytes} bytes, more than one statement may have (${maxBytes}; in MySQL see max_allowed_packet)`
    reject(row.index, new PermanentError(`${shape.name}: ${why}`, { code: 'PEN_SQL_TOO_LARGE' }))
    return false
  })
}

function sizeOf({ bytes, values }: Row): number {
  return bytes + values.length * VALUE_BYTES
}

/**
 * Cuts rows into statements. No statement has a key twice (databases refuse to update a row twice in one), and keys are sorted, so that
 * two writers do not wait for each other.
 */
function planned(target: Target, rows: readonly Row[], maxBytes: number): Statement[] {
  const rounds: { readonly key: string; readonly row: Row }[][] = []
  const times = new Map<string, number>()
  for (const row of rows) {
    const key = target.keyOf(row)
    const round = times.get(key) ?? 0
    times.set(key, round + 1)
    rounds[round] ??= []
    rounds[round].push({ key, row })
  }
  return rounds.flatMap((round, index) => {
    const sorted = round.sort((a, b) => (a.key < b.key ? -1 : 1)).map(({ row }) => row)
    return cut(sorted, target.most, maxBytes).map(rows => ({ target, rows, late: index > 0 }))
  })
}

function cut(rows: readonly Row[], most: number, maxBytes: number): Row[][] {
  const pieces: Row[][] = []
  for (let from = 0; from < rows.length; ) {
    let count = 0
    for (let bytes = 0; count < most && from + count < rows.length; count++) {
      bytes += sizeOf(rows[from + count] as Row)
      if (bytes > maxBytes && count > 0) break
    }
    const size = powerOfTwo(count)
    pieces.push(rows.slice(from, from + size))
    from += size
  }
  return pieces
}
