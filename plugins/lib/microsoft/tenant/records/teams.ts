// What people do in Teams (record type 25).
import type { JsonObject } from '../../../../../core/plugin/json.ts'
import type { Scene } from '../world.ts'
import { head } from './common.ts'

// biome-ignore format: how often each happens is seen best in lines
const OPERATIONS = [
  'TeamsSessionStarted', 'TeamsSessionStarted', 'TeamsSessionStarted', 'TeamsSessionStarted', 'MessageSent', 'MessageSent', 'MessageSent', 'MessagesListed',
  'MeetingParticipantDetail', 'ChannelAdded', 'MemberAdded', 'MemberAdded', 'MemberRemoved', 'TeamCreated', 'TabAdded', 'BotAddedToTeam',
] as const

/** The audit record of an action in Teams. A session has no team, and most records no address. */
export function teamsRecord(scene: Scene, operation: string = scene.draw.pick(OPERATIONS)): JsonObject {
  const { draw, tenant, user } = scene
  const team = draw.pick(tenant.teams)
  const record = head(scene, { type: 25, operation, workload: 'MicrosoftTeams', userKey: user.id })
  if (operation === 'TeamsSessionStarted') {
    record['ClientIP'] = draw.chance(0.3) ? `::ffff:${scene.place.v4[0]}` : scene.address
    record['ObjectId'] = 'Unknown (Unknown)'
    record['ExtraProperties'] = [
      { Key: 'UserAgent', Value: scene.device.userAgent },
      { Key: 'OsName', Value: scene.device.os },
    ]
    return record
  }
  record['AADGroupId'] = team.group
  record['CommunicationType'] = 'Team'
  record['TeamGuid'] = team.thread
  record['TeamName'] = team.name
  if (operation.startsWith('Member') || operation === 'TeamCreated') {
    record['ItemName'] = team.name
    record['Members'] = Array.from({ length: 1 + draw.skewed(0, 4) }, () => {
      const member = tenant.user(draw.below(tenant.users))
      return { DisplayName: member.displayName, Role: draw.skewed(0, 2), UPN: member.upn }
    })
    return record
  }
  record['ChannelGuid'] = team.channel
  record['ChannelName'] = draw.pick(['General', 'Planning', 'Fun'])
  record['ChannelType'] = 'Standard'
  if (operation === 'TabAdded') record['TabType'] = 'Website'
  if (operation === 'BotAddedToTeam') {
    record['AddOnGuid'] = draw.guid()
    record['AddOnName'] = 'Coffee roulette'
    record['AddOnType'] = 1
  }
  if (operation.startsWith('Message')) {
    record['ClientIP'] = scene.address
    record['MessageId'] = String(scene.time)
    record['MessageSizeInBytes'] = draw.skewed(10, 4000)
    record['ParticipantInfo'] = { HasForeignTenantUsers: false, HasGuestUsers: draw.chance(0.1), HasOtherGuestUsers: false }
  }
  return record
}
