// Parts of a pipeline that a test moves by hand: an input that gives what it is told to, writes and commits that wait for a word.
import type { Chunk, Input, Item, Output } from '../../core/plugin/interfaces.ts'
import type { JsonObject } from '../../core/plugin/json.ts'
import type { Changes, Store } from '../../core/state/types.ts'
import { chunkOf } from '../kit/in-process.ts'

/** An input that gives a chunk when `give` is called, and ends with `end`, or when it is stopped. */
export function handInput(): { input: Pick<Input, 'read'>; give(...chunks: readonly Chunk[]): void; end(): void } {
  const waiting: (Chunk | undefined)[] = []
  let wake = () => {}
  return {
    input: {
      async *read(_positions, signal) {
        signal.addEventListener('abort', () => wake())
        while (!signal.aborted) {
          if (waiting.length === 0) {
            await new Promise<void>(resolve => {
              wake = resolve
            })
            continue
          }
          const chunk = waiting.shift()
          if (!chunk) return
          yield chunk
        }
      },
    },
    give(...chunks) {
      waiting.push(...chunks)
      wake()
    },
    end() {
      waiting.push(undefined)
      wake()
    },
  }
}

/** A chunk of one event, `e<n>`, behind which the position is n + 1. */
export function one(n: number, rest: Partial<Chunk> = {}): Chunk {
  return chunkOf([{ n, event: { id: `e${n}` } }], { position: n + 1, ...rest })
}

export interface HandWrite {
  /** Of the items, in order. */
  readonly ids: readonly string[]
  deliver(): void
  fail(error: Error): void
  refuse(id: string, error: Error): void
}

/** An output whose writes end when the test says so; `writes` are those under way. */
export function handOutput(concurrency = 1): { output: () => Output; writes: HandWrite[] } {
  const writes: HandWrite[] = []
  const output = (): Output => ({
    concurrency,
    encode(event, to) {
      to.json(event.fields)
      return undefined
    },
    write(items: readonly Item[], reject) {
      return new Promise((resolve, fail) => {
        const ids = items.map(({ id }) => id)
        const over = (then: () => void) => {
          writes.splice(writes.indexOf(write), 1)
          then()
        }
        const write: HandWrite = {
          ids,
          deliver: () => over(resolve),
          fail: error => over(() => fail(error)),
          refuse: (id, error) => reject(ids.indexOf(id), error),
        }
        writes.push(write)
      })
    },
  })
  return { output, writes }
}

/** The store with commits that `before` may hold up or refuse; `commits` are those that were made. */
export function watchedStore(
  store: Store,
  before: (changes: Changes) => Promise<void> = async () => {},
): { store: Store; commits: Changes[] } {
  const commits: Changes[] = []
  return {
    commits,
    store: {
      ...store,
      async commit(changes) {
        await before(changes)
        await store.commit(changes)
        commits.push(changes)
      },
    },
  }
}

/** A promise and what ends it. */
export function gateway(): { passed: Promise<void>; open(): void } {
  const { promise, resolve } = Promise.withResolvers<void>()
  return { passed: promise, open: resolve }
}

/** What is known of a pipeline that runs. */
export function watched<T>(running: Promise<T>): { end: T | undefined } {
  const seen: { end: T | undefined } = { end: undefined }
  running.then(
    end => {
      seen.end = end
    },
    () => {},
  )
  return seen
}

export function idsOf(events: readonly JsonObject[]): string[] {
  return events.map(({ n }) => `e${n}`)
}
