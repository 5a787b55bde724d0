// The errors of Penstock: each has a code (PEN_*), a sentence that says what to do, and its cause.

/** An error with a code that scripts and dead letters can rely on. */
export class PenstockError extends Error {
  readonly code: string

  constructor(code: string, message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = new.target.name
    this.code = code
  }
}

/** An option's value is wrong. `path` leads to it inside the step's options (`networks.campus[0]`), so that it gets a position. */
export class OptionError extends PenstockError {
  readonly path: string
  readonly reason: string

  constructor(path: string, reason: string, options?: ErrorOptions) {
    super('PEN_OPTION', path ? `${path}: ${reason}` : reason, options)
    this.path = path
    this.reason = reason
  }
}

/** What is tried again will fail again: the event goes to the dead letters. */
export class PermanentError extends PenstockError {
  constructor(message: string, options?: ErrorOptions & { code?: string }) {
    super(options?.code ?? 'PEN_PERMANENT', message, options)
  }
}

/**
 * May succeed later. `after` is the wait that the destination asked for, in milliseconds (its Retry-After). `patient`: the destination
 * is at fault, not the event, which is tried for ever and never becomes a dead letter.
 */
export class RetryableError extends PenstockError {
  readonly after: number | undefined
  readonly patient: boolean

  constructor(message: string, options?: ErrorOptions & { code?: string; after?: number; patient?: boolean }) {
    super(options?.code ?? 'PEN_RETRYABLE', message, options)
    this.after = options?.after
    this.patient = options?.patient ?? false
  }
}

/** The batch is too large for the destination: the engine halves it; a single item that is too large becomes a dead letter. */
export class TooLargeError extends PenstockError {
  constructor(message: string, options?: ErrorOptions) {
    super('PEN_TOO_LARGE', message, options)
  }
}

/** Any thrown value as an Error with a text as its message. Never throws itself: plugins throw what they like. */
export function asError(thrown: unknown): Error {
  try {
    if (thrown instanceof Error && typeof thrown.message === 'string') return thrown
    return wrapped(String(thrown instanceof Error ? thrown.message : thrown), thrown)
  } catch {
    return wrapped('what was thrown cannot even be read', thrown)
  }
}

/** Errors whose stack was told, or would only say where they were wrapped. */
const told = new WeakSet<Error>()

function wrapped(message: string, cause: unknown): Error {
  const error = new Error(message, { cause })
  told.add(error)
  return error
}

/** The stack of an error that is a fault of a plugin or of the program (not of the system, nor one with a sentence), each once. */
export function stackOnce(error: Error): { readonly stack?: string } {
  let fault: unknown = error
  while (fault instanceof PenstockError) fault = fault.cause
  if (!(fault instanceof Error) || typeof (fault as { code?: unknown }).code === 'string' || told.has(fault)) return {}
  told.add(fault)
  return fault.stack === undefined ? {} : { stack: fault.stack }
}

/** The code of an error: its own (PEN_*, ENOSPC, …), else its name. */
export function errorCode(error: Error): string {
  const { code } = error as { code?: unknown }
  return typeof code === 'string' ? code : error.name
}

/** True for the AbortError that follows an abort, which is a clean end and no failure. */
export function isAbort(error: unknown): boolean {
  return error instanceof Error && (error.name === 'AbortError' || (error as { code?: string }).code === 'ABORT_ERR')
}
