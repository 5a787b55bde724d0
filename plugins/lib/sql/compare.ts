// A table as it is, beside the table as it is wanted.
import type { Column, Dialect, FoundColumn, FoundTable, Sort, TableShape } from './dialect.ts'
import { columnNamed } from './statements.ts'

export interface Comparison {
  /** The wanted table in the spelling that the database has; good only where nothing is wrong. */
  readonly table: TableShape
  /** Why nothing can be written there, as sentences without an end. */
  readonly wrong: readonly string[]
  /** What is other than setup would have made it, and may refuse some rows. */
  readonly other: readonly string[]
}

export function compare(dialect: Dialect, wanted: TableShape, found: FoundTable): Comparison {
  const wrong: string[] = []
  const other: string[] = []
  const columns = wanted.columns.map((column): Column => {
    const there = columnNamed(found.columns, column.name)
    if (!there) {
      wrong.push(`it has no column ${column.name} (${dialect.columnType(column.type, false)})`)
      return column
    }
    const why = unlike(dialect, column, there)
    if (why !== undefined) other.push(`${there.name} is ${there.typeText}, ${why}`)
    return { name: there.name, type: column.type }
  })
  const spelt = (name: string) => columns[wanted.columns.findIndex(column => column.name === name)]?.name ?? name
  const key = wanted.key.map(spelt)
  const filled = new Set(columns.map(({ name }) => name))
  for (const { name, required } of found.columns)
    if (required && !filled.has(name)) wrong.push(`its column ${name} takes no NULL, has no default, and nothing fills it`)
  if (!found.indexes.some(({ unique, columns }) => unique && sameSet(columns, key)))
    wrong.push(`its key (${key.join(', ')}) is neither the primary key nor a unique index, so that a row could come twice`)
  wrong.push(...otherKeys(dialect, found, key))
  for (const index of wanted.indexes ?? []) {
    const names = index.map(spelt)
    if (!found.indexes.some(({ columns }) => names.every((name, at) => columns[at] === name)))
      other.push(`it has no index on (${names.join(', ')}), by which it is read in order`)
  }
  return { table: { ...wanted, columns, key }, wrong, other }
}

/** MySQL takes a row that meets any unique index for one that is there, and it would be lost. */
function otherKeys({ name }: Dialect, { columns, indexes }: FoundTable, key: readonly string[]): string[] {
  if (name !== 'mysql') return []
  const generated = new Set(columns.filter(column => column.generated).map(column => column.name))
  return indexes
    .filter(index => index.unique && !sameSet(index.columns, key) && !index.columns.some(column => generated.has(column)))
    .map(index => `it has another unique index (${index.columns.join(', ')}), and MySQL would drop a new row that meets it`)
}

function sameSet(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every(one => b.includes(one))
}

const FITTING: Readonly<Record<string, readonly Sort[]>> = {
  ...{
    text: ['text'],
    string: ['text'],
    json: ['text', 'json'],
    time: ['time', 'text'],
    boolean: ['boolean', 'integer', 'text'],
  },
  ...{
    integer: ['integer', 'decimal', 'double', 'text'],
    bigint: ['integer', 'decimal', 'text'],
    double: ['double', 'decimal', 'text'],
  },
}
/** Types of 64 bits, where bigint is wanted. */
const SMALL = /^(?:int|integer|int4|int2|smallint|tinyint|mediumint)$/
const DAYS_ONLY = /^(?:smalldatetime)$/

function unlike(dialect: Dialect, { type }: Column, found: FoundColumn): string | undefined {
  const own = dialect.columnType(type, false)
  if (!FITTING[type.name]?.includes(found.sort)) return `where ${own} is meant`
  if (type.name === 'bigint' && SMALL.test(found.type)) return `which is too small for some numbers (${own})`
  if (type.name === 'time' && DAYS_ONLY.test(found.type)) return `which forgets seconds (${own})`
  const { length } = found
  if (length === undefined || found.sort !== 'text') return undefined
  if (type.name === 'text' || type.name === 'json') return `which refuses longer texts than ${length} (${own} takes all)`
  return type.name === 'string' && length < (type.length ?? 0)
    ? `which refuses what is longer than ${length} (${own})`
    : undefined
}
