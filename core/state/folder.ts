// The state folder: made for its owner only, refused when it cannot be written, locked by one engine at a time.
import {
  accessSync,
  chmodSync,
  closeSync,
  constants,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { hostname } from 'node:os'
import { dirname, join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { asError, errorCode } from '../plugin/errors.ts'
import { isBusy, isDamage, refusal } from './failure.ts'

export const STATE_FILE = 'state.db'
export const LETTERS_FILE = 'letters.db'
const LOCK_FILE = 'lock.db'
const PID_FILE = 'lock.pid'

/** A disk queue's file. Ids of pipelines and outputs have no dot: every name means one output. */
export const QUEUE_NAME = /^queue-([a-z0-9_-]+)\.([a-z0-9_-]+)\.db$/

/** Names of the files of all disk queues; none where there is no folder. */
export function queueNames(folder: string): string[] {
  if (!statSync(folder, { throwIfNoEntry: false })?.isDirectory()) return []
  return readdirSync(folder)
    .filter(name => QUEUE_NAME.test(name))
    .sort()
}

/** What SQLite adds to the name of a file, and the file itself. */
export const SUFFIXES = ['', '-wal', '-shm', '-journal']

/**
 * Makes the folder (0700) if there is none, and checks that it and all its files can be written; their modes become 0600.
 * @throws PEN_STATE_UNWRITABLE, or ENOSPC
 */
export function prepareFolder(folder: string): void {
  try {
    if (!statSync(folder, { throwIfNoEntry: false })) makeFolder(folder)
    if (!statSync(folder).isDirectory()) throw Object.assign(new Error('not a directory'), { code: 'ENOTDIR' })
    accessSync(folder, constants.R_OK | constants.W_OK | constants.X_OK)
  } catch (error) {
    throw unwritable(folder, error)
  }
  const databases = [STATE_FILE, LETTERS_FILE, ...queueNames(folder)].flatMap(name => SUFFIXES.map(suffix => name + suffix))
  for (const name of [...databases, LOCK_FILE, PID_FILE]) {
    const path = join(folder, name)
    try {
      const mode = statSync(path, { throwIfNoEntry: false })?.mode
      if (mode === undefined) continue
      accessSync(path, constants.R_OK | constants.W_OK)
      if (mode & 0o077) chmodSync(path, 0o600)
    } catch (error) {
      throw unwritable(path, error)
    }
  }
}

function makeFolder(folder: string): void {
  let parent = dirname(folder)
  while (!statSync(parent, { throwIfNoEntry: false }) && parent !== dirname(parent)) parent = dirname(parent)
  // mkdir alone would say ENOENT for a disk that is read-only.
  if (statSync(parent).isDirectory()) accessSync(parent, constants.W_OK | constants.X_OK)
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  // The umask may have taken bits away that the owner needs.
  chmodSync(folder, 0o700)
  syncFolder(parent)
}

/** An empty file that only its owner may read; one that is there already stays. SQLite gives its -wal and -shm the same mode. */
export function makeFile(path: string): void {
  try {
    const file = openSync(path, 'wx', 0o600)
    closeSync(file)
    chmodSync(path, 0o600)
    syncFolder(dirname(path))
  } catch (error) {
    if (errorCode(asError(error)) !== 'EEXIST') throw unwritable(dirname(path), error)
  }
}

/**
 * Keeps every other engine out until the returned function is called, or the process ends in whatever way. The lock is SQLite's own
 * on an empty file, which nothing but SQLite may open: closing any other handle on it would free the lock (POSIX). Nothing is ever
 * written to that file, so no power cut can damage it; whose it is stands in a file beside it.
 * @throws PEN_STATE_IN_USE
 */
export function takeLock(folder: string): () => void {
  const path = join(folder, LOCK_FILE)
  const pidFile = join(folder, PID_FILE)
  const lock = openLock(path)
  try {
    chmodSync(path, 0o600)
    lock.exec('PRAGMA journal_mode = MEMORY; BEGIN IMMEDIATE')
  } catch (error) {
    lock.close()
    if (isBusy(error)) throw inUse(folder, pidFile, error)
    if (isDamage(error))
      throw refusal('PEN_STATE_DAMAGED', `state: ${path} is no lock of Penstock: delete it while no engine runs`, error)
    throw error
  }
  try {
    writeFileSync(pidFile, `${process.pid} ${hostname()}\n`, { mode: 0o600 })
    chmodSync(pidFile, 0o600)
  } catch (error) {
    lock.close()
    throw unwritable(folder, error)
  }
  return () => {
    // Before the lock goes: afterwards the file may be another process's.
    try {
      rmSync(pidFile, { force: true })
    } catch {
      // A disk that has turned read-only keeps the name of a process that is gone, as a kill -9 does.
    }
    lock.close()
  }
}

function openLock(path: string): DatabaseSync {
  try {
    return new DatabaseSync(path, { timeout: 0 })
  } catch (error) {
    throw unwritable(path, error)
  }
}

function inUse(folder: string, pidFile: string, cause: unknown): Error {
  return refusal(
    'PEN_STATE_IN_USE',
    `state: ${folder} is in use by ${holder(pidFile)}: one engine at a time may work on a state folder; stop it, or name another folder with --state-dir`,
    cause,
  )
}

/** Who holds the lock, as far as the file beside it can tell: after a kill -9 it may still name the process before. */
function holder(pidFile: string): string {
  const [, pid, host] = /^(\d{1,10}) (\S{1,255})\n$/.exec(readText(pidFile)) ?? []
  if (pid === undefined || host === undefined) return 'another process'
  if (host !== hostname()) return `pid ${pid} on host ${host}`
  return Number(pid) === process.pid ? `this process (pid ${pid})` : isAlive(Number(pid)) ? `pid ${pid}` : 'another process'
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return errorCode(asError(error)) === 'EPERM'
  }
}

function unwritable(path: string, error: unknown): Error {
  const code = errorCode(asError(error))
  if (code === 'ENOSPC' || code === 'EDQUOT') {
    return refusal('ENOSPC', `state: cannot create files in ${path}: no space left on the disk (${code}): make room there`, error)
  }
  if (code === 'EMFILE' || code === 'ENFILE')
    return refusal('PEN_STATE_IO', `state: ${path} cannot be opened (${code}): too many files are open`, error)
  const why = code === 'ENOTDIR' || code === 'EEXIST' ? `is not a folder (${code})` : `is not writable (${code})`
  return refusal(
    'PEN_STATE_UNWRITABLE',
    `state: ${path} ${why}: name a folder with --state-dir that this user may write, or give this user the right to`,
    error,
  )
}

/** Makes new entries of a folder survive a power cut. Windows has no such call and needs none. */
function syncFolder(folder: string): void {
  if (process.platform === 'win32') return
  const handle = openSync(folder, 'r')
  try {
    fsyncSync(handle)
  } finally {
    closeSync(handle)
  }
}
