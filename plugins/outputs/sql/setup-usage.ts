// penstock setup sql, as far as `penstock setup` must know it: the command itself is loaded when it is called.
import type { Verb } from '../../../core/plugin/define.ts'

const usage = `Usage: penstock setup sql PIPELINE [--dry-run]

Makes the tables of every sql output of a pipeline, where they are missing. A table that is there is never changed: what is other about
it than it should be is said, and how it should be.

  --dry-run   prints the SQL for all tables, and connects to nothing

The user needs the right to make tables. A user of the output alone needs SELECT, INSERT and UPDATE.

Exit codes: 0 when all tables are as they should be; 1 when one of them is other, or could not be made.

Examples
  penstock setup sql o365-sql.yaml --dry-run
  penstock setup sql o365-sql.yaml`

export const setupVerb: Verb = {
  summary: 'Make the tables of sql outputs',
  usage,
  run: async args => (await import('./setup.ts')).setup(args),
}
