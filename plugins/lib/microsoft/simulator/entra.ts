// Entra's token endpoint as a simulator: client credentials with a secret or an assertion, and the refusals that real ones give.
import { createHmac, randomBytes, randomUUID, timingSafeEqual } from 'node:crypto'
import type { Reply } from './reply.ts'

/** An application that may ask for tokens of a tenant. */
export interface SimulatedApp {
  readonly tenantId: string
  readonly clientId: string
  /** May be put in another one's place while the simulator runs; '' when it has none. */
  secret: string
  /** SHA-256 of its certificate in base64url; assertions with another one are refused. Undefined: any is taken. */
  thumbprint?: string
  /** Application roles that were consented to. */
  roles: readonly string[]
}

export interface Claims {
  readonly aud: string
  readonly tid: string
  readonly appid: string
  readonly roles?: readonly string[]
  readonly exp: number
}

export interface EntraOptions {
  readonly apps: readonly SimulatedApp[]
  /** Resources that tokens can be had for. */
  readonly resources: readonly string[]
  /** How long a token is good for, in seconds; real ones are for an hour or more. */
  readonly tokenSeconds: number
  /** Seconds since 1970. */
  seconds(): number
}

export interface Entra {
  /** Answers a request below the login host; undefined for a path that is none of Entra's. */
  answer(method: string, path: string, body: string, origin: string): Reply | undefined
  /** The claims of a token that this one issued and that is not over; else undefined. */
  verify(token: string): Claims | undefined
  /** No token that was issued so far is good any more. */
  revoke(): void
  /** How many tokens were issued. */
  readonly issued: number
}

const CLIENT_ASSERTION = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer'

export function simulateEntra({ apps, resources, tokenSeconds, seconds }: EntraOptions): Entra {
  let key = randomBytes(32)
  let issued = 0
  const sign = (text: string) => createHmac('sha256', key).update(text).digest()

  const issue = (app: SimulatedApp, aud: string, appidacr: string): string => {
    issued++
    const now = Math.floor(seconds())
    const issuer = `https://sts.windows.net/${app.tenantId}/`
    const claims = {
      ...{ aud, iss: issuer, iat: now, nbf: now, exp: now + tokenSeconds, appid: app.clientId, appidacr, idp: issuer },
      // Without consent a token comes all the same, without roles.
      ...(app.roles.length > 0 && { roles: app.roles }),
      ...{ tid: app.tenantId, ver: '1.0', jti: randomUUID() },
    }
    const head = [{ typ: 'JWT', alg: 'HS256' }, claims].map(part => Buffer.from(JSON.stringify(part)).toString('base64url'))
    return `${head.join('.')}.${sign(head.join('.')).toString('base64url')}`
  }

  const token = (tenantId: string, form: URLSearchParams, origin: string, v1: boolean): Reply => {
    const clientId = form.get('client_id')
    if (form.get('grant_type') !== 'client_credentials')
      return refusal(400, 'invalid_request', 900144, "The request body must contain 'grant_type'.")
    if (!/^[\da-f-]{36}$/i.test(tenantId))
      return refusal(400, 'invalid_request', 9001023, 'The grant type is not supported over this endpoint.')
    const ofTenant = apps.filter(app => app.tenantId.toLowerCase() === tenantId.toLowerCase())
    if (ofTenant.length === 0) return refusal(400, 'invalid_request', 90002, `Tenant '${tenantId}' not found.`)
    const app = ofTenant.find(one => one.clientId.toLowerCase() === clientId?.toLowerCase())
    if (!app)
      return refusal(
        400,
        'unauthorized_client',
        700016,
        `Application with identifier '${clientId}' was not found in the directory.`,
      )
    const resource = (v1 ? form.get('resource') : form.get('scope')?.replace(/\/\.default$/, ''))?.replace(/\/$/, '')
    if (!v1 && !form.get('scope')?.endsWith('/.default'))
      return refusal(400, 'invalid_scope', 70011, 'The provided value for scope is not valid.')
    const known = resources.find(one => one === resource)
    if (!known)
      return refusal(400, 'invalid_resource', 500011, `The resource principal named ${resource} was not found in the tenant.`)
    const secret = form.get('client_secret')
    const assertion = form.get('client_assertion')
    if (secret !== null) {
      if (!equal(secret, app.secret)) return refusal(401, 'invalid_client', 7000215, 'Invalid client secret provided.')
    } else if (assertion !== null && form.get('client_assertion_type') === CLIENT_ASSERTION) {
      const wrong = wrongAssertion(assertion, app, origin, seconds())
      if (wrong) return wrong
    } else return refusal(401, 'invalid_client', 7000218, "The request body must contain 'client_assertion' or 'client_secret'.")
    const access_token = issue(app, known, secret === null ? '2' : '1')
    return json(
      200,
      v1
        ? {
            token_type: 'Bearer',
            expires_in: String(tokenSeconds),
            ext_expires_in: String(tokenSeconds),
            resource: known,
            access_token,
          }
        : { token_type: 'Bearer', expires_in: tokenSeconds, ext_expires_in: tokenSeconds, access_token },
    )
  }

  return {
    get issued() {
      return issued
    },
    revoke() {
      key = randomBytes(32)
    },
    answer(method, path, body, origin) {
      const [, tenantId = '', rest] = /^\/([^/]+)\/(.*)$/.exec(path) ?? []
      if (rest === 'v2.0/.well-known/openid-configuration') {
        return json(200, {
          token_endpoint: `${origin}/${tenantId}/oauth2/v2.0/token`,
          authorization_endpoint: `${origin}/${tenantId}/oauth2/v2.0/authorize`,
          issuer: `${origin}/${tenantId}/v2.0`,
          jwks_uri: `${origin}/${tenantId}/discovery/v2.0/keys`,
        })
      }
      if (method !== 'POST') return undefined
      if (rest === 'oauth2/v2.0/token') return token(tenantId, new URLSearchParams(body), origin, false)
      if (rest === 'oauth2/token') return token(tenantId, new URLSearchParams(body), origin, true)
      return undefined
    },
    verify(text) {
      const parts = text.split('.')
      if (parts.length !== 3) return undefined
      const given = Buffer.from(parts[2] as string, 'base64url')
      const right = sign(`${parts[0]}.${parts[1]}`)
      if (given.length !== right.length || !timingSafeEqual(given, right)) return undefined
      const claims = JSON.parse(Buffer.from(parts[1] as string, 'base64url').toString()) as Claims
      return claims.exp > seconds() ? claims : undefined
    },
  }
}

function json(status: number, value: object): Reply {
  return { status, headers: { 'content-type': 'application/json; charset=utf-8' }, body: JSON.stringify(value) }
}

function refusal(status: number, error: string, code: number, text: string): Reply {
  const timestamp = `${new Date().toISOString().slice(0, 19).replace('T', ' ')}Z`
  const [trace_id, correlation_id] = [randomUUID(), randomUUID()]
  const error_description = `AADSTS${code}: ${text} Trace ID: ${trace_id} Correlation ID: ${correlation_id} Timestamp: ${timestamp}`
  return json(status, { error, error_description, error_codes: [code], timestamp, trace_id, correlation_id })
}

function equal(a: string, b: string): boolean {
  const [given, right] = [Buffer.from(a), Buffer.from(b)]
  return right.length > 0 && given.length === right.length && timingSafeEqual(given, right)
}

/** Looks at what an assertion says (not at its signature): thumbprint, application, audience and time. */
function wrongAssertion(assertion: string, app: SimulatedApp, origin: string, now: number): Reply | undefined {
  const bad = (code: number, text: string) => refusal(401, 'invalid_client', code, text)
  try {
    const part = (index: number) =>
      JSON.parse(Buffer.from(assertion.split('.')[index] as string, 'base64url').toString()) as Record<string, unknown>
    const [head, claims] = [part(0), part(1)]
    const thumbprint = head['x5t#S256'] ?? head['x5t']
    if (app.thumbprint !== undefined && thumbprint !== app.thumbprint)
      return bad(700027, 'Client assertion failed signature validation.')
    if (claims['iss'] !== app.clientId || claims['sub'] !== app.clientId)
      return bad(700021, 'Client assertion application identifier does not match.')
    if (!String(claims['aud']).startsWith(`${origin}/`)) return bad(700023, 'Client assertion audience claim does not match.')
    if (Number(claims['exp']) <= now) return bad(50012, 'Authentication failed.')
    return undefined
  } catch {
    return bad(50012, 'Authentication failed.')
  }
}
