// The open files of one output: at most so many, the least recently used closed first, each opened anew when others moved it.
import { dirname } from 'node:path'
import { asError, errorCode, RetryableError } from '../../../core/plugin/errors.ts'
import type { Context } from '../../../core/plugin/interfaces.ts'
import { type Layout, LINES, overwrites } from '../../lib/export/layout.ts'
import { type Disk, type Handle, type Stats, syncFolder } from './disk.ts'
import type { Compression } from './members.ts'
import type { Mending } from './mending.ts'
import type { OpenFile } from './open-file.ts'
import { type Modes, openInside } from './open-inside.ts'
import { periodOf, setAside } from './rotation.ts'

export interface FileSettings extends Modes {
  /** The folder that no file leaves; absolute. */
  readonly base: string
  /** Events choose the paths: one that can never be written is the event's fault, not the configuration's. */
  readonly chosen: boolean
  readonly compression: Compression
  /** What stands beside the records. Default: nothing, they are lines. */
  readonly layout?: Layout
  readonly rotateBytes: number | undefined
  readonly rotateMs: number | undefined
  readonly maxOpen: number
}

const CHECK_MS = 1000
const IDLE_MS = 5 * 60_000
/** How much of a file whose structure must be read from its beginning is read at most, after a crash. Bytes. */
const UNREAD_BYTES = 256 * 1024 * 1024
/** Who writes to which file of this process, by device and inode: two writers would cut back each other's lines. */
const writers = new Map<string, Descriptors>()

export class Descriptors {
  readonly #settings: FileSettings
  readonly #context: Context
  readonly #disk: Disk
  readonly #mending: Mending
  readonly #layout: Layout
  /** By path, the least recently used first. */
  readonly #open = new Map<string, OpenFile>()
  /** Other paths of open files (hard links, names that differ in case only where the file system does not care). */
  readonly #aliases = new Map<string, string>()
  /** Files held open at once: fewer than the settings say once the process ran out of descriptors. */
  maxOpen: number
  /** The store does not know which files are open now. */
  #unrecorded = false

  constructor(settings: FileSettings, context: Context, disk: Disk, mending: Mending) {
    this.#settings = settings
    this.#context = context
    this.#disk = disk
    this.#mending = mending
    this.#layout = settings.layout ?? LINES
    this.maxOpen = settings.maxOpen
  }

  all(): OpenFile[] {
    return [...this.#open.values()]
  }

  /** The open file of a path that `use` has given. */
  get(path: string): OpenFile {
    return this.#open.get(path) as OpenFile
  }

  /** Opens a file, or finds it open, and closes others for it but the `busy` ones. The file's own `path` may be another one. */
  async use(path: string, busy: ReadonlySet<string>): Promise<OpenFile> {
    const open = this.#open.get(this.#aliases.get(path) ?? path)
    if (open && (busy.has(open.path) || (await this.#isThere(open)))) {
      open.used = this.#context.clock.monotonic()
      this.#open.delete(open.path)
      this.#open.set(open.path, open)
      return open
    }
    await this.#closeBeyond(this.maxOpen - 1, busy)
    try {
      return await this.open(path)
    } catch (error) {
      // The rest of the process needs descriptors too, and a batch of more paths than there are descriptors must get through.
      if (['EMFILE', 'ENFILE'].includes(errorCode(asError(error)))) {
        this.maxOpen = Math.max(1, Math.min(this.maxOpen, this.#open.size) >> 1)
        await this.#closeBeyond(0, busy)
      }
      throw error
    }
  }

  async open(path: string): Promise<OpenFile> {
    for (let again = false; ; again = true) {
      const modes = { ...this.#settings, positioned: overwrites(this.#layout) }
      const { handle, real, stats } = await openInside(this.#disk, this.#settings.base, path, modes)
      const found = await this.#adopt(path, handle, real, stats).catch(async (error: unknown) => {
        await handle.close()
        throw error
      })
      if (found) return found
      await handle.close()
      if (again) throw new RetryableError(`file: ${path} holds something that cannot be appended to; name another path`)
      const { clock, log } = this.#context
      const kept = await setAside(this.#disk, real, clock.now())
      if (this.#settings.fsync) await syncFolder(this.#disk, dirname(real))
      log.warn(
        { path, kept },
        'file: what was there cannot be appended to (another format, compression or columns, or damaged); it has another name now',
      )
    }
  }

  /** Closes a file; `whole` when it is known to end as this output left it. */
  async close(file: OpenFile, whole = true): Promise<void> {
    if (this.#open.get(file.path) !== file) return
    this.#open.delete(file.path)
    this.#unrecorded = true
    this.#aliases.clear()
    writers.delete(`${file.dev}:${file.ino}`)
    if (whole) this.#mending.closed(file.real, file.ino, file.size)
    const { log } = this.#context
    await file.handle
      .close()
      .catch(error => log.warn({ path: file.path, error: asError(error).message }, 'file: closing it failed'))
  }

  /** A file of yesterday is not held open for ever: when somebody deletes it, its space must become free. */
  async closeIdle(): Promise<void> {
    for (const file of this.#open.values()) {
      if (this.#context.clock.monotonic() - file.used < IDLE_MS) return
      await this.close(file)
    }
  }

  /** What is durable of a long file is not read again after a crash. */
  confirmed(file: OpenFile): void {
    const { compression, fsync } = this.#settings
    if (this.#layout.format === 'ndjson' || compression !== 'none' || !fsync || file.size - file.base < UNREAD_BYTES) return
    file.base = file.size - this.#layout.close.length
    this.#unrecorded = true
  }

  /** Durable before the first byte goes to a newly opened file. */
  async record(): Promise<void> {
    if (!this.#unrecorded) return
    await this.#mending.record(this.all())
    this.#unrecorded = false
  }

  async #closeBeyond(count: number, busy: ReadonlySet<string>): Promise<void> {
    for (const file of this.#open.values()) {
      if (this.#open.size <= count) return
      if (!busy.has(file.path)) await this.close(file)
    }
  }

  /** Looks, at most once a second, whether the file still lies at its path and has the length it should have. */
  async #isThere(file: OpenFile): Promise<boolean> {
    const { clock, log } = this.#context
    if (clock.monotonic() - file.checked < CHECK_MS) return true
    const there = await this.#disk.lstat(file.path).catch((error: unknown) => {
      if (errorCode(asError(error)) !== 'ENOENT') throw error
    })
    // Not before: what could not be looked at is looked at again by the next try.
    file.checked = clock.monotonic()
    if (there && there.ino === file.ino && there.dev === file.dev && Number(there.size) === file.size) return true
    log.info({ path: file.path }, 'file: another program moved, removed or changed it; it is opened anew')
    await this.close(file, false)
    return false
  }

  /** Takes an opened file into the set; undefined when its content does not allow that. */
  async #adopt(path: string, handle: Handle, real: string, { dev, ino, mtimeMs }: Stats): Promise<OpenFile | undefined> {
    const key = `${dev}:${ino}`
    const writer = writers.get(key)
    if (writer === this) {
      const file = this.all().find(open => open.ino === ino && open.dev === dev) as OpenFile
      this.#aliases.set(path, file.path)
      await handle.close()
      return file
    }
    if (writer) throw new RetryableError(`file: ${path} is written by another output too; give each output a path of its own`)
    const end = await this.#mending.end(handle, real, ino)
    if (!end) return undefined
    const now = this.#context.clock.monotonic()
    const period = periodOf(Number(mtimeMs), this.#settings.rotateMs)
    const file: OpenFile = { path, real, handle, ino, dev, base: end.base, size: end.size, period, checked: now, used: now }
    writers.set(key, this)
    this.#open.set(path, file)
    this.#unrecorded = true
    return file
  }
}
