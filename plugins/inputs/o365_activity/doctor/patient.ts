// A tenant of the audit feed as the doctor's patient: every check that can be made is made, whatever became of the others.
import { asError } from '../../../../core/plugin/errors.ts'
import type { Clock, Rows } from '../../../../core/plugin/interfaces.ts'
import { type Credential, credentialsOf } from '../../../lib/microsoft/service/credentials.ts'
import { tokensOf } from '../../../lib/microsoft/service/tokens.ts'
import type { Connections } from '../connections.ts'
import type { ConfiguredTenant } from '../tenants.ts'
import { auditLogFinding } from './audit-log.ts'
import { claimsOf, type TokenClaims } from './claims.ts'
import { clockFinding } from './clock.ts'
import { configurationFindings } from './configuration.ts'
import { credentialFindings } from './credential.ts'
import { feedProbe } from './feed-probe.ts'
import { CHECKS, type Check, codeOf, type Finding, finding, inWords } from './finding.ts'
import { networkFinding } from './network.ts'
import { type Probe, probeOf } from './probe.ts'
import { progressFindings } from './progress.ts'
import { quotaFindings, usedFindings } from './quota.ts'
import { roleFindings } from './roles.ts'
import { type Looked, lookAt, subscriptionFindings, type Wish } from './subscriptions.ts'
import { noToken, tokenFindings } from './token.ts'

export interface Examination {
  readonly connections: Connections
  readonly clock: Clock
  /** What one request may take, milliseconds. */
  readonly timeoutMs: number
  /** Start subscriptions that are not enabled. */
  readonly start: boolean
  readonly wish: Wish
  /** The rows of the input; a sentence where there are none. */
  readonly ledger: { readonly rows: Rows } | { readonly status: 'ok' | 'unknown'; readonly why: string }
}

const never = new AbortController().signal

export async function examine(tenant: ConfiguredTenant, examination: Examination): Promise<Finding[]> {
  const { connections, clock, timeoutMs, start, wish, ledger } = examination
  const { settings, authority, audience, ca, proxy } = tenant
  const [login, api] = [new URL(authority), new URL(settings.api)]
  const found: Finding[] = []
  /** Codes that the service answered with. */
  const codes = new Set<string>()
  const heard = (thrown: unknown) => {
    const code = codeOf(thrown)
    if (code !== undefined) codes.add(code)
  }
  /** Makes one check; what nobody thought of becomes a finding of its own and hides no other. */
  const make = async <T>(check: Check, work: () => T | Promise<T>, help?: string): Promise<T | undefined> => {
    try {
      return await work()
    } catch (thrown) {
      heard(thrown)
      const { message, remedy = help } = inWords(thrown)
      found.push(finding(check, 'failed', message, remedy))
      return undefined
    }
  }
  const cannotTell = (checks: readonly Check[], why: string) => {
    for (const check of checks) found.push(finding(check, 'unknown', `cannot tell: ${why}`))
  }

  const credential = await make(
    'credential',
    () => {
      const read = credentialsOf(tenant.credentials).read()
      found.push(...credentialFindings(read, tenant.credentials, clock.now()))
      return read
    },
    'Put the file there, with a right to read it for the user that Penstock runs as.',
  )
  const probe = await make(
    'network',
    async () => probeOf(await connections.http({ ca, proxy }), timeoutMs, clock),
    'Check the options ca and proxy, and HTTPS_PROXY in the environment.',
  )
  if (probe) await ask(probe, credential)
  else {
    cannotTell(['clock', 'token', 'roles', 'audit_log', 'subscriptions'], 'no connection can be made')
    found.push(...quotaFindings({ requestsPerMinute: settings.requestsPerMinute, requests: 0, throttled: false }))
  }

  const ahead = probe?.ahead(api.host) ?? probe?.ahead(login.host)
  const now = clock.now() + (ahead ?? 0)
  await make('progress', async () => {
    if ('rows' in ledger)
      found.push(...(await usedFindings(ledger.rows, settings.label)), ...(await progressFindings(ledger.rows, settings, now)))
    else found.push(finding('progress', ledger.status, ledger.why))
  })
  found.push(...configurationFindings(tenant, codes))
  return CHECKS.flatMap(check => found.filter(one => one.check === check))

  /** Everything that needs the hosts. */
  async function ask(probe: Probe, credential: Credential | undefined): Promise<void> {
    const feed = feedProbe(tenant, probe, () => clock.now())
    const [loginFailure, apiFailure] = await Promise.all([reachLogin(probe), feed.reach().then(() => undefined, asError)])
    const same = login.host === api.host
    const loginWhat = same ? 'login and API' : 'login'
    const loginReached = { origin: authority, failure: loginFailure, ca, proxy, option: 'authority_url' }
    found.push(networkFinding({ what: loginWhat, ...loginReached }))
    if (!same)
      found.push(networkFinding({ what: 'API', origin: settings.api, failure: apiFailure, ca, proxy, option: 'api_url' }))

    const token = await tokenOf(probe, credential, loginFailure)
    if (token !== undefined) roles(claimsOf(token))
    if (token === undefined) cannotTell(['roles', 'audit_log', 'subscriptions'], 'there is no token')
    else if (apiFailure) cannotTell(['audit_log', 'subscriptions'], 'the API cannot be reached')
    else await subscriptions(probe, feed, token)
    found.push(clockFinding(probe.ahead(api.host) ?? probe.ahead(login.host)))
    const { requestsPerMinute } = settings
    found.push(...quotaFindings({ requestsPerMinute, requests: feed.requests, throttled: codes.has('AF429') }))
  }

  /** As msal itself begins. Entra says here too when it does not know the tenant. */
  async function reachLogin(probe: Probe): Promise<Error | undefined> {
    try {
      const url = new URL(`/${settings.tenantId}/v2.0/.well-known/openid-configuration`, authority)
      const answer = await probe.request(url, { signal: never })
      const code = answer.status === 200 ? undefined : /AADSTS\d+/.exec(await answer.text())?.[0]
      if (code === undefined) await answer.text()
      else codes.add(code)
      return undefined
    } catch (thrown) {
      return asError(thrown)
    }
  }

  async function tokenOf(
    probe: Probe,
    credential: Credential | undefined,
    loginFailure: Error | undefined,
  ): Promise<string | undefined> {
    if (loginFailure || !credential) {
      cannotTell(['token'], loginFailure ? 'the login cannot be reached' : 'the credential cannot be read')
      return undefined
    }
    const { tenantId } = settings
    try {
      const tokens = tokensOf({
        ...{ tenantId, clientId: tenant.clientId, authority, audience, http: probe, clock },
        credentials: credentialsOf(tenant.credentials),
      })
      const token = await tokens.get(never)
      found.push(...tokenFindings(claimsOf(token), { audience, tenantId }, clock.now()))
      return token
    } catch (thrown) {
      heard(thrown)
      // What the login said when it was only to be reached may be all that it says.
      const known = [...codes].findLast(code => code.startsWith('AADSTS'))
      found.push(noToken(thrown, known, probe.last(login.host)))
      return undefined
    }
  }

  function roles(claims: TokenClaims | undefined): void {
    if (claims) found.push(...roleFindings(claims.roles, settings))
    else cannotTell(['roles'], 'the token cannot be looked into')
  }

  async function subscriptions(probe: Probe, feed: ReturnType<typeof feedProbe>, token: string): Promise<void> {
    const states = await make('subscriptions', () => feed.subscriptions(token))
    if (!states) return cannotTell(['audit_log'], 'the API does not answer for the subscriptions')
    const now = () => clock.now() + (probe.ahead(api.host) ?? 0)
    const looked: Looked[] = await lookAt(settings.contentTypes, states, { feed, token, start, now })
    for (const { started, content } of looked) {
      heard(started)
      heard(content)
    }
    found.push(...subscriptionFindings(looked, states, wish), auditLogFinding(looked, start))
  }
}
