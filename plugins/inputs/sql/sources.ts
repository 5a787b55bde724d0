// What the input reads: tables and queries, and what the database says of them.
import { OptionError } from '../../../core/plugin/errors.ts'
import type { Log } from '../../../core/plugin/interfaces.ts'
import type { Database } from '../../lib/sql/database.ts'
import type { Dialect, FoundColumn, Session, Sort } from '../../lib/sql/dialect.ts'
import { SqlFailure } from '../../lib/sql/failure.ts'
import { LAYOUT_CURSOR, layoutTables } from '../../lib/sql/layout.ts'
import { columnNamed, indexName, tableName } from '../../lib/sql/statements.ts'
import type { Options } from './options.ts'

export interface Source {
  /** The partition. */
  readonly name: string
  readonly table?: string
  readonly query?: string
  readonly key: readonly string[]
  /** Column names as the records are to have them. */
  readonly spelling?: readonly string[]
  /** It may be missing, and is passed over then. */
  readonly optional?: true
}

/** A source as it is in the database. */
export interface Ready {
  readonly source: Source
  /** Behind FROM. */
  readonly from: string
  readonly columns: readonly ReadColumn[]
  /** Behind SELECT. */
  readonly select: string
  readonly key: readonly KeyColumn[]
}

export interface ReadColumn {
  /** In the record. */
  readonly name: string
  readonly sort: Sort
  readonly json: boolean
}

export interface KeyColumn {
  readonly found: FoundColumn
  /** Where it stands in a row. */
  readonly at: number
}

/** @throws OptionError */
export function sourcesOf({ layout, tables, dialect }: Options): Source[] {
  if ((layout === undefined) === (tables === undefined))
    throw new OptionError(layout ? 'tables' : '', 'give either layout or tables')
  if (layout) {
    return layoutTables().map(({ name, columns }) => ({
      ...{ name, table: name, key: LAYOUT_CURSOR, optional: true },
      spelling: columns.map(column => column.name),
    }))
  }
  const seen = new Set<string>()
  return (tables ?? []).map(({ table, query, name = table, key }, index) => {
    const at = `tables[${index}]`
    if ((table === undefined) === (query === undefined)) throw new OptionError(at, 'needs either table or query')
    if (name === undefined) throw new OptionError(at, 'needs a name, since it has a query: its position is stored under it')
    if (seen.has(name)) throw new OptionError(`${at}.name`, `${name} is there already; give each a name of its own`)
    seen.add(name)
    if (query !== undefined && /;\s*$/.test(query))
      throw new OptionError(`${at}.query`, 'ends with ; and is to be part of a statement')
    if (query !== undefined && dialect === 'sqlserver' && /\border\s+by\b/i.test(query) && !/\btop\b/i.test(query))
      throw new OptionError(`${at}.query`, 'has ORDER BY, which SQL Server refuses here; the key gives the order')
    return { name, key, ...(table !== undefined && { table }), ...(query !== undefined && { query }) }
  })
}

/**
 * Looks a source up. Undefined for an optional one that is missing.
 * @throws SqlFailure (configuration) that says what is missing, or why rows could be passed over
 */
export async function prepare(
  source: Source,
  session: Session,
  { dialect, place }: Database,
  { jsonColumns, log }: { readonly jsonColumns: readonly string[]; readonly log: Log },
): Promise<Ready | undefined> {
  const { name, table, spelling = [] } = source
  const found = table === undefined ? undefined : await dialect.describe(session, table)
  if (table !== undefined && !found) {
    if (source.optional) return undefined
    throw wrong(`there is no table ${table} in ${place}, or the user may not see it`, dialect)
  }
  const from = table === undefined ? `(${source.query}) AS q` : tableName(dialect, table)
  const columns = found?.columns ?? (await columnsOf(from, session, dialect))
  const key = source.key.map(wanted => {
    const column = columnNamed(columns, wanted)
    if (column) return { found: column, at: columns.indexOf(column) }
    throw wrong(`${name} has no column ${wanted}; it has ${columns.map(one => one.name).join(', ')}`, dialect)
  })
  for (const { found: column } of key.slice(1))
    if (found && column.nullable)
      throw wrong(`the column ${column.name} of ${name} may be NULL, which only the first of a key may`, dialect)
  const names = key.map(one => one.found.name)
  if (found && !found.indexes.some(({ unique, columns }) => unique && columns.every(column => names.includes(column)))) {
    // Views have no indexes.
    if (found.indexes.length > 0) {
      const advice = 'add the columns of its primary key to the key'
      throw wrong(`two rows of ${name} may have the same ${names.join(', ')}, and one could be passed over; ${advice}`, dialect)
    }
  }
  if (found && !found.indexes.some(({ columns }) => names.every((column, at) => columns[at] === column))) {
    const list = names.map(dialect.quote).join(', ')
    const index = dialect.quote(indexName(table as string, names, dialect.maxName))
    log.warn(
      { table: name, remedy: `CREATE INDEX ${index} ON ${from} (${list})` },
      'the table has no index on the key, so that the database sorts all of it for each page',
    )
  }
  const lower = new Map(spelling.map(one => [one.toLowerCase(), one]))
  return {
    ...{ source, from, key },
    columns: columns.map(({ name, sort }) => ({
      name: lower.get(name.toLowerCase()) ?? name,
      sort,
      json: sort === 'json' || jsonColumns.some(one => one.toLowerCase() === name.toLowerCase()),
    })),
    select: found ? columns.map(dialect.selected).join(', ') : '*',
  }
}

function wrong(why: string, { product }: Dialect): SqlFailure {
  return new SqlFailure('configuration', `${product}: ${why}`)
}

async function columnsOf(from: string, session: Session, dialect: Dialect): Promise<FoundColumn[]> {
  const { columns } = await session.run(`SELECT * FROM ${from} WHERE 1 = 0`)
  return columns.map(({ name, sort }) => ({
    ...{ name, sort, length: undefined, nullable: true, required: false, generated: false },
    ...dialect.typeOfSort(sort),
  }))
}
