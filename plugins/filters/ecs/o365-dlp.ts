// Data loss prevention: matches of rules in mail, files and on devices (record types 11, 13, 33, 63, 107).
import { isObject, type JsonObject } from '../../../core/plugin/json.ts'
import { addNew, type Draft, given, objects, text, texts, under } from './draft.ts'
import type { Move } from './o365-keep.ts'
import type { Kind } from './o365-kinds.ts'
import { isoTime } from './times.ts'

/** The same scale for all that Microsoft 365 grades so. */
export const SEVERITY: ReadonlyMap<string, number> = new Map([
  ['informational', 1],
  ['low', 2],
  ['medium', 3],
  ['high', 4],
])

const withoutMail: Move = (audit, value, key) => {
  if (isObject(value)) {
    const { From, Subject, ...rest } = value
    audit[key] = rest
  } else audit[key] = value
}

const withoutFile: Move = (audit, value, key) => {
  if (isObject(value)) {
    const { FileName, FileOwner, FilePathUrl, UniqueID, UniqueId, ...rest } = value
    audit[key] = rest
  } else audit[key] = value
}

const exception: Move = (audit, value, key) => {
  if (isObject(value)) audit[key] = value
  else if (text(value) !== undefined) audit[key] = { Reason: text(value) }
}

export const dlp: Kind = {
  kind: 'alert',
  category: ['web', 'file'],
  type: ['info', 'access'],
  moves: { ExceptionInfo: exception, ExchangeMetaData: withoutMail, SharePointMetaData: withoutFile },
  fill(record, draft) {
    const rules = objects(record['PolicyDetails']).flatMap(policy => objects(policy['Rules']))
    fillRules(record, draft, rules)
    if (isObject(record['ExchangeMetaData'])) fillMail(record['ExchangeMetaData'], draft)
    if (isObject(record['SharePointMetaData'])) fillFile(record['SharePointMetaData'], draft)
  },
}

function fillRules(record: JsonObject, { doc, event }: Draft, rules: readonly JsonObject[]): void {
  const id: string[] = []
  const name: string[] = []
  let severity = 0
  let blocked = false
  for (const rule of rules) {
    id.push(...texts(rule['RuleId']))
    name.push(...texts(rule['RuleName']))
    severity = Math.max(severity, SEVERITY.get(String(rule['Severity']).toLowerCase()) ?? 0)
    blocked ||= texts(rule['Actions']).includes('BlockAccess')
  }
  const rule = given({ id: id.length > 0 ? id : undefined, name: name.length > 0 ? name : undefined })
  if (rule) doc['rule'] = rule
  if (severity > 0) event['severity'] = severity
  const { ExceptionInfo, Operation } = record
  // The two services write the operation in two ways. With an exception the user overrode the rule, or reported it as wrong.
  const match = String(Operation).toLowerCase() === 'dlprulematch'
  const overridden = isObject(ExceptionInfo) ? Object.keys(ExceptionInfo).length > 0 : text(ExceptionInfo) !== undefined
  event['outcome'] = match && blocked && !overridden ? 'failure' : 'success'
}

function fillMail(mail: JsonObject, { doc }: Draft): void {
  const subject = text(mail['Subject'])
  if (subject !== undefined) doc['message'] = subject
  const from = text(mail['From'])
  if (from !== undefined) under(doc, 'source')['user'] = { email: from }
  const to = [...texts(mail['To']), ...texts(mail['CC']), ...texts(mail['BCC'])]
  if (to.length > 0) under(doc, 'destination')['user'] = { email: to }
}

function fillFile(meta: JsonObject, { doc, users }: Draft): void {
  const owner = text(meta['FileOwner'])
  const file = given({
    inode: text(meta['UniqueID']) ?? text(meta['UniqueId']),
    mtime: isoTime(meta['LastModifiedTime']),
    name: text(meta['FileName']),
    owner,
  })
  if (file) doc['file'] = file
  const url = text(meta['FilePathUrl'])
  if (url !== undefined) doc['url'] = { original: url }
  addNew(users, owner)
}
