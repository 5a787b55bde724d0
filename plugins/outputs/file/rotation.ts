// When a file is set aside, and the name it gets then.
import { basename, dirname, join } from 'node:path'
import { asError, errorCode } from '../../../core/plugin/errors.ts'
import type { Disk } from './disk.ts'

/** Bytes that `asideName` adds to a name. */
export const ASIDE_BYTES = '.20260501T101530Z-0001'.length

/** Number of the period (UTC, counted from 1970) that a time in milliseconds lies in. */
export function periodOf(time: number, rotateMs: number | undefined): number {
  return rotateMs === undefined ? 0 : Math.floor(time / rotateMs)
}

/**
 * `audit.ndjson.gz` → `audit.20260501T101530Z-0001.ndjson.gz`: the endings stay, so that globs and tools still know the file, and
 * names sort by age with the file in use last.
 */
function asideName(path: string, time: number, number: number): string {
  const name = basename(path)
  const endings = /(?<=.)(?:\.[A-Za-z]\w{0,9})?(?:\.(?:gz|zst))?$/.exec(name)?.[0] ?? ''
  const stamp = new Date(time).toISOString().replace(/[-:]|\.\d+/g, '')
  const stem = name.slice(0, name.length - endings.length)
  return join(dirname(path), `${stem}.${stamp}-${String(number).padStart(4, '0')}${endings}`)
}

/** Renames a file to the first free name of that kind; resolves to it. The folder is yet to be synced. */
export async function setAside(on: Disk, path: string, time: number): Promise<string> {
  for (let number = 1; ; number++) {
    const to = asideName(path, time, number)
    const free = await on.lstat(to).then(
      () => false,
      (error: unknown) => {
        if (errorCode(asError(error)) === 'ENOENT') return true
        throw error
      },
    )
    if (!free) continue
    await on.rename(path, to)
    return to
  }
}
