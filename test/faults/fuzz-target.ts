// What the fuzzer drives, and the corpus that it begins with: inputs that were put together, and every one that ever found a bug.
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { crc32 } from 'node:zlib'
import type { Random } from '../kit/mutate.ts'
import { randomOf } from '../kit/rounds.ts'

export interface Target {
  readonly name: string
  /** Folders of the corpus that hold what it reads; the rest of the corpus is given to it too, only less often. */
  readonly formats: readonly string[]
  /** What is put into inputs. */
  readonly tokens: readonly Buffer[]
  /** Throws when a promise is broken. All of its choices come from `random`. */
  check(input: Buffer, random: Random): void | Promise<void>
}

export interface CorpusFile {
  /** From the corpus's folder: `csv/purview.csv`. */
  readonly name: string
  readonly bytes: Buffer
}

export const CORPUS = fileURLToPath(new URL('../fixtures/fuzz', import.meta.url))

export function corpus(): CorpusFile[] {
  return readdirSync(CORPUS, { recursive: true, withFileTypes: true })
    .filter(entry => entry.isFile() && entry.name !== 'README.md')
    .map(entry => join(entry.parentPath, entry.name))
    .sort()
    .map(path => ({ name: path.slice(CORPUS.length + 1), bytes: readFileSync(path) }))
}

/** Runs a target on one input. The choices of the check come from the input's bytes, so that the input alone repeats a failure. */
export async function execute(target: Target, input: Buffer, variant = 0): Promise<void> {
  await target.check(input, randomOf(variant, crc32(input)))
}

/** Runs a check of an input that was put together from the one at hand; an error is marked with it. */
export function onInput(damaged: Buffer, check: () => void): void {
  try {
    check()
  } catch (error) {
    throw Object.assign(error as Error, { damaged })
  }
}
