// What the project knows of a kind of SQL database: the same for the output, the input and setup. One file of this folder each.

export const DIALECTS = ['mysql', 'postgres', 'sqlserver'] as const
export type DialectName = (typeof DIALECTS)[number]

/** The types that a column may be given. `length`: characters, for `string` alone; `fixed`: always so many, of ASCII. */
export interface ColumnType {
  readonly name: 'text' | 'string' | 'integer' | 'bigint' | 'double' | 'boolean' | 'time' | 'json'
  readonly length?: number
  readonly fixed?: true
}

/** A value as it goes to a database. Times are text, `2026-05-01 09:12:33.5`, in UTC. */
export type SqlValue = string | number | boolean | null

/** A column as the configuration wants it. */
export interface Column {
  readonly name: string
  readonly type: ColumnType
}

/** A table as the configuration wants it: what setup makes, and the output fills. */
export interface TableShape {
  /** As it was written; may be `schema.table`. */
  readonly name: string
  readonly columns: readonly Column[]
  /** Names of the columns that tell rows apart. */
  readonly key: readonly string[]
  /** Columns that have an index together, beside the key. */
  readonly indexes?: readonly (readonly string[])[]
}

/** What a value is, whatever the database calls its type. */
export type Sort = 'text' | 'integer' | 'decimal' | 'double' | 'boolean' | 'time' | 'date' | 'json' | 'bytes'

/** A column as the database has it. */
export interface FoundColumn {
  readonly name: string
  /** Its type as the database spells it, in small letters and without a length: `varchar`. */
  readonly type: string
  /** With a length: `varchar(36)`. For people. */
  readonly typeText: string
  /** How much text it takes, in characters or bytes; undefined where there is no limit that matters. */
  readonly length: number | undefined
  readonly sort: Sort
  readonly nullable: boolean
  /** A row cannot be inserted without a value for it. */
  readonly required: boolean
  /** The database numbers it itself. */
  readonly generated: boolean
}

export interface FoundTable {
  readonly columns: readonly FoundColumn[]
  /** Column names of every index, in their order; of a part of a column as `Id(10)`. */
  readonly indexes: readonly { readonly columns: readonly string[]; readonly unique: boolean }[]
}

export interface ResultColumn {
  readonly name: string
  readonly sort: Sort
}

export interface Result {
  readonly columns: readonly ResultColumn[]
  /** A row is a list of values, as the driver gives them. */
  readonly rows: readonly (readonly unknown[])[]
  /** Rows that a statement has inserted or changed. */
  readonly affected: number
}

/** One connection. One statement at a time. Rejects with a SqlFailure. */
export interface Session {
  /** `types` tell how values go; where there are fewer than values they repeat, row by row. */
  run(text: string, values?: readonly SqlValue[], types?: readonly ColumnType[]): Promise<Result>
  begin(): Promise<void>
  commit(): Promise<void>
  rollback(): Promise<void>
  /** Bytes of values that one statement may have. */
  readonly maxBytes: number
  /** Says goodbye. Never rejects. */
  close(): Promise<void>
  /** Ends it at once, whatever is under way. */
  destroy(): void
}

/** Where a database is, and who asks. */
export interface Target {
  readonly dialect: DialectName
  /** A host name or address, or the folder (PostgreSQL) or file (MySQL) of a Unix socket. */
  readonly host: string
  readonly port: number
  readonly database: string
  readonly user: string
  /** False: unencrypted. `ca` in PEM. */
  readonly tls: false | { readonly ca?: string; readonly insecure: boolean }
  readonly connectMs: number
}

/** Who asks: a password, or a token of Entra. */
export type Login = { readonly password: string } | { readonly token: string }

export interface Dialect {
  readonly name: DialectName
  /** For sentences: `PostgreSQL`. */
  readonly product: string
  readonly port: number
  /** Values that one statement may have. */
  readonly maxValues: number
  /** Bytes (`utf8`) or characters of a name. */
  readonly maxName: number
  /** An identifier in its quotes. */
  quote(name: string): string
  /** The place of value number `index` (from 0). */
  place(index: number): string
  /** A place whose value, a text, is compared with a column that may have an index. */
  comparable(place: string, column: FoundColumn): string
  /** The type of a column in CREATE TABLE. */
  columnType(type: ColumnType, inKey: boolean): string
  /** CREATE TABLE, and CREATE INDEX, each only where it is missing. */
  create(table: TableShape): readonly string[]
  /** Inserts so many rows; those whose key is there are left alone, or updated. */
  upsert(table: TableShape, rows: number, update: boolean): string
  /** Why this value can never be stored, as the end of a sentence; undefined for most. */
  refuses(value: string): string | undefined
  /** A SELECT of at most `limit` rows. `columns` as they are selected; `condition` may be ''. */
  page(source: string, columns: string, condition: string, order: string, limit: number): string
  /** What stands for the type of a query's column, of which nothing but its sort is known. */
  typeOfSort(sort: Sort): Pick<FoundColumn, 'type' | 'typeText'>
  /** How a column is selected, so that no digit of it is lost. */
  selected(column: FoundColumn): string
  /** The table as it is; undefined where there is none, or none that the user may see. */
  describe(session: Session, table: string): Promise<FoundTable | undefined>
  /** Loads the driver and connects: on the main thread only. Rejects with a SqlFailure. */
  connect(target: Target, login: Login): Promise<Session>
}
