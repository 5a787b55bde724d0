// Changes in the directory: one fact, and what the activity feed and Graph write of it.
import type { JsonObject } from '../../../../../core/plugin/json.ts'
import type { User } from '../people.ts'
import type { Scene } from '../world.ts'
import { graphTime, head } from './common.ts'

interface Change {
  readonly name: string
  readonly old: string
  readonly new: string
}

interface Kind {
  /** Without the full stop that audit records end it with. */
  readonly activity: string
  readonly category: 'UserManagement' | 'GroupManagement' | 'RoleManagement' | 'ApplicationManagement' | 'Policy'
  readonly operationType: 'Add' | 'Update' | 'Delete' | 'Assign'
  readonly target: 'User' | 'Application' | 'Policy'
  changes(scene: Scene, target: User): Change[]
}

const json = (value: unknown): string => JSON.stringify(value)
const change = (name: string, from: unknown, to: unknown): Change => ({ name, old: json(from), new: json(to) })
const updated = (...names: string[]): Change => ({ name: 'Included Updated Properties', old: '', new: names.join(', ') })
const ROLES = [
  'Helpdesk Administrator',
  'Exchange Administrator',
  'Security Reader',
  'User Administrator',
  'Global Administrator',
] as const
const SCOPES = ['User.Read Mail.Read offline_access', 'Files.Read.All', 'User.Read profile openid'] as const

const KINDS: readonly Kind[] = [
  {
    activity: 'Update user',
    category: 'UserManagement',
    operationType: 'Update',
    target: 'User',
    changes: ({ draw }, target) => [
      change('Department', [target.department], [draw.pick(['Finance', 'Sales', 'Research', 'Legal'])]),
      updated('Department'),
      { name: 'TargetId.UserType', old: '', new: json('Member') },
    ],
  },
  {
    activity: 'Add user',
    category: 'UserManagement',
    operationType: 'Add',
    target: 'User',
    changes: (_, target) => [
      change('AccountEnabled', [], [true]),
      change('DisplayName', [], [target.displayName]),
      change('UserPrincipalName', [], [target.upn]),
      updated('AccountEnabled', 'DisplayName', 'UserPrincipalName'),
      { name: 'TargetId.UserType', old: '', new: json('Member') },
    ],
  },
  {
    activity: 'Delete user',
    category: 'UserManagement',
    operationType: 'Delete',
    target: 'User',
    changes: () => [change('IsHardDeleted', '', 'False'), updated('IsHardDeleted')],
  },
  { activity: 'Reset user password', category: 'UserManagement', operationType: 'Update', target: 'User', changes: () => [] },
  {
    activity: 'Add member to group',
    category: 'GroupManagement',
    operationType: 'Assign',
    target: 'User',
    changes: ({ draw, tenant }) => {
      const team = draw.pick(tenant.teams)
      return [change('Group.ObjectID', null, team.group), change('Group.DisplayName', null, team.name)]
    },
  },
  {
    activity: 'Add member to role',
    category: 'RoleManagement',
    operationType: 'Assign',
    target: 'User',
    changes: ({ draw }) => [change('Role.DisplayName', null, draw.pick(ROLES)), change('Role.ObjectID', null, draw.guid())],
  },
  {
    activity: 'Consent to application',
    category: 'ApplicationManagement',
    operationType: 'Assign',
    target: 'Application',
    changes: ({ draw }) => [
      { name: 'ConsentContext.IsAdminConsent', old: '', new: draw.chance(0.5) ? 'True' : 'False' },
      {
        name: 'ConsentAction.Permissions',
        old: '',
        new: `[] => [[Id: ${draw.guid()}, ConsentType: Principal, Scope: ${draw.pick(SCOPES)}]];`,
      },
    ],
  },
  {
    activity: 'Update application – Certificates and secrets management ',
    category: 'ApplicationManagement',
    operationType: 'Update',
    target: 'Application',
    changes: ({ draw }) => [
      change('KeyDescription', [], [`[KeyIdentifier=${draw.guid()},KeyType=Password,KeyUsage=Verify,DisplayName=nightly]`]),
      updated('KeyDescription'),
    ],
  },
  {
    activity: 'Update policy',
    category: 'Policy',
    operationType: 'Update',
    target: 'Policy',
    changes: () => [change('PolicyDetail', ['{"AllowGuests":false}'], ['{"AllowGuests":true}'])],
  },
]
const SPREAD = [0, 0, 0, 0, 0, 0, 1, 1, 2, 3, 3, 4, 4, 4, 4, 5, 6, 6, 7, 8] as const

export interface DirectoryChange {
  readonly scene: Scene
  readonly kind: Kind
  readonly target: { readonly id: string; readonly name: string; readonly user?: User }
  readonly changes: readonly Change[]
  readonly correlationId: string
  readonly failed: boolean
}

/** An administrator changes something; the scene's id is the audit record's, and part of Graph's. */
export function directoryChange(scene: Scene): DirectoryChange {
  const { draw, tenant } = scene
  const kind = KINDS[draw.pick(SPREAD)] as Kind
  const user = tenant.user(draw.below(tenant.users))
  const target =
    kind.target === 'User'
      ? { id: user.id, name: user.upn, user }
      : {
          id: draw.guid(),
          name: kind.target === 'Policy' ? 'Guest access policy' : draw.pick(['nightly-export', 'Payroll sync', 'Room finder']),
        }
  return { scene, kind, target, changes: kind.changes(scene, user), correlationId: draw.guid(), failed: draw.chance(0.03) }
}

/** The audit record (record type 8). Its address is nearly always empty. */
export function directoryRecord({ scene, kind, target, changes, correlationId, failed }: DirectoryChange): JsonObject {
  const { user, tenant } = scene
  const record = head(scene, {
    type: 8,
    operation: kind.activity.endsWith(' ') ? kind.activity : `${kind.activity}.`,
    workload: 'AzureActiveDirectory',
    status: failed ? 'Failed' : 'Success',
    userKey: `${user.puid}@${tenant.domain}`,
  })
  record['ClientIP'] = ''
  record['ObjectId'] = target.user ? target.user.upn : target.id
  record['AzureActiveDirectoryEventType'] = 1
  record['ExtendedProperties'] = [
    {
      Name: 'additionalDetails',
      Value: JSON.stringify({
        'User-Agent': scene.device.userAgent,
        ...(target.user ? { UserType: 'Member' } : { AppId: target.id }),
      }),
    },
    { Name: 'extendedAuditEventCategory', Value: kind.target },
  ]
  record['ModifiedProperties'] = changes.map(({ name, old, new: now }) => ({ Name: name, NewValue: now, OldValue: old }))
  record['Actor'] = [
    { ID: user.upn, Type: 5 },
    { ID: user.puid, Type: 3 },
    { ID: `User_${user.id}`, Type: 2 },
    { ID: user.id, Type: 2 },
    { ID: 'User', Type: 2 },
  ]
  record['ActorContextId'] = tenant.id
  record['ActorIpAddress'] = ''
  record['InterSystemsId'] = correlationId
  record['IntraSystemId'] = scene.id
  record['SupportTicketId'] = ''
  record['Target'] = [
    { ID: `${kind.target}_${target.id}`, Type: 2 },
    { ID: target.id, Type: 2 },
    { ID: kind.target, Type: 2 },
    ...(target.user
      ? [
          { ID: target.user.upn, Type: 5 },
          { ID: target.user.puid, Type: 3 },
        ]
      : [{ ID: target.name, Type: 1 }]),
  ]
  record['TargetContextId'] = tenant.id
  return record
}

/** The `directoryAudit` of Graph v1.0 (auditLogs/directoryAudits). */
export function graphDirectoryAudit({ scene, kind, target, changes, correlationId, failed }: DirectoryChange): JsonObject {
  const { user } = scene
  return {
    id: `Directory_${scene.id}_${scene.time % 100_000}`,
    category: kind.category,
    correlationId,
    result: failed ? 'failure' : 'success',
    resultReason: '',
    activityDisplayName: kind.activity,
    activityDateTime: graphTime(scene.time),
    loggedByService: 'Core Directory',
    operationType: kind.operationType,
    initiatedBy: {
      user: { id: user.id, displayName: user.displayName, userPrincipalName: user.upn, ipAddress: scene.address },
      app: null,
    },
    targetResources: [
      {
        id: target.id,
        displayName: target.user ? target.user.displayName : target.name,
        type: kind.target,
        userPrincipalName: target.user ? target.user.upn : null,
        groupType: null,
        modifiedProperties: changes.map(({ name, old, new: now }) => ({
          displayName: name,
          oldValue: old || null,
          newValue: now,
        })),
      },
    ],
    additionalDetails: [{ key: 'User-Agent', value: scene.device.userAgent }],
  }
}
