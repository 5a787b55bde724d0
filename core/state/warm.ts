// Room that a file of the store takes in good time, so that it can commit when the disk is full.
import { statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { DatabaseSync } from 'node:sqlite'
import { pragma } from './database.ts'
import { freeBytes } from './failure.ts'
import { LETTERS_FILE, STATE_FILE } from './folder.ts'

const PAGE = 4096
/** Free pages that state.db keeps inside itself for new rows: 4 MiB. */
const FREE_PAGES = 1024
/**
 * SQLite begins its write-ahead log anew once it is longer than 1,000 pages (4 MB) and never makes it shorter; the rest is for the
 * transaction that comes on top. Bytes.
 */
const STATE_WAL_BYTES = 8 * 1024 * 1024
/** letters.db is allowed to run full; this much lets letters be removed then. Bytes. */
const LETTERS_WAL_BYTES = 6 * 1024 * 1024
/** With less than this left nothing is taken: the disk's last bytes are not the store's. */
const DISK_BYTES = 32 * 1024 * 1024

/**
 * Sees that both files have their room; costs about 25 ms at the start and next to nothing later. Throws what SQLite throws.
 * @returns false when the disk has too little left
 */
export function warm(folder: string, state: DatabaseSync, letters: DatabaseSync): boolean {
  if (freeBytes(folder) < DISK_BYTES) return false
  growLog(state, join(folder, STATE_FILE), STATE_WAL_BYTES)
  refill(state)
  growLog(letters, join(folder, LETTERS_FILE), LETTERS_WAL_BYTES)
  return true
}

/** Makes the log of a file at least this long, where the disk has room to spare. Throws what SQLite throws. */
export function warmLog(db: DatabaseSync, path: string, bytes: number): void {
  if (freeBytes(dirname(path)) >= DISK_BYTES) growLog(db, path, bytes)
}

/** Puts free pages into the file when it runs low of them. */
function refill(db: DatabaseSync): void {
  if (pragma(db, 'freelist_count') >= FREE_PAGES / 4) return
  // Two transactions, the checkpoint between them: pages that are freed in the transaction that took them are never written.
  transaction(db, `DELETE FROM reserve; INSERT INTO reserve VALUES (zeroblob(${FREE_PAGES * PAGE}))`)
  db.exec('PRAGMA wal_checkpoint(PASSIVE)')
  transaction(db, 'DELETE FROM reserve')
}

/** Makes the log at least this long: with a small cache SQLite spills a transaction's pages into it, and the rollback keeps its length. */
function growLog(db: DatabaseSync, path: string, bytes: number): void {
  const length = statSync(`${path}-wal`, { throwIfNoEntry: false })?.size ?? 0
  if (length >= bytes) return
  const pages = pragma(db, 'cache_size')
  db.exec('PRAGMA cache_size = 16')
  try {
    db.exec(`BEGIN IMMEDIATE; INSERT INTO reserve VALUES (zeroblob(${bytes}))`)
  } finally {
    if (db.isTransaction) db.exec('ROLLBACK')
    db.exec(`PRAGMA cache_size = ${pages}`)
  }
}

function transaction(db: DatabaseSync, sql: string): void {
  try {
    db.exec(`BEGIN IMMEDIATE; ${sql}; COMMIT`)
  } catch (error) {
    if (db.isTransaction) db.exec('ROLLBACK')
    throw error
  }
}
