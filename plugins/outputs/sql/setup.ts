// penstock setup sql: makes the tables of a pipeline's sql outputs. It never drops or alters one.
import { commandLine, EXIT, onSignals, outputsOf, systemClock } from '../../../core/cli/for-plugins.ts'
import { asError, PenstockError } from '../../../core/plugin/errors.ts'
import type { Log } from '../../../core/plugin/interfaces.ts'
import { compare } from '../../lib/sql/compare.ts'
import { accessOf } from '../../lib/sql/connection-options.ts'
import { type Database, openDatabase } from '../../lib/sql/database.ts'
import type { TableShape } from '../../lib/sql/dialect.ts'
import { dialectOf } from '../../lib/sql/dialects.ts'
import type { Options } from './options.ts'
import { rowsOf } from './tables.ts'

export async function setup(args: readonly string[]): Promise<number> {
  const { values, positionals } = commandLine(args, { 'dry-run': { type: 'boolean', default: false } })
  const [file] = positionals
  if (file === undefined || positionals.length > 1)
    throw new PenstockError('PEN_USAGE', 'setup sql needs one pipeline file (penstock setup sql --help)')
  return setupSql(file, { dryRun: values['dry-run'] })
}

interface SetupOptions {
  /** Only prints the SQL; nothing is connected to. */
  readonly dryRun: boolean
  /** Where lines go. Default: standard output. */
  readonly print?: (line: string) => void
}

/**
 * Makes what is missing. Gives the exit code.
 * @throws ConfigError, PenstockError (PEN_USAGE) where the pipeline has no sql output
 */
export async function setupSql(
  pipelineFile: string,
  { dryRun, print = line => console.log(line) }: SetupOptions,
): Promise<number> {
  const { steps } = await outputsOf(pipelineFile, 'sql')
  const stop = new AbortController()
  const signals = onSignals(() => stop.abort(new PenstockError('PEN_STOPPED', 'stopped; tables that were made stay')))
  let code: number = EXIT.ok
  try {
    for (const { id, options, site } of steps) {
      const own = options as Options
      const { tables } = rowsOf(own, site)
      const dialect = dialectOf(own.dialect)
      if (dryRun) {
        print(`-- ${id}: ${dialect.product}, ${own.database} on ${own.host}`)
        for (const table of tables) for (const statement of dialect.create(table)) print(`${statement};`)
        continue
      }
      const database = await openDatabase(accessOf(own, site), { clock: systemClock, log: warnings(print) })
      try {
        for (const table of tables) if (!(await make(database, table, stop.signal, print))) code = EXIT.failed
      } catch (error) {
        print(`${id}: ${asError(error).message}`)
        code = EXIT.failed
      } finally {
        await database.close()
      }
    }
  } finally {
    signals.off()
  }
  return code
}

/** True when the table is as it should be now. */
async function make(database: Database, table: TableShape, signal: AbortSignal, print: (line: string) => void): Promise<boolean> {
  const { dialect, place } = database
  const name = `${table.name} in ${place}`
  return database.use(signal, async session => {
    const before = await dialect.describe(session, table.name)
    if (!before) for (const statement of dialect.create(table)) await session.run(statement)
    const found = before ?? (await dialect.describe(session, table.name))
    if (!found) {
      print(`${name}: it was made, and cannot be seen; look at the schema and at the rights of the user`)
      return false
    }
    const { wrong, other } = compare(dialect, table, found)
    if (wrong.length + other.length === 0) {
      print(`${name}: ${before ? 'is as it should be' : 'made'}`)
      return true
    }
    print(`${name}: is other than it should be, and is left as it is`)
    for (const line of wrong) print(`  nothing can be written: ${line}`)
    for (const line of other) print(`  ${line}`)
    print(`  A new one would be made so:\n${dialect.create(table).join(';\n')};`)
    return false
  })
}

function warnings(print: (line: string) => void): Log {
  return { debug() {}, info() {}, warn: (_, message) => print(message), error: (_, message) => print(message) }
}
