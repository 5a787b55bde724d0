// How a disk queue is: whether its file works, and how full it is. Said once each time that it changes.
import type { Log, Status } from '../plugin/interfaces.ts'

/** Fuller than this is worth a word. Percent. */
const NEARLY_FULL = 90

export interface QueueHealthOptions {
  readonly maxBytes: number
  readonly log: Log
  health(status: Status, why?: string): void
}

export class QueueHealth {
  readonly #options: QueueHealthOptions
  #trouble = ''
  #full = ''
  /** What was said last; undefined at the begin: an earlier run of the pipeline may have ended badly. */
  #said: string | undefined

  constructor(options: QueueHealthOptions) {
    this.#options = options
  }

  /** The last try failed. */
  get failing(): boolean {
    return this.#trouble !== ''
  }

  failed(error: Error): void {
    if (!this.#trouble)
      this.#options.log.error({ error: error.message }, 'the disk queue does not work, trying again; nothing is lost')
    this.#trouble = error.message
    this.#say()
  }

  works(): void {
    if (this.#trouble) this.#options.log.info({}, 'the disk queue works again')
    this.#trouble = ''
    this.#say()
  }

  /** `blocked`: what comes next has no room. */
  holds(bytes: number, blocked: boolean): void {
    const { maxBytes, log } = this.#options
    const percent = Math.floor((bytes * 100) / maxBytes)
    const before = this.#full
    if (blocked) this.#full = 'its disk queue is full: the inputs wait'
    else this.#full = bytes * 100 > maxBytes * NEARLY_FULL ? `its disk queue is ${percent} % full` : ''
    if ((this.#full === '') !== (before === '')) log.warn({ percent }, this.#full || 'the disk queue has room again')
    this.#say()
  }

  #say(): void {
    const why = this.#trouble || this.#full
    if (why === this.#said) return
    this.#said = why
    this.#options.health(why ? 'degraded' : 'ok', why || undefined)
  }
}
