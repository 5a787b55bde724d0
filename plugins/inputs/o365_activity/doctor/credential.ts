// Is a tenant's credential good: how long, for whom it can be read, and whether a new one would be noticed.
import { X509Certificate } from 'node:crypto'
import { statSync } from 'node:fs'
import type { Credential, CredentialOptions } from '../../../lib/microsoft/service/credentials.ts'
import { claimsOf } from './claims.ts'
import { at, type Finding, finding, span } from './finding.ts'

const DAY_MS = 86_400_000
const SOON_MS = 30 * DAY_MS
const OTHERS_READ = 0o004
const NEW_CERTIFICATE =
  'Make a new certificate, upload its public part to the app registration, and put it with its key in the place of the file; no restart is needed.'

/** @param now Milliseconds since 1970. */
export function credentialFindings(credential: Credential, options: CredentialOptions, now: number): Finding[] {
  switch (credential.kind) {
    case 'certificate':
      return [certificate(credential.x5c, now), ...readers(options.client_certificate)]
    case 'federated':
      return [federated(credential.assertion, options.federated_token_file, now)]
    case 'secret':
      return [
        options.secret_file === undefined
          ? finding(
              'credential',
              'ok',
              // biome-ignore lint/suspicious/noTemplateCurlyInString: as it stands in a pipeline
              'a client secret from the pipeline or its environment: a new one needs a restart (one from ${secret:file:PATH} does not)',
            )
          : finding('credential', 'ok', `a client secret, which its file ${options.secret_file} gives again when it changes`),
      ]
  }
}

function certificate(pem: string, now: number): Finding {
  const { validFrom, validTo } = new X509Certificate(pem)
  const [begins, ends] = [Date.parse(validFrom), Date.parse(validTo)]
  if (ends <= now)
    return finding('credential', 'failed', `the certificate ended ${span(now - ends)} ago, at ${at(ends)}`, NEW_CERTIFICATE)
  if (begins > now)
    return finding(
      'credential',
      'failed',
      `the certificate is good only from ${at(begins)} on`,
      "Look at this machine's clock; if it is right, wait, or use another certificate until then.",
    )
  const left = `the certificate is good for ${span(ends - now)} more, until ${at(ends)}`
  if (ends - now < SOON_MS) return finding('credential', 'warning', left, NEW_CERTIFICATE)
  return finding('credential', 'ok', left)
}

/** Windows has no such rights. */
function readers(path: string | undefined): Finding[] {
  if (path === undefined || process.platform === 'win32') return []
  const { mode } = statSync(path)
  if ((mode & OTHERS_READ) === 0) return []
  const rights = (mode & 0o777).toString(8).padStart(4, '0')
  return [
    finding(
      'credential',
      'warning',
      `every user of this machine can read the private key in ${path} (its mode is ${rights})`,
      `Take the right away (chmod 600 ${path}); if others may have read it, make a new one.`,
    ),
  ]
}

function federated(assertion: string, path: string | undefined, now: number): Finding {
  const end = claimsOf(assertion)?.exp
  if (end === undefined) return finding('credential', 'ok', `an assertion from ${path}, read again when the file changes`)
  if (end * 1000 <= now)
    return finding(
      'credential',
      'failed',
      `the assertion in ${path} ended at ${at(end * 1000)}`,
      'Find out why whoever renews that file does not do so any more.',
    )
  return finding(
    'credential',
    'ok',
    `an assertion from ${path}, good until ${at(end * 1000)} and read again when the file changes`,
  )
}
