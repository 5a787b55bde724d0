// Wakes whoever waits for something to have changed.

export class Bell {
  readonly #wakes = new Set<() => void>()

  /** Everybody who waits looks again. */
  ring(): void {
    for (const wake of [...this.#wakes]) wake()
  }

  /** Resolves with the next ring; rejects with the reason of `signal` when that aborts before. */
  heard(signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const done = () => {
        this.#wakes.delete(wake)
        signal.removeEventListener('abort', stop)
      }
      const wake = () => {
        done()
        resolve()
      }
      const stop = () => {
        done()
        reject(signal.reason)
      }
      if (signal.aborted) return reject(signal.reason)
      this.#wakes.add(wake)
      signal.addEventListener('abort', stop, { once: true })
    })
  }
}
