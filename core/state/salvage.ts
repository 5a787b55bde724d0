// Takes over what can still be read from a damaged letters.db.
import { DatabaseSync } from 'node:sqlite'
import { isUnreadable } from './failure.ts'
import type { Tell } from './files.ts'
import { letterOf } from './letters.ts'

/** Copies the dead letters of a set-aside file whose checksums fit into a new one. Ids stay, and none is given away a second time. */
export function salvage(from: string, to: DatabaseSync, tell: Tell): void {
  const source = readable(() => new DatabaseSync(from))
  try {
    const newest = source ? newestId(source) : 0
    const taken = source && newest > 0 ? (readable(() => copy(source, to, newest)) ?? 0) : 0
    tell(
      'warn',
      { file: from, taken, newest },
      `state: ${taken} dead letters were taken over from ${from}; the last one written had id ${newest}`,
    )
  } finally {
    source?.close()
  }
}

function newestId(source: DatabaseSync): number {
  const ask = (sql: string) => readable(() => Number(source.prepare(sql).get()?.['id'] ?? 0)) ?? 0
  return ask("SELECT seq AS id FROM sqlite_sequence WHERE name = 'letters'") || ask('SELECT max(id) AS id FROM letters')
}

function copy(source: DatabaseSync, to: DatabaseSync, newest: number): number {
  const one = source.prepare('SELECT letters.*, NULL AS mark FROM letters WHERE id = ?')
  const names = one.columns().flatMap(({ name }) => (name === 'mark' ? [] : [name]))
  const put = to.prepare(`INSERT INTO letters (${names.map(name => `"${name}"`)}) VALUES (${names.map(() => '?')})`)
  let taken = 0
  to.exec("BEGIN IMMEDIATE; DELETE FROM sqlite_sequence WHERE name = 'letters'")
  try {
    to.prepare("INSERT INTO sqlite_sequence (name, seq) VALUES ('letters', ?)").run(newest)
    // One by one: a damaged page must cost its own letters only.
    for (let id = 1; id <= newest; id++) {
      const row = readable(() => one.get(id))
      if (!row || letterOf(row).damaged) continue
      put.run(...names.map(name => row[name] ?? null))
      taken++
    }
    to.exec('COMMIT')
    return taken
  } catch (error) {
    to.exec('ROLLBACK')
    throw error
  }
}

function readable<T>(read: () => T): T | undefined {
  try {
    return read()
  } catch (error) {
    if (isUnreadable(error)) return undefined
    throw error
  }
}
