// PostgreSQL: its SQL. The driver is in postgres-session.ts.
import type { ColumnType, Dialect, FoundColumn, FoundTable, Session, Sort } from './dialect.ts'
import { beside, definitions, indexName, names, places, tableName } from './statements.ts'

const MAX_NAME = 63
/** The length of a varchar is this much less than its type modifier. */
const MODIFIER_HEAD = 4

const SORTS: Readonly<Record<string, Sort>> = {
  ...{ int2: 'integer', int4: 'integer', int8: 'integer', oid: 'integer', numeric: 'decimal', money: 'decimal' },
  ...{ float4: 'double', float8: 'double', bool: 'boolean', timestamp: 'time', timestamptz: 'time', date: 'date' },
  ...{ json: 'json', jsonb: 'json', bytea: 'bytes' },
}

const TYPES: Readonly<Record<ColumnType['name'], string>> = {
  ...{ text: 'text', string: 'varchar', integer: 'integer', bigint: 'bigint', double: 'double precision', boolean: 'boolean' },
  // jsonb would refuse what JSON may hold (a NUL, say), and forget how it was written.
  ...{ time: 'timestamp', json: 'json' },
}

export const postgres: Dialect = {
  name: 'postgres',
  product: 'PostgreSQL',
  port: 5432,
  maxValues: 65_535,
  maxName: MAX_NAME,
  quote: name => `"${name.replaceAll('"', '""')}"`,
  place: index => `$${index + 1}`,
  // A text of unknown type takes that of the column.
  comparable: place => place,
  // char would fill up with blanks.
  columnType: ({ name, length }) => (name === 'string' ? `varchar(${length})` : TYPES[name]),
  create(table) {
    const name = tableName(postgres, table.name)
    const body = definitions(postgres, table)
      .map(line => `  ${line}`)
      .join(',\n')
    return [
      `CREATE TABLE IF NOT EXISTS ${name} (\n${body}\n)`,
      ...(table.indexes ?? []).map(columns => {
        const index = postgres.quote(indexName(table.name, columns, MAX_NAME))
        return `CREATE INDEX IF NOT EXISTS ${index} ON ${name} (${names(postgres, columns)})`
      }),
    ]
  },
  upsert(table, rows, update) {
    const columns = table.columns.map(({ name }) => name)
    const others = update ? beside(table) : []
    const set = others.map(name => `${postgres.quote(name)} = EXCLUDED.${postgres.quote(name)}`).join(', ')
    const values = places(postgres, columns.length, rows)
    return (
      `INSERT INTO ${tableName(postgres, table.name)} (${names(postgres, columns)}) VALUES ${values} ` +
      `ON CONFLICT (${names(postgres, table.key)}) DO ${set ? `UPDATE SET ${set}` : 'NOTHING'}`
    )
  },
  refuses: value => (value.includes('\0') ? 'holds the character NUL, which no text in PostgreSQL can' : undefined),
  page: (source, columns, condition, order, limit) =>
    `SELECT ${columns} FROM ${source}${condition && ` WHERE ${condition}`} ORDER BY ${order} LIMIT ${limit}`,
  typeOfSort: sort => ({ type: sort, typeText: sort }),
  selected: ({ name }) => postgres.quote(name),
  async describe(session, table) {
    const name = tableName(postgres, table)
    const { rows } = await session.run(
      'SELECT a.attname, t.typname, format_type(a.atttypid, a.atttypmod), a.atttypmod, a.attnotnull, a.atthasdef, ' +
        "a.attidentity <> '' OR a.attgenerated <> '' FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid " +
        'WHERE a.attrelid = to_regclass($1) AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum',
      [name],
    )
    if (rows.length === 0) return undefined
    return { columns: rows.map(foundColumn), indexes: await indexesOf(session, name) }
  },
  async connect(target, login) {
    return (await import('./postgres-session.ts')).connectPostgres(target, login)
  },
}

function foundColumn([name, type, typeText, modifier, notNull, hasDefault, generated]: readonly unknown[]): FoundColumn {
  const limited = (type === 'varchar' || type === 'bpchar') && Number(modifier) > MODIFIER_HEAD
  return {
    name: String(name),
    type: String(type),
    typeText: String(typeText),
    length: limited ? Number(modifier) - MODIFIER_HEAD : undefined,
    sort: SORTS[String(type)] ?? 'text',
    nullable: notNull !== 't',
    required: notNull === 't' && hasDefault !== 't' && generated !== 't',
    generated: generated === 't',
  }
}

async function indexesOf(session: Session, name: string): Promise<FoundTable['indexes']> {
  const { rows } = await session.run(
    'SELECT i.indexrelid, i.indisunique, a.attname FROM pg_index i ' +
      'CROSS JOIN LATERAL unnest(i.indkey::int2[]) WITH ORDINALITY AS k(attnum, n) ' +
      'LEFT JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum ' +
      'WHERE i.indrelid = to_regclass($1) AND i.indpred IS NULL AND i.indisvalid AND k.n <= i.indnkeyatts ORDER BY 1, k.n',
    [name],
  )
  const indexes = new Map<unknown, { columns: string[]; unique: boolean }>()
  for (const [index, unique, column] of rows) {
    const known = indexes.get(index) ?? { columns: [], unique: unique === 't' }
    // An expression has no name.
    known.columns.push(column === null ? '(…)' : String(column))
    indexes.set(index, known)
  }
  return [...indexes.values()]
}
