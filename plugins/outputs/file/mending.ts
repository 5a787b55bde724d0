// Cuts back what a failed write or a killed process left torn, and nothing that others wrote or that was acknowledged.
import { asError, errorCode } from '../../../core/plugin/errors.ts'
import type { Context } from '../../../core/plugin/interfaces.ts'
import type { Json } from '../../../core/plugin/json.ts'
import type { FormatName } from '../../lib/export/format.ts'
import { type Layout, layoutNamed, overwrites } from '../../lib/export/layout.ts'
import { APPEND, type Disk, type Handle, positioned, retryable } from './disk.ts'
import { type Compression, wholeMembers } from './members.ts'
import { closeAt, holds, wholeRows } from './structure.ts'
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
  readonly layout: Layout
  /** When the write failed in this process: how long the file was before it, and would have been after it. */
  readonly write?: { readonly before: number; readonly after: number }
}

/** Where new records may go. */
export interface End {
  /** As in Own; where an end is overwritten, the place behind the last record. */
  readonly base: number
  readonly size: number
}

const ROW = 'open'
/** What a closing bracket on a line of its own follows. */
const ELEMENT_END = Buffer.from('}\n')
const REMEMBERED = 1000

/**
 * The files in use lie in one row of the store, written when a file is opened and not with each batch: a start after a crash knows
 * from it which files may end in half a line, also those that it would not open itself (yesterday's).
 */
export class Mending {
  readonly #compression: Compression
  readonly #layout: Layout
  readonly #context: Context
  readonly #disk: Disk
  /** By real path. */
  readonly #torn = new Map<string, Torn>()
  /** Real path → inode and length of files that were closed whole: they need no look when they are opened again. */
  readonly #whole = new Map<string, string>()
  #recorded = false

  constructor(compression: Compression, layout: Layout, context: Context, disk: Disk) {
    this.#compression = compression
    this.#layout = layout
    this.#context = context
    this.#disk = disk
  }

  /** Mends what the process before left. What cannot be mended now is mended before it is written again. */
  async recover(): Promise<void> {
    const row = await this.#context.rows.get(ROW)
    if (!Array.isArray(row)) return
    // Rows of earlier versions have no format: they could write lines alone.
    for (const [real, ino, base, compression, format = 'ndjson'] of row as [string, string, number, Compression, FormatName?][]) {
      this.#torn.set(real, { ino, base, compression, layout: layoutNamed(format, compression) })
      await this.#tryToMend(real)
    }
    this.#recorded = true
    await this.record([])
  }

  /** Stores which files are in use; durable before the first byte goes to a new one. */
  async record(open: readonly Own[]): Promise<void> {
    const row: Json[] = open.map(({ real, ino, base }) => [real, String(ino), base, this.#compression, this.#layout.format])
    for (const [real, { ino, base, compression, layout }] of this.#torn) row.push([real, ino, base, compression, layout.format])
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
    this.#torn.set(file.real, { ino, base: file.base, compression: this.#compression, layout: this.#layout, write })
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
      const torn = this.#torn.get(real)
      handle = await this.#disk.open(real, torn && overwrites(torn.layout) ? positioned(APPEND) : APPEND)
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
    const { write, layout, base, compression } = torn
    const { head, close } = layout
    const body = write ? write.before - close.length : await wholeLength(handle, base, size, compression, layout)
    // An array without an element begins anew.
    const whole = body <= (overwrites(layout) ? head.length : 0) ? 0 : body + close.length
    // Before the file is cut: on a full disk what is there can be overwritten, and nothing appended.
    const closed = whole > 0 && (await closeAt(handle, body, close))
    if (whole < size) {
      await handle.truncate(whole)
      const bytes = size - whole
      const what = layout.format === 'ndjson' ? 'line' : 'record'
      if (write) this.#context.log.debug({ path: real, bytes }, `file: took ${bytes} bytes of a failed write back`)
      else this.#context.log.warn({ path: real, bytes }, `file: cut ${bytes} bytes of an unfinished ${what}`)
    } else if (closed && !write) this.#context.log.warn({ path: real }, 'file: closed an array that was left open')
    if (closed) await handle.datasync()
    this.#torn.delete(real)
    if (torn.compression !== this.#compression || layout.format !== this.#layout.format) return undefined
    if (whole > 0 && !(await holds(handle, 0, this.#layout.head))) return undefined
    return { base: overwrites(layout) ? Math.max(0, whole - close.length) : base, size: whole }
  }

  /**
   * Makes the end of an opened file fit for new records. Undefined when it is none that this output may append to: what would follow
   * could not be read.
   */
  async end(handle: Handle, real: string, ino: bigint): Promise<End | undefined> {
    // What it was left as is mended through a handle that can do it.
    if (overwrites(this.#torn.get(real)?.layout ?? this.#layout) !== overwrites(this.#layout)) await this.#mend(real)
    const known = await this.#cut(handle, real)
    if (known) return known
    const size = Number((await handle.stat({ bigint: true })).size)
    const { format, head, close } = this.#layout
    const whole = { base: Math.max(0, size - close.length), size }
    if (size === 0 || this.#whole.get(real) === `${ino}:${size}`) return whole
    // Other columns, another format, or an array that somebody else wrote.
    if (!(await holds(handle, 0, head)) || !(await this.#isClosed(handle, size))) return undefined
    if (this.#compression !== 'none') return (await wholeMembers(handle, 0, size, this.#compression)) === size ? whole : undefined
    if (await isPacked(handle)) return undefined
    // A line end may lie between quotes: rows are counted from the beginning.
    if (format === 'csv') return (await wholeRows(handle, 0, size)) < size ? undefined : whole
    if (format === 'json') return whole
    if (await endsLine(handle, size)) return whole
    await handle.writev([Buffer.from('\n')])
    this.#context.log.warn(
      { path: real },
      'file: its last line was unfinished, and not known to be ours; a line end was added to it',
    )
    return { base: size + 1, size: size + 1 }
  }

  /** True where a file ends as this output closes it, or where it closes none. */
  async #isClosed(handle: Handle, size: number): Promise<boolean> {
    const { head, close } = this.#layout
    if (!overwrites(this.#layout)) return true
    const ending = this.#compression === 'none' ? Buffer.concat([ELEMENT_END, close]) : close
    return size > head.length + close.length && holds(handle, size - ending.length, ending)
  }
}
