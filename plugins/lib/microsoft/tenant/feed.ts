// The activity feed of fictional tenants: audit record number n, for any n, with kinds in the proportions of a working tenant.
import type { JsonObject } from '../../../../core/plugin/json.ts'
import { STREAM } from './draw.ts'
import { hostileAddress, NOWHERE } from './networks.ts'
import { directoryChange, directoryRecord } from './records/directory.ts'
import { dlpFileRecord, dlpMailRecord } from './records/dlp.ts'
import { complianceRecord, exchangeAdminRecord } from './records/exchange-admin.ts'
import { fileRecord, listRecord, sharingRecord, siteRecord } from './records/files.ts'
import {
  alertRecord,
  copilotRecord,
  discoveryRecord,
  engageRecord,
  insightsRecord,
  powerBiRecord,
  UNKNOWN_TYPE,
  unknownRecord,
} from './records/general.ts'
import { mail } from './records/mail.ts'
import { itemRecord, itemsReadRecord, itemsRecord } from './records/mailbox.ts'
import { riskOf, riskRecord } from './records/risk.ts'
import { signIn, signInRecord } from './records/sign-in.ts'
import { teamsRecord } from './records/teams.ts'
import { click, clickRecord, fileThreatRecord, mailThreatRecord, quarantineRecord } from './records/threat.ts'
import type { Scene, World } from './world.ts'

interface Kind {
  readonly type: number
  /** Of about a thousand records. */
  readonly share: number
  make(scene: Scene): JsonObject
}

/** Administrators are the first two users of a tenant. */
function asAdmin(scene: Scene): Scene {
  const user = scene.tenant.user(scene.draw.below(Math.min(2, scene.tenant.users)))
  return { ...scene, user, device: user.devices[0] }
}

/** A sign-in that the risk engine noticed, from an address that nobody works from. */
function risky(scene: Scene): JsonObject {
  const fact = signIn({ ...scene, id: scene.draw.guid(), address: hostileAddress(scene.draw), place: NOWHERE })
  return riskRecord(riskOf(fact), scene.id)
}

export const KINDS: readonly Kind[] = [
  { type: 1, share: 45, make: scene => exchangeAdminRecord(asAdmin(scene)) },
  { type: 2, share: 85, make: itemRecord },
  { type: 3, share: 30, make: itemsRecord },
  { type: 4, share: 30, make: siteRecord },
  { type: 6, share: 280, make: scene => fileRecord(scene) },
  { type: 8, share: 35, make: scene => directoryRecord(directoryChange(asAdmin(scene))) },
  { type: 11, share: 5, make: dlpFileRecord },
  { type: 13, share: 5, make: scene => dlpMailRecord(mail(scene)) },
  { type: 14, share: 25, make: sharingRecord },
  { type: 15, share: 160, make: scene => signInRecord(signIn(scene)) },
  { type: 18, share: 6, make: scene => complianceRecord(asAdmin(scene)) },
  { type: 20, share: 10, make: powerBiRecord },
  { type: 22, share: 6, make: engageRecord },
  { type: 24, share: 2, make: scene => discoveryRecord(asAdmin(scene)) },
  { type: 25, share: 70, make: scene => teamsRecord(scene) },
  { type: 28, share: 6, make: scene => mailThreatRecord(mail(scene, { junk: true })) },
  { type: 36, share: 12, make: listRecord },
  { type: 40, share: 4, make: scene => alertRecord(scene) },
  { type: 41, share: 4, make: scene => clickRecord(click(mail(scene, { junk: true }))) },
  { type: 47, share: 1, make: fileThreatRecord },
  { type: 50, share: 155, make: itemsReadRecord },
  { type: 52, share: 2, make: scene => insightsRecord(asAdmin(scene)) },
  { type: 65, share: 3, make: scene => quarantineRecord(mail(scene, { junk: true })) },
  { type: 261, share: 15, make: copilotRecord },
  { type: 294, share: 2, make: risky },
  { type: UNKNOWN_TYPE, share: 2, make: unknownRecord },
]

/** Record types that can be made. */
export const RECORD_TYPES: readonly number[] = KINDS.map(kind => kind.type)

/** One audit record of this type (one of RECORD_TYPES) for a scene. */
export function makeRecord(type: number, scene: Scene): JsonObject {
  const kind = KINDS.find(candidate => candidate.type === type)
  if (!kind) throw new RangeError(`no record of type ${type} can be made`)
  return kind.make(scene)
}

/** The feed: index → audit record. With `types`, only records of these types, in the same proportions to each other. */
export function makeFeed(world: World, types: readonly number[] = RECORD_TYPES): (index: number) => JsonObject {
  const deck = KINDS.filter(kind => types.includes(kind.type)).flatMap(kind => Array<Kind>(kind.share).fill(kind))
  return index => {
    const scene = world.scene(STREAM.record, index)
    return scene.draw.pick(deck).make(scene)
  }
}
