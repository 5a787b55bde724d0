// What a database's refusal means for a row and for a batch.
import { asError, errorCode, PenstockError } from '../../../core/plugin/errors.ts'

/**
 * connection: it is gone, or was never there. busy: the database cannot now, and will (deadlocks, locks, a full disk). configuration:
 * somebody must do something first. row: one of the rows can never be stored. too_large: the statement is.
 */
export type FailureKind = 'connection' | 'busy' | 'configuration' | 'row' | 'too_large'

export class SqlFailure extends PenstockError {
  readonly kind: FailureKind

  constructor(kind: FailureKind, message: string, options?: ErrorOptions & { readonly code?: string }) {
    super(options?.code ?? CODES[kind], message, options)
    this.kind = kind
  }
}

const CODES: Readonly<Record<FailureKind, string>> = {
  connection: 'PEN_SQL_CONNECTION',
  busy: 'PEN_SQL_BUSY',
  configuration: 'PEN_SQL_CONFIGURATION',
  row: 'PEN_SQL_ROW',
  too_large: 'PEN_SQL_TOO_LARGE',
}

/** What an operator can do about what the database said. */
export interface Meaning {
  readonly kind: FailureKind
  readonly remedy?: string
}

/** `PostgreSQL: relation "x" does not exist (42P01); penstock setup sql makes the tables`. */
export function failure(product: string, { kind, remedy }: Meaning, thrown: unknown, code?: string): SqlFailure {
  const cause = asError(thrown)
  const said = cause.message.replace(/\s+/g, ' ').trim() || cause.name
  const text = `${product}: ${said}${code === undefined || said.includes(code) ? '' : ` (${code})`}`
  return new SqlFailure(kind, remedy === undefined ? text : `${text}; ${remedy}`, { cause })
}

const TLS_REMEDIES: Readonly<Record<string, string>> = {
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'name the PEM file of who signed its certificate with ca',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: 'name the PEM file of who signed its certificate with ca',
  SELF_SIGNED_CERT_IN_CHAIN: 'name the PEM file of who signed its certificate with ca',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'its certificate is signed by itself: name its PEM file with ca',
  CERT_HAS_EXPIRED: 'its certificate has expired: renew it on the server',
  ERR_TLS_CERT_ALTNAME_INVALID: 'write the host as its certificate has it',
}

/** mysql2 puts a code of its own in the place of the one that tells what is wrong with a certificate: its message is what is left. */
const TLS_MESSAGES: readonly (readonly [message: RegExp, code: string])[] = [
  [/self-signed certificate in certificate chain/i, 'SELF_SIGNED_CERT_IN_CHAIN'],
  [/self-signed certificate/i, 'DEPTH_ZERO_SELF_SIGNED_CERT'],
  [/unable to (?:verify|get)/i, 'UNABLE_TO_VERIFY_LEAF_SIGNATURE'],
  [/certificate has expired/i, 'CERT_HAS_EXPIRED'],
  [/does not match certificate/i, 'ERR_TLS_CERT_ALTNAME_INVALID'],
]

const NETWORK = new Set([
  ...['ECONNREFUSED', 'ECONNRESET', 'ECONNABORTED', 'EPIPE', 'ETIMEDOUT', 'ENOTFOUND', 'EAI_AGAIN', 'EHOSTUNREACH'],
  ...['ENETUNREACH', 'ENOENT', 'EHOSTDOWN', 'ENETDOWN', 'EADDRNOTAVAIL', 'EACCES'],
])

/** A failure of the network or of TLS, which no server has said; undefined for any other. */
export function networkFailure(product: string, thrown: unknown): SqlFailure | undefined {
  const error = asError(thrown)
  const inner = error instanceof AggregateError ? asError(error.errors[0]) : error.cause instanceof Error ? error.cause : error
  for (const one of [error, inner]) {
    const code = errorCode(one)
    const known = code === 'HANDSHAKE_SSL_ERROR' ? TLS_MESSAGES.find(([message]) => message.test(one.message))?.[1] : undefined
    const remedy = TLS_REMEDIES[known ?? code]
    if (remedy !== undefined) return failure(product, { kind: 'configuration', remedy }, one, code)
    if (NETWORK.has(code)) return failure(product, { kind: 'connection' }, named(one, code), code)
  }
  return undefined
}

/** The error of several addresses that were tried has no message of its own. */
function named(error: Error, code: string): Error {
  return error.message === '' ? new Error(code, { cause: error }) : error
}
