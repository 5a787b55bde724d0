// Risky sign-ins: what the risk engine finds, in the activity feed and in Graph.
import type { JsonObject } from '../../../../../core/plugin/json.ts'
import { auditTime, graphTime, head } from './common.ts'
import type { SignIn } from './sign-in.ts'

const RISKS = ['unfamiliarFeatures', 'anonymizedIPAddress', 'unlikelyTravel', 'maliciousIPAddress', 'leakedCredentials'] as const

/** What the risk engine found in a sign-in: half an hour at most afterwards. */
export interface Risk {
  readonly fact: SignIn
  readonly id: string
  readonly event: (typeof RISKS)[number]
  readonly level: 'low' | 'medium' | 'high'
  readonly detected: number
}

export function riskOf(fact: SignIn): Risk {
  const { draw, time } = fact.scene
  const level = fact.risk === 'none' ? draw.pick(['low', 'medium', 'high'] as const) : fact.risk
  return { fact, id: draw.hex(64), event: draw.pick(RISKS), level, detected: time + 60_000 + draw.below(1_740_000) }
}

/** The audit record (record type 294). `auditId` is its own id: the sign-in has an audit record of its own. */
export function riskRecord({ fact, id, event, level, detected }: Risk, auditId: string): JsonObject {
  const { scene } = fact
  const record = head(
    { ...scene, id: auditId, time: detected },
    { type: 294, operation: 'AadRiskDetection', workload: 'AzureActiveDirectory', status: 'Success', userKey: scene.user.id },
  )
  record['ClientIP'] = scene.address
  record['Activity'] = 'signin'
  record['ActivityDateTime'] = auditTime(scene.time)
  record['AdditionalInfo'] = JSON.stringify([{ Key: 'userAgent', Value: scene.device.userAgent }])
  record['CorrelationId'] = fact.correlationId
  record['DetectedDateTime'] = auditTime(detected)
  record['DetectionTimingType'] = 'offline'
  record['LastUpdatedDateTime'] = auditTime(detected)
  record['Location'] = {
    City: scene.place.city,
    CountryOrRegion: scene.place.country,
    GeoCoordinates: { Altitude: '', Latitude: String(scene.place.latitude), Longitude: String(scene.place.longitude) },
    State: scene.place.state,
  }
  record['RequestId'] = scene.id
  record['RiskDetail'] = 'none'
  record['RiskEventType'] = event
  record['RiskId'] = id
  record['RiskLevel'] = level
  record['RiskState'] = 'atRisk'
  record['Source'] = 'IdentityProtection'
  record['TokenIssuerType'] = 'AzureAD'
  record['UserDisplayName'] = scene.user.displayName
  return record
}

/** The `riskDetection` of Graph v1.0 (identityProtection/riskDetections). */
export function graphRisk({ fact, id, event, level, detected }: Risk): JsonObject {
  const { scene } = fact
  return {
    id,
    requestId: scene.id,
    correlationId: fact.correlationId,
    riskEventType: event,
    riskState: 'atRisk',
    riskLevel: level,
    riskDetail: 'none',
    source: 'IdentityProtection',
    detectionTimingType: 'offline',
    activity: 'signin',
    tokenIssuerType: 'AzureAD',
    ipAddress: scene.address,
    activityDateTime: graphTime(scene.time),
    detectedDateTime: graphTime(detected),
    lastUpdatedDateTime: graphTime(detected),
    userId: scene.user.id,
    userDisplayName: scene.user.displayName,
    userPrincipalName: scene.user.upn,
    additionalInfo: JSON.stringify([{ Key: 'userAgent', Value: scene.device.userAgent }]),
    location: { city: scene.place.city, state: scene.place.state, countryOrRegion: scene.place.country },
  }
}
