// What the verbs have in common on the command line.
import { type ParseArgsOptionsConfig, parseArgs } from 'node:util'
import { PenstockError } from '../plugin/errors.ts'

/** Where positions and dead letters are kept. */
export const STATE_DIR = { type: 'string', default: 'state' } as const

/** Options and the other arguments. An option that is not there ends in exit code 2. */
export function commandLine<const O extends ParseArgsOptionsConfig>(args: readonly string[], options: O) {
  return parseArgs({ args: [...args], allowPositionals: true, options })
}

export function choice<const T extends readonly string[]>(
  name: string,
  given: string | undefined,
  allowed: T,
  fallback: T[number],
): T[number] {
  if (given === undefined) return fallback
  if (allowed.includes(given)) return given
  throw new PenstockError('PEN_USAGE', `--${name} takes ${allowed.join(', ')}; got ${given}`)
}

/** A whole number from 0 on; `name` is what it stands for, as the user wrote it. */
export function wholeNumber(name: string, given: string): number {
  if (/^\d{1,15}$/.test(given)) return Number(given)
  throw new PenstockError('PEN_USAGE', `${name} takes a whole number; got ${given}`)
}
