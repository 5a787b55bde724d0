// Reads what is there to the end, one file after the other.
import { asError, errorCode } from '../../../core/plugin/errors.ts'
import type { Chunk } from '../../../core/plugin/interfaces.ts'
import { isDamage } from '../../lib/bytes/damage.ts'
import { ContentChanged } from './content.ts'
import { foundAs } from './discover.ts'
import {
  forget,
  type Job,
  looksLike,
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

/** Waits for a free file descriptor: first and longest. Milliseconds. */
const BUSY_MIN_MS = 100
const BUSY_MAX_MS = 5000

export async function* readOnce(job: Job, signal: AbortSignal): AsyncGenerator<Chunk> {
  const { context, options, finder, troubles } = job
  const done = new Set<string>()
  for (;;) {
    const listing = await finder.list()
    troubles.replace(listing.problems)
    for (const pattern of listing.unmatched) troubles.set(pattern, 'no file matches')
    const unread = () => troubles.size - listing.unmatched.length
    const files = listing.files.filter(file => !done.has(file.path))
    for (const file of files) done.add(file.path)
    yield* readAll(job, files, signal)
    if (listing.missing.length === 0 || options.missing === 'error') {
      // Where a folder cannot be read nobody knows what is gone.
      if (unread() === 0) yield* forget(job)
      return
    }
    await context.clock.sleep(options.discover_interval_ms, signal)
  }
}

async function* readAll(job: Job, files: readonly Found[], signal: AbortSignal): AsyncGenerator<Chunk> {
  const { known, tally } = job
  const left: Found[] = []
  for (const file of files) {
    const partition = known.unchanged(file)
    if (partition !== undefined) {
      tally.before++
      yield* present(job, partition)
    } else if (file.size > 0) left.push(file)
    else tally.files++
  }
  // Whose file is there has to be known before a copy can be told from its original.
  for (const file of left) await claim(job, file, signal)
  for (const file of left) {
    if (signal.aborted) return
    const opened = await tryOpen(job, file.path, signal)
    if (!opened) continue
    try {
      yield* readFile(job, opened, signal)
    } catch (error) {
      const changed = error instanceof ContentChanged
      job.troubles.set(
        file.path,
        changed ? 'it was cut off while it was read; what was not read by then is lost' : whyUnread(error),
      )
    } finally {
      await opened.handle.close()
    }
  }
}

/** Marks the content that was read from this file before as still being there. */
async function claim(job: Job, file: Found, signal: AbortSignal): Promise<void> {
  const candidates = job.known.ofInode(file)
  if (candidates.length === 0) return
  const opened = await tryOpen(job, file.path, signal)
  if (!opened) return
  const [found] = candidates.find(([, position]) => looksLike(opened, position)) ?? []
  if (found !== undefined) job.known.present.add(found)
  await opened.handle.close()
}

/** Undefined when it cannot be read, which is told then. Waits where too many files are open. */
async function tryOpen(job: Job, path: string, signal: AbortSignal): Promise<Opened | undefined> {
  const { context, troubles } = job
  for (let wait = BUSY_MIN_MS; ; wait = Math.min(wait * 2, BUSY_MAX_MS)) {
    try {
      const opened = await openFile(job, path)
      troubles.clear(path)
      return opened
    } catch (error) {
      const why = whyUnread(error)
      const code = errorCode(asError(error))
      troubles.set(path, code === 'ENOENT' ? 'it is gone' : why)
      if (code !== 'EMFILE' && code !== 'ENFILE') return undefined
      await context.clock.sleep(wait, signal)
    }
  }
}

async function* readFile(job: Job, opened: Opened, signal: AbortSignal): AsyncGenerator<Chunk> {
  const { known, tally } = job
  const { file } = opened
  const { reading, content, rest } = await start(job, opened)
  known.present.add(reading.partition)
  const begun = reading.offset
  const before = known.get(reading.partition)
  try {
    if (rest) yield* reading.push(rest)
    for (;;) {
      const piece = await content.next()
      if (signal.aborted) return
      if (piece === undefined) break
      if (!isDamage(piece)) yield* reading.push(piece)
      else if (piece.truncated && (await stillGrows(opened))) return yield* reading.flush()
      else yield* reading.damage(piece)
    }
    const now = foundAs(file.path, await opened.handle.stat({ bigint: true }))
    if (now.size < file.size) throw new ContentChanged()
    // What was written meanwhile may go on in the middle of a record: it is for the next run, with the record's beginning.
    if (now.size > file.size) return yield* reading.flush()
    for (const piece of content.end()) yield* isDamage(piece) ? reading.damage(piece) : reading.push(piece)
    yield* reading.finish({ seen: { size: now.size, modified: now.modified } })
  } finally {
    await content.close()
    const position = reading.position()
    known.set(reading.partition, position)
    tally.damages += reading.told
    if (before && reading.offset === begun) tally.before++
    else tally.files++
    tally.bytes += reading.offset - begun
  }
}

/** Where to begin: behind what was read of the same content before, in this file or in one that is gone. */
async function start(job: Job, opened: Opened): Promise<Started> {
  const { known } = job
  for (const [partition, position] of known.ofInode(opened.file)) {
    const started = await startKnown(job, opened, partition, position)
    if (started) return started
    known.present.delete(partition)
  }
  for (const { partition, position } of origins(job, opened)) {
    if (known.present.has(partition)) continue
    const started = await startKnown(job, opened, partition, position)
    if (started) return started
  }
  return await startNew(job, opened)
}

async function stillGrows({ handle, file }: Opened): Promise<boolean> {
  return Number((await handle.stat({ bigint: true })).size) > file.size
}
