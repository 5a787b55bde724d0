// Takes over what can still be read from a damaged letters.db, or from a damaged disk queue.
import { DatabaseSync } from 'node:sqlite'
import { PenstockError } from '../plugin/errors.ts'
import { damaged, isDamage, isUnreadable } from './failure.ts'
import type { Tell } from './files.ts'
import { letterOf } from './letters.ts'
import { pack, queueFile, totalsOf } from './queue-file.ts'

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

/** Reads every slice of a queue. Throws PEN_STATE_DAMAGED, with the file closed, when one cannot be read or is not what was written. */
export function verifyQueue(db: DatabaseSync, path: string): void {
  try {
    let events = 0
    // Reading it checks it.
    for (const slice of queueFile(db, path).read(0, Number.POSITIVE_INFINITY)) events += slice.events
    if (events !== totalsOf(db).events) throw damaged(path, 'is damaged (its totals)')
  } catch (error) {
    db.close()
    throw isDamage(error) ? damaged(path, 'is damaged') : error
  }
}

/** Copies the slices of a set-aside queue whose checksums fit into a new one, under their ids. */
export function salvageQueue(from: string, to: DatabaseSync, tell: Tell): void {
  const source = readable(() => new DatabaseSync(from))
  const old = source && readable(() => queueFile(source, from))
  const { first, next } = (old && readable(() => old.ends())) ?? { first: 1, next: 1 }
  const file = queueFile(to, from)
  let taken = 0
  let missing = 0
  to.exec('BEGIN IMMEDIATE')
  try {
    // One by one: a damaged page must cost its own slices only.
    for (let id = first; id < next; id++) {
      const slice = readable(() => old?.one(id))
      if (!slice) {
        missing++
        continue
      }
      const { at, events, head, items, source } = slice
      const packed = pack({ id, events, head: head.toString(), items: [items], source: [source] })
      file.put(packed, at)
      file.count(events, packed.packed.length)
      taken += events
    }
    // Nobody knows which of them were sent.
    to.exec(`UPDATE totals SET sent = ${Number.MAX_SAFE_INTEGER}; COMMIT`)
  } finally {
    if (to.isTransaction) to.exec('ROLLBACK')
    source?.close()
  }
  const lost = `${missing} slices between ids ${first} and ${next - 1} cannot be read`
  tell('warn', { file: from, events: taken, missing }, `state: ${taken} events were taken over from ${from}; ${lost}`)
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
    if (isUnreadable(error) || (error instanceof PenstockError && error.code === 'PEN_STATE_DAMAGED')) return undefined
    throw error
  }
}
