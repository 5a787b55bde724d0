// Follows files as they grow: a round reads a piece of each file that has more, then waits for a hint or for the next poll.
import type { Chunk } from '../../../core/plugin/interfaces.ts'
import { Followed } from './followed.ts'
import { createHints } from './hints.ts'
import type { Job } from './job.ts'
import { emptyChunk } from './reading.ts'
import { asItIs, close, finish, isQuiet, type Tail, turn } from './tail.ts'

/** A file that has not grown for so long is closed. Milliseconds. */
const IDLE_MS = 5 * 60_000
/** A file that has not grown for so long is not polled: a hint or the next look around finds that it has grown. Milliseconds. */
const ACTIVE_MS = 60_000
/** At most so many files are polled at once. */
const POLLED_AT_ONCE = 200
/** A hint brings the next look around forward, but not closer than this, nor so that looking takes more than 5 % of the time. */
const LEAST_GAP_MS = 50
const LOOKING_SHARE = 20
/** Even where looking is slow, the next look is not put off for more intervals than these. */
const MOST_INTERVALS = 10
/** Says that following began, so that files which appear while nothing runs are read from their beginning. */
const STARTED = 'started'

export async function* follow(job: Job, firstStart: boolean, signal: AbortSignal): AsyncGenerator<Chunk> {
  const { context, options, finder } = job
  const { clock } = context
  const fromEnd = firstStart && options.start_at === 'end'
  const followed = new Followed(job, fromEnd)
  const { tails, cutOff } = followed
  const hints = createHints(path => finder.matches(path))
  let nextLook = clock.monotonic()
  let earliestLook = nextLook
  let nextPoll = nextLook

  async function* lookAround(): AsyncGenerator<Chunk> {
    const begun = clock.monotonic()
    const listing = await finder.list()
    const took = clock.monotonic() - begun
    hints.watch(listing.folders)
    yield* followed.look(listing)
    const gap = Math.min(took * LOOKING_SHARE, options.discover_interval_ms * MOST_INTERVALS)
    earliestLook = clock.monotonic() + Math.max(LEAST_GAP_MS, gap)
    nextLook = Math.max(earliestLook, begun + options.discover_interval_ms)
    context.metrics.gauge('file_open', 'Files that are followed and open', tails.size)
  }

  async function takeHints(): Promise<void> {
    const { written, renamed } = hints.take()
    let strange = renamed
    if (written.size > 0) {
      const byPath = new Map([...tails.values()].map(tail => [tail.reading.file.path, tail]))
      for (const path of written) {
        const tail = byPath.get(path)
        if (tail) tail.dirty = true
        else strange ||= !(await followed.touched(path))
      }
    }
    if (strange) nextLook = Math.min(nextLook, earliestLook)
  }

  const poll = (now: number): void => {
    const active = [...tails.values()].filter(({ dirty, leaving, grown }) => {
      const idle = now - grown
      return !dirty && (leaving !== undefined || idle < ACTIVE_MS || idle >= IDLE_MS)
    })
    if (active.length > POLLED_AT_ONCE) active.sort((a, b) => a.polled - b.polled).length = POLLED_AT_ONCE
    for (const tail of active) {
      tail.dirty = true
      tail.polled = now
    }
    nextPoll = now + options.poll_interval_ms
  }

  /** After a file was read to its present end. */
  async function* atEnd(tail: Tail): AsyncGenerator<Chunk> {
    const now = clock.monotonic()
    const { leaving, grown } = tail
    if (!tail.compressed && leaving === undefined) {
      if (isQuiet(tail) && now - grown >= IDLE_MS) yield* followed.rest(tail)
      return
    }
    if (!tail.compressed && now - Math.max(leaving ?? now, grown) < options.rotate_wait_ms) return
    const file = tail.compressed ? tail.opened.file : await asItIs(tail)
    // It may have grown between the last read and this look at its size.
    if (!tail.compressed && (yield* turn(job, tail)) !== 'end') return
    yield* finish(job, tail, file)
    const position = job.known.get(tail.reading.partition)!
    await followed.drop(tail)
    job.known.set(tail.reading.partition, position)
  }

  async function* round(tail: Tail): AsyncGenerator<Chunk> {
    const outcome = yield* turn(job, tail)
    const { reading } = tail
    if (outcome === 'more') return
    tail.dirty = false
    if (outcome === 'end') return yield* atEnd(tail)
    if (outcome === 'unfinished') followed.putOff(tail)
    else if (outcome === 'failed') followed.failed(reading.file.path)
    else {
      context.log.warn(
        { path: reading.file.path, offset: reading.offset },
        'a followed file was cut off; it is read from its beginning',
      )
      // The content lies in this file no more, even if the same bytes are written to it again.
      reading.moved({ ...reading.file, ino: '' })
      cutOff.set(reading.partition, { reading, since: clock.monotonic() })
      nextLook = Math.min(nextLook, earliestLook)
    }
    await followed.drop(tail)
  }

  try {
    if (fromEnd) yield emptyChunk(STARTED, { position: { at: clock.now() } })
    while (!signal.aborted) {
      await takeHints()
      const now = clock.monotonic()
      if (now >= nextLook) yield* lookAround()
      else yield* followed.openSome()
      if (now >= nextPoll) poll(now)
      let busy = false
      for (const tail of [...tails.values()]) {
        if (!tail.dirty) continue
        yield* round(tail)
        if (signal.aborted) return
        busy ||= tail.dirty
      }
      for (const [partition, { reading, since }] of cutOff) {
        if (clock.monotonic() - since < options.rotate_wait_ms) continue
        cutOff.delete(partition)
        const gone = { gone: clock.now() }
        yield* reading.finish(gone)
        job.known.set(partition, reading.position(gone))
      }
      if (!busy) await hints.wait(Math.max(0, Math.min(nextLook, nextPoll) - clock.monotonic()), clock, signal)
    }
  } finally {
    hints.close()
    for (const tail of tails.values()) await close(tail)
  }
}
