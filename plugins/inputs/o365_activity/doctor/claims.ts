// What a token says of itself. Nothing is verified here: that is for the service; and a token is never shown.
import { isObject } from '../../../../core/plugin/json.ts'

export interface TokenClaims {
  readonly aud: string | undefined
  readonly tid: string | undefined
  readonly roles: readonly string[]
  /** Seconds since 1970. */
  readonly iat: number | undefined
  readonly exp: number | undefined
}

/** Undefined for a text that is no JWT. */
export function claimsOf(token: string): TokenClaims | undefined {
  const [, payload, ...rest] = token.split('.')
  if (payload === undefined || rest.length !== 1) return undefined
  let claims: unknown
  try {
    claims = JSON.parse(Buffer.from(payload, 'base64url').toString('utf8'))
  } catch {
    return undefined
  }
  if (!isObject(claims)) return undefined
  const { aud, tid, roles, iat, exp } = claims
  return {
    aud: typeof aud === 'string' ? aud : undefined,
    tid: typeof tid === 'string' ? tid : undefined,
    roles: Array.isArray(roles) ? roles.filter(role => typeof role === 'string') : [],
    iat: typeof iat === 'number' ? iat : undefined,
    exp: typeof exp === 'number' ? exp : undefined,
  }
}
