// Cuts back what a failed write or a killed process left torn, and nothing that others wrote or that was acknowledged.
import { asError, errorCode } from '../../../core/plugin/errors.ts'
import type { Context } from '../../../core/plugin/interfaces.ts'
import type { Json } from '../../../core/plugin/json.ts'
import { APPEND, type Disk, type Handle, retryable } from './disk.ts'
import { type Compression, wholeMembers } from './members.ts'
import { endsLine, isPacked, wholeLength } from './tail.ts'

/** A file that this output writes, or wrote when it failed. */
export interface Own {
  /** Its path with the folders' links resolved. */
  readonly real: string
  readonly ino: bigint
  /** Where this output's own bytes begin: what lies before was there when the file was opened. */
  readonly base: number
}

interface Torn {
  readonly ino: string
  readonly base: number
  readonly compression: Compression
  /** When the write failed in this process: how long the file was before it, and would have been after it. */
  readonly write?: { readonly before: number; readonly after: number }
}

/** Where new lines may go. */
export interface End {
  readonly base: number
  readonly size: number
}

const ROW = 'open'
const REMEMBERED = 1000

/**
 * The files in use lie in one row of the store, written when a file is opened and not with each batch: a start after a crash knows
 * from it which files may end in half a line, also those that it would not open itself (yesterday's).
 */
export class Mending {
  readonly #compression: Compression
  readonly #context: Context
  readonly #disk: Disk
  /** By real path. */
  readonly #torn = new Map<string, Torn>()
  /** Real path → inode and length of files that were closed whole: they need no look when they are opened again. */
  readonly #whole = new Map<string, string>()
  #recorded = false

  constructor(compression: Compression, context: Context, disk: Disk) {
    this.#compression = compression
    this.#context = context
    this.#disk = disk
  }

  /** Mends what the process before left. What cannot be mended now is mended before it is written again. */
  async recover(): Promise<void> {
    const row = await this.#context.rows.get(ROW)
    if (!Array.isArray(row)) return
    for (const [real, ino, base, compression] of row as [string, string, number, Compression][]) {
      this.#torn.set(real, { ino, base, compression })
      await this.#tryToMend(real)
    }
    this.#recorded = true
    await this.record([])
  }

  /** Stores which files are in use; durable before the first byte goes to a new one. */
  async record(open: readonly Own[]): Promise<void> {
    const row: Json[] = open.map(({ real, ino, base }) => [real, String(ino), base, this.#compression])
    for (const [real, { ino, base, compression }] of this.#torn) row.push([real, ino, base, compression])
    if (row.length === 0 && !this.#recorded) return
    await this.#context.rows.put([[ROW, row.length > 0 ? row : null]])
    this.#recorded = row.length > 0
  }

  /** The file was closed after a whole line. */
  closed(real: string, ino: bigint, size: number): void {
    if (this.#whole.size >= REMEMBERED) this.#whole.clear()
    this.#whole.set(real, `${ino}:${size}`)
  }

  /** Cuts a closed file back to `before`, because a write that would have made it `after` long failed. */
  async undo(file: Own, before: number, after: number): Promise<void> {
    const ino = String(file.ino)
    const earlier = this.#torn.get(file.real)
    const owed = earlier?.ino === ino ? earlier.write : undefined
    const write = { before: Math.min(before, owed?.before ?? before), after: Math.max(after, owed?.after ?? after) }
    this.#torn.set(file.real, { ino, base: file.base, compression: this.#compression, write })
    await this.#tryToMend(file.real)
  }

  /** Mends what an earlier try of a batch could not; throws while it cannot: else the batch would be there twice. */
  async settle(): Promise<void> {
    for (const [real, { write }] of this.#torn) if (write) await this.#mend(real)
  }

  async #tryToMend(real: string): Promise<void> {
    await this.#mend(real).catch(error => {
      const why = asError(error).message
      this.#context.log.warn(
        { path: real, error: why },
        'file: its end cannot be mended now; it is tried again before the next write',
      )
    })
  }

  async #mend(real: string): Promise<void> {
    let handle: Handle | undefined
    try {
      handle = await this.#disk.open(real, APPEND)
      await this.#cut(handle, real)
    } catch (error) {
      if (errorCode(asError(error)) !== 'ENOENT') throw retryable(error, 'mending', real)
      this.#torn.delete(real)
    } finally {
      await handle?.close().catch(() => undefined)
    }
  }

  /** Undefined when nothing is known of the file, or another file has its name. */
  async #cut(handle: Handle, real: string): Promise<End | undefined> {
    const torn = this.#torn.get(real)
    if (!torn) return undefined
    const stats = await handle.stat({ bigint: true })
    const size = Number(stats.size)
    // Longer or shorter than the failed write can have left it: another program changed it, and its lines are not ours to cut.
    const changed = torn.write && (size > torn.write.after || size < torn.write.before)
    if (!stats.isFile() || torn.ino !== String(stats.ino) || size < torn.base || changed) {
      this.#torn.delete(real)
      return undefined
    }
    const { write } = torn
    const whole = write ? write.before : await wholeLength(handle, torn.base, size, torn.compression)
    if (whole < size) {
      await handle.truncate(whole)
      const bytes = size - whole
      if (write) this.#context.log.debug({ path: real, bytes }, `file: took ${bytes} bytes of a failed write back`)
      else this.#context.log.warn({ path: real, bytes }, `file: cut ${bytes} bytes of an unfinished line`)
    }
    this.#torn.delete(real)
    return torn.compression === this.#compression ? { base: torn.base, size: whole } : undefined
  }

  /**
   * Makes the end of an opened file fit for new lines. Undefined when it is none that this output may append to: what would follow
   * could not be read.
   */
  async end(handle: Handle, real: string, ino: bigint): Promise<End | undefined> {
    const known = await this.#cut(handle, real)
    if (known) return known
    const size = Number((await handle.stat({ bigint: true })).size)
    const whole = { base: size, size }
    if (size === 0 || this.#whole.get(real) === `${ino}:${size}`) return whole
    if (this.#compression !== 'none') return (await wholeMembers(handle, 0, size, this.#compression)) === size ? whole : undefined
    if (await isPacked(handle)) return undefined
    if (await endsLine(handle, size)) return whole
    await handle.writev([Buffer.from('\n')])
    this.#context.log.warn(
      { path: real },
      'file: its last line was unfinished, and not known to be ours; a line end was added to it',
    )
    return { base: size + 1, size: size + 1 }
  }
}
