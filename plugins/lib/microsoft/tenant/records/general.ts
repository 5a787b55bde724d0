// The rest of the activity feed: alerts (record type 40), Viva Engage (22), Copilot (261), eDiscovery (24), Power BI (20), and others.
import type { JsonObject } from '../../../../../core/plugin/json.ts'
import { driveOf, type Policy } from '../tenant.ts'
import { drawFile } from '../words.ts'
import type { Scene } from '../world.ts'
import { auditTime, head } from './common.ts'

const ALERTS = {
  workload: 'SecurityComplianceCenter',
  userId: 'SecurityComplianceAlerts',
  userKey: 'SecurityComplianceAlerts',
  userType: 4,
  status: 'Succeeded',
} as const

/** The audit record of an alert (record type 40); `Data` is JSON in a text, with short keys. */
export function alertRecord(scene: Scene, given: { readonly policy?: Policy } = {}): JsonObject {
  const { draw, tenant, user } = scene
  const entity = draw.chance(0.5)
  const drawn = draw.pick(tenant.alerts)
  const policy = given.policy ?? drawn
  const alertId = draw.guid()
  const from = auditTime(scene.time - 900_000)
  const common = { tid: tenant.id, ts: `${from}.1230000Z`, te: `${auditTime(scene.time)}.4560000Z`, tdc: '1', lon: policy.name }
  const data = entity
    ? { etype: 'User', eid: user.upn, op: 'TIMailData', suid: user.upn, ut: 'Regular', ...common }
    : {
        f3u: user.upn,
        op: 'TIMailData',
        wl: 'Exchange',
        reid: scene.id,
        rid: draw.guid(),
        cid: policy.id,
        ad: `${policy.name}.`,
        an: policy.name,
        sev: 'Medium',
        ...common,
      }
  const record = head(scene, { ...ALERTS, type: 40, operation: entity ? 'AlertEntityGenerated' : 'AlertTriggered' })
  if (entity) record['AlertEntityId'] = user.upn
  record['AlertId'] = alertId
  record['AlertLinks'] = draw.chance(0.5) ? [{ AlertLinkHref: `https://security.microsoft.com/viewalerts?id=${alertId}` }] : []
  record['AlertType'] = 'System'
  record['Category'] = draw.pick(['ThreatManagement', 'MailFlow', 'DataGovernance', 'AccessGovernance'])
  record['Comments'] = 'New alert'
  record['Data'] = JSON.stringify(data)
  if (entity) record['EntityType'] = 'User'
  record['Name'] = policy.name
  record['ObjectId'] = entity ? user.upn : alertId
  record['PolicyId'] = policy.id
  record['Severity'] = draw.pick(['Low', 'Medium', 'High', 'Informational'])
  record['Source'] = 'Office 365 Security & Compliance'
  record['Status'] = 'Active'
  return record
}

/** The audit record of Viva Engage, which still calls itself Yammer (record type 22). */
export function engageRecord(scene: Scene): JsonObject {
  const { draw, user } = scene
  const record = head(scene, {
    type: 22,
    operation: draw.pick(['GroupCreation', 'MessageCreation', 'MessageViewed', 'FileCreated']),
    workload: 'Yammer',
    status: 'TRUE',
  })
  const address = `${scene.address.includes(':') ? `[${scene.address}]` : scene.address}:${1024 + draw.below(60_000)}`
  record['ClientIP'] = address
  if (draw.chance(0.4)) record['ClientIPAddress'] = address
  record['ActorUserId'] = user.upn
  record['ActorYammerUserId'] = 1_600_000_000 + draw.below(90_000_000)
  record['GroupName'] = draw.pick(['Running club', 'Cooking', 'New colleagues', 'Ideas'])
  record['ObjectId'] = record['GroupName']
  record['YammerNetworkId'] = 5_846_122_497 + scene.tenant.number
  return record
}

/** The audit record of a prompt and its answer (record type 261): what was read for it, and no text. */
export function copilotRecord(scene: Scene): JsonObject {
  const { draw, user, tenant } = scene
  const drive = driveOf(user, tenant)
  const record = head(scene, { type: 261, operation: 'CopilotInteraction', workload: 'Copilot', userKey: user.id })
  const host = draw.pick(['Word', 'Teams', 'Outlook', 'BizChat', 'Excel'])
  record['ClientIP'] = scene.address
  record['ClientRegion'] = user.place.country.toLowerCase()
  record['CopilotEventData'] = {
    AISystemPlugin: [{ Id: 'WebSearch', Name: 'WebSearch', Version: '' }],
    AccessedResources: Array.from({ length: draw.skewed(0, 4) }, () => {
      const file = drawFile(draw)
      return {
        Action: 'Read',
        Id: draw.guid(),
        Name: file.name,
        SensitivityLabelId: '',
        SiteUrl: `${drive.url}${drive.library}/${file.name}`,
        Type: file.extension,
        listItemUniqueId: draw.guid(),
      }
    }),
    AppHost: host,
    Contexts: host === 'BizChat' ? [] : [{ ContainerId: '', Id: `${drive.url}${drive.library}/Notes.docx`, Type: 'docx' }],
    MessageIds: [],
    Messages: [
      { Id: String(scene.time - 4000), Size: draw.skewed(10, 900), isPrompt: true },
      { Id: String(scene.time), Size: draw.skewed(200, 9000), isPrompt: false },
    ],
    ModelTransparencyDetails: [{ ModelName: 'example-1', ModelProviderName: 'Example', ModelVersion: '' }],
    ThreadId: `19:${draw.hex(32)}@thread.v2`,
  }
  record['CopilotLogVersion'] = '1.0.0.0'
  return record
}

/** The audit record of a search in a case (record type 24). */
export function discoveryRecord(scene: Scene): JsonObject {
  const { draw } = scene
  const record = head(scene, {
    type: 24,
    operation: draw.pick(['SearchCreated', 'SearchStarted', 'SearchExported', 'CaseAdded']),
    workload: 'SecurityComplianceCenter',
    userType: 2,
  })
  record['ClientIP'] = scene.address
  record['CaseId'] = draw.guid()
  record['CaseName'] = `Case ${2026}-${1 + draw.below(90)}`
  record['EndTime'] = auditTime(scene.time)
  record['ExtendedProperties'] = []
  record['ObjectId'] = record['CaseName']
  record['QueryId'] = draw.guid()
  record['QueryText'] = draw.pick(['subject:"offer" AND date>=2026-01-01', 'from:ana', '(c:c)(kind=email)'])
  record['StartTime'] = auditTime(scene.time - 60_000)
  return record
}

/** The audit record of Power BI (record type 20). */
export function powerBiRecord(scene: Scene): JsonObject {
  const { draw } = scene
  const record = head(scene, {
    type: 20,
    operation: draw.pick(['ViewReport', 'ViewReport', 'ViewDashboard', 'CreateArtifact', 'ExportReport']),
    workload: 'PowerBI',
  })
  record['ClientIP'] = scene.address
  record['DatasetName'] = draw.pick(['Sales 2026', 'Heads and seats', 'Energy'])
  record['ObjectId'] = record['DatasetName']
  record['ReportName'] = record['DatasetName']
  record['UserAgent'] = scene.device.userAgent
  record['WorkSpaceName'] = draw.pick(['Finance', 'Facilities'])
  return record
}

/** The audit record of a look at a report of the compliance portal (record type 52). */
export function insightsRecord(scene: Scene): JsonObject {
  const record = head(scene, {
    type: 52,
    operation: 'SearchDataInsightsSubscription',
    workload: 'SecurityComplianceCenter',
    userKey: scene.user.upn,
    userType: 5,
  })
  record['DataType'] = scene.draw.pick(['AlertsReport', 'DlpReport', 'MailflowReport'])
  return record
}

/** A number that no list of record types has: new workloads appear before anybody documents them. */
export const UNKNOWN_TYPE = 9001

export function unknownRecord(scene: Scene): JsonObject {
  const { draw } = scene
  const record = head(scene, { type: UNKNOWN_TYPE, operation: 'ExampleShared', workload: 'NewWorkload' })
  record['ClientIP'] = scene.address
  record['ObjectId'] = draw.guid()
  record['Example'] = { Level: draw.below(9), People: [scene.user.upn], Settings: { 'Dotted.Name': 12 } }
  return record
}
