// MySQL and MariaDB: their SQL. The driver is in mysql-session.ts.
import type { ColumnType, Dialect, FoundColumn, FoundTable, Session, Sort } from './dialect.ts'
import { beside, definitions, indexName, nameParts, names, places, tableName } from './statements.ts'

const MAX_NAME = 64
/** Text of more bytes than this has no limit that matters. */
const LARGE = 2 ** 31

const SORTS: Readonly<Record<string, Sort>> = {
  ...{ tinyint: 'integer', smallint: 'integer', mediumint: 'integer', int: 'integer', bigint: 'integer', year: 'integer' },
  ...{ decimal: 'decimal', float: 'double', double: 'double', datetime: 'time', timestamp: 'time', date: 'date', json: 'json' },
  ...{
    bit: 'bytes',
    binary: 'bytes',
    varbinary: 'bytes',
    tinyblob: 'bytes',
    blob: 'bytes',
    mediumblob: 'bytes',
    longblob: 'bytes',
  },
}

const TYPES: Readonly<Record<ColumnType['name'], string>> = {
  ...{ text: 'longtext', string: 'varchar', integer: 'int', bigint: 'bigint', double: 'double', boolean: 'boolean' },
  ...{ time: 'datetime(6)', json: 'longtext' },
}

export const mysql: Dialect = {
  name: 'mysql',
  product: 'MySQL',
  port: 3306,
  maxValues: 65_535,
  maxName: MAX_NAME,
  quote: name => `\`${name.replaceAll('`', '``')}\``,
  place: () => '?',
  comparable(place, { type, typeText }) {
    // Compared with a text, a large number is taken for a floating one, and loses digits.
    if (type === 'decimal') return `CAST(${place} AS DECIMAL(65, 30))`
    if (SORTS[type] === 'integer') return `CAST(${place} AS ${typeText.includes('unsigned') ? 'UNSIGNED' : 'SIGNED'})`
    return SORTS[type] === 'time' ? `CAST(${place} AS DATETIME(6))` : place
  },
  columnType({ name, length, fixed }, inKey) {
    if (name !== 'string') return TYPES[name]
    const text = `${fixed ? 'char' : 'varchar'}(${length})`
    // Other collations take ids that differ in small and capital letters for the same.
    return inKey ? `${text} CHARACTER SET utf8mb4 COLLATE utf8mb4_bin` : text
  },
  create(table) {
    const lines = definitions(mysql, table)
    for (const columns of table.indexes ?? [])
      lines.push(`KEY ${mysql.quote(indexName(table.name, columns, MAX_NAME))} (${names(mysql, columns)})`)
    const body = lines.map(line => `  ${line}`).join(',\n')
    return [`CREATE TABLE IF NOT EXISTS ${tableName(mysql, table.name)} (\n${body}\n) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4`]
  },
  upsert(table, rows, update) {
    const columns = table.columns.map(({ name }) => name)
    const others = update ? beside(table) : []
    const [first = ''] = table.key
    // INSERT IGNORE would cut what is too long, and say nothing.
    const set =
      others.length > 0
        ? others.map(name => `${mysql.quote(name)} = VALUES(${mysql.quote(name)})`).join(', ')
        : `${mysql.quote(first)} = ${tableName(mysql, table.name)}.${mysql.quote(first)}`
    const values = places(mysql, columns.length, rows)
    return `INSERT INTO ${tableName(mysql, table.name)} (${names(mysql, columns)}) VALUES ${values} ON DUPLICATE KEY UPDATE ${set}`
  },
  refuses: () => undefined,
  page: (source, columns, condition, order, limit) =>
    `SELECT ${columns} FROM ${source}${condition && ` WHERE ${condition}`} ORDER BY ${order} LIMIT ${limit}`,
  typeOfSort(sort) {
    const type = { integer: 'bigint', decimal: 'decimal', time: 'datetime' }[String(sort)] ?? 'text'
    return { type, typeText: type }
  },
  selected: ({ name }) => mysql.quote(name),
  async describe(session, table) {
    const where = 'WHERE table_schema = COALESCE(?, DATABASE()) AND table_name = ?'
    const values = [...nameParts(table)]
    const { rows } = await session.run(
      'SELECT column_name, data_type, column_type, character_maximum_length, is_nullable, column_default, extra ' +
        `FROM information_schema.columns ${where} ORDER BY ordinal_position`,
      values,
    )
    if (rows.length === 0) return undefined
    return { columns: rows.map(foundColumn), indexes: await indexesOf(session, where, values) }
  },
  async connect(target, login) {
    return (await import('./mysql-session.ts')).connectMysql(target, login)
  },
}

function foundColumn([name, type, typeText, length, nullable, standard, extra]: readonly unknown[]): FoundColumn {
  const spelt = String(type).toLowerCase()
  const generated = /auto_increment|generated/i.test(String(extra))
  const isNullable = String(nullable).toUpperCase() === 'YES'
  const characters = length === null ? undefined : Number(length)
  return {
    name: String(name),
    type: spelt,
    typeText: String(typeText).toLowerCase(),
    length: characters === undefined || characters > LARGE ? undefined : characters,
    sort: SORTS[spelt] ?? 'text',
    nullable: isNullable,
    required: !isNullable && standard === null && !generated,
    generated,
  }
}

async function indexesOf(session: Session, where: string, values: (string | null)[]): Promise<FoundTable['indexes']> {
  const { rows } = await session.run(
    `SELECT index_name, column_name, non_unique, sub_part FROM information_schema.statistics ${where} ORDER BY index_name, seq_in_index`,
    values,
  )
  const indexes = new Map<unknown, { columns: string[]; unique: boolean }>()
  for (const [index, column, notUnique, part] of rows) {
    const known = indexes.get(index) ?? { columns: [], unique: Number(notUnique) === 0 }
    known.columns.push(part === null ? String(column) : `${column}(${part})`)
    indexes.set(index, known)
  }
  return [...indexes.values()]
}
