// Writes events into tables of a SQL database: each event one row, and the same event twice is one row still.
import { defineOutput } from '../../../core/plugin/define.ts'
import type { Address, Context, Output } from '../../../core/plugin/interfaces.ts'
import { compare } from '../../lib/sql/compare.ts'
import { accessOf } from '../../lib/sql/connection-options.ts'
import { type Database, openDatabase } from '../../lib/sql/database.ts'
import type { Session, SqlValue, TableShape } from '../../lib/sql/dialect.ts'
import { SqlFailure } from '../../lib/sql/failure.ts'
import { OPTIONS } from './options.ts'
import { setupVerb } from './setup-usage.ts'
import { rowsOf } from './tables.ts'
import { type Row, type Target, targetOf, writeRows } from './writing.ts'

export default defineOutput({
  summary: 'Writes events into tables of MySQL, MariaDB, PostgreSQL or SQL Server, each event once',
  description: `
A row is found again by its key, the event's id mostly: an event that is sent twice is one row, and \`on_conflict\` says whether the
second one leaves it alone or writes it anew. Each batch is one transaction. A value that its column cannot take makes that one
event a dead letter, with what the database said; a missing table, a missing right or a wrong password makes the output wait, and
nothing is lost. The password is read again from its file.

With \`layout: o365\` the tables are those of Microsoft's own exporter script: \`auditaad\`, \`auditexchange\` and \`auditsharepoint\`, with
its columns, and \`auditgeneral\` for all other records, DLP among them, which that script left out: it has the whole record as JSON in
\`AuditData\`. Lists and objects are JSON text. The record type decides on the table, the workload where the type has no name. What
has no column there stays out, unless \`record_column\` names one. Behind the \`ecs\` filter the record is put together again from the
event, and a few operations have ECS's name then; \`record: original\` takes the record as it was read.

\`penstock setup sql PIPELINE\` makes the tables, or shows with \`--dry-run\` how; it never changes one that is there, and says what
is other about it. Times are UTC. MariaDB and PostgreSQL are tried in the tests of this project; SQL Server and Azure SQL are not: what is
tested of them is what is sent to the driver. So is the login with Entra.`,
  options: OPTIONS,
  setup: setupVerb,
  batch: { max_events: 1_000, max_bytes: 4 * 1024 * 1024, max_ms: 500 },
  examples: [
    {
      dialect: 'postgres',
      host: 'db.example',
      database: 'audit',
      user: 'penstock',
      password: 'a secret from a file',
      layout: 'o365',
      record_column: 'AuditData',
    },
    {
      dialect: 'mysql',
      database: 'siem',
      user: 'penstock',
      tables: [
        {
          table: 'logins',
          when: '"authentication" in event.category',
          columns: {
            id: { field: 'event.id', type: 'string(64)' },
            happened: { field: '@timestamp', type: 'time' },
            who: 'user.email',
            tenant: { meta: 'tenant_name' },
            document: { field: '.', type: 'json' },
          },
          key: 'id',
        },
        { table: 'others', columns: { id: { field: 'event.id', type: 'string(64)' }, action: 'event.action' }, key: 'id' },
      ],
      on_conflict: 'update',
    },
  ],
  create(options, site) {
    const access = accessOf(options, site)
    const rows = rowsOf(options, site)
    const addresses = new Map<string, Address>(rows.tables.map(({ name }) => [name, { to: name }]))
    const shapes = new Map(rows.tables.map(shape => [shape.name, shape]))

    let context: Context
    let database: Database | undefined
    /** Tables as they were found. Forgotten when the database says that something is missing. */
    const targets = new Map<string, Target>()
    let inserted = 0
    let present = 0
    let refused = 0

    const output: Output = {
      concurrency: options.connections,
      encode(event, to) {
        const { table, row } = rows.of(event)
        to.json(row)
        return addresses.get(table)
      },
      async open(given) {
        context = given
        database = await openDatabase(access, given)
      },
      async write(items, reject, signal) {
        if (!database) throw new Error('the output is not open')
        const byTable = new Map<string, Row[]>()
        items.forEach(({ bytes, address: { to = '' } }, index) => {
          const list = byTable.get(to)
          const row = { index, values: JSON.parse(textOf(bytes)) as SqlValue[], bytes: bytes.byteLength }
          if (list) list.push(row)
          else byTable.set(to, [row])
        })
        const rejected = new Map<number, Error>()
        const { rows, affected } = await database
          .use(signal, async session => {
            rejected.clear()
            const batch = new Map<Target, Row[]>()
            for (const [name, list] of byTable) batch.set(await target(session, name), list)
            return writeRows(session, batch, (index, error) => rejected.set(index, error))
          })
          .catch((error: unknown) => {
            if (error instanceof SqlFailure && error.kind === 'configuration') targets.clear()
            throw error
          })
        for (const [index, error] of rejected) reject(index, error)
        refused += rejected.size
        inserted += affected
        if (options.on_conflict === 'update') return
        present += rows - affected
        if (rows > affected) context.metrics.count('sql_rows_present', 'Events whose row was there before', rows - affected)
      },
      async close() {
        await database?.close()
      },
      summary() {
        const known: [string, number][] =
          options.on_conflict === 'update'
            ? [['rows written', inserted]]
            : [
                ['new rows', inserted],
                ['rows that were there', present],
              ]
        return { title: `SQL output ${site.id}`, rows: [...known, ['refused by the database', refused]] }
      },
    }
    return output

    async function target(session: Session, name: string): Promise<Target> {
      const known = targets.get(name)
      if (known) return known
      const wanted = shapes.get(name) as TableShape
      const { dialect, place } = database as Database
      const found = await dialect.describe(session, name)
      const missing = `${dialect.product}: there is no table ${name} in ${place}, or the user may not see it`
      if (!found) throw new SqlFailure('configuration', `${missing}; penstock setup sql makes the tables`)
      const { table, wrong, other } = compare(dialect, wanted, found)
      if (wrong.length > 0)
        throw new SqlFailure('configuration', `${dialect.product}: nothing can be written into ${name}: ${wrong.join('; ')}`)
      for (const difference of other)
        context.log.warn({ table: name }, `the table is other than setup would have made it: ${difference}`)
      const made = targetOf(dialect, table, options.on_conflict === 'update')
      targets.set(name, made)
      return made
    }
  },
})

function textOf(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).utf8Slice()
}
