// What stays of an audit record below o365.audit, and in which form.
import { isObject, type JsonObject, setOwn } from '../../../core/plugin/json.ts'

/** Puts one field of the record into `audit`, in its own way. */
export type Move = (audit: JsonObject, value: unknown, key: string) => void

/** The field leaves o365.audit: it is elsewhere in the document. */
export const gone: Move = () => {}

/** The same for text. What is no text could not be put elsewhere and stays. */
export const leaves: Move = (audit, value, key) => {
  if (typeof value === 'object' && value !== null) audit[key] = value
}

/** Numbers that are names in disguise: they are never summed, and other records have them as text. */
const asText: Move = (audit, value, key) => {
  audit[key] = typeof value === 'number' ? String(value) : value
}

/** Another spelling of a field's name. */
const under =
  (name: string): Move =>
  (audit, value) => {
    audit[name] ??= value
  }

/** One index field cannot be text here and an object there. */
const objectsAs =
  (name: string): Move =>
  (audit, value, key) => {
    audit[isObject(value) ? name : key] = value
  }

const actors: Move = (audit, value, key) => {
  if (Array.isArray(value)) {
    for (const actor of value) if (isObject(actor) && typeof actor['Type'] === 'number') actor['Type'] = String(actor['Type'])
  }
  audit[key] = value
}

export const namedValues: Move = (audit, value, key) => {
  audit[key] = byName(value, item => item['Value'] ?? null)
}

const modified: Move = (audit, value, key) => {
  if (Array.isArray(value) && value.length === 0) return
  audit[key] = byName(value, changed)
}

function changed(item: JsonObject): JsonObject {
  const { NewValue, OldValue } = item
  if (NewValue !== undefined && OldValue !== undefined) return { NewValue, OldValue }
  const { Name, ...values } = item
  return values
}

const jsonText: Move = (audit, value, key) => {
  if (typeof value === 'string') {
    if (value !== '') audit[key] = parsed(value) ?? { _raw: value }
  } else audit[key] = value
}

const platform: Move = (audit, value, key) => {
  // The other numbers' names are published nowhere.
  audit[key] = value === 1 || value === '1' ? 'Windows' : typeof value === 'number' ? String(value) : value
}

/**
 * The fields of any record that do not stay as they are. RecordType, UserType, Version, CreationTime, UserId and UserKey stand at the
 * head of every o365.audit and are set there.
 */
const MOVES: Readonly<Record<string, Move>> = {
  '@timestamp': leaves,
  ActorUserId: leaves,
  ClientIP: leaves,
  ClientIPAddress: leaves,
  CreationTime: gone,
  Id: leaves,
  MailboxOwnerUPN: leaves,
  Operation: leaves,
  OrganizationId: leaves,
  OrganizationName: leaves,
  OriginatingServer: leaves,
  RecordType: gone,
  UserAgent: leaves,
  UserId: gone,
  UserKey: gone,
  UserType: gone,
  Version: gone,
  Workload: leaves,
  ActorYammerUserId: asText,
  AzureActiveDirectoryEventType: asText,
  InternalLogonType: asText,
  LogonType: asText,
  YammerNetworkId: asText,
  Actor: actors,
  Target: actors,
  AdditionalInfo: jsonText,
  OperationProperties: jsonText,
  ExtendedProperties: namedValues,
  Parameters: namedValues,
  ModifiedProperties: modified,
  IntraSystemsId: under('IntraSystemId'),
  URL: under('Url'),
  URLClickAction: under('UrlClickAction'),
  Message: objectsAs('MessageObject'),
  Sender: objectsAs('SenderEntity'),
  Platform: platform,
}

/** An assignment would set the prototype. */
const own: Move = (audit, value, key) => setOwn(audit, key, value)

export type Moves = ReadonlyMap<string, Move>

/** The moves of every record, and those of a record type. */
export function moves(more: Readonly<Record<string, Move>> = {}): Moves {
  return new Map([...Object.entries(MOVES), ['__proto__', own], ...Object.entries(more)])
}

/** Copies a record to what stays of it. (Deleting what goes instead would make every later step slower: measured.) */
export function keep(record: JsonObject, moves: Moves): JsonObject {
  const audit = head(record)
  for (const key in record) {
    const move = moves.get(key)
    if (move === undefined) audit[key] = record[key]
    else move(audit, record[key], key)
  }
  return audit
}

/** The fields that nearly every record has, in one literal: an object that begins so is written faster. */
function head(record: JsonObject): JsonObject {
  const { CreationTime, RecordType, UserId, UserKey, UserType, Version } = record
  if (
    CreationTime !== undefined &&
    RecordType !== undefined &&
    UserId !== undefined &&
    UserKey !== undefined &&
    UserType !== undefined &&
    Version !== undefined
  ) {
    return { CreationTime, RecordType: number(RecordType), UserId, UserKey, UserType: number(UserType), Version: number(Version) }
  }
  const audit: JsonObject = {}
  if (CreationTime !== undefined) audit['CreationTime'] = CreationTime
  if (RecordType !== undefined) audit['RecordType'] = number(RecordType)
  if (UserId !== undefined) audit['UserId'] = UserId
  if (UserKey !== undefined) audit['UserKey'] = UserKey
  if (UserType !== undefined) audit['UserType'] = number(UserType)
  if (Version !== undefined) audit['Version'] = number(Version)
  return audit
}

function number(value: unknown): unknown {
  return typeof value === 'number' ? String(value) : value
}

/** A list of Name/Value objects as one object; dots and blanks in names become underscores. Text becomes `{ _raw }`. */
function byName(value: unknown, read: (item: JsonObject) => unknown): unknown {
  if (typeof value === 'string') {
    const list = value.startsWith('[') ? parsed(value) : undefined
    return Array.isArray(list) ? byName(list, read) : { _raw: value }
  }
  if (!Array.isArray(value)) return value
  const named: JsonObject = {}
  for (const item of value) {
    if (typeof item === 'string') add(named, item, {})
    else if (isObject(item) && item['Name'] !== undefined) add(named, String(item['Name']), read(item))
    else if (item !== null) add(named, '_raw', item)
  }
  return named
}

function add(named: JsonObject, name: string, value: unknown): void {
  const key = name.includes('.') || name.includes(' ') ? name.replace(/[. ]/g, '_') : name
  const held = named[key]
  // `held` may be what every object inherits (`constructor`), which is not held.
  if (held !== undefined && Object.hasOwn(named, key)) named[key] = Array.isArray(held) ? [...held, value] : [held, value]
  else setOwn(named, key, value)
}

/** A JSON text that holds an object or a list; undefined otherwise. */
export function parsed(text: string): JsonObject | unknown[] | undefined {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null ? (value as JsonObject | unknown[]) : undefined
  } catch {
    return undefined
  }
}
