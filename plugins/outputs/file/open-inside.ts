// Opens a file for appending and proves that it lies inside a folder, whatever links others place there meanwhile.
import { isAbsolute, join, relative, sep } from 'node:path'
import { asError, errorCode, RetryableError } from '../../../core/plugin/errors.ts'
import { APPEND, CREATE, type Disk, type Handle, leaves, makeFolder, positioned, type Stats, syncFolder } from './disk.ts'

export interface Opened {
  readonly handle: Handle
  /** The path with its folders' links resolved. */
  readonly real: string
  readonly stats: Stats
}

export interface Modes {
  /** Mode of new files. */
  readonly mode: number
  /** Make the entries of new files and folders durable. */
  readonly fsync: boolean
  /** Writes say where they go, and do not only append. */
  readonly positioned?: boolean
}

/** Whoever may read the files may enter their folders. */
export function folderMode(mode: number): number {
  return mode | ((mode & 0o444) >> 2) | 0o700
}

/** True when `path` is `folder` or lies below it; both absolute, without links. */
function inside(folder: string, path: string): boolean {
  const way = relative(folder, path)
  return !isAbsolute(way) && way !== '..' && !way.startsWith(`..${sep}`)
}

/**
 * Opens `path` below `base` (both absolute), making it and its folders where they are missing. Links in `base` itself are the
 * operator's; below it, folders may be links to folders inside of it, and the file must be none.
 * @throws PermanentError where the path leaves `base` or is no regular file; the system's errors as they are.
 */
export async function openInside(on: Disk, base: string, path: string, modes: Modes): Promise<Opened> {
  const forFolders = folderMode(modes.mode)
  await makeFolder(on, base, forFolders, modes.fsync)
  const realBase = await on.realpath(base)
  if (!inside(base, path)) throw leaves(base, path, 'it does not lie below the folder')
  const names = relative(base, path).split(sep)
  const name = names.pop()
  if (!name) throw leaves(base, path, 'it names no file')

  let folder = realBase
  for (const below of names) {
    const next = join(folder, below)
    await makeFolder(on, next, forFolders, modes.fsync)
    folder = await on.realpath(next).catch((error: unknown) => {
      throw errorCode(asError(error)) === 'ENOENT' ? leaves(base, path, `${next} is a link that leads nowhere`) : error
    })
    if (!inside(realBase, folder)) throw leaves(base, path, `${next} is a link to ${folder}`)
  }

  const real = join(folder, name)
  const handle = await openOrCreate(on, real, folder, modes)
  try {
    const stats = await handle.stat({ bigint: true })
    if (!stats.isFile()) throw leaves(base, path, 'it is no regular file')
    // Between the checks and the opening a folder may have become a link: what was opened must be what now lies there.
    if ((await on.realpath(folder)) !== folder) throw leaves(base, path, `${folder} became a link`)
    const there = await on.lstat(real)
    if (there.ino !== stats.ino || there.dev !== stats.dev)
      throw new RetryableError(`file: ${path} was moved while it was opened`)
    // A folder that is a link time and again can deceive each look at its path, but not the one at what is open.
    const place = await on.placeOf(handle)
    if (place !== undefined && !inside(realBase, place)) throw leaves(base, path, `${folder} became a link`)
    return { handle, real, stats }
  } catch (error) {
    await handle.close()
    throw error
  }
}

async function openOrCreate(on: Disk, real: string, folder: string, modes: Modes): Promise<Handle> {
  const { mode, fsync } = modes
  const flags = (all: number) => (modes.positioned ? positioned(all) : all)
  for (let tries = 1; ; tries++) {
    try {
      return await on.open(real, flags(APPEND))
    } catch (error) {
      if (errorCode(asError(error)) !== 'ENOENT') throw error
    }
    let handle: Handle
    try {
      handle = await on.open(real, flags(CREATE), mode)
    } catch (error) {
      // Somebody else made it in between.
      if (errorCode(asError(error)) === 'EEXIST' && tries < 3) continue
      throw error
    }
    try {
      // The process's umask must not narrow what was configured.
      await handle.chmod(mode)
      if (fsync) await syncFolder(on, folder)
      return handle
    } catch (error) {
      await handle.close()
      throw error
    }
  }
}
