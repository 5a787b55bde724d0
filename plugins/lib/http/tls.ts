// Certificates of a TLS client: the files that options name, and what an operator can do about a handshake that failed.
import { createPrivateKey, X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { rootCertificates } from 'node:tls'
import { asError, errorCode, OptionError } from '../../../core/plugin/errors.ts'
import type { OptionSchemas } from '../../../core/plugin/options.ts'

/** The options of whatever speaks TLS to a destination. */
export const TLS_OPTIONS = {
  ca: { type: 'string', format: 'path', description: 'PEM file with certificates that are trusted beside those of the system' },
  client_certificate: {
    type: 'string',
    format: 'path',
    description: 'PEM file with a client certificate and its chain, where the destination asks for one',
  },
  client_key: {
    type: 'string',
    format: 'path',
    description: 'PEM file with the private key of client_certificate, where that file does not hold it',
  },
  tls_insecure: {
    type: 'boolean',
    default: false,
    description: 'Takes any certificate: whoever stands between reads and changes everything. For tests; warned of at each start',
  },
} as const satisfies OptionSchemas

export interface TlsFiles {
  /** A PEM file: certificates that are trusted beside those of the system. */
  readonly ca?: string | undefined
  /** A PEM file: the client's certificate and its chain; also its key where `key` is absent. */
  readonly certificate?: string | undefined
  readonly key?: string | undefined
  /** Takes any certificate. Who sets it warns of it. */
  readonly insecure?: boolean | undefined
}

/** As `tls.connect` takes them. */
export interface TlsSettings {
  readonly ca?: string[]
  readonly cert?: string
  readonly key?: string
  readonly rejectUnauthorized?: boolean
}

/** Reads the files. Throws an OptionError that names the option and the file. */
export function tlsSettings({ ca, certificate, key, insecure }: TlsFiles): TlsSettings {
  return {
    ...(ca !== undefined && { ca: [...rootCertificates, certificatesIn(ca, 'ca')] }),
    ...(certificate !== undefined && identityOf(certificate, key)),
    ...(insecure && { rejectUnauthorized: false }),
  }
}

/** The files that a step's options name. Throws an OptionError for a key without its certificate. */
export function tlsFiles(options: {
  readonly ca?: string
  readonly client_certificate?: string
  readonly client_key?: string
  readonly tls_insecure: boolean
}): TlsFiles {
  if (options.client_key !== undefined && options.client_certificate === undefined)
    throw new OptionError('client_key', 'belongs to a certificate: name its file with client_certificate')
  return {
    ca: options.ca,
    certificate: options.client_certificate,
    key: options.client_key,
    insecure: options.tls_insecure,
  }
}

function identityOf(certificate: string, key: string | undefined): { cert: string; key: string } {
  const cert = certificatesIn(certificate, 'client_certificate')
  const [option, path] = key === undefined ? ['client_certificate', certificate] : ['client_key', key]
  const text = key === undefined ? cert : textOf(key, option)
  let own: ReturnType<typeof createPrivateKey>
  try {
    own = createPrivateKey(text)
  } catch (cause) {
    throw new OptionError(option, `${path} holds no private key that can be read (PEM, without a password)`, { cause })
  }
  let first: X509Certificate
  try {
    first = new X509Certificate(cert)
  } catch (cause) {
    throw new OptionError(
      'client_certificate',
      `${certificate} holds a certificate that cannot be read: ${asError(cause).message}`,
      {
        cause,
      },
    )
  }
  if (!first.checkPrivateKey(own)) throw new OptionError(option, `${path} holds another private key than that of the certificate`)
  return { cert, key: String(own.export({ type: 'pkcs8', format: 'pem' })) }
}

function certificatesIn(path: string, option: string): string {
  const text = textOf(path, option)
  if (!text.includes('-----BEGIN CERTIFICATE-----')) throw new OptionError(option, `${path} holds no certificate in PEM`)
  return text
}

function textOf(path: string, option: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (cause) {
    throw new OptionError(option, `the file ${path} cannot be read: ${asError(cause).message}`, { cause })
  }
}

const SIGNED_BY_NOBODY = 'its certificate is signed by nobody that is trusted here; name the PEM file of who signed it with ca'
const OLD_PROTOCOL = 'it speaks none of the versions of TLS that are sound (1.2 and 1.3)'
const WANTS_CERTIFICATE = 'it asks for a client certificate; name its PEM file with client_certificate'
const REFUSES_CERTIFICATE = 'it does not trust the client certificate'
const ADVICE: Readonly<Record<string, string>> = {
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: SIGNED_BY_NOBODY,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: SIGNED_BY_NOBODY,
  SELF_SIGNED_CERT_IN_CHAIN:
    'its certificate is signed by nobody that is trusted here (a proxy that reads along?); name the PEM file of who signed it with ca',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'its certificate is signed by itself; name its PEM file with ca',
  CERT_HAS_EXPIRED: 'its certificate has expired',
  CERT_NOT_YET_VALID: 'its certificate is not valid yet (or the clock of this machine is wrong)',
  ERR_TLS_CERT_ALTNAME_INVALID: 'its certificate is for another host',
  ERR_SSL_UNSUPPORTED_PROTOCOL: OLD_PROTOCOL,
  ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION: OLD_PROTOCOL,
  ERR_SSL_WRONG_VERSION_NUMBER: 'what answers on this port speaks no TLS',
  ERR_SSL_PACKET_LENGTH_TOO_LONG: 'what answers on this port speaks no TLS',
  ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED: WANTS_CERTIFICATE,
  ERR_SSL_SSLV3_ALERT_HANDSHAKE_FAILURE:
    'it refused the handshake; perhaps it asks for a client certificate (client_certificate)',
  ERR_SSL_TLSV1_ALERT_UNKNOWN_CA: REFUSES_CERTIFICATE,
  ERR_SSL_SSLV3_ALERT_BAD_CERTIFICATE: REFUSES_CERTIFICATE,
  ERR_SSL_SSLV3_ALERT_CERTIFICATE_UNKNOWN: REFUSES_CERTIFICATE,
  ERR_SSL_SSLV3_ALERT_CERTIFICATE_EXPIRED: REFUSES_CERTIFICATE,
}

/** What is wrong, in words that an operator can act on; undefined for an error that is none of TLS. */
export function tlsAdvice(error: Error): string | undefined {
  const advice = ADVICE[errorCode(error)]
  const { cert } = error as { cert?: { subjectaltname?: string } }
  if (errorCode(error) !== 'ERR_TLS_CERT_ALTNAME_INVALID' || !cert?.subjectaltname) return advice
  return `${advice} (it names ${cert.subjectaltname.slice(0, 200)})`
}
