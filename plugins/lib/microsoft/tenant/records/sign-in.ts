// Sign-ins: one fact, and what the activity feed and Graph write of it.
import type { JsonObject } from '../../../../../core/plugin/json.ts'
import { APPS, type App, GRAPH } from '../apps.ts'
import type { Scene } from '../world.ts'
import { graphTime, head } from './common.ts'

/** An outcome: the AADSTS number, its name in audit records, its sentence in Graph. */
export interface SignInOutcome {
  readonly code: number
  readonly name: string
  readonly reason: string
}
export const SUCCESS: SignInOutcome = { code: 0, name: 'None', reason: 'Other.' }
export const WRONG_PASSWORD: SignInOutcome = {
  code: 50126,
  name: 'InvalidUserNameOrPassword',
  reason: 'Error validating credentials due to invalid username or password.',
}
export const LOCKED: SignInOutcome = {
  code: 50053,
  name: 'IdsLocked',
  reason: 'The account is locked because of too many attempts.',
}
const FAILURES: readonly SignInOutcome[] = [
  WRONG_PASSWORD,
  WRONG_PASSWORD,
  WRONG_PASSWORD,
  LOCKED,
  { code: 50074, name: 'UserStrongAuthClientAuthNRequiredInterrupt', reason: 'Strong Authentication is required.' },
  {
    code: 50072,
    name: 'UserStrongAuthEnrollmentRequiredInterrupt',
    reason: 'The user must enroll for multifactor authentication.',
  },
  { code: 50089, name: 'FlowTokenExpired', reason: 'The flow token has expired.' },
  { code: 53003, name: 'BlockedByConditionalAccess', reason: 'Access has been blocked by Conditional Access policies.' },
]

export interface SignIn {
  readonly scene: Scene
  readonly outcome: SignInOutcome
  readonly app: App
  readonly resource: App
  readonly correlationId: string
  readonly sessionId: string
  readonly tokenId: string
  /** Level of risk at the sign-in: none, low, medium, high. */
  readonly risk: 'none' | 'low' | 'medium' | 'high'
  readonly compliant: boolean
  readonly request: string
}

/** Somebody signs in at a moment; what is given is not drawn. The scene's id is the request's id, in every service. */
export function signIn(scene: Scene, given: Partial<Pick<SignIn, 'outcome' | 'risk'>> = {}): SignIn {
  const { draw } = scene
  const failed = draw.chance(0.12)
  const failure = draw.pick(FAILURES)
  return {
    scene,
    outcome: given.outcome ?? (failed ? failure : SUCCESS),
    app: draw.pick(APPS),
    resource: GRAPH,
    correlationId: draw.guid(),
    sessionId: draw.guid(),
    tokenId: draw.base64(24).replace(/[+/]/g, 'x'),
    risk: given.risk ?? 'none',
    compliant: draw.chance(0.8),
    request: draw.pick([
      'OAuth2:Authorize',
      'OAuth2:Authorize',
      'OAuth2:Token',
      'Login:login',
      'Login:reprocess',
      'OAuth2:Logout',
    ]),
  }
}

/** The audit record (record type 15). Its `IntraSystemId` is the request's id, `InterSystemsId` the correlation id. */
export function signInRecord({
  scene,
  outcome,
  app,
  resource,
  correlationId,
  sessionId,
  compliant,
  request,
}: SignIn): JsonObject {
  const { user, device, address, tenant } = scene
  const failed = outcome.code !== 0
  const properties: JsonObject[] = [
    { Name: 'ResultStatusDetail', Value: failed || request === 'OAuth2:Token' ? 'Success' : 'Redirect' },
    { Name: 'UserAgent', Value: device.userAgent },
  ]
  if (failed) properties.push({ Name: 'UserAuthenticationMethod', Value: '1' })
  properties.push({ Name: 'RequestType', Value: request })
  const about: JsonObject[] = device.id
    ? [
        { Name: 'Id', Value: device.id },
        { Name: 'DisplayName', Value: device.name },
      ]
    : []
  if (device.os) about.push({ Name: 'OS', Value: device.os })
  about.push({ Name: 'BrowserType', Value: device.browser.replace(/ [\d.]+$/, '') || 'Other' })
  about.push({ Name: 'IsCompliantAndManaged', Value: device.id && compliant ? 'True' : 'False' })
  if (!failed) about.push({ Name: 'SessionId', Value: sessionId })

  const record = head(scene, {
    type: 15,
    operation: failed ? 'UserLoginFailed' : 'UserLoggedIn',
    workload: 'AzureActiveDirectory',
    // Of the exchange of messages, not of the logon: mostly a success either way.
    status: failed && outcome.code === 50126 ? 'Failed' : 'Success',
    userKey: user.id,
  })
  record['ClientIP'] = address
  record['ObjectId'] = resource.id
  record['AzureActiveDirectoryEventType'] = 1
  record['ExtendedProperties'] = properties
  record['ModifiedProperties'] = []
  record['Actor'] = [
    { ID: user.id, Type: 0 },
    { ID: user.upn, Type: 5 },
  ]
  record['ActorContextId'] = tenant.id
  record['ActorIpAddress'] = address
  record['InterSystemsId'] = correlationId
  record['IntraSystemId'] = scene.id
  record['SupportTicketId'] = ''
  record['Target'] = [{ ID: resource.id, Type: 0 }]
  record['TargetContextId'] = tenant.id
  record['ApplicationId'] = app.id
  record['DeviceProperties'] = about
  record['ErrorNumber'] = String(outcome.code)
  if (failed) record['LogonError'] = outcome.name
  return record
}

/** The `signIn` of Graph v1.0 (auditLogs/signIns): interactive sign-ins. */
export function graphSignIn(fact: SignIn): JsonObject {
  const { scene, outcome, app, resource, risk } = fact
  const { user, device, place } = scene
  return {
    id: scene.id,
    createdDateTime: graphTime(scene.time),
    userDisplayName: user.displayName,
    userPrincipalName: user.upn,
    userId: user.id,
    appId: app.id,
    appDisplayName: app.name,
    ipAddress: scene.address,
    clientAppUsed: device.phone ? 'Mobile Apps and Desktop clients' : 'Browser',
    userAgent: device.userAgent,
    correlationId: fact.correlationId,
    conditionalAccessStatus: outcome.code === 53003 ? 'failure' : outcome.code === 0 ? 'success' : 'notApplied',
    isInteractive: true,
    riskDetail: 'none',
    riskLevelAggregated: risk,
    riskLevelDuringSignIn: risk,
    riskState: risk === 'none' ? 'none' : 'atRisk',
    riskEventTypes: [],
    riskEventTypes_v2: risk === 'none' ? [] : ['unfamiliarFeatures'],
    resourceDisplayName: resource.name,
    resourceId: resource.id,
    resourceTenantId: scene.tenant.id,
    homeTenantId: scene.tenant.id,
    status: { errorCode: outcome.code, failureReason: outcome.reason, additionalDetails: null },
    deviceDetail: {
      deviceId: device.id,
      displayName: device.name || null,
      operatingSystem: device.os || null,
      browser: device.browser || null,
      isCompliant: device.id ? fact.compliant : null,
      isManaged: device.id ? fact.compliant : null,
      trustType: device.id ? 'Azure AD joined' : null,
    },
    location: {
      city: place.city,
      state: place.state,
      countryOrRegion: place.country,
      geoCoordinates: { altitude: null, latitude: place.latitude, longitude: place.longitude },
    },
    appliedConditionalAccessPolicies: [],
  }
}
