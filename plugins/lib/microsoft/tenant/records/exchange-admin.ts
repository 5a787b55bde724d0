// Exchange's administration: cmdlets that people and the service itself run (record types 1 and 18).
import type { JsonObject } from '../../../../../core/plugin/json.ts'
import { privateAddress, withPort } from '../networks.ts'
import type { Scene } from '../world.ts'
import { auditTime, head, pairs } from './common.ts'

export interface Cmdlet {
  readonly name: string
  /** Run by the service itself, not by a person. */
  readonly system?: true
  parameters(scene: Scene): Record<string, string>
}

const other = ({ draw, tenant }: Scene) => tenant.user(draw.below(tenant.users))
const CMDLETS: readonly Cmdlet[] = [
  {
    name: 'Set-Mailbox',
    system: true,
    parameters: scene => ({
      Identity: `EURPR01A002.PROD.OUTLOOK.COM/Microsoft Exchange Hosted Organizations/${scene.tenant.initialDomain}/${other(scene).id}`,
      RetentionPolicy: 'Default MRM Policy',
      Force: 'True',
    }),
  },
  {
    name: 'Set-MailboxPlan',
    system: true,
    parameters: ({ tenant, draw }) => ({
      Identity: `${tenant.initialDomain}\\ExchangeOnlineEnterprise-${draw.guid()}`,
      RoleAssignmentPolicy: 'Default Role Assignment Policy',
    }),
  },
  {
    name: 'Set-User',
    system: true,
    parameters: scene => ({ Identity: other(scene).id, SyncMailboxLocationGuids: 'True', ErrorAction: 'Stop' }),
  },
  {
    name: 'Set-TransportConfig',
    system: true,
    parameters: ({ tenant }) => ({
      Identity: tenant.initialDomain,
      MaxSendSize: '35 MB (36,700,160 bytes)',
      JournalingReportNdrTo: '',
    }),
  },
  {
    name: 'Set-Mailbox',
    parameters: scene => ({
      Identity: other(scene).upn,
      DeliverToMailboxAndForward: 'True',
      GrantSendOnBehalfTo: other(scene).upn,
    }),
  },
  {
    name: 'Add-MailboxPermission',
    parameters: scene => ({
      Identity: other(scene).upn,
      User: other(scene).upn,
      AccessRights: 'FullAccess',
      InheritanceType: 'All',
    }),
  },
  {
    name: 'New-InboxRule',
    parameters: ({ draw }) => ({
      AlwaysDeleteOutlookRulesBlob: 'False',
      Force: 'False',
      MoveToFolder: draw.pick(['Archive', 'Newsletters', 'Travel']),
      Name: draw.pick(['News', 'Trips', '.']),
      From: `news@newsletter.example`,
      StopProcessingRules: 'True',
    }),
  },
  {
    name: 'Set-OwaMailboxPolicy',
    parameters: () => ({ Identity: 'OwaMailboxPolicy-Default', WacExternalServicesEnabled: 'False' }),
  },
  {
    name: 'New-TransportRule',
    parameters: ({ draw, tenant }) => ({
      Name: `Mark mail from outside ${draw.below(90)}`,
      FromScope: 'NotInOrganization',
      PrependSubject: '[external] ',
      ExceptIfSenderDomainIs: tenant.domain,
    }),
  },
  {
    name: 'Remove-MailboxPermission',
    parameters: scene => ({ Identity: other(scene).upn, User: other(scene).upn, AccessRights: 'FullAccess', Confirm: 'False' }),
  },
  { name: 'Set-AdminAuditLogConfig', parameters: () => ({ UnifiedAuditLogIngestionEnabled: 'True' }) },
]
const SYSTEM_USER = 'NT AUTHORITY\\SYSTEM (Microsoft.Exchange.ServiceHost)'

/** The audit record of a cmdlet (record type 1). */
export function exchangeAdminRecord(scene: Scene, cmdlet: Cmdlet = scene.draw.pick(CMDLETS)): JsonObject {
  const { draw, tenant } = scene
  const system = cmdlet.system ?? false
  const record = head(scene, {
    type: 1,
    operation: cmdlet.name,
    workload: 'Exchange',
    status: draw.chance(0.03) ? 'False' : 'True',
    userType: system ? 3 : 2,
    ...(system ? { userId: SYSTEM_USER, userKey: SYSTEM_USER } : {}),
  })
  if (!system) record['ClientIP'] = withPort(scene.address, 1024 + draw.below(60_000))
  const parameters = cmdlet.parameters(scene)
  record['ObjectId'] = parameters['Identity'] ?? `${tenant.initialDomain}\\${parameters['Name'] ?? ''}`
  record['AppId'] = ''
  record['ClientAppId'] = ''
  record['ExternalAccess'] = system
  record['OrganizationName'] = tenant.initialDomain
  record['OriginatingServer'] = serverOf(scene)
  record['Parameters'] = pairs(parameters)
  if (!system) {
    record['TokenObjectId'] = scene.user.id
    record['TokenTenantId'] = tenant.id
  }
  return record
}

/** A mailbox server with its build number in parentheses, as real records have it, or with its private address, as older ones. */
export function serverOf({ draw }: Scene): string {
  const name = `AM0PR0${1 + draw.below(8)}MB${1000 + draw.below(9000)}`
  return draw.chance(0.3)
    ? `${name} (${privateAddress(draw)})`
    : `${name} (15.20.${8000 + draw.below(700)}.0${10 + draw.below(40)})`
}

const COMPLIANCE = [
  'Get-DlpSensitiveInformationType',
  'Get-RetentionCompliancePolicy',
  'Get-ComplianceTag',
  'New-ComplianceSearch',
  'Set-DlpCompliancePolicy',
] as const

/** The audit record of a compliance cmdlet (record type 18): its parameters are one text. */
export function complianceRecord(scene: Scene): JsonObject {
  const { draw, tenant } = scene
  const operation = draw.pick(COMPLIANCE)
  const record = head(scene, { type: 18, operation, workload: 'SecurityComplianceCenter', status: 'Success', userType: 2 })
  record['ClientIP'] = scene.address
  record['ObjectId'] = ''
  record['ClientApplication'] = 'EMC'
  record['ClientRequestId'] = draw.guid()
  record['CmdletVersion'] = ''
  record['EffectiveOrganization'] = tenant.initialDomain
  record['NonPiiParameters'] = '-Identity -Confirm'
  record['Parameters'] = `-Identity "${draw.pick(tenant.dlp.rules).name}" -Confirm "False"`
  record['StartTime'] = auditTime(scene.time - 1000)
  record['UserServicePlan'] = ''
  return record
}
