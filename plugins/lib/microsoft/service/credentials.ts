// A tenant's credentials: a secret, a certificate, or a token file, read again when their file changes.
import { createHash, createPrivateKey, X509Certificate } from 'node:crypto'
import { readFileSync, statSync } from 'node:fs'
import { asError, PenstockError } from '../../../../core/plugin/errors.ts'

/** One of these, as the configuration has it. */
export interface CredentialOptions {
  readonly client_secret?: string | undefined
  /** The file that `client_secret` was read from, if it was. */
  readonly secret_file?: string | undefined
  /** A PEM file with the certificate and its private key. */
  readonly client_certificate?: string | undefined
  /** A file that holds an assertion, which somebody else renews (workload identity). */
  readonly federated_token_file?: string | undefined
}

export type Credential =
  | { readonly kind: 'secret'; readonly secret: string }
  | {
      readonly kind: 'certificate'
      readonly key: string
      readonly x5c: string
      readonly thumbprint: string
      readonly until: number
    }
  | { readonly kind: 'federated'; readonly assertion: string }

export interface Credentials {
  /** What is there now. Rejects with a sentence when a file is missing or is not what it should be. */
  read(): Credential
  /** True when the file is another one than at the last read. */
  changed(): boolean
}

export function credentialsOf(options: CredentialOptions): Credentials {
  const { client_secret, secret_file, client_certificate, federated_token_file } = options
  const path = client_certificate ?? federated_token_file ?? secret_file
  let seen = ''
  return {
    read() {
      seen = path === undefined ? '' : stampOf(path)
      if (client_certificate !== undefined) return certificate(client_certificate)
      if (federated_token_file !== undefined)
        return { kind: 'federated', assertion: textOf(federated_token_file, 'federated_token_file').trim() }
      const secret = secret_file === undefined ? client_secret : textOf(secret_file, 'client_secret').replace(/\r?\n$/, '')
      if (!secret)
        throw new PenstockError('PEN_CREDENTIALS', 'there is no client_secret, client_certificate or federated_token_file')
      return { kind: 'secret', secret }
    },
    changed: () => path !== undefined && stampOf(path) !== seen,
  }
}

/** Changes with the file; secrets that are mounted change by a link that is put in another one's place. */
function stampOf(path: string): string {
  try {
    const { ino, size, mtimeNs } = statSync(path, { bigint: true })
    return `${ino}/${size}/${mtimeNs}`
  } catch {
    // Between the removal of the old file and the making of the new one: to read it says what is wrong.
    return 'missing'
  }
}

function textOf(path: string, option: string): string {
  try {
    const text = readFileSync(path, 'utf8')
    if (text.trim() === '') throw new Error('it is empty')
    return text
  } catch (cause) {
    throw new PenstockError('PEN_CREDENTIALS', `the file ${path} (${option}) cannot be read: ${asError(cause).message}`, {
      cause,
    })
  }
}

function certificate(path: string): Credential {
  const text = textOf(path, 'client_certificate')
  const wrong = (why: string, cause?: unknown) =>
    new PenstockError('PEN_CREDENTIALS', `${path} (client_certificate) ${why}`, { cause })
  const [pem] = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/.exec(text) ?? []
  if (!pem) throw wrong('holds no certificate in PEM')
  let parsed: X509Certificate
  try {
    parsed = new X509Certificate(pem)
  } catch (cause) {
    throw wrong(`holds a certificate that cannot be read: ${asError(cause).message}`, cause)
  }
  let key: ReturnType<typeof createPrivateKey>
  try {
    key = createPrivateKey(text)
  } catch (cause) {
    throw wrong('holds no private key that can be read (PEM, without a password)', cause)
  }
  if (!parsed.checkPrivateKey(key)) throw wrong('holds a private key that does not belong to its certificate')
  return {
    kind: 'certificate',
    key: String(key.export({ type: 'pkcs8', format: 'pem' })),
    x5c: pem,
    thumbprint: createHash('sha256').update(parsed.raw).digest('hex'),
    until: Date.parse(parsed.validTo),
  }
}
