// What Defender for Office 365 writes of mail: verdicts (record type 28), clicks (41), files (47), quarantine (65).
import { createHash } from 'node:crypto'
import type { JsonObject } from '../../../../../core/plugin/json.ts'
import { driveOf } from '../tenant.ts'
import { drawFile } from '../words.ts'
import type { Scene } from '../world.ts'
import { auditTime, head } from './common.ts'
import type { Mail } from './mail.ts'

const THREAT = { workload: 'ThreatIntelligence', userKey: 'ThreatIntel', userType: 4 } as const
const explorer = (query: string): string => `https://security.microsoft.com/threatexplorer?${query}`
const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex').toUpperCase()

/** The audit record of a verdict on a message (record type 28, TIMailData). Texts where the schema says numbers, and no address. */
export function mailThreatRecord(message: Mail): JsonObject {
  const { scene, recipients, sender } = message
  const { draw } = scene
  const phish = draw.chance(0.7)
  const removed = draw.chance(0.3)
  const attachment = drawFile(draw)
  const record = head(scene, { ...THREAT, type: 28, operation: 'TIMailData', userId: 'ThreatIntel' })
  record['ObjectId'] = `${message.id}${draw.next()}`
  record['AdditionalActionsAndResults'] = removed ? ['ZAP: Success'] : ['OriginalDelivery: [N/A]']
  record['AttachmentData'] = phish
    ? []
    : [
        {
          FileName: attachment.name,
          FileType: attachment.extension,
          FileVerdict: 1,
          MalwareFamily: 'Trojan:Win32/Example',
          SHA256: sha256(message.id),
        },
      ]
  record['AuthDetails'] = [
    { Name: 'SPF', Value: draw.pick(['Fail', 'Soft fail', 'None']) },
    { Name: 'DKIM', Value: 'None' },
    { Name: 'DMARC', Value: 'Fail' },
    { Name: 'Comp Auth', Value: 'fail' },
  ]
  record['Connector'] = ''
  record['DeliveryAction'] = message.status === 'Quarantined' ? 'Blocked' : 'DeliveredAsSpam'
  record['DetectionMethod'] = phish ? 'URL malicious reputation' : 'Antimalware protection'
  record['DetectionType'] = removed ? 'ZAP' : 'Inline'
  record['Directionality'] = message.direction
  record['EventDeepLink'] = explorer(`messageParams=${message.id},${recipients[0]}`)
  record['InternetMessageId'] = message.messageId
  record['LatestDeliveryLocation'] = message.status === 'Quarantined' ? 'Quarantine' : 'JunkFolder'
  record['MessageTime'] = auditTime(scene.time)
  record['NetworkMessageId'] = message.id
  record['OriginalDeliveryLocation'] = removed ? 'Inbox' : record['LatestDeliveryLocation']
  record['P1Sender'] = sender
  record['P2Sender'] = sender
  record['PhishConfidenceLevel'] = phish ? 'High' : 'None'
  record['Policy'] = phish ? 'HighConfidencePhish' : 'AntiMalware'
  record['PolicyAction'] = message.status === 'Quarantined' ? 'Quarantine' : 'MoveToJmf'
  record['Recipients'] = [...recipients]
  record['SenderIp'] = message.fromIp
  record['Subject'] = message.subject
  record['SystemOverrides'] = []
  record['ThreatsAndDetectionTech'] = phish ? 'Phish: [URL malicious reputation]' : 'Malware: [Antimalware protection]'
  record['Verdict'] = phish ? 'Phish' : 'Malware'
  return record
}

/** A click on a link that Safe Links looked at: blocked, or the block overridden. */
export interface Click {
  readonly message: Mail
  readonly url: string
  readonly time: number
  /** 2 block page, 3 pending page, 4 block page overridden, 5 pending page overridden. */
  readonly action: 2 | 3 | 4 | 5
}

export function click(message: Mail): Click {
  const { draw, time } = message.scene
  const url = `https://${draw.pick(['bad', 'login', 'parcel', 'verify'])}.${draw.hex(8)}.example/${draw.pick(['login', 'track?id=', 'a/b/c', 'view.aspx'])}`
  return { message, url, time: time + 60_000 + draw.skewed(0, 50_000_000), action: draw.pick([2, 2, 2, 2, 3, 4, 5] as const) }
}

/** The audit record of a click (record type 41, TIUrlClickData): there is none for a click that was allowed. */
export function clickRecord({ message, url, time, action }: Click): JsonObject {
  const { scene } = message
  const record = head(
    { ...scene, time: time + 60_000 },
    { ...THREAT, type: 41, operation: 'TIUrlClickData', userId: scene.user.upn },
  )
  record['AppName'] = 'Mail'
  record['AppVersion'] = '0.0.0000'
  record['EventDeepLink'] = explorer(`urlParams=${message.id}`)
  record['SourceId'] = message.id
  record['TimeOfClick'] = auditTime(time)
  record['Url'] = url
  record['UrlClickAction'] = action
  record['UserIp'] = scene.address
  return record
}

/** A row of Get-SafeLinksDetailReport for the same click. */
export function safeLinksRow({ message, url, time, action }: Click): JsonObject {
  const { scene, sender } = message
  return {
    ClickTime: auditTime(time),
    NetworkMessageId: message.id,
    ClientMessageId: message.messageId,
    SenderAddress: sender,
    RecipientAddress: scene.user.upn,
    Url: url,
    UrlDomain: new URL(url).hostname,
    Action: action === 2 ? 'Blocked' : action === 3 ? 'Scanning' : action === 4 ? 'ClickedEvenBlocked' : 'ClickedDuringScan',
    AppName: 'Email Client',
    SourceId: message.id,
    Organization: scene.tenant.initialDomain,
    DetectedBy: 'MDO_SafeLinks',
    UrlType: '',
    Flags: action === 2 || action === 3 ? 1 : action === 4 ? 2 : 3,
  }
}

/** The audit record of a file found bad (record type 47, AtpDetection). */
export function fileThreatRecord(scene: Scene): JsonObject {
  const { draw, user, tenant } = scene
  const file = drawFile(draw)
  const drive = driveOf(user, tenant)
  const record = head(scene, { ...THREAT, type: 47, operation: 'AtpDetection', userId: user.upn })
  record['DetectionDate'] = auditTime(scene.time)
  record['DetectionMethod'] = 'AntiMalware'
  record['EventDeepLink'] = explorer(`fileParams=${scene.id}`)
  record['FileData'] = {
    DocumentId: draw.guid(),
    FileName: file.name,
    FilePath: `${drive.url}${drive.library}/${file.name}`,
    FileSize: String(draw.skewed(10_000, 5_000_000)),
    FileVerdict: 1,
    MalwareFamily: 'Trojan:Win32/Example',
    SHA256: sha256(scene.id),
  }
  record['LastModifiedBy'] = user.upn
  record['LastModifiedDate'] = auditTime(scene.time - draw.below(86_400_000))
  record['ObjectId'] = scene.id
  record['SourceWorkload'] = draw.below(2)
  return record
}

/** In the order of their numbers. */
const QUARANTINE = [
  'QuarantinePreview',
  'QuarantineDelete',
  'QuarantineRelease',
  'QuarantineExport',
  'QuarantineViewHeader',
  'QuarantineReleaseRequest',
] as const

/** The audit record of what somebody does with a message in quarantine (record type 65). */
export function quarantineRecord(message: Mail): JsonObject {
  const { scene } = message
  const request = scene.draw.below(QUARANTINE.length)
  const record = head(scene, {
    type: 65,
    operation: QUARANTINE[request] as string,
    workload: 'Quarantine',
    status: 'Successful',
    userType: request === 3 ? 2 : 0,
  })
  record['NetworkMessageId'] = message.id
  record['ObjectId'] = message.id
  if (request === 2) record['ReleaseTo'] = message.recipients[0]
  record['RequestSource'] = scene.draw.below(3)
  record['RequestType'] = request
  return record
}
