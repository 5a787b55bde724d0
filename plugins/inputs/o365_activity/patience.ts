// Does what may fail until it succeeds: waits as long as the failure calls for, and says so.
import { isAbort } from '../../../core/plugin/errors.ts'
import type { Clock, Log } from '../../../core/plugin/interfaces.ts'
import { type FailureKind, ServiceError } from '../../lib/microsoft/service/failure.ts'
import { TokenError } from '../../lib/microsoft/service/tokens.ts'

export interface PatienceOptions {
  readonly label: string
  readonly clock: Clock
  readonly log: Log
  /** The credentials lie in a file that has changed since they were refused. */
  renewed(): boolean
  /** Undefined: all is well. */
  trouble(why: string | undefined): void
}

/** Waits between tries of what failed and may pass, and of what only an administrator can mend. Milliseconds. */
const FIRST_WAIT_MS = 1_000
const LONGEST_WAIT_MS = 300_000
const ASKED_MS = 300_000
/** Between two looks at the file of credentials that were refused. Milliseconds. */
const LOOK_MS = 1_000
/** So many failures in a row are worth being told as trouble. */
const TROUBLING = 3

export class Patience {
  readonly #options: PatienceOptions
  /** Of those that wait for better times, why. */
  readonly #troubles = new Map<object, string>()

  constructor(options: PatienceOptions) {
    this.#options = options
  }

  /**
   * Resolves with what `action` gives once it succeeds.
   * @param kinds Only these failures are tried again; others, and what is no answer of the service, are thrown on.
   */
  async insist<T>(signal: AbortSignal, action: () => Promise<T>, kinds?: readonly FailureKind[]): Promise<T> {
    const self = {}
    try {
      for (let failures = 0; ; failures++) {
        try {
          return await action()
        } catch (error) {
          signal.throwIfAborted()
          const known = error instanceof ServiceError || error instanceof TokenError
          if (isAbort(error) || !known || (kinds && !(error instanceof ServiceError && kinds.includes(error.kind)))) throw error
          await this.#wait(error, failures, self, signal)
        }
      }
    } finally {
      if (this.#troubles.delete(self)) this.#tell()
    }
  }

  async #wait(error: ServiceError | TokenError, failures: number, self: object, signal: AbortSignal): Promise<void> {
    const { clock, label, log } = this.#options
    const own = Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** failures) * (0.5 + Math.random() / 2)
    const wait = waitAfter(error, own)
    if (failures === 0 || wait >= ASKED_MS)
      log.warn({ tenant: label, error: error.message, wait_ms: Math.round(wait) }, 'the feed cannot be read, trying again')
    if (failures >= TROUBLING || wait >= ASKED_MS) {
      this.#troubles.set(self, error.message)
      this.#tell()
    }
    if (error instanceof TokenError) await this.#waitForCredentials(wait, signal)
    else await clock.sleep(wait, signal)
  }

  /** As long as is asked for, or until there are others to be tried. */
  async #waitForCredentials(ms: number, signal: AbortSignal): Promise<void> {
    const { clock, renewed } = this.#options
    for (let rest = ms; rest > 0 && !renewed(); rest -= LOOK_MS) await clock.sleep(Math.min(rest, LOOK_MS), signal)
  }

  #tell(): void {
    const [first] = this.#troubles.values()
    this.#options.trouble(first === undefined ? undefined : `tenant ${this.#options.label}: ${first}`)
  }
}

function waitAfter(error: ServiceError | TokenError, own: number): number {
  if (error instanceof TokenError) return error.after ?? (error.passing ? own : ASKED_MS)
  return Math.max(error.after ?? 0, error.kind === 'permission' || error.kind === 'refused' ? ASKED_MS : own)
}
