// Every dialect by its name. None of them loads its driver before it connects.
import type { Dialect, DialectName } from './dialect.ts'
import { mysql } from './mysql.ts'
import { postgres } from './postgres.ts'
import { sqlserver } from './sqlserver.ts'

const ALL: Readonly<Record<DialectName, Dialect>> = { mysql, postgres, sqlserver }

export function dialectOf(name: DialectName): Dialect {
  return ALL[name]
}
