// What went wrong in the store, as a code and a sentence: plain data, because it crosses from the store's thread to the main one.
// Neither positions nor bytes of a letter ever get into it: SQLite's own messages could quote them, so only its code's text is used.
import { statfsSync } from 'node:fs'
import { basename } from 'node:path'
import { asError, errorCode, PenstockError } from '../plugin/errors.ts'

export interface Failure {
  readonly code: string
  readonly message: string
  readonly cause?: string
}

/** A failure to throw, and to send as it is. */
export function refusal(code: string, message: string, cause?: unknown): PenstockError {
  return new PenstockError(code, message, cause === undefined ? undefined : { cause })
}

/** The failure as the error that callers get. */
export function errorOf({ code, message, cause }: Failure): PenstockError {
  return new PenstockError(code, message, cause === undefined ? undefined : { cause: new Error(cause) })
}

const BUSY = 5
const LOCKED = 6
const READONLY = 8
const IOERR = 10
const CORRUPT = 11
const FULL = 13
const CANTOPEN = 14
const NOTADB = 26
const IOERR_WRITE = 778

/** Names of SQLite's I/O errors, by extended code: the only thing that tells a failed fsync from a failed read. */
const IO_NAMES: Readonly<Record<number, string>> = {
  266: 'SQLITE_IOERR_READ',
  522: 'SQLITE_IOERR_SHORT_READ',
  [IOERR_WRITE]: 'SQLITE_IOERR_WRITE',
  1034: 'SQLITE_IOERR_FSYNC',
  1290: 'SQLITE_IOERR_DIR_FSYNC',
  1546: 'SQLITE_IOERR_TRUNCATE',
  4874: 'SQLITE_IOERR_SHMSIZE',
}

interface SqliteError extends Error {
  readonly errcode: number
  readonly errstr: string
}

function isSqlite(error: unknown): error is SqliteError {
  return error instanceof Error && typeof (error as { errcode?: unknown }).errcode === 'number'
}

function primaryCode(error: unknown): number {
  return isSqlite(error) ? error.errcode & 0xff : 0
}

/** Somebody else holds a lock that is needed: worth another try. */
export function isBusy(error: unknown): boolean {
  const code = primaryCode(error)
  return code === BUSY || code === LOCKED
}

/** The disk is full. */
export function isFull(error: unknown): boolean {
  return primaryCode(error) === FULL
}

/** The file cannot be read as what it should be. */
export function isDamage(error: unknown): boolean {
  const code = primaryCode(error)
  return code === CORRUPT || code === NOTADB
}

/** A part of a file cannot be read: it is damaged, or the disk does not give it. */
export function isUnreadable(error: unknown): boolean {
  return isDamage(error) || primaryCode(error) === IOERR
}

/** The sentence for a file that is damaged, or lost while its neighbours are there; it names both ways out. */
export function damaged(path: string, what: string): PenstockError {
  const name = basename(path)
  const kept = name === 'letters.db' ? 'dead letters' : name.startsWith('queue-') ? 'events' : undefined
  const rest = kept
    ? `it, keep the ${kept} that can still be read, and begin a new file`
    : 'it and begin a new one; every input is then read from its beginning'
  return refusal(
    'PEN_STATE_DAMAGED',
    `state: ${path} ${what}: restore it from a backup, or let \`penstock state reset\` set aside ${rest}`,
  )
}

/** What a thrown error means for somebody who wanted to do `what` ("save positions") in `folder`. */
export function failureOf(error: unknown, folder: string, what: string): Failure {
  if (error instanceof PenstockError) return { code: error.code, message: error.message, ...causeOf(error.cause) }
  if (!isSqlite(error)) {
    // A message that is not SQLite's may quote a value.
    return { code: 'PEN_STATE_FAILED', message: `state: cannot ${what} in ${folder}: ${errorCode(asError(error))}` }
  }
  const name = IO_NAMES[error.errcode] ?? `SQLite error ${error.errcode}`
  const cause = `${error.errstr} (${name})`
  const begin = `state: cannot ${what} in ${folder}`
  const failure = (code: string, rest: string): Failure => ({ code, message: `${begin}: ${rest}`, cause })
  switch (primaryCode(error)) {
    case FULL:
      return failure('ENOSPC', 'no space left on the disk (ENOSPC); nothing of it was written: make room there')
    case IOERR:
    case CANTOPEN:
      if (freeBytes(folder) === 0)
        return failure('ENOSPC', 'no space left on the disk (ENOSPC); nothing of it was written: make room there')
      if (error.errcode === IOERR_WRITE)
        return failure(
          'PEN_STATE_IO',
          `a write was refused (${name}): a quota or a limit on the size of files is reached, or the disk fails`,
        )
      if (primaryCode(error) === IOERR)
        return failure(
          'PEN_STATE_IO',
          `the disk reported an error (${name}); nothing of it was confirmed: look into the system's log`,
        )
      return failure(
        'PEN_STATE_UNWRITABLE',
        'a file cannot be opened: see that this user may read and write the folder and its files, and that the process may open more files (ulimit -n)',
      )
    case READONLY:
      return failure('PEN_STATE_UNWRITABLE', 'it is not writable: see that this user may write the folder and its files')
    case BUSY:
    case LOCKED:
      return failure(
        'PEN_STATE_BUSY',
        'another program has kept its files locked for too long: end it (an open sqlite3 shell, a backup)',
      )
    case CORRUPT:
    case NOTADB:
      return failure('PEN_STATE_DAMAGED', 'a file is damaged: stop Penstock, then restore a backup or run `penstock state reset`')
    default:
      return failure('PEN_STATE_FAILED', error.errstr)
  }
}

function causeOf(cause: unknown): { cause?: string } {
  return cause instanceof Error ? { cause: cause.message } : {}
}

/** Bytes that are left on the disk of a folder; Infinity where nobody can tell. */
export function freeBytes(folder: string): number {
  try {
    const { bavail, bsize } = statfsSync(folder)
    return bavail * bsize
  } catch {
    return Number.POSITIVE_INFINITY
  }
}
