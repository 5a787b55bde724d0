// What people do in mailboxes: single items (record type 2), several (3), and items read (50).
import type { JsonObject } from '../../../../../core/plugin/json.ts'
import { APPS } from '../apps.ts'
import { privateAddress, withPort } from '../networks.ts'
import { drawAttachments, drawSubject } from '../words.ts'
import type { Scene } from '../world.ts'
import { auditTime, head } from './common.ts'
import { serverOf } from './exchange-admin.ts'

const FOLDERS = ['Inbox', 'Inbox', 'Inbox', 'Sent Items', 'Drafts', 'Archive', 'Calendar', 'Deleted Items'] as const
const CLIENTS = [
  'Client=OWA;Action=ViaProxy',
  'Client=MSExchangeRPC',
  'Client=MSExchangeRPC',
  'Client=REST;Client=RESTSystem;;',
  'Client=OutlookService;Outlook-iOS/2.0;',
  'Client=WebServices;Action=ViaProxy',
] as const

/** Who opens whose mailbox: mostly one's own. */
interface Access {
  readonly owner: Scene['user']
  /** 0 owner, 1 administrator, 2 delegate. */
  readonly logon: 0 | 1 | 2
}

function drawAccess({ draw, user, tenant }: Scene): Access {
  if (!draw.chance(0.08)) return { owner: user, logon: 0 }
  return { owner: tenant.user(draw.below(tenant.users)), logon: draw.chance(0.2) ? 1 : 2 }
}

function mailboxHead(scene: Scene, type: number, operation: string, { owner, logon }: Access): JsonObject {
  const { draw, user, tenant } = scene
  const record = head(scene, {
    type,
    operation,
    workload: 'Exchange',
    status: draw.chance(0.02) ? 'PartiallySucceeded' : 'Succeeded',
    userType: logon === 1 ? 2 : 0,
  })
  // Classic clients are seen with their port, by the newer field alone or by both.
  const address = draw.chance(0.15) ? withPort(scene.address, 1024 + draw.below(60_000)) : scene.address
  record['ClientIP'] = address
  record['ClientIPAddress'] = address
  record['ClientInfoString'] = draw.pick(CLIENTS)
  record['ClientRequestId'] = draw.guid()
  record['ExternalAccess'] = false
  record['InternalLogonType'] = 0
  record['LogonType'] = logon
  record['LogonUserSid'] = user.sid
  record['MailboxGuid'] = owner.mailbox
  record['MailboxOwnerSid'] = owner.sid
  record['MailboxOwnerUPN'] = owner.upn
  record['OrganizationName'] = tenant.initialDomain
  record['OriginatingServer'] = `${serverOf(scene)}\r\n`
  record['SessionId'] = draw.guid()
  if (logon === 2) {
    record['LogonUserDisplayName'] = user.displayName
    record['ClientMachineName'] = scene.device.name
    record['ActorIP'] = privateAddress(draw)
  }
  return record
}

function folder({ draw }: Scene, name: string): JsonObject {
  return { Id: `LgAAAA${draw.base64(60)}AQ==`, Path: `\\${name}` }
}

function item(scene: Scene, folderName: string): JsonObject {
  const { draw, tenant } = scene
  return {
    Id: `RgAAAA${draw.base64(100)}AAA=`,
    ImmutableId: `LgAAAA${draw.base64(100)}AAA=`,
    InternetMessageId: `<${draw.hex(32).toUpperCase()}@${serverName(scene)}.eurprd01.prod.outlook.com>`,
    IsRecord: false,
    ParentFolder: {
      ...folder(scene, folderName),
      Name: folderName,
      ...(draw.chance(0.1) ? { MemberRights: 'ReadAny, Visible', MemberUpn: tenant.user(draw.below(tenant.users)).upn } : {}),
    },
    Sensitivity: 'Normal',
    SizeInBytes: draw.skewed(2_000, 9_000_000),
    Subject: drawSubject(draw),
  }
}

function serverName({ draw }: Scene): string {
  return `AM0PR0${1 + draw.below(8)}MB${1000 + draw.below(9000)}`
}

const ITEM_OPERATIONS = [
  'Create',
  'Update',
  'Update',
  'Send',
  'Send',
  'SendAs',
  'SendOnBehalf',
  'ModifyFolderPermissions',
  'RecordDelete',
] as const

/** The audit record of an action on one item (record type 2). */
export function itemRecord(scene: Scene): JsonObject {
  const { draw } = scene
  const operation = draw.pick(ITEM_OPERATIONS)
  const record = mailboxHead(scene, 2, operation, drawAccess(scene))
  const made = item(scene, operation === 'Create' ? 'Calendar' : operation.startsWith('Send') ? 'Sent Items' : draw.pick(FOLDERS))
  if (draw.chance(0.3)) made['Attachments'] = drawAttachments(draw)
  record['Item'] = made
  // Names alone here; with old and new values elsewhere.
  if (operation === 'Update')
    record['ModifiedProperties'] = draw.chance(0.5) ? ['HtmlBody', 'CreationTime'] : ['RecipientCollection', 'Subject']
  if (operation === 'Send') record['SaveToSentItems'] = true
  if (operation === 'SendAs') record['SendAsUserSmtp'] = record['MailboxOwnerUPN']
  if (operation === 'SendOnBehalf') record['SendOnBehalfOfUserSmtp'] = record['MailboxOwnerUPN']
  return record
}

const GROUP_OPERATIONS = ['SoftDelete', 'HardDelete', 'MoveToDeletedItems', 'Move'] as const

/** The audit record of an action on several items (record type 3). */
export function itemsRecord(scene: Scene): JsonObject {
  const { draw } = scene
  const operation = draw.pick(GROUP_OPERATIONS)
  const from = draw.pick(FOLDERS)
  const record = mailboxHead(scene, 3, operation, drawAccess(scene))
  record['AffectedItems'] = Array.from({ length: 1 + draw.skewed(0, 5) }, () => item(scene, from))
  record['CrossMailboxOperation'] = false
  if (operation.startsWith('Move')) record['DestFolder'] = folder(scene, operation === 'Move' ? 'Archive' : 'Deleted Items')
  record['Folder'] = folder(scene, from)
  return record
}

/** The audit record of items read (record type 50, MailItemsAccessed): all that one client read in two minutes. */
export function itemsReadRecord(scene: Scene): JsonObject {
  const { draw } = scene
  const sync = draw.chance(0.2)
  const record = mailboxHead(scene, 50, 'MailItemsAccessed', drawAccess(scene))
  record['ClientAppId'] = draw.pick(APPS).id
  record['OperationProperties'] = [
    { Name: 'MailAccessType', Value: sync ? 'Sync' : 'Bind' },
    { Name: 'IsThrottled', Value: 'False' },
  ]
  if (sync) {
    const name = draw.pick(FOLDERS)
    record['Item'] = { Id: `LgAAAA${draw.base64(60)}AQ==`, ParentFolder: { ...folder(scene, name), Name: name } }
    record['OperationCount'] = 1
    return record
  }
  let count = 0
  record['Folders'] = Array.from({ length: 1 + draw.skewed(0, 2) }, () => ({
    ...folder(scene, draw.pick(FOLDERS)),
    FolderItems: Array.from({ length: 1 + draw.skewed(0, 6) }, () => {
      count++
      return {
        ClientRequestId: draw.guid(),
        CreationTime: auditTime(scene.time - draw.skewed(60_000, 900_000_000)),
        Id: `RgAAAA${draw.base64(60)}AAA=`,
        ImmutableId: `LgAAAA${draw.base64(60)}AAA=`,
        InternetMessageId: `<${draw.hex(32).toUpperCase()}@${serverName(scene)}.eurprd01.prod.outlook.com>`,
        SizeInBytes: draw.skewed(2_000, 9_000_000),
        Subject: drawSubject(draw),
      }
    }),
  }))
  record['OperationCount'] = count
  return record
}
