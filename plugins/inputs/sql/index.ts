// Reads the rows of tables of a SQL database, in the order of a key, and new ones as they come.
import { defineInput } from '../../../core/plugin/define.ts'
import { asError, isAbort } from '../../../core/plugin/errors.ts'
import type { Context } from '../../../core/plugin/interfaces.ts'
import { accessOf } from '../../lib/sql/connection-options.ts'
import { type Database, openDatabase } from '../../lib/sql/database.ts'
import type { Session } from '../../lib/sql/dialect.ts'
import { SqlFailure } from '../../lib/sql/failure.ts'
import { OPTIONS } from './options.ts'
import { cursorOf, readPage } from './pages.ts'
import { prepare, type Ready, type Source, sourcesOf } from './sources.ts'
import { Progress } from './sweep.ts'

/** Waits between tries, doubled from the first to the last. Milliseconds. */
const [FIRST_WAIT_MS, LAST_WAIT_MS] = [500, 30_000]

export default defineInput({
  summary: 'Reads tables of MySQL, MariaDB, PostgreSQL or SQL Server, row by row, and new rows as they come',
  description: `
A row becomes a JSON object with a field for each column. DATETIME is read as UTC (\`2026-05-01T09:12:33Z\`), DECIMAL is text, BIGINT a number
up to 2⁵³ and text beyond, BLOB is base64; JSON columns, and the texts that \`json_columns\` names, become objects and lists. The id
of an event is the column \`Id\` where there is one, else a hash of the row.

Rows are read in the order of a key, page by page, each behind the last row of the one before, and the key is stored once its row is
delivered: a run that was stopped goes on there. A table needs an index on the key, or each page sorts all of it. Rows whose first
key column is NULL are read first. The input ends when all is read; the next run reads what has come since. With \`poll_interval_ms\` it
stays, and asks for new rows. Where the key begins with a time, both look \`overlap_ms\` further back, for rows that came late.

\`layout: o365\` reads the tables of Microsoft's exporter script (O365InvestigationDataAcquisition.ps1) and those of the \`sql\` output, by
\`CreationTime\` and \`Id\`: with the \`ecs\` filter behind it, history moves on to where new records go. Leave the codec as it is. An event's
\`meta\` has its \`table\`.

MariaDB and PostgreSQL are tried in the tests of this project; SQL Server and Azure SQL are not: what is tested of them is what is sent
to the driver. There a \`query\` should convert decimals and times to text itself, as the driver rounds them; for a \`table\` that is done.`,
  idField: 'Id',
  options: OPTIONS,
  examples: [
    { dialect: 'mysql', database: 'o365investigations', user: 'reader', layout: 'o365', json_columns: ['Parameters'] },
    {
      dialect: 'postgres',
      host: 'db.example',
      database: 'siem',
      user: 'reader',
      password: 'a secret from a file',
      tables: [
        { table: 'audit.logins', key: ['happened', 'id'] },
        { query: 'SELECT id, who FROM changes WHERE id > 100', name: 'changes', key: ['id'] },
      ],
      poll_interval_ms: 60_000,
    },
  ],
  create(options, site) {
    const access = accessOf(options, site)
    const sources = sourcesOf(options)
    const again = options.poll_interval_ms !== undefined
    let context: Context
    let database: Database | undefined
    let waits = 0

    return {
      async open(given) {
        context = given
        database = await openDatabase(access, given)
      },
      async *read(positions, signal) {
        const progress = new Map<Source, Progress>()
        for (const source of sources) {
          const stored = positions.get(source.name)
          if (stored !== undefined && !cursorOf(stored, source.key))
            context.log.warn({ table: source.name }, 'the key was changed: beginning again with the first row')
          progress.set(source, new Progress(source, stored))
        }
        for (;;) {
          const ready = await readySources(signal)
          for (const one of ready) {
            yield* (progress.get(one.source) as Progress).sweep(one, {
              keepNulls: options.nulls === 'keep',
              overlapMs: options.overlap_ms,
              maxEventBytes: context.maxEventBytes,
              again,
              page: from => persist(signal, (session, { dialect }) => readPage(session, dialect, one, from, options.page_rows)),
            })
          }
          if (options.poll_interval_ms === undefined) return
          await context.clock.sleep(options.poll_interval_ms, signal)
        }
      },
      async close() {
        await database?.close()
      },
    }

    function readySources(signal: AbortSignal): Promise<Ready[]> {
      return persist(signal, async (session, database) => {
        const ready: Ready[] = []
        for (const source of sources) {
          const one = await prepare(source, session, database, { jsonColumns: options.json_columns, log: context.log })
          if (one) ready.push(one)
        }
        if (ready.length > 0) return ready
        const names = sources.map(({ name }) => name).join(', ')
        throw new SqlFailure(
          'configuration',
          `${database.dialect.product}: there is none of the tables ${names} in ${database.place}`,
        )
      })
    }

    /** Does something with a connection, and tries again for ever. */
    async function persist<T>(signal: AbortSignal, work: (session: Session, database: Database) => Promise<T>): Promise<T> {
      const open = database as Database
      for (;;) {
        try {
          const result = await open.use(signal, session => work(session, open))
          if (waits > 0) {
            context.log.info({}, 'the database answers again')
            context.health('ok')
          }
          waits = 0
          return result
        } catch (thrown) {
          if (signal.aborted || isAbort(thrown)) throw thrown
          const { message } = asError(thrown)
          if (waits === 0) context.log.warn({ error: message }, 'the database cannot be read, trying again')
          context.health('degraded', message)
          const longest = Math.min(LAST_WAIT_MS, FIRST_WAIT_MS * 2 ** waits++)
          await context.clock.sleep(longest / 2 + (Math.random() * longest) / 2, signal)
        }
      }
    }
  },
})
