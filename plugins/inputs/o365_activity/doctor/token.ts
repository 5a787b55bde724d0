// Does a token come, for what, and how long is it good.
import { asError } from '../../../../core/plugin/errors.ts'
import { remedyOf } from '../../../lib/microsoft/service/remedies.ts'
import type { TokenClaims } from './claims.ts'
import { at, codeOf, type Finding, finding, span } from './finding.ts'
import type { Exchange } from './probe.ts'

/** The application that owns the roles: a token may be for it by its id. */
const MANAGEMENT_APP = 'c5393580-f805-4401-95e8-94b7a6ef2fc2'
/** msal takes a token with less time left for one that is over. */
const SHORTEST_MS = 5 * 60_000

export interface Wanted {
  readonly audience: string
  readonly tenantId: string
}

export function tokenFindings(claims: TokenClaims | undefined, { audience, tenantId }: Wanted, now: number): Finding[] {
  if (!claims) return [finding('token', 'unknown', 'a token comes, and cannot be looked into: it is no JWT')]
  const { aud, tid, iat, exp } = claims
  const found: Finding[] = []
  if (tid !== undefined && tid.toLowerCase() !== tenantId.toLowerCase())
    found.push(
      finding(
        'token',
        'failed',
        `the token is for the tenant ${tid}, not for ${tenantId}`,
        'Compare tenant_id with the directory in which the application is registered or was consented to.',
      ),
    )
  const good =
    exp === undefined ? '' : `; it is good for ${span(exp * 1000 - (iat ?? now / 1000) * 1000)}, until ${at(exp * 1000)}`
  if (aud !== undefined && !sameAudience(aud, audience))
    found.push(
      finding('token', 'warning', `the token is for ${aud}, and asked for was ${audience}${good}`, 'Check audience and cloud.'),
    )
  else found.push(finding('token', 'ok', `a token comes for ${aud ?? audience}${good}`))
  if (exp !== undefined && exp * 1000 - now < SHORTEST_MS)
    found.push(
      finding(
        'token',
        'warning',
        "by this machine's clock the token is over, or nearly so, as soon as it comes: one is asked for again with every request",
        "Compare this machine's clock with the service's.",
      ),
    )
  return found
}

/**
 * @param code What Entra said, `AADSTS7000215`; undefined where it said nothing of the kind.
 * @param last The last exchange with the login host: the error that msal makes of a failed one does not say what failed.
 */
export function noToken(thrown: unknown, code: string | undefined, last: Exchange | undefined): Finding {
  if (code !== undefined) {
    const known = remedyOf(code)
    return finding(
      'token',
      'failed',
      `Entra gives no token: ${code}${known ? `: ${known.meaning}` : ", which is in no list of Penstock's"}`,
      known?.remedy ?? "Look the number up in Microsoft's list of AADSTS errors.",
    )
  }
  const { message } = asError(thrown)
  if (codeOf(thrown) === 'PEN_CREDENTIALS') return finding('token', 'failed', `no token can be asked for: ${message}`)
  if (last?.failure) return finding('token', 'failed', `no token comes: ${last.failure.message}`)
  const status = last?.status === undefined || last.status === 200 ? '' : `; its last answer had the status ${last.status}`
  return finding(
    'token',
    'failed',
    `no token comes: ${message}${status}`,
    'Check authority_url, and whether something between here and the login answers in its place.',
  )
}

function sameAudience(given: string, asked: string): boolean {
  const plain = (text: string) => text.toLowerCase().replace(/\/$/, '')
  return plain(given) === plain(asked) || plain(given) === MANAGEMENT_APP
}
