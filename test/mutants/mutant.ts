// What a mutant is: one known fault, as an exact piece of source and what takes its place.

export interface Mutant {
  /** Short and unique: `--only` takes it. */
  readonly name: string
  /** What goes wrong with it, as one sentence. */
  readonly breaks: string
  /** From the root of the checkout. */
  readonly file: string
  /** Stands exactly once in the file; else the mutant is stale and the run fails. */
  readonly find: string
  readonly replace: string
  /**
   * Test files that should see it, tried in this order: `core/pipeline` is test/core/pipeline.test.ts, and behind ` > ` may stand the
   * title of the only test of it that is run.
   */
  readonly tests: readonly string[]
}

type Entry = Pick<Mutant, 'name' | 'breaks' | 'find' | 'replace'> & Partial<Pick<Mutant, 'tests'>>

/** The mutants of one file; an entry may name other tests than its neighbours. */
export function mutantsOf(file: string, tests: readonly string[], entries: readonly Entry[]): Mutant[] {
  return entries.map(entry => ({ file, tests, ...entry }))
}

/** The source with its fault; undefined when the piece does not stand there exactly once. */
export function mutate(source: string, { find, replace }: Mutant): string | undefined {
  const at = source.indexOf(find)
  if (at < 0 || source.indexOf(find, at + 1) >= 0) return undefined
  return source.slice(0, at) + replace + source.slice(at + find.length)
}
