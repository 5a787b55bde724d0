// SQL that every dialect writes alike: names, tables, and the places of values.
import type { Dialect, FoundColumn, TableShape } from './dialect.ts'

/** `schema.table` in quotes. */
export function tableName({ quote }: Pick<Dialect, 'quote'>, name: string): string {
  return name.split('.').map(quote).join('.')
}

/** The schema, if one is named, and the table. */
export function nameParts(name: string): readonly [schema: string | null, table: string] {
  const dot = name.lastIndexOf('.')
  return dot < 0 ? [null, name] : [name.slice(0, dot), name.slice(dot + 1)]
}

/** Names in quotes, between commas; each behind `prefix`. */
export function names({ quote }: Pick<Dialect, 'quote'>, columns: readonly string[], prefix = ''): string {
  return columns.map(name => prefix + quote(name)).join(', ')
}

/** `(?, ?), (?, ?)` for so many rows. */
export function places({ place }: Pick<Dialect, 'place'>, columns: number, rows: number): string {
  const row = (at: number) => `(${Array.from({ length: columns }, (_, index) => place(at * columns + index)).join(', ')})`
  return Array.from({ length: rows }, (_, index) => row(index)).join(', ')
}

/** The lines between the parentheses of CREATE TABLE: columns and primary key. */
export function definitions(dialect: Dialect, { columns, key }: TableShape): string[] {
  return [
    ...columns.map(({ name, type }) => {
      const inKey = key.includes(name)
      return `${dialect.quote(name)} ${dialect.columnType(type, inKey)}${inKey ? ' NOT NULL' : ''}`
    }),
    `PRIMARY KEY (${names(dialect, key)})`,
  ]
}

/** The columns that are no part of the key: what an update sets. */
export function beside({ columns, key }: TableShape): string[] {
  return columns.map(({ name }) => name).filter(name => !key.includes(name))
}

/** The name of an index, cut to what fits. */
export function indexName(table: string, columns: readonly string[], most: number): string {
  return `${nameParts(table)[1]}_${columns.join('_')}`.slice(0, most)
}

/** A column's name as the database has it: in exactly this spelling, else in small or capital letters. */
export function columnNamed(columns: readonly FoundColumn[], name: string): FoundColumn | undefined {
  const small = name.toLowerCase()
  return columns.find(column => column.name === name) ?? columns.find(column => column.name.toLowerCase() === small)
}
