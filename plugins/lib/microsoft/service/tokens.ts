// Tokens of one tenant's application, from Entra, by msal-node over the project's own HTTP.
import type { INetworkModule } from '@azure/msal-node'
import { asError, isAbort, PenstockError } from '../../../../core/plugin/errors.ts'
import type { Clock } from '../../../../core/plugin/interfaces.ts'
import type { HttpClient } from '../../http/client.ts'
import { waitOf } from '../../http/retry-after.ts'
import type { Credential, Credentials } from './credentials.ts'
import { explained } from './remedies.ts'

export interface TokenOptions {
  readonly tenantId: string
  readonly clientId: string
  readonly credentials: Credentials
  /** Origin of the login service, `https://login.microsoftonline.com`. */
  readonly authority: string
  /** What the token is for, without `/.default`. */
  readonly audience: string
  readonly http: HttpClient
  readonly clock: Pick<Clock, 'now'>
}

/**
 * Entra gave no token. `passing`: it may later, without anybody doing anything. `after`: how long it asks to wait, in milliseconds.
 */
export class TokenError extends PenstockError {
  /** `AADSTS7000215` and the like, or what the network said. */
  readonly service: string
  readonly passing: boolean
  readonly after: number | undefined

  constructor(
    service: string,
    message: string,
    passing: boolean,
    options?: ErrorOptions & { readonly after?: number | undefined },
  ) {
    super('PEN_TOKEN', message, options)
    this.service = service
    this.passing = passing
    this.after = options?.after
  }
}

export interface Tokens {
  /** A token that is good for some minutes. Rejects with a TokenError. */
  get(signal: AbortSignal): Promise<string>
  /** The service did not take this token: the next one will be another. */
  refuse(token: string): void
  /** The file of the credentials is another one than when they were last read. */
  renewed(): boolean
  /** When the certificate ends, milliseconds since 1970; undefined without one, or before it was read. */
  readonly certificateUntil: number | undefined
}

/** An answer of Entra is short. */
const MAX_BYTES = 1024 * 1024
const TOTAL_MS = 60_000
/** A token is renewed so long before its end, or at half of its life if that is later. Milliseconds. */
const RENEW_MS = 300_000

export function tokensOf(options: TokenOptions): Tokens {
  const { tenantId, credentials, clock } = options
  let held: Held | undefined
  let running: Promise<string> | undefined
  let until: number | undefined

  async function acquire(signal: AbortSignal): Promise<string> {
    try {
      // Read again each time: what was refused may be another one in its file by now.
      const credential = credentials.read()
      until = credential.kind === 'certificate' ? credential.until : undefined
      held = await issued(options, credential, signal)
      return held.token
    } catch (thrown) {
      throw isAbort(thrown) ? thrown : tokenError(thrown, tenantId)
    }
  }

  return {
    get certificateUntil() {
      return until
    },
    get(signal) {
      // Another certificate is taken at once, although the token is good: how long it lasts is told of the one in use.
      if (held && clock.now() < held.renewAt && !credentials.changed()) return Promise.resolve(held.token)
      running ??= acquire(signal).finally(() => {
        running = undefined
      })
      return running
    },
    refuse(token) {
      if (held?.token === token) held = undefined
    },
    renewed: () => credentials.changed(),
  }
}

interface Held {
  readonly token: string
  /** Milliseconds since 1970. */
  readonly renewAt: number
}

/** A new token. The library's client goes with it: a thousand of them would take more memory than all the rest of a thousand tenants. */
async function issued(options: TokenOptions, credential: Credential, signal: AbortSignal): Promise<Held> {
  const { tenantId, clientId, authority, audience, http, clock } = options
  const { ConfidentialClientApplication, LogLevel } = await import('@azure/msal-node')
  const client = new ConfidentialClientApplication({
    auth: {
      clientId,
      authority: `${authority}/${tenantId}`,
      // Otherwise it asks a host of Microsoft which hosts there are.
      knownAuthorities: [new URL(authority).host],
      ...(credential.kind === 'secret' && { clientSecret: credential.secret }),
      ...(credential.kind === 'certificate' && {
        clientCertificate: { thumbprintSha256: credential.thumbprint, privateKey: credential.key, x5c: credential.x5c },
      }),
      ...(credential.kind === 'federated' && { clientAssertion: credential.assertion }),
    },
    system: {
      networkClient: networkOf(http, clock, signal),
      loggerOptions: { logLevel: LogLevel.Error, loggerCallback() {} },
    },
  })
  const now = clock.now()
  const result = await client.acquireTokenByClientCredential({ scopes: [`${audience}/.default`], skipCache: true })
  if (!result?.accessToken) throw new Error('Entra answered without a token')
  const life = (result.expiresOn?.getTime() ?? now) - now
  return { token: result.accessToken, renewAt: now + life - Math.min(RENEW_MS, life / 2) }
}

/** msal's requests through our own client. */
function networkOf(http: HttpClient, clock: Pick<Clock, 'now'>, signal: AbortSignal): INetworkModule {
  const send = async <T>(url: string, method: 'GET' | 'POST', headers?: Record<string, string>, body?: string) => {
    const answer = await http.request(new URL(url), {
      method,
      ...(headers && { headers }),
      ...(body !== undefined && { body }),
      signal,
      totalMs: TOTAL_MS,
      maxBytes: MAX_BYTES,
    })
    const text = await answer.text(MAX_BYTES)
    let parsed: unknown
    try {
      parsed = JSON.parse(text)
    } catch {
      throw new TokenError(
        `HTTP ${answer.status}`,
        `${new URL(url).host} answered with status ${answer.status} and no JSON`,
        true,
        {
          after: waitOf(answer.headers['retry-after'], clock.now()),
        },
      )
    }
    return { headers: answer.headers as Record<string, string>, body: parsed as T, status: answer.status }
  }
  return {
    sendGetRequestAsync: (url, options) => send(url, 'GET', options?.headers),
    sendPostRequestAsync: (url, options) => send(url, 'POST', options?.headers, options?.body),
  }
}

/** Throttling passes by itself. */
const PASSING = /AADSTS90055\b/

function tokenError(thrown: unknown, tenantId: string): TokenError {
  if (thrown instanceof TokenError) return thrown
  const error = asError(thrown)
  const code = /AADSTS\d+/.exec(error.message)?.[0]
  if (code)
    return new TokenError(code, `Entra gives no token for tenant ${tenantId}: ${explained(code)}`, PASSING.test(code), {
      cause: error,
    })
  if (error instanceof PenstockError && error.code === 'PEN_CREDENTIALS')
    return new TokenError(error.code, error.message, false, { cause: error })
  // The message of a library may quote what was sent.
  const name =
    error instanceof PenstockError ? error.message : `${error.name} ${(error as { errorCode?: string }).errorCode ?? ''}`.trim()
  return new TokenError('PEN_TOKEN', `no token for tenant ${tenantId}: ${name}`, true, { cause: error })
}
