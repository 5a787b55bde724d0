// Many writers, one reader: merges sources without a race over all of them for each value. Bounded by size, not by number.

export interface Channel<T> extends AsyncIterable<T> {
  /** Resolves when there is room for more; the value is taken at once. Rejects with an AbortError when `signal` aborts meanwhile. */
  push(value: T, signal: AbortSignal): Promise<void>
  /** The reader gets what is there, and then the end, or the error. */
  end(error?: unknown): void
}

/**
 * A channel that holds values of `limit` altogether (bytes, say), as `sizeOf` tells; one value is always taken, however large. The
 * reader may stop early: writers then find it full, and wait for their signal.
 */
export function channel<T>(limit: number, sizeOf: (value: T) => number): Channel<T> {
  const values: T[] = []
  const writers = new Set<() => void>()
  let held = 0
  let over = false
  let failure: { readonly error: unknown } | undefined
  let wakeReader = () => {}

  return {
    async push(value, signal) {
      signal.throwIfAborted()
      values.push(value)
      held += sizeOf(value)
      wakeReader()
      while (held > limit && values.length > 0 && !over) {
        await new Promise<void>((resolve, reject) => {
          const go = () => {
            writers.delete(go)
            signal.removeEventListener('abort', stop)
            resolve()
          }
          const stop = () => {
            writers.delete(go)
            reject(signal.reason)
          }
          writers.add(go)
          signal.addEventListener('abort', stop, { once: true })
        })
      }
    },
    end(error) {
      over = true
      if (error !== undefined) failure ??= { error }
      wakeReader()
      for (const go of [...writers]) go()
    },
    async *[Symbol.asyncIterator]() {
      for (;;) {
        const value = values.shift()
        if (value !== undefined) {
          held -= sizeOf(value)
          if (held <= limit) for (const go of [...writers]) go()
          yield value
        } else if (failure) throw failure.error
        else if (over) return
        else {
          await new Promise<void>(resolve => {
            wakeReader = resolve
          })
        }
      }
    },
  }
}
