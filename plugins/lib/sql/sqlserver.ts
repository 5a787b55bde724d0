// SQL Server and Azure SQL: their SQL. The driver is in sqlserver-session.ts.
import type { ColumnType, Dialect, FoundColumn, FoundTable, Session, Sort, TableShape } from './dialect.ts'
import { beside, definitions, indexName, names, tableName } from './statements.ts'

const MAX_NAME = 128
/** Of the 2,100 parameters of a call the statement and the declaration of the others are two. */
const MAX_VALUES = 2_098

const SORTS: Readonly<Record<string, Sort>> = {
  ...{
    tinyint: 'integer',
    smallint: 'integer',
    int: 'integer',
    bigint: 'integer',
    bit: 'boolean',
    real: 'double',
    float: 'double',
  },
  ...{ decimal: 'decimal', numeric: 'decimal', money: 'decimal', smallmoney: 'decimal', date: 'date' },
  ...{ datetime: 'time', datetime2: 'time', smalldatetime: 'time', datetimeoffset: 'time' },
  ...{ binary: 'bytes', varbinary: 'bytes', image: 'bytes', timestamp: 'bytes' },
}

const TYPES: Readonly<Record<ColumnType['name'], string>> = {
  ...{ text: 'nvarchar(max)', string: 'nvarchar', integer: 'int', bigint: 'bigint', double: 'float', boolean: 'bit' },
  ...{ time: 'datetime2(6)', json: 'nvarchar(max)' },
}

export const sqlserver: Dialect = {
  name: 'sqlserver',
  product: 'SQL Server',
  port: 1433,
  maxValues: MAX_VALUES,
  maxName: MAX_NAME,
  quote: name => `[${name.replaceAll(']', ']]')}]`,
  place: index => `@p${index}`,
  // A value of another type would have the whole column converted, and its index passed by.
  comparable: (place, { typeText }) => `CAST(${place} AS ${typeText})`,
  columnType({ name, length, fixed }, inKey) {
    if (name !== 'string') return TYPES[name]
    const text = fixed ? `char(${length})` : `nvarchar(${length})`
    // Other collations take ids that differ in small and capital letters for the same.
    return inKey ? `${text} COLLATE Latin1_General_100_BIN2` : text
  },
  create(table) {
    const lines = definitions(sqlserver, table)
    for (const columns of table.indexes ?? [])
      lines.push(`INDEX ${sqlserver.quote(indexName(table.name, columns, MAX_NAME))} (${names(sqlserver, columns)})`)
    const name = tableName(sqlserver, table.name)
    const body = lines.map(line => `  ${line}`).join(',\n')
    return [`IF OBJECT_ID(N'${name.replaceAll("'", "''")}', N'U') IS NULL CREATE TABLE ${name} (\n${body}\n)`]
  },
  upsert(table, rows, update) {
    const columns = table.columns.map(({ name }) => name)
    const others = update ? beside(table) : []
    const { quote } = sqlserver
    const same = table.key.map(name => `t.${quote(name)} = s.${quote(name)}`).join(' AND ')
    const set = others.map(name => `${quote(name)} = s.${quote(name)}`).join(', ')
    // HOLDLOCK: two who insert the same row at once would both find that it is missing.
    return (
      `MERGE INTO ${tableName(sqlserver, table.name)} WITH (HOLDLOCK) AS t ` +
      `USING (VALUES ${typedPlaces(table, rows)}) AS s (${names(sqlserver, columns)}) ON ${same} ` +
      `WHEN NOT MATCHED THEN INSERT (${names(sqlserver, columns)}) VALUES (${names(sqlserver, columns, 's.')})` +
      `${set && ` WHEN MATCHED THEN UPDATE SET ${set}`};`
    )
  },
  refuses: () => undefined,
  page: (source, columns, condition, order, limit) =>
    `SELECT TOP (${limit}) ${columns} FROM ${source}${condition && ` WHERE ${condition}`} ORDER BY ${order}`,
  typeOfSort(sort) {
    const types: Readonly<Partial<Record<Sort, string>>> = {
      ...{ integer: 'bigint', decimal: 'decimal(38, 10)', double: 'float', boolean: 'bit', time: 'datetime2(7)', date: 'date' },
    }
    const typeText = types[sort] ?? 'nvarchar(4000)'
    return { type: typeText.replace(/\(.*/, ''), typeText }
  },
  selected({ name, type }) {
    const column = sqlserver.quote(name)
    // The driver makes floating-point numbers of decimals, and cuts the seventh digit of a second.
    if (SORTS[type] === 'decimal')
      return type.endsWith('money')
        ? `CONVERT(varchar(40), ${column}, 2) AS ${column}`
        : `CONVERT(varchar(60), ${column}) AS ${column}`
    if (type === 'datetimeoffset') return `CONVERT(varchar(34), ${column}, 127) AS ${column}`
    return SORTS[type] === 'time' ? `CONVERT(varchar(33), ${column}, 126) AS ${column}` : column
  },
  async describe(session, table) {
    const name = tableName(sqlserver, table)
    const { rows } = await session.run(
      'SELECT name, TYPE_NAME(system_type_id), max_length, precision, scale, is_nullable, default_object_id, ' +
        'CASE WHEN is_identity = 1 OR is_computed = 1 THEN 1 ELSE 0 END FROM sys.columns WHERE object_id = OBJECT_ID(@p0) ORDER BY column_id',
      [name],
    )
    if (rows.length === 0) return undefined
    return { columns: rows.map(foundColumn), indexes: await indexesOf(session, name) }
  },
  async connect(target, login) {
    return (await import('./sqlserver-session.ts')).connectSqlserver(target, login)
  },
}

/** Times come as text, which a DATETIME takes with three digits of a second only. */
function typedPlaces({ columns }: TableShape, rows: number): string {
  const cells = columns.map(({ type }, index) => (row: number) => {
    const place = sqlserver.place(row * columns.length + index)
    return type.name === 'time' ? `CAST(${place} AS datetime2(6))` : place
  })
  return Array.from({ length: rows }, (_, row) => `(${cells.map(cell => cell(row)).join(', ')})`).join(', ')
}

function foundColumn([name, type, size, precision, scale, nullable, standard, generated]: readonly unknown[]): FoundColumn {
  const spelt = String(type)
  const wide = spelt === 'nchar' || spelt === 'nvarchar'
  const text = wide || spelt === 'char' || spelt === 'varchar'
  const bytes = Number(size)
  const length = bytes < 0 ? undefined : wide ? bytes / 2 : bytes
  const isGenerated = Number(generated) === 1
  return {
    name: String(name),
    type: spelt,
    typeText: spelt + detail(spelt, length, Number(precision), Number(scale)),
    length: text ? length : undefined,
    sort: SORTS[spelt] ?? 'text',
    nullable: Boolean(nullable),
    required: !nullable && Number(standard) === 0 && !isGenerated,
    generated: isGenerated,
  }
}

function detail(type: string, length: number | undefined, precision: number, scale: number): string {
  if (/char$|binary$/.test(type)) return `(${length ?? 'max'})`
  if (type === 'decimal' || type === 'numeric') return `(${precision}, ${scale})`
  return type === 'datetime2' || type === 'datetimeoffset' || type === 'time' ? `(${scale})` : ''
}

async function indexesOf(session: Session, name: string): Promise<FoundTable['indexes']> {
  const { rows } = await session.run(
    'SELECT i.index_id, i.is_unique, c.name FROM sys.indexes i ' +
      'JOIN sys.index_columns k ON k.object_id = i.object_id AND k.index_id = i.index_id ' +
      'JOIN sys.columns c ON c.object_id = k.object_id AND c.column_id = k.column_id ' +
      'WHERE i.object_id = OBJECT_ID(@p0) AND k.is_included_column = 0 AND i.has_filter = 0 AND i.is_disabled = 0 ' +
      'ORDER BY i.index_id, k.key_ordinal',
    [name],
  )
  const indexes = new Map<unknown, { columns: string[]; unique: boolean }>()
  for (const [index, unique, column] of rows) {
    const known = indexes.get(index) ?? { columns: [], unique: Boolean(unique) }
    known.columns.push(String(column))
    indexes.set(index, known)
  }
  return [...indexes.values()]
}
