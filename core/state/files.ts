// Opens the folder's files in order: folder, lock, positions, dead letters. What is damaged is refused, or set aside when that is asked.
import { existsSync, renameSync, statSync } from 'node:fs'
import { join } from 'node:path'
import type { DatabaseSync } from 'node:sqlite'
import { PenstockError } from '../plugin/errors.ts'
import { openDatabase } from './database.ts'
import { damaged } from './failure.ts'
import { LETTERS_FILE, prepareFolder, queueNames, STATE_FILE, SUFFIXES, takeLock } from './folder.ts'
import { type Format, LETTERS_FORMAT, QUEUE_FORMAT, STATE_FORMAT } from './formats.ts'
import type { StoreData } from './protocol.ts'
import { salvage, salvageQueue, verifyQueue } from './salvage.ts'

export interface Files {
  readonly state: DatabaseSync
  readonly letters: DatabaseSync
  /** Frees the lock. */
  release(): void
}

/** Sends a line to the engine's log. */
export type Tell = (level: 'info' | 'warn', fields: Readonly<Record<string, unknown>>, message: string) => void

/** @throws PEN_STATE_* or ENOSPC; nothing is left open or locked then */
export function openFiles({ folder, beside, setAside }: StoreData, tell: Tell): Files {
  const statePath = join(folder, STATE_FILE)
  const lettersPath = join(folder, LETTERS_FILE)
  if (!beside) prepareFolder(folder)
  const release = beside ? () => {} : takeLock(folder)
  let state: DatabaseSync | undefined
  try {
    // The positions are made first, and whole: if they are missing beside other files, they were lost, and inputs would begin anew.
    const others = [lettersPath, `${statePath}-wal`, ...queueNames(folder).map(name => join(folder, name))]
    const isLost = isAbsent(statePath) && !others.every(isAbsent)
    if (isLost && !beside) {
      if (!setAside) throw damaged(statePath, 'is missing or empty although other files of it are there')
      moveAside(statePath, tell)
    } else if (isAbsent(lettersPath) && !isAbsent(statePath) && !beside) {
      tell('warn', { folder }, `state: ${lettersPath} is missing; an empty one is begun, what lay in it is gone`)
    }
    state = open(statePath, STATE_FORMAT)
    const letters = open(lettersPath, LETTERS_FORMAT)
    // Each is opened by its own output; only a reset looks whether they can be.
    if (setAside) for (const name of queueNames(folder)) open(join(folder, name), QUEUE_FORMAT).close()
    return { state, letters, release }
  } catch (error) {
    state?.close()
    release()
    throw error
  }

  function open(path: string, format: Format): DatabaseSync {
    try {
      const db = openDatabase(path, format, beside)
      if (format === QUEUE_FORMAT) verifyQueue(db, path)
      return db
    } catch (error) {
      if (!setAside || !(error instanceof PenstockError) || error.code !== 'PEN_STATE_DAMAGED') throw error
      const aside = moveAside(path, tell)
      const db = openDatabase(path, format, beside)
      if (format === LETTERS_FORMAT) salvage(aside, db, tell)
      if (format === QUEUE_FORMAT) salvageQueue(aside, db, tell)
      return db
    }
  }
}

/** There is no such file, or it is empty: a start may have been cut off before the first transaction. */
function isAbsent(path: string): boolean {
  return !statSync(path, { throwIfNoEntry: false })?.size
}

/** Renames a file with its log; SQLite finds the log by the new name too. */
function moveAside(path: string, tell: Tell): string {
  const aside = `${path}.damaged-${new Date().toISOString().replace(/\W/g, '')}`
  for (const suffix of SUFFIXES) {
    if (existsSync(path + suffix)) renameSync(path + suffix, aside + suffix)
  }
  tell('warn', { file: aside }, `state: what was left of ${path} is set aside as ${aside}; a new one is begun`)
  return aside
}
