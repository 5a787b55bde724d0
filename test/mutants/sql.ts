// Faults in the sql output and input: rows that are lost, that come twice, or that take others with them.
import { type Mutant, mutantsOf } from './mutant.ts'

const WRITING = ['plugins/sql-writing', 'plugins/sql-sqlserver']
const ROWS = ['plugins/sql']
const READING = ['plugins/sql-reading', 'plugins/sql']

export const sql: readonly Mutant[] = [
  ...mutantsOf('plugins/outputs/sql/writing.ts', WRITING, [
    {
      name: 'sql-any-failure-is-a-row',
      breaks: 'A deadlock or a missing table makes dead letters',
      find: "(error.kind !== 'row' && error.kind !== 'too_large')",
      replace: 'false',
    },
    {
      name: 'sql-bad-row-takes-neighbours',
      breaks: 'The rows of the statement that failed are all refused, or none is',
      find: 'if (only && rows.length === 1) {',
      replace: 'if (only && rows.length <= 2) {',
    },
    {
      name: 'sql-half-forgotten',
      breaks: 'Of a statement that is halved the second half is not written',
      find: '[rows.slice(0, middle), rows.slice(middle)].map(',
      replace: '[rows.slice(0, middle)].map(',
    },
    {
      name: 'sql-key-twice-in-one-statement',
      breaks: 'A batch with the same id twice is refused by the database for ever',
      find: 'times.set(key, round + 1)',
      replace: 'times.set(key, round)',
    },
    {
      name: 'sql-repeat-before-the-first',
      breaks: 'Of two rows with one key the earlier one wins an update',
      find: 'late: index > 0',
      replace: 'late: index === 0',
    },
    {
      name: 'sql-large-row-sent',
      breaks: 'A row that is larger than a packet ends the connection, again and again',
      find: 'if (bytes <= maxBytes) return true',
      replace: 'if (bytes > 0) return true',
    },
    {
      name: 'sql-too-many-values',
      breaks: 'A statement has more parameters than the server takes',
      find: 'Math.floor(dialect.maxValues / shape.columns.length)',
      replace: 'dialect.maxValues',
    },
  ]),
  ...mutantsOf('plugins/lib/sql/database.ts', WRITING, [
    {
      name: 'sql-no-rollback',
      breaks: 'What a failed try has written stays in the transaction of the next',
      find: "if (!(error instanceof SqlFailure) || error.kind !== 'connection') await session.rollback()",
      replace: '',
    },
    {
      name: 'sql-no-commit',
      breaks: 'A batch is confirmed that was never committed',
      find: 'await session.commit()',
      replace: '',
    },
  ]),
  ...mutantsOf('plugins/outputs/sql/tables.ts', ROWS, [
    {
      name: 'sql-matched-values-stored',
      breaks: 'What a DLP rule matched lies in the tables',
      find: 'keep_matched_values ? found : redacted(found, event)',
      replace: 'found',
    },
    {
      name: 'sql-blank-key',
      breaks: 'Ids that differ in a blank at their end are one row',
      find: "value.endsWith(' ')",
      replace: 'false',
    },
  ]),
  ...mutantsOf('plugins/lib/sql/values.ts', ROWS, [
    {
      name: 'sql-bigint-rounded',
      breaks: 'Numbers that JavaScript has rounded are stored as if they were exact',
      find: 'Number.isSafeInteger(value)',
      replace: 'Number.isInteger(value)',
    },
  ]),
  ...mutantsOf('plugins/inputs/sql/sweep.ts', READING, [
    {
      name: 'sql-no-null-stage',
      breaks: 'Rows without a time are never read',
      find: 'if (mayBeNull && (',
      replace: 'if (!mayBeNull && (',
    },
    {
      name: 'sql-no-look-back',
      breaks: 'Rows that come late are passed over',
      find: 'before && isTime && newest !== undefined ?',
      replace: 'before && !isTime && newest !== undefined ?',
    },
    {
      name: 'sql-look-back-repeats',
      breaks: 'With each poll the rows of the last hour come again',
      find: 'if (this.#seen.has(text)) return true',
      replace: 'if (this.#seen.has(text)) return false',
    },
    {
      name: 'sql-position-back',
      breaks: 'A look back takes the position back',
      find: "if (to.nulls || !this.#beyond(to.at[0] ?? '', reached)) return",
      replace: '',
    },
  ]),
  ...mutantsOf('plugins/inputs/sql/pages.ts', READING, [
    {
      name: 'sql-ties-lost',
      breaks: 'Of rows with the same time those behind the border of a page are lost',
      find: 'if (rest.length === 0) return',
      replace: 'if (rest.length >= 0) return',
    },
    {
      name: 'sql-same-key-passed-over',
      breaks: 'Of two rows of one key at the border of a page one is lost, and nobody is told',
      find: 'if (rows.length > limit && same(keys[limit], keys[limit - 1]))',
      replace: 'if (rows.length < 0 && same(keys[limit], keys[limit - 1]))',
    },
  ]),
]
