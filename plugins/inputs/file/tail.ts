// One file that is being followed: takes its next piece, and ends when it has been rotated away.
import type { Chunk, Clock } from '../../../core/plugin/interfaces.ts'
import { isDamage } from '../../lib/bytes/damage.ts'
import { ContentChanged } from './content.ts'
import { foundAs } from './discover.ts'
import { type Job, type Opened, type Started, whyUnread } from './job.ts'
import type { Found } from './position.ts'

/** A compressed file that ends too early may still be written for so long after it last changed. Milliseconds. */
const UNFINISHED_MS = 60_000

export interface Tail extends Started {
  readonly opened: Opened
  readonly compressed: boolean
  rest: Uint8Array | undefined
  /** There may be more to read. */
  dirty: boolean
  /** As the last look around found it. */
  listed: Found
  /** No path leads to it any more. */
  away: boolean
  /** Since when it has another name, or none. This and the next two are times of the clock that never jumps. */
  leaving: number | undefined
  polled: number
  /** When it last grew. */
  grown: number
}

/**
 * more: a piece was read. end: all that is there has been. cut off: the file is not what it was. unfinished: it is compressed, and
 * still being written. failed: it cannot be read, which was told.
 */
export type Outcome = 'more' | 'end' | 'cut off' | 'unfinished' | 'failed'

/** Reads the next piece. */
export async function* turn(job: Job, tail: Tail): AsyncGenerator<Chunk, Outcome> {
  const { context, tally, troubles } = job
  const { reading, content, rest, opened } = tail
  const begun = reading.offset
  if (rest) {
    tail.rest = undefined
    yield* reading.push(rest)
  }
  try {
    const piece = await content.next()
    if (piece === undefined) {
      yield* reading.flush()
      tally.bytes += reading.offset - begun
      return 'end'
    }
    if (isDamage(piece)) {
      if (piece.truncated && ageOf(opened.file, context.clock) < UNFINISHED_MS) return 'unfinished'
      tally.damages -= reading.told
      yield* reading.damage(piece)
      tally.damages += reading.told
    } else yield* reading.push(piece)
    yield* reading.flush()
    tail.grown = context.clock.monotonic()
    tally.bytes += reading.offset - begun
    troubles.clear(reading.file.path)
    return 'more'
  } catch (error) {
    if (error instanceof ContentChanged) return 'cut off'
    troubles.set(reading.file.path, whyUnread(error))
    return 'failed'
  }
}

/** All that is there has been read, and no more will come: the last record needs no newline. `now`: the file as it was then. */
export async function* finish({ context, known }: Job, tail: Tail, now: Found): AsyncGenerator<Chunk> {
  const { reading, content, opened, away } = tail
  for (const piece of content.end()) yield* isDamage(piece) ? reading.damage(piece) : reading.push(piece)
  // A removed file's inode may be given to another one at once.
  if (away && (await opened.handle.stat()).nlink === 0) reading.moved({ ...reading.file, ino: '' })
  const end = away ? { gone: context.clock.now() } : { seen: { size: now.size, modified: now.modified } }
  yield* reading.finish(end)
  known.set(reading.partition, reading.position(end))
}

export async function close({ content, opened }: Tail): Promise<void> {
  await content.close()
  await opened.handle.close()
}

/** True when nothing is lost by closing it until it grows. */
export function isQuiet({ dirty, leaving, compressed, reading }: Tail): boolean {
  return !dirty && leaving === undefined && !compressed && reading.pending === 0
}

/** The file as it is now. */
export async function asItIs({ opened, reading }: Tail): Promise<Found> {
  return foundAs(reading.file.path, await opened.handle.stat({ bigint: true }))
}

/** How long ago a file was last written to, in milliseconds. */
export function ageOf({ modified }: Found, clock: Clock): number {
  return Math.max(0, clock.now() - Number(BigInt(modified) / 1_000_000n))
}
