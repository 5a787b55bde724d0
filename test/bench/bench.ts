// What every bench gets.
import type { Board } from './board.ts'
import type { Engine } from './engines.ts'

export interface Bench {
  readonly board: Board
  /** This checkout first. */
  readonly engines: readonly Engine[]
  readonly rounds: number
  readonly records: number
  /** For files; it goes at the end. */
  readonly folder: string
}
