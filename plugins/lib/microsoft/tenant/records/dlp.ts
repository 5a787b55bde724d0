// Matches of data loss prevention rules in files and in mail (record types 11 and 13). The matched numbers are test numbers.
import type { JsonObject } from '../../../../../core/plugin/json.ts'
import { driveOf, type Policy } from '../tenant.ts'
import { drawFile, drawFolder } from '../words.ts'
import type { Scene } from '../world.ts'
import { auditTime, head } from './common.ts'
import type { Mail } from './mail.ts'

const CARD_TYPE = '50842eb7-edc8-4019-85dd-5a5c1f2bb085'
/** Numbers that card companies publish for tests: they belong to nobody. */
const CARDS = [
  '4111 1111 1111 1111',
  '5555 5555 5555 4444',
  '3782 822463 10005',
  '6011 1111 1111 1117',
  '4012 8888 8888 1881',
] as const

interface Match {
  readonly policy: Policy
  readonly rule: Policy
  readonly severity: 'Low' | 'Medium' | 'High'
  readonly count: number
  readonly actions: readonly string[]
  readonly values: readonly string[]
  readonly mode: 'Enable' | 'TestWithNotifyUser'
}

function drawMatch({ draw, tenant }: Scene): Match {
  const many = draw.chance(0.3)
  const { cards, rules } = tenant.dlp
  const count = many ? 10 + draw.below(30) : 1 + draw.below(4)
  return {
    policy: cards,
    rule: rules[many ? 1 : 0] as Policy,
    severity: many ? 'High' : draw.chance(0.4) ? 'Medium' : 'Low',
    count,
    actions: many ? ['BlockAccess', 'GenerateIncidentReport'] : ['NotifyUser'],
    values: Array.from({ length: Math.min(count, 5) }, () => draw.pick(CARDS)),
    mode: draw.chance(0.8) ? 'Enable' : 'TestWithNotifyUser',
  }
}

function policyDetails({ policy, rule, severity, count, actions, values, mode }: Match): JsonObject[] {
  return [
    {
      PolicyId: policy.id,
      PolicyName: policy.name,
      Rules: [
        {
          ActionParameters: [],
          Actions: actions,
          ConditionsMatched: {
            ConditionMatchedInNewScheme: true,
            DocumentProperties: [],
            OtherConditions: [{ Name: 'AccessScope', Value: 'NotInOrganization' }],
            SensitiveInformation: [
              {
                ClassifierType: 'Content',
                Confidence: 85,
                Count: count,
                Location: 'Message Body',
                SensitiveInformationDetailedClassificationAttributes: [
                  { Confidence: 65, Count: count, IsMatch: false },
                  { Confidence: 85, Count: count, IsMatch: true },
                ],
                SensitiveInformationDetections: {
                  DetectedValues: values.map(value => ({ Name: value, Value: `card number ${value} valid until 12/30` })),
                  ResultsTruncated: count > values.length,
                },
                SensitiveInformationTypeName: 'Credit Card Number',
                SensitiveType: CARD_TYPE,
                UniqueCount: new Set(values).size,
              },
            ],
          },
          ManagementRuleId: rule.id,
          RuleId: rule.id,
          RuleMode: mode,
          RuleName: rule.name,
          RuleVersion: '2026-04-01T08:00:00',
          Severity: severity,
        },
      ],
    },
  ]
}

/** The audit record of a match in a file (record type 11). SharePoint shouts: DLPRuleMatch. */
export function dlpFileRecord(scene: Scene): JsonObject {
  const { draw, user, tenant } = scene
  const match = drawMatch(scene)
  const drive = driveOf(user, tenant)
  const site = draw.chance(0.5) ? drive : draw.pick(tenant.sites)
  const file = drawFile(draw)
  const path = `${site.url}${[site.library, drawFolder(draw), file.name].filter(Boolean).join('/')}`
  const never = draw.chance(0.6)
  const record = head(scene, {
    type: 11,
    operation: draw.chance(0.85) ? 'DLPRuleMatch' : 'DlpRuleUndo',
    workload: site.personal ? 'OneDrive' : 'SharePoint',
    userKey: user.puid,
    userType: 4,
  })
  record['EvaluationSource'] = 'ContentAwareEvaluation'
  record['IncidentId'] = draw.guid()
  record['ObjectId'] = path
  record['PolicyDetails'] = policyDetails(match)
  record['SensitiveInfoDetectionIsIncluded'] = true
  record['SharePointMetaData'] = {
    FileID: draw.guid(),
    FileName: file.name,
    FileOwner: user.displayName,
    FilePathUrl: path,
    FileSize: draw.skewed(10_000, 4_000_000),
    From: user.upn,
    IsViewableByExternalUsers: draw.chance(0.2),
    IsVisibleOnlyToOdbOwner: false,
    ItemCreationTime: auditTime(scene.time - 86_400_000 - draw.skewed(0, 2_000_000_000)),
    ItemLastModifiedTime: auditTime(scene.time - draw.below(86_400_000)),
    // Year 1 is how it says never.
    ItemLastSharedTime: never ? '0001-01-02T00:00:00' : auditTime(scene.time - draw.below(3_600_000)),
    SensitivityLabelIds: [],
    SensitivityLabelNames: [],
    SharedBy: [never ? null : user.upn],
    SiteAdmin: [],
    SiteCollectionGuid: site.site,
    SiteCollectionUrl: site.url.slice(0, -1),
    UniqueID: draw.guid(),
  }
  return record
}

/** The audit record of a match in a message (record type 13). An override is an object, or one text. */
export function dlpMailRecord(message: Mail): JsonObject {
  const { scene, recipients } = message
  const { draw, user } = scene
  const match = drawMatch(scene)
  const agent = draw.chance(0.3)
  const record = head(scene, {
    type: 13,
    operation: 'DlpRuleMatch',
    workload: 'Exchange',
    userId: agent ? 'DlpAgent' : user.upn,
    userKey: user.id,
    userType: 4,
  })
  if (draw.chance(0.3)) {
    record['ExceptionInfo'] = draw.chance(0.5)
      ? { Reason: 'Override', FalsePositive: false, Justification: 'Agreed with the customer', Rules: [match.rule.id] }
      : 'Override: agreed with the customer'
  }
  record['ExchangeMetaData'] = {
    BCC: [],
    CC: recipients.slice(1),
    FileSize: message.size,
    From: user.upn,
    MessageID: message.messageId,
    RecipientCount: recipients.length,
    Sent: auditTime(scene.time),
    Subject: message.subject,
    To: [recipients[0]],
    UniqueID: message.id,
  }
  record['IncidentId'] = draw.guid()
  record['ObjectId'] = message.messageId
  record['PolicyDetails'] = policyDetails(match)
  record['SensitiveInfoDetectionIsIncluded'] = true
  return record
}
