// The calls to the file system that the output makes (tests put faults in their place), and what their errors mean.
import { constants } from 'node:fs'
import * as fs from 'node:fs/promises'
import { dirname } from 'node:path'
import process from 'node:process'
import { asError, errorCode, PermanentError, RetryableError } from '../../../core/plugin/errors.ts'

export type Handle = Pick<fs.FileHandle, 'fd' | 'writev' | 'datasync' | 'sync' | 'truncate' | 'read' | 'chmod' | 'close'> & {
  stat(options: { bigint: true }): Promise<Stats>
}
export type Stats = Awaited<ReturnType<typeof statOf>>
function statOf(path: string) {
  return fs.lstat(path, { bigint: true })
}

export interface Disk {
  open(path: string, flags: number, mode?: number): Promise<Handle>
  mkdir(path: string, mode: number): Promise<void>
  rename(from: string, to: string): Promise<void>
  realpath(path: string): Promise<string>
  lstat(path: string): Promise<Stats>
  /** Where an open file lies now, whatever path it was opened by; undefined where the system does not say. */
  placeOf(handle: Handle): Promise<string | undefined>
  /** Rejects when files cannot be made in the folder. */
  writable(folder: string): Promise<void>
}

export const disk: Disk = {
  open: (path, flags, mode) => fs.open(path, flags, mode),
  mkdir: (path, mode) => fs.mkdir(path, { mode }).then(() => undefined),
  rename: (from, to) => fs.rename(from, to),
  realpath: path => fs.realpath(path),
  lstat: statOf,
  placeOf: ({ fd }) =>
    fs.readlink(`/proc/self/fd/${fd}`).catch((error: unknown) => {
      // Only Linux has it, and not every container shows it.
      if (errorCode(asError(error)) !== 'ENOENT') throw error
      return undefined
    }),
  // The dot makes a file in the folder's place an ENOTDIR.
  writable: folder => fs.access(`${folder}/.`, constants.W_OK | constants.X_OK),
}

/** Flags for a file that is appended to: reading finds the end of its last line, and no link is followed in its last name. */
export const APPEND = constants.O_RDWR | constants.O_APPEND | (constants.O_NOFOLLOW ?? 0)
export const CREATE = APPEND | constants.O_CREAT | constants.O_EXCL

/** The same flags for a file whose end is overwritten: with O_APPEND every write would go behind it. */
export function positioned(flags: number): number {
  return flags & ~constants.O_APPEND
}

/** Makes the entries of a folder durable: a new or renamed file in it survives a power cut only then. */
export async function syncFolder(on: Disk, folder: string): Promise<void> {
  // Windows opens no folders, and keeps their entries in its journal.
  if (process.platform === 'win32') return
  const handle = await on.open(folder, constants.O_RDONLY | constants.O_DIRECTORY)
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

/** Makes a folder and those above it that are missing; with `sync` their entries are durable. */
export async function makeFolder(on: Disk, folder: string, mode: number, sync: boolean): Promise<void> {
  const make = () => on.mkdir(folder, mode).then(() => true, unlessThere)
  const made = await make().catch(async (error: unknown) => {
    if (errorCode(asError(error)) !== 'ENOENT' || dirname(folder) === folder) throw error
    await makeFolder(on, dirname(folder), mode, sync)
    return make()
  })
  if (made && sync) await syncFolder(on, dirname(folder))
}

function unlessThere(error: unknown): false {
  if (errorCode(asError(error)) === 'EEXIST') return false
  throw error
}

const MEANING: Readonly<Record<string, string>> = {
  ENOSPC: 'no space is left on the device; make room and it goes on',
  EDQUOT: "the user's disk quota is used up; raise it or make room and it goes on",
  EFBIG: 'the file may not grow further; raise the limit (ulimit -f, LimitFSIZE), or rotate by size',
  EIO: 'the device reports an error; look at the disk',
  EMFILE: 'too many open files; raise the limit (ulimit -n, LimitNOFILE), or lower max_open_files',
  ENFILE: 'too many open files on this machine',
  EACCES: 'Penstock may not write there; check the owner and mode of the file and of its folders',
  EPERM: 'this is not permitted; check for an immutable file (lsattr) or a missing right',
  EROFS: 'the file system is read-only',
  ELOOP: 'a symbolic link stands where the file should be',
  ENXIO: 'it is no regular file',
  EISDIR: 'it is a folder',
  ENOTDIR: 'a file stands where a folder should be',
  ENAMETOOLONG: 'the path is too long',
  ENOENT: 'a folder on the way went away',
}

/** A fault of the disk as an error that is worth another try: `file: ENOSPC writing /out/a.ndjson: …`. */
export function retryable(error: unknown, doing: string, path: string): RetryableError {
  if (error instanceof RetryableError) return error
  const cause = asError(error)
  const code = errorCode(cause)
  return new RetryableError(`file: ${code} ${doing} ${path}: ${MEANING[code] ?? cause.message}`, { cause, code })
}

/** Faults that belong to one path, where an event chose it: trying again would fail again. */
const OF_THE_PATH = new Set(['ELOOP', 'ENXIO', 'EISDIR', 'ENOTDIR', 'ENAMETOOLONG', 'EINVAL', 'EILSEQ'])

/** The dead letter's error for a path that can never be written, or undefined. */
export function hopeless(error: unknown, path: string, base: string): PermanentError | undefined {
  if (error instanceof PermanentError) return error
  const cause = asError(error)
  const code = errorCode(cause)
  if (!OF_THE_PATH.has(code)) return undefined
  return new PermanentError(`path leaves ${base}, or cannot be a file there: ${path}: ${MEANING[code] ?? cause.message}`, {
    cause,
    code: 'PEN_PATH',
  })
}

/** The path is no place for a file, whoever asks. */
export function leaves(base: string, path: string, why: string): PermanentError {
  return new PermanentError(`path leaves ${base}: ${path}: ${why}`, { code: 'PEN_PATH' })
}
