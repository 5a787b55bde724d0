// What is being followed, and the look around that finds files again under new names and begins to read those that are new.
import { stat } from 'node:fs/promises'
import { asError, errorCode } from '../../../core/plugin/errors.ts'
import type { Chunk } from '../../../core/plugin/interfaces.ts'
import { type Listing, look } from './discover.ts'
import {
  forget,
  type Job,
  type Opened,
  openFile,
  origins,
  present,
  type Started,
  startKnown,
  startNew,
  whyUnread,
} from './job.ts'
import type { Found } from './position.ts'
import { emptyChunk, type Reading } from './reading.ts'
import { ageOf, asItIs, close, isQuiet, type Tail, turn } from './tail.ts'

/** More than these are not kept open; those that have not grown for longest are closed, and opened again when they grow. */
const MOST_OPEN = 512
/** So many fewer are when the process has no descriptor left: the outputs need some too. For how long. Milliseconds. */
const SPARE = 16
const SPARING_MS = 60_000
/** A compressed file is read when it has been left alone for so long: before, it is still being made. Milliseconds. */
const COMPRESSED_QUIET_MS = 2000
/** A compressed file that ends too early is not decoded again before it changed, or this has passed. Milliseconds. */
const UNFINISHED_MS = 60_000

/** Something about a file of this size that counts until then (on the clock that never jumps). */
interface Note {
  readonly size: number
  readonly until: number
}

export class Followed {
  readonly #job: Job
  /** Open files by device and inode. */
  readonly tails = new Map<string, Tail>()
  /** Contents that were cut off, by partition: their last, unfinished record waits for a copy that has all of it. */
  readonly cutOff = new Map<string, { readonly reading: Reading; readonly since: number }>()
  /** By path: copies of files that are still there. Which of the two goes on is not decided yet. */
  readonly #copies = new Map<string, Note>()
  /** By path: compressed files that are still being written. */
  readonly #unfinished = new Map<string, Note>()
  /** By path: since when a compressed file has been as it is (on the clock that never jumps). */
  readonly #resting = new Map<string, { readonly size: number; readonly modified: string; readonly since: number }>()
  /** Paths that could not be opened or read. */
  readonly #failed = new Set<string>()
  /** Files to open, the next one last. */
  #queue: Found[] = []
  /** Files that were opened since the last look have been compared with what is known. */
  #swept = true
  #first = true
  #mostOpen = MOST_OPEN
  #sparingUntil = Number.NEGATIVE_INFINITY
  /** Files that were there at the first look, by device and inode, and are read from their end on. */
  readonly #fromEnd: Set<string> | undefined

  constructor(job: Job, fromEnd: boolean) {
    this.#job = job
    this.#fromEnd = fromEnd ? new Set() : undefined
  }

  /** Takes over what is there now. */
  async *look(listing: Listing): AsyncGenerator<Chunk> {
    const { troubles } = this.#job
    troubles.replace(listing.problems)
    if (listing.starved) yield* this.#spare()
    const paths = new Set(listing.files.map(({ path }) => path))
    for (const notes of [this.#copies, this.#unfinished, this.#resting])
      for (const path of notes.keys()) if (!paths.has(path)) notes.delete(path)
    for (const path of this.#failed) if (!paths.has(path)) this.#recovered(path)
    const toOpen = yield* this.#recognise(listing.files)
    if (this.#first) for (const file of toOpen) this.#fromEnd?.add(keyOf(file))
    this.#first = false
    this.#queue = toOpen.reverse()
    this.#swept = false
    yield* this.openSome()
  }

  /** Opens what is waiting for it, as far as there is room. */
  async *openSome(): AsyncGenerator<Chunk> {
    const { known, troubles } = this.#job
    if (this.#job.context.clock.monotonic() >= this.#sparingUntil) this.#mostOpen = MOST_OPEN
    while (this.#queue.length > 0) {
      if (this.tails.size >= this.#mostOpen && !(yield* this.#closeOne())) return
      if (!(yield* this.#begin(this.#queue.pop()!))) return
    }
    if (this.#swept) return
    this.#swept = true
    for (const { reading } of this.tails.values()) known.present.add(reading.partition)
    for (const partition of this.cutOff.keys()) known.present.add(partition)
    // Where something cannot be read nobody knows what is gone.
    if (troubles.size === 0) yield* forget(this.#job)
  }

  /** A closed file was written to: opens it again without a look at all others. False when it is not that simple. */
  async touched(path: string): Promise<boolean> {
    const { known } = this.#job
    const file = await look(path, false)
    if (!('ino' in file) || this.tails.has(keyOf(file))) return false
    if (!known.ofInode(file).some(([, position]) => position.path === path)) return false
    if (known.unchanged(file) === undefined) this.#queue.push(file)
    return true
  }

  /** Closes a file; its content goes on from where it stands now when it is begun again. */
  async drop(tail: Tail): Promise<void> {
    const { reading, opened } = tail
    this.tails.delete(keyOf(opened.file))
    this.#job.known.set(reading.partition, reading.position())
    await close(tail)
  }

  /** Closes a file that has not grown for long, unless it has grown just now. */
  async *rest(tail: Tail): AsyncGenerator<Chunk> {
    const { reading } = tail
    const { size, modified } = await asItIs(tail)
    if ((yield* turn(this.#job, tail)) !== 'end' || reading.pending > 0) return
    await this.drop(tail)
    const position = reading.position({ seen: { size, modified } })
    this.#job.known.set(reading.partition, position)
    yield emptyChunk(reading.partition, { position })
  }

  /** A compressed file that ended too early is left alone until it changes. */
  putOff({ opened: { file } }: Tail): void {
    this.#unfinished.set(file.path, { size: file.size, until: this.#job.context.clock.monotonic() + UNFINISHED_MS })
  }

  /** Notes that a path cannot be read, so that it can recover. */
  failed(path: string, why?: string): void {
    this.#failed.add(path)
    if (why !== undefined) this.#job.troubles.set(path, why)
  }

  #recovered(path: string): void {
    this.#failed.delete(path)
    this.#job.troubles.clear(path)
  }

  /** Finds open files again; gives those to open, the ones that may be known first: only then can a copy be told from an original. */
  async *#recognise(files: readonly Found[]): AsyncGenerator<Chunk, Found[]> {
    const { known, context, tally } = this.#job
    for (const { reading } of this.tails.values()) known.set(reading.partition, reading.position())
    known.present.clear()
    const there = new Set<Tail>()
    const familiar: Found[] = []
    const strange: Found[] = []
    for (const file of files) {
      const tail = this.tails.get(keyOf(file))
      if (tail) {
        there.add(tail)
        this.#isThere(tail, file)
        continue
      }
      const partition = known.unchanged(file)
      if (partition !== undefined) {
        if (this.#first) tally.before++
        yield* present(this.#job, partition)
      } else if (file.size > 0) (known.ofInode(file).length > 0 ? familiar : strange).push(file)
    }
    for (const tail of this.tails.values()) {
      if (there.has(tail) || tail.away || (await this.#isStillThere(tail))) continue
      context.log.info({ path: tail.reading.file.path }, 'a followed file was renamed or removed; it is read to its end')
      tail.away = true
      tail.leaving = context.clock.monotonic()
      tail.dirty = true
    }
    return [...familiar, ...strange]
  }

  #isThere(tail: Tail, file: Found): void {
    const { known, context } = this.#job
    const { reading } = tail
    known.present.add(reading.partition)
    tail.away = false
    if (tail.listed.size !== file.size || tail.listed.modified !== file.modified) tail.dirty = true
    tail.listed = file
    if (reading.file.path === file.path) return
    context.log.info({ from: reading.file.path, to: file.path }, 'a followed file was renamed')
    reading.moved(file)
    tail.leaving = context.clock.monotonic()
  }

  /** A look around may miss what it could not read just now. */
  async #isStillThere({ reading, opened }: Tail): Promise<boolean> {
    const { path } = reading.file
    if (!this.#job.finder.matches(path)) return false
    try {
      const { ino, dev } = await stat(path, { bigint: true })
      return String(ino) === opened.file.ino && String(dev) === opened.file.dev
    } catch (error) {
      const code = errorCode(asError(error))
      return code !== 'ENOENT' && code !== 'ENOTDIR'
    }
  }

  /** False when it has to wait: too many files are open. */
  async *#begin(file: Found): AsyncGenerator<Chunk, boolean> {
    const { known, context } = this.#job
    const { clock } = context
    const note = this.#unfinished.get(file.path)
    if (note?.size === file.size && clock.monotonic() < note.until) return true
    let opened: Opened
    let started: Started | undefined
    try {
      opened = await openFile(this.#job, file.path)
      try {
        started = await this.#start(opened)
      } finally {
        if (!started) await opened.handle.close()
      }
    } catch (error) {
      const why = whyUnread(error)
      const code = errorCode(asError(error))
      if (code === 'EMFILE' || code === 'ENFILE') {
        this.#queue.push(file)
        yield* this.#spare()
        return false
      }
      if (code !== 'ENOENT') this.failed(file.path, why)
      return true
    }
    if (this.#failed.has(file.path)) this.#recovered(file.path)
    if (!started) return true
    const { reading } = started
    const { partition } = reading
    this.#copies.delete(file.path)
    this.#unfinished.delete(file.path)
    this.#resting.delete(file.path)
    this.cutOff.delete(partition)
    for (const tail of this.tails.values()) if (tail.reading.partition === partition) await this.drop(tail)
    known.set(partition, reading.position())
    known.present.add(partition)
    const fromEnd = this.#fromEnd?.delete(keyOf(opened.file))
    this.tails.set(keyOf(opened.file), {
      ...started,
      opened,
      listed: opened.file,
      compressed: opened.form.compression !== 'none',
      dirty: true,
      away: false,
      leaving: undefined,
      polled: clock.monotonic(),
      grown: clock.monotonic() - ageOf(opened.file, clock),
    })
    if (fromEnd) yield emptyChunk(partition, { position: reading.position() })
    return true
  }

  /** Keeps fewer files open for a while; the others take turns. */
  async *#spare(): AsyncGenerator<Chunk> {
    const { clock, log } = this.#job.context
    const now = clock.monotonic()
    if (now >= this.#sparingUntil) {
      const open = this.tails.size
      log.warn(
        { open },
        'too many files are open (EMFILE): files are followed in turns; raise the limit (ulimit -n, LimitNOFILE)',
      )
      this.#sparingUntil = now + SPARING_MS
    }
    this.#mostOpen = Math.max(1, Math.min(this.#mostOpen, this.tails.size) - SPARE)
    while (this.tails.size > this.#mostOpen) if (!(yield* this.#closeOne())) return
  }

  /** Undefined while the file is still being made, or may be a copy that is. */
  async #start(opened: Opened): Promise<Started | undefined> {
    const { known, tally, context } = this.#job
    const { file, form } = opened
    const fromEnd = this.#fromEnd?.has(keyOf(file)) ?? false
    if (form.compression !== 'none' && !fromEnd && !this.#isLeftAlone(file)) return undefined
    for (const [partition, position] of known.ofInode(file)) {
      const started = await startKnown(this.#job, opened, partition, position, true)
      if (started) return started
      known.present.delete(partition)
    }
    for (const { partition, position, related } of origins(this.#job, opened)) {
      if (known.present.has(partition)) {
        if (related && this.#isInTheMaking(file)) return undefined
        continue
      }
      const started = await startKnown(this.#job, opened, partition, position, true)
      if (!started) continue
      const { path, offset } = position
      context.log.info({ path: file.path, from: path, offset }, 'this file holds what was read before; reading goes on in it')
      return started
    }
    tally.files++
    return await startNew(this.#job, opened, true, fromEnd)
  }

  /** By its time of change, or as it was seen: a file whose time lies ahead (a clock was set back) would wait until then. */
  #isLeftAlone(file: Found): boolean {
    const { clock } = this.#job.context
    if (ageOf(file, clock) >= COMPRESSED_QUIET_MS) return true
    const { path, size, modified } = file
    const seen = this.#resting.get(path)
    if (seen?.size === size && seen.modified === modified) return clock.monotonic() - seen.since >= COMPRESSED_QUIET_MS
    this.#resting.set(path, { size, modified, since: clock.monotonic() })
    return false
  }

  /** A copy is made before its original is cut off or removed. One that stays beside it unchanged is a file of its own. */
  #isInTheMaking({ path, size }: Found): boolean {
    const { context, options } = this.#job
    const now = context.clock.monotonic()
    const copy = this.#copies.get(path)
    if (copy?.size === size) return now < copy.until
    this.#copies.set(path, { size, until: now + options.rotate_wait_ms })
    return true
  }

  /** Closes the file that has not grown for longest, rather one without an unfinished record; false when all are needed. */
  async *#closeOne(): AsyncGenerator<Chunk, boolean> {
    let idlest: Tail | undefined
    for (const tail of this.tails.values()) {
      if (tail.dirty || tail.compressed || tail.leaving !== undefined) continue
      if (!idlest || (isQuiet(idlest) ? isQuiet(tail) && tail.grown < idlest.grown : isQuiet(tail) || tail.grown < idlest.grown))
        idlest = tail
    }
    if (!idlest) return false
    if (isQuiet(idlest)) yield* this.rest(idlest)
    else await this.drop(idlest)
    return !this.tails.has(keyOf(idlest.opened.file))
  }
}

function keyOf({ dev, ino }: Found): string {
  return `${dev}:${ino}`
}
