// Mail on its way: one message, and what message trace and Graph write of it.
import type { JsonObject } from '../../../../../core/plugin/json.ts'
import { hostileAddress, officeAddress, PLACES } from '../networks.ts'
import { drawJunkSubject, drawSubject } from '../words.ts'
import type { Scene } from '../world.ts'
import { graphTime } from './common.ts'

export type MailStatus = 'Delivered' | 'Failed' | 'Pending' | 'Quarantined' | 'FilteredAsSpam' | 'Expanded' | 'Resolved'

export interface Mail {
  readonly scene: Scene
  readonly direction: 'Inbound' | 'Outbound' | 'IntraOrg'
  /** The network message id: message trace's id of the message, the same for all of its recipients. */
  readonly id: string
  /** With its angle brackets. */
  readonly messageId: string
  readonly sender: string
  readonly recipients: readonly [string, ...string[]]
  readonly subject: string
  readonly size: number
  readonly fromIp: string
  readonly toIp: string
  readonly junk: boolean
  readonly status: MailStatus
}

const PARTNERS = [
  'northwind.example',
  'tailspin.example',
  'woodgrove.example',
  'newsletter.example',
  'mail.wingtip.co.uk.example',
] as const
const STRANGERS = ['accounts', 'no-reply', 'post', 'it-desk', 'billing'] as const

function drawStatus({ draw }: Scene, junk: boolean): MailStatus {
  if (junk) return draw.chance(0.4) ? 'Quarantined' : 'FilteredAsSpam'
  if (draw.chance(0.9)) return 'Delivered'
  return draw.pick(['Failed', 'Pending', 'Expanded', 'Resolved', 'Delivered'] as const)
}

/** A message of a person at a moment: to them or from them. Junk comes from outside. */
export function mail(scene: Scene, given: { readonly junk?: boolean } = {}): Mail {
  const { draw, tenant, user } = scene
  const drawnJunk = draw.chance(0.1)
  const junk = given.junk ?? drawnJunk
  const direction = junk ? 'Inbound' : draw.pick(['Inbound', 'Inbound', 'Outbound', 'IntraOrg', 'IntraOrg'] as const)
  const inside = () => tenant.user(draw.below(tenant.users)).upn
  const partner = draw.pick(PARTNERS)
  const outside = () => `${draw.pick(STRANGERS)}@${partner}`
  const sender = direction === 'Inbound' ? outside() : user.upn
  const more = Array.from({ length: draw.skewed(0, 3) }, direction === 'Outbound' ? outside : inside)
  const first = direction === 'Inbound' ? user.upn : direction === 'Outbound' ? outside() : inside()
  const partnerPlace = draw.pick(PLACES)
  const partnerAddress = junk ? hostileAddress(draw) : officeAddress(partnerPlace, draw)
  const id = draw.guid()
  return {
    scene,
    direction,
    id,
    messageId: `<${draw.hex(24)}@${sender.split('@')[1]}>`,
    sender,
    // A recipient is listed once, however often the message names it.
    recipients: [...new Set([first, ...more])] as [string, ...string[]],
    subject: junk ? drawJunkSubject(draw) : drawSubject(draw),
    size: draw.skewed(4_000, 12_000_000),
    fromIp: direction === 'Inbound' ? partnerAddress : scene.address,
    toIp: direction === 'Outbound' ? partnerAddress : '',
    junk,
    status: drawStatus(scene, junk),
  }
}

/** Rows of Get-MessageTrace and of the Reporting Web Service: one a recipient. `index` is the first row's place in the answer. */
export function traceRows(message: Mail, index: number): JsonObject[] {
  const { scene } = message
  const window = Math.floor(scene.time / 3_600_000) * 3_600_000
  return message.recipients.map((recipient, place) => ({
    Organization: scene.tenant.initialDomain,
    MessageId: message.messageId,
    // Hundreds of nanoseconds, UTC, no zone.
    Received: `${new Date(scene.time).toISOString().slice(0, -1)}${String((scene.time * 7919) % 10_000).padStart(4, '0')}`,
    SenderAddress: message.sender,
    RecipientAddress: recipient,
    Subject: message.subject,
    Status: message.status,
    ToIP: message.toIp || null,
    FromIP: message.fromIp,
    Size: message.size,
    MessageTraceId: message.id,
    StartDate: graphTime(window),
    EndDate: graphTime(window + 3_600_000),
    Index: index + place,
  }))
}

/** The `exchangeMessageTrace` entities of Graph (admin/exchange/tracing/messageTraces): one a recipient. */
export function graphTraces(message: Mail): JsonObject[] {
  return message.recipients.map(recipient => ({
    id: message.id,
    messageId: message.messageId,
    receivedDateTime: graphTime(message.scene.time),
    senderAddress: message.sender,
    recipientAddress: recipient,
    subject: message.subject,
    size: message.size,
    fromIP: message.fromIp,
    toIP: message.toIp || null,
    status: message.status.charAt(0).toLowerCase() + message.status.slice(1),
  }))
}
