// Entra: changes of the directory (record type 8), sign-ins (15) and risk detections (294).
import { isObject, type JsonObject } from '../../../core/plugin/json.ts'
import { cut } from '../../lib/flat-text.ts'
import { addNew, atSign, given, objects, text } from './draft.ts'
import { SEVERITY } from './o365-dlp.ts'
import { type Move, namedValues } from './o365-keep.ts'
import type { Kind } from './o365-kinds.ts'
import { isoTime } from './times.ts'

export const directory: Kind = {
  operations: new Map([
    ['Add user.', { action: 'added-user-account', category: ['web', 'iam'], type: ['info', 'user', 'creation'] }],
    ['Delete user.', { action: 'deleted-user-account', category: ['web', 'iam'], type: ['info', 'user', 'deletion'] }],
    ['Update user.', { action: 'modified-user-account', category: ['web', 'iam'], type: ['info', 'user', 'change'] }],
  ]),
  fill(record, { user, users }) {
    const id = text(record['ObjectId'])
    if (id === undefined) return
    const target: JsonObject = { id }
    if (isPlainAddress(id)) {
      const at = atSign(id)
      const name = cut(id, 0, at)
      target['name'] = name
      target['domain'] = cut(id, at + 1)
      target['email'] = id
      addNew(users, text(user['name']))
      addNew(users, name)
    }
    user['target'] = target
  },
}

/** One address, not a list of them or a list of names of a service. */
function isPlainAddress(id: string): boolean {
  const at = atSign(id)
  return at > 0 && id.indexOf('@') === at && !id.includes(';') && !id.includes(' ') && !id.includes('/')
}

const isUserAgent = (item: unknown): item is JsonObject => isObject(item) && item['Name'] === 'UserAgent'

const withoutUserAgent: Move = (audit, value, key) =>
  namedValues(audit, Array.isArray(value) ? value.filter(item => !isUserAgent(item)) : value, key)

export const signIn: Kind = {
  category: ['web', 'authentication'],
  type: ['info', 'start', 'access'],
  moves: { ExtendedProperties: withoutUserAgent },
  fill(record, { doc, event }) {
    // ResultStatus speaks of the HTTP exchange here; the operation speaks of the sign-in.
    if (record['Operation'] === 'UserLoginFailed') event['outcome'] = 'failure'
    const properties = record['ExtendedProperties']
    const agent: unknown = Array.isArray(properties) ? properties.find(isUserAgent)?.['Value'] : undefined
    if (typeof agent === 'string') doc['user_agent'] ??= { original: agent }
  },
}

export const riskDetection: Kind = {
  kind: 'alert',
  category: ['web', 'intrusion_detection'],
  fill(record, { doc, event, user, audit }) {
    const level = text(record['RiskLevel'])
    const severity = SEVERITY.get(level?.toLowerCase() ?? '')
    if (severity !== undefined) event['severity'] = severity
    const start = isoTime(record['ActivityDateTime'])
    if (start !== undefined) event['start'] = start
    const reason = text(record['RiskDetail'])
    if (reason !== undefined && reason !== 'none') event['reason'] = reason
    const rule = given({ name: text(record['RiskEventType']), ruleset: text(record['Source']) })
    if (rule) doc['rule'] = rule
    const name = text(record['UserDisplayName'])
    if (name !== undefined) user['full_name'] = name
    if (level !== undefined) user['risk'] = { static_level: level }
    // The same list of keys and values as Identity Protection's own detections have.
    const agent = objects(audit['AdditionalInfo']).find(item => item['Key'] === 'userAgent')?.['Value']
    if (typeof agent === 'string') doc['user_agent'] ??= { original: agent }
  },
}
