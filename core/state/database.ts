// Opens one file of the store: creates it, checks it, brings an older format up to date, refuses a newer or a damaged one.
import { existsSync, statSync } from 'node:fs'
import { basename } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { damaged, isDamage, refusal } from './failure.ts'
import { makeFile } from './folder.ts'
import type { Format } from './formats.ts'

/** Up to this size a file is checked whole at the start (64 MiB take about 0.1 s); of a larger one only the table of positions. */
const CHECKED_BYTES = 64 * 1024 * 1024
/** How long the opening waits for other programs. Milliseconds. */
const OPEN_WAIT_MS = 5000

/**
 * Opens a file of the store in WAL mode, with every commit synced.
 * @param beside another process may hold the lock: nothing is created, checked or migrated.
 * @throws PEN_STATE_NEWER, PEN_STATE_OLDER, PEN_STATE_DAMAGED, PEN_STATE_MISSING, or SQLite's error
 */
export function openDatabase(path: string, format: Format, beside: boolean): DatabaseSync {
  if (!beside) makeFile(path)
  else if (!existsSync(path)) throw missing(path)
  const db = new DatabaseSync(path, { timeout: OPEN_WAIT_MS })
  try {
    prepare(db, path, format, beside)
    return db
  } catch (error) {
    db.close()
    throw isDamage(error) ? damaged(path, 'is damaged, or no SQLite file at all') : error
  }
}

function prepare(db: DatabaseSync, path: string, format: Format, beside: boolean): void {
  const newest = format.migrations.length
  const id = pragma(db, 'application_id')
  const version = pragma(db, 'user_version')
  const isNew = id === 0 && version === 0 && db.prepare('SELECT 1 FROM sqlite_schema').get() === undefined
  if (!isNew && id !== format.applicationId) throw damaged(path, 'is not a file of Penstock, or not under its own name')
  if (version > newest) {
    throw refusal(
      'PEN_STATE_NEWER',
      `state: ${path} has state format ${version}, this program reads 1 to ${newest}: run the newer Penstock that wrote it, or name another folder with --state-dir`,
    )
  }
  if (beside && isNew) throw missing(path)
  if (beside && version < newest) {
    throw refusal(
      'PEN_STATE_OLDER',
      `state: ${path} has state format ${version}, this program works on ${newest}: start the pipeline with this program first, which brings it up to date`,
    )
  }
  if (!beside && !isNew) check(db, path)
  if (isNew && format.before) db.exec(format.before)
  if (version < newest) migrate(db, format, version)
  if (db.prepare('PRAGMA journal_mode = WAL').get()?.['journal_mode'] !== 'wal') {
    throw refusal(
      'PEN_STATE_UNWRITABLE',
      `state: the file system of ${path} lacks the shared memory that SQLite's WAL needs: put the state folder on a local disk`,
    )
  }
  // fullfsync: macOS needs it to reach the disk. temp_store: no file beside the two, which a full disk could refuse.
  db.exec(`PRAGMA synchronous = FULL; PRAGMA fullfsync = ON; PRAGMA checkpoint_fullfsync = ON;
    PRAGMA temp_store = MEMORY; PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON; PRAGMA busy_timeout = 0`)
}

/** Every missing migration and the new version, in one transaction. */
function migrate(db: DatabaseSync, format: Format, version: number): void {
  db.exec('BEGIN IMMEDIATE')
  for (const sql of format.migrations.slice(version)) db.exec(sql)
  db.exec(`PRAGMA application_id = ${format.applicationId}; PRAGMA user_version = ${format.migrations.length}; COMMIT`)
}

function check(db: DatabaseSync, path: string): void {
  const small = statSync(path).size <= CHECKED_BYTES
  const table = small ? '' : db.prepare("SELECT 1 FROM sqlite_schema WHERE name = 'positions'").get() ? '(positions)' : undefined
  if (table === undefined) return
  const answer = String(db.prepare(`PRAGMA quick_check${table}`).get()?.['quick_check'])
  if (answer !== 'ok') throw damaged(path, `is damaged (${answer.replace(/\s+/g, ' ').slice(0, 200)})`)
}

/** The value of a pragma that is a number. */
export function pragma(db: DatabaseSync, name: string): number {
  return Number(Object.values(db.prepare(`PRAGMA ${name}`).get() ?? {})[0])
}

function missing(path: string): Error {
  return refusal(
    'PEN_STATE_MISSING',
    `state: there is no ${basename(path)} in ${path.slice(0, -basename(path).length - 1)}: name the folder that the pipeline runs with (--state-dir)`,
  )
}
