// What stays of an audit record below o365.audit, and in which form.
import { getOwn, isObject, type JsonObject, setOwn } from '../../../core/plugin/json.ts'
import { text } from './draft.ts'

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
  audit[key] = byName(value, readValue)
}

const modified: Move = (audit, value, key) => {
  if (!Array.isArray(value) || value.length > 0) audit[key] = byName(value, readChange)
}

function readValue({ Value }: JsonObject): unknown {
  return Value ?? null
}

function readChange(item: JsonObject): JsonObject {
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
 * The fields of any record that do not stay as they are. RecordType, UserType, Version, CreationTime, UserId and UserKey stand at
 * the head of every o365.audit and are set there.
 */
const MOVES: Readonly<Record<string, Move>> = {
  '@odata.type': gone,
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
  const audit = head(record, moves)
  for (const key in record) {
    const move = moves.get(key)
    if (move === undefined) audit[key] = record[key]
    else move(audit, record[key], key)
  }
  return audit
}

/**
 * The fields at the head of every o365.audit, and those that most records of a service have. One literal reserves room for them
 * in the object itself, which makes it faster to fill and to write, and keeps V8 from making a hash table of many fields.
 */
function head(record: JsonObject, moves: Moves): JsonObject {
  const { CreationTime, UserId, UserKey } = record
  const RecordType = name(record['RecordType'])
  const UserType = name(record['UserType'])
  const Version = name(record['Version'])
  if (
    CreationTime !== undefined &&
    RecordType !== undefined &&
    UserId !== undefined &&
    UserKey !== undefined &&
    UserType !== undefined &&
    Version !== undefined
  ) {
    const { CorrelationId, EventSource, ItemType, ObjectId, ResultStatus, Site } = record
    if (ResultStatus !== undefined && ObjectId !== undefined && !moves.has('ObjectId')) {
      return { CreationTime, RecordType, UserId, UserKey, UserType, Version, ResultStatus, ObjectId }
    }
    if (CorrelationId !== undefined && EventSource !== undefined && ItemType !== undefined && Site !== undefined) {
      return { CreationTime, RecordType, UserId, UserKey, UserType, Version, CorrelationId, EventSource, ItemType, Site }
    }
    return { CreationTime, RecordType, UserId, UserKey, UserType, Version }
  }
  const audit: JsonObject = {}
  if (CreationTime !== undefined) audit['CreationTime'] = CreationTime
  if (RecordType !== undefined) audit['RecordType'] = RecordType
  if (UserId !== undefined) audit['UserId'] = UserId
  if (UserKey !== undefined) audit['UserKey'] = UserKey
  if (UserType !== undefined) audit['UserType'] = UserType
  if (Version !== undefined) audit['Version'] = Version
  return audit
}

/** A number that is a name as text. */
function name(value: unknown): unknown {
  return typeof value === 'number' ? String(value) : value
}

/** A list of Name/Value objects as one object; dots and blanks in names become underscores. Text becomes `{ _raw }`. */
function byName(value: unknown, read: (item: JsonObject) => unknown): unknown {
  if (Array.isArray(value)) return fromList(value, read)
  if (typeof value !== 'string') return value
  const list = value.startsWith('[') ? parsed(value) : undefined
  return Array.isArray(list) ? fromList(list, read) : { _raw: value }
}

function fromList(list: readonly unknown[], read: (item: JsonObject) => unknown): JsonObject {
  const named: JsonObject = {}
  for (const item of list) {
    if (!isObject(item) || typeof item['Name'] !== 'string') return fromOddList(list, read)
    const key = fieldName(item['Name'])
    if (key === '__proto__') return fromOddList(list, read)
    named[key] = read(item)
  }
  // Looking for each name before it is set would cost more than all the rest.
  return Object.keys(named).length === list.length ? named : fromOddList(list, read)
}

/** A list with names twice (both values stay), with names alone (of what was changed), or with anything else in it, as text. */
function fromOddList(list: readonly unknown[], read: (item: JsonObject) => unknown): JsonObject {
  const named: JsonObject = {}
  const add = (key: string, value: unknown) => {
    const held = getOwn(named, key)
    setOwn(named, key, held === undefined ? value : Array.isArray(held) ? [...held, value] : [held, value])
  }
  for (const item of list) {
    if (isObject(item) && text(item['Name']) !== undefined) add(fieldName(String(item['Name'])), read(item))
    else if (typeof item === 'string' && read === readChange) add(fieldName(item), {})
    else if (item !== null) add('_raw', typeof item === 'string' ? item : JSON.stringify(item))
  }
  return named
}

function fieldName(name: string): string {
  return name.includes('.') || name.includes(' ') ? name.replace(/[. ]/g, '_') : name
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
