// What the exit codes of `penstock` mean. Scripts rely on them.
import { errorCode } from '../plugin/errors.ts'

export const EXIT = {
  /** All went well; for `run`: every input has ended and everything is delivered or dead-lettered, or a stop was asked for. */
  ok: 0,
  /** Something failed: a pipeline, a test, a search that found nothing. */
  failed: 1,
  /** The command line is wrong. */
  usage: 2,
  /** `run --fail-on-dead-letters`: there were dead letters. */
  deadLetters: 3,
  /** The state directory is in use by another process. */
  inUse: 75,
  /** A pipeline file is wrong, or the state directory cannot be used. */
  config: 78,
} as const

export const EXIT_MEANINGS: readonly (readonly [code: number, meaning: string])[] = [
  [EXIT.ok, 'all went well; for run: every input has ended, or a stop was asked for and everything read was delivered'],
  [EXIT.failed, 'something failed: a pipeline, a test'],
  [EXIT.usage, 'the command line is wrong'],
  [EXIT.deadLetters, 'run --fail-on-dead-letters: there were dead letters'],
  [EXIT.inUse, 'the state directory is in use by another process'],
  [EXIT.config, 'a pipeline file is wrong, or the state directory cannot be used (not writable, damaged, of a newer version)'],
  [130, 'a second SIGINT ended the process at once; 143: a second SIGTERM'],
]

export function exitCodeOf(error: Error): number {
  const code = errorCode(error)
  if (code === 'PEN_USAGE' || code.startsWith('ERR_PARSE_ARGS')) return EXIT.usage
  if (code === 'PEN_STATE_IN_USE') return EXIT.inUse
  if (['PEN_CONFIG', 'PEN_OPTION', 'PEN_PLUGIN', 'ENOSPC'].includes(code) || code.startsWith('PEN_STATE')) return EXIT.config
  return EXIT.failed
}
