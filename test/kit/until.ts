// Waits for what another process or thread does, by looking again and again.

export interface Patience {
  /** How long it may take. Milliseconds. */
  readonly ms?: number
  /** How long it waits between two looks. Milliseconds. */
  readonly every?: number
}

/** Resolves to what `found` gives once it gives something; rejects after a minute (or `ms`) with what `why` says. */
export async function until<T>(
  found: () => T | undefined | false | Promise<T | undefined | false>,
  why: () => string = () => 'nothing more is known',
  { ms = 60_000, every = 5 }: Patience = {},
): Promise<T> {
  const end = performance.now() + ms
  for (;;) {
    const value = await found()
    if (value) return value
    if (performance.now() > end) throw new Error(`not within ${ms / 1000} s: ${why()}`)
    await new Promise(resolve => setTimeout(resolve, every))
  }
}
