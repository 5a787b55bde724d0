// Writes batches to files, rotates them, and leaves every file as it was when a batch fails.
import { dirname } from 'node:path'
import { asError, errorCode, RetryableError } from '../../../core/plugin/errors.ts'
import type { Context, Item } from '../../../core/plugin/interfaces.ts'
import { type Layout, LINES, overwrites } from '../../lib/export/layout.ts'
import { compress } from '../../lib/export/packing.ts'
import { lengthOf, rest, slicesOf } from '../../lib/slices.ts'
import { Descriptors, type FileSettings } from './descriptors.ts'
import { type Disk, hopeless, makeFolder, retryable, syncFolder } from './disk.ts'
import { Mending } from './mending.ts'
import { appendAll, confirm, isAsLeft, type OpenFile } from './open-file.ts'
import { folderMode } from './open-inside.ts'
import { periodOf, setAside } from './rotation.ts'

/** What goes to one path. */
export interface Group {
  /** Absolute. */
  readonly path: string
  readonly items: readonly Item[]
  /** Every item becomes a dead letter. */
  refuse(error: Error): void
}

/** A write of the batch under way. */
interface Mark {
  readonly file: OpenFile
  /** Where the file lies now: a rotation renames it. */
  real: string
  readonly before: number
  readonly after: number
}

export class FileSet {
  readonly #settings: FileSettings
  readonly #layout: Layout
  readonly #context: Context
  readonly #disk: Disk
  readonly #mending: Mending
  readonly #files: Descriptors
  #turn: Promise<unknown> = Promise.resolve()
  #cancelRotation: (() => void) | undefined

  constructor(settings: FileSettings, context: Context, disk: Disk) {
    this.#settings = settings
    this.#layout = settings.layout ?? LINES
    this.#context = context
    this.#disk = disk
    this.#mending = new Mending(settings.compression, this.#layout, context, disk)
    this.#files = new Descriptors(settings, context, disk, this.#mending)
  }

  /** Mends what a crash left, and sees that files can be made; `path` is the only one there will be, where no event chooses. */
  async start(path: string | undefined): Promise<void> {
    const { base, mode, fsync, rotateMs } = this.#settings
    await this.#mending.recover()
    try {
      await makeFolder(this.#disk, base, folderMode(mode), fsync)
      const there = path !== undefined && (await this.#disk.lstat(path).catch(unlessMissing))
      if (there) await this.#files.open(path)
      else await this.#disk.writable(base)
    } catch (error) {
      throw retryable(error, 'opening', path ?? base)
    }
    if (rotateMs !== undefined) this.#rotateAtPeriodEnd(rotateMs)
  }

  /** Resolves to the number of bytes written when all is durable; a throw leaves every file as long as it was before. */
  write(groups: readonly Group[]): Promise<number> {
    return this.#alone(async () => {
      const marks: Mark[] = []
      try {
        await this.#mending.settle()
        await this.#files.closeIdle()
        let bytes = 0
        for (let from = 0; from < groups.length; ) {
          const some = groups.slice(from, from + this.#files.maxOpen)
          bytes += await this.#writeSome(some, marks)
          from += some.length
        }
        return bytes
      } catch (error) {
        // The whole batch comes again: what other files got of it already would be there twice, once more with each try.
        for (const { file } of marks) await this.#files.close(file, false)
        for (const { file, real, before, after } of marks.reverse()) await this.#mending.undo({ ...file, real }, before, after)
        throw retryable(error, 'writing to', this.#settings.base)
      }
    })
  }

  close(): Promise<void> {
    this.#cancelRotation?.()
    return this.#alone(async () => {
      for (const file of this.#files.all()) await this.#files.close(file)
      // With a full disk the row stays, and the next start looks at files that end as they should.
      await this.#mending
        .record([])
        .catch(error =>
          this.#context.log.warn({ error: asError(error).message }, 'file: the row of open files could not be removed'),
        )
    })
  }

  async #writeSome(groups: readonly Group[], marks: Mark[]): Promise<number> {
    const busy = new Set<string>()
    const ready: [path: string, items: readonly Item[]][] = []
    for (const { path, items, refuse } of groups) {
      try {
        const file = await this.#files.use(path, busy)
        busy.add(file.path)
        ready.push([file.path, items])
      } catch (error) {
        const refused = this.#settings.chosen ? hopeless(error, path, this.#settings.base) : undefined
        if (!refused) throw retryable(error, 'opening', path)
        refuse(refused)
      }
    }
    await this.#files.record()
    let bytes = 0
    for (const [path, items] of ready) bytes += await this.#append(path, items, marks)
    await Promise.all([...busy].map(path => this.#confirm(this.#files.get(path))))
    return bytes
  }

  async #append(path: string, items: readonly Item[], marks: Mark[]): Promise<number> {
    const { compression } = this.#settings
    const { head, next, close, skip } = this.#layout
    let total = 0
    for (let from = 0; from < items.length; ) {
      let file = this.#files.get(path)
      const to = this.#fit(file, items, from)
      const all = slicesOf(to - from === items.length ? items : items.slice(from, to))
      const plain = skip > 0 ? rest(all, skip) : all
      const records = compression === 'none' ? plain : await compress(plain, compression)
      if (this.#isDue(file, next.length + lengthOf(records))) {
        await this.#rotate(file, marks)
        file = await this.#files.open(path)
        await this.#files.record()
      }
      if (file.size === 0) file.period = this.#period()
      else if (overwrites(this.#layout)) await this.#isOurs(file)
      const slices = [file.size === 0 ? head : next, ...records, close].filter(({ length }) => length > 0)
      const bytes = lengthOf(slices)
      const start = file.size === 0 ? 0 : file.size - close.length
      marks.push({ file, real: file.real, before: file.size, after: start + bytes })
      await appendAll(file, slices, bytes, overwrites(this.#layout) ? start : undefined)
      total += bytes
      from = to
    }
    return total
  }

  /** Before the end of a file is overwritten: what another program put there is not. */
  async #isOurs(file: OpenFile): Promise<void> {
    if (await isAsLeft(file)) return
    await this.#files.close(file, false)
    throw new RetryableError(
      `file: ${file.path} was changed by another program; it is opened anew and the batch is written again`,
    )
  }

  async #confirm(file: OpenFile): Promise<void> {
    // Where another program appends as well, the file's end is looked at again before the next line.
    if (await confirm(file, this.#settings.fsync)) this.#files.confirmed(file)
    else await this.#files.close(file, false)
  }

  /** How far the items from `from` on fit into one file; at least one does. Compressed sizes are not known before: all do. */
  #fit(file: OpenFile, items: readonly Item[], from: number): number {
    const { rotateBytes, compression } = this.#settings
    if (rotateBytes === undefined || compression !== 'none') return items.length
    const { head, next, close, skip } = this.#layout
    let bytes = sizeOf(items[from] as Item) - skip
    const fresh = file.size === 0 || this.#isDue(file, next.length + bytes)
    const room = fresh ? rotateBytes - head.length - close.length : rotateBytes - file.size - next.length
    let to = from + 1
    for (; to < items.length; to++) {
      bytes += sizeOf(items[to] as Item)
      if (bytes > room) break
    }
    return to
  }

  #isDue(file: OpenFile, bytes: number): boolean {
    const { rotateBytes, rotateMs } = this.#settings
    if (file.size === 0) return false
    return (
      (rotateBytes !== undefined && file.size + bytes > rotateBytes) || (rotateMs !== undefined && file.period !== this.#period())
    )
  }

  #period(): number {
    return periodOf(this.#context.clock.now(), this.#settings.rotateMs)
  }

  async #rotate(file: OpenFile, marks: readonly Mark[]): Promise<void> {
    const { fsync } = this.#settings
    const { clock, log } = this.#context
    try {
      if (fsync) await file.handle.datasync()
      await this.#files.close(file)
      const there = await this.#disk.lstat(file.real).catch(unlessMissing)
      // Another program has moved it already.
      if (there?.ino !== file.ino) return
      const to = await setAside(this.#disk, file.real, clock.now())
      for (const mark of marks) if (mark.file === file) mark.real = to
      if (fsync) await syncFolder(this.#disk, dirname(to))
      log.debug({ path: file.path, to }, 'file: rotated')
    } catch (error) {
      throw retryable(error, 'rotating', file.path)
    }
  }

  /** Rotates also where nothing comes any more, so that whoever collects the rotated files gets the last one. */
  #rotateAtPeriodEnd(rotateMs: number): void {
    const { clock, log } = this.#context
    // Timers overflow after 24 days.
    const wait = Math.min(rotateMs - (clock.now() % rotateMs), 86_400_000)
    this.#cancelRotation = clock.after(wait, () => {
      this.#rotateAtPeriodEnd(rotateMs)
      this.#alone(async () => {
        for (const file of this.#files.all()) if (this.#isDue(file, 0)) await this.#rotate(file, [])
      }).catch(error =>
        log.warn({ error: asError(error).message }, 'file: a file could not be rotated; it is tried again before its next line'),
      )
    })
  }

  /** One after the other: writes, the timer's rotations, closing. */
  #alone<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#turn.then(work)
    this.#turn = result.catch(() => undefined)
    return result
  }
}

function sizeOf({ start, end }: Item): number {
  return end - start
}

function unlessMissing(error: unknown): undefined {
  if (errorCode(asError(error)) !== 'ENOENT') throw error
}
