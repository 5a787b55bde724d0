// One file that is open for appending.
import { RetryableError } from '../../../core/plugin/errors.ts'
import { rest } from '../../lib/slices.ts'
import { type Handle, retryable } from './disk.ts'
import type { Own } from './mending.ts'

export interface OpenFile extends Own {
  /** Absolute, as it was asked for. */
  readonly path: string
  readonly handle: Handle
  readonly dev: bigint
  size: number
  /** Moves on, so that a start after a crash need not read all of a long file. */
  base: number
  /** The rotation period that its content belongs to. */
  period: number
  /** When it was last looked for at its path; monotonic milliseconds. */
  checked: number
  /** When it was last asked for; monotonic milliseconds. */
  used: number
}

/**
 * Appends all `bytes` bytes of the slices, going on after a short write. `from`: where they go in a file whose end is overwritten.
 */
export async function appendAll(file: OpenFile, slices: readonly Uint8Array[], bytes: number, from?: number): Promise<void> {
  let left = slices
  if (from !== undefined) file.size = from
  try {
    for (let done = 0; done < bytes; ) {
      const { bytesWritten } = await file.handle.writev(left, from === undefined ? undefined : from + done)
      if (bytesWritten === 0) throw Object.assign(new Error('the system took none of the bytes'), { code: 'EIO' })
      done += bytesWritten
      file.size += bytesWritten
      if (done < bytes) left = rest(left, bytesWritten)
    }
  } catch (error) {
    throw retryable(error, 'writing', file.path)
  }
}

/** True when nobody else has made the file longer or shorter. */
export async function isAsLeft(file: OpenFile): Promise<boolean> {
  const { size } = await file.handle.stat({ bigint: true }).catch(error => {
    throw retryable(error, 'reading', file.path)
  })
  return Number(size) === file.size
}

/**
 * Resolves when what was appended is durable and lies in a file that has a name; to false when another program appends to it too.
 * After a failed sync the bytes may be gone although a second sync succeeds: the caller cuts them off and writes them again.
 */
export async function confirm(file: OpenFile, fsync: boolean): Promise<boolean> {
  const synced = fsync ? file.handle.datasync() : undefined
  const [stats] = await Promise.all([file.handle.stat({ bigint: true }), synced]).catch(error => {
    throw retryable(error, 'syncing', file.path)
  })
  const size = Number(stats.size)
  if (stats.nlink === 0n)
    throw new RetryableError(`file: ${file.path} was removed while it was written; the batch is written again`)
  if (size < file.size) throw new RetryableError(`file: ${file.path} was cut by another program; the batch is written again`)
  return size === file.size
}
