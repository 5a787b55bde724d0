// Audit records of Microsoft 365 (Management Activity API, audit searches, exports) to ECS, as Elastic's integration has it.
import { PermanentError } from '../../../core/plugin/errors.ts'
import { isObject, type JsonObject } from '../../../core/plugin/json.ts'
import { cut } from '../../lib/flat-text.ts'
import { type Address, readAddress } from '../../lib/microsoft/address.ts'
import { recordType } from '../../lib/microsoft/record-types.ts'
import { type DataSet, ECS_VERSION, NO_TIME, NO_TIME_TAG, type Settings } from './data-set.ts'
import { addNew, atSign, type Draft, idText, text, under, wholeNumber } from './draft.ts'
import { keep } from './o365-keep.ts'
import { kindOf } from './o365-kinds.ts'
import { isoTime } from './times.ts'

/** By ResultStatus. A record without one means success: the services write down what was done. */
const OUTCOMES = new Map<unknown, string>([
  [undefined, 'success'],
  [null, 'success'],
  ['', 'success'],
])
for (const status of ['Success', 'Succeeded', 'Successful', 'PartiallySucceeded', 'InProgress', 'True'])
  addOutcome(status, 'success')
for (const status of ['Failed', 'Failure', 'False']) addOutcome(status, 'failure')
function addOutcome(status: string, outcome: string): void {
  for (const spelt of [status, status.toLowerCase(), status.toUpperCase()]) OUTCOMES.set(spelt, outcome)
}

/** Of every record, and all that most of them have. */
const CATEGORY: readonly string[] = ['web']
const TYPE: readonly string[] = ['info']

/** Fields that a record without RecordType, Operation and Workload is known by. */
const SIGNS = ['CreationTime', 'OrganizationId', 'UserKey', 'UserType', 'ClientIP', 'Platform']

export function o365Audit({ tenants }: Settings): DataSet {
  const nameOf = tenantNames(tenants)

  return {
    recognises(record) {
      if (record['RecordType'] !== undefined || record['Operation'] !== undefined || record['Workload'] !== undefined) return true
      return wrapped(record) !== undefined || SIGNS.some(sign => record[sign] !== undefined)
    },

    map(event) {
      const row = event.fields
      const inner = wrapped(row)
      const record = inner === undefined ? row : unwrap(inner)
      const number = recordType(record['RecordType'])
      const kind = kindOf(number.number)
      const operation = text(record['Operation'])
      const sort = (operation !== undefined && kind.operations?.get(operation)) || kind

      const happened: JsonObject = {
        action: sort.action ?? operation ?? number.name ?? 'unknown',
        category: (sort.category ?? CATEGORY).slice(),
        dataset: 'o365.audit',
        id: idText(record['Id']) ?? (inner === undefined ? undefined : rowId(row)) ?? event.id,
        kind: kind.kind ?? 'event',
        module: 'o365',
        outcome: outcome(record['ResultStatus']),
        type: (sort.type ?? TYPE).slice(),
      }
      if (number.name !== undefined) happened['code'] = number.name
      const workload = text(record['Workload'])
      if (workload !== undefined) happened['provider'] = workload

      const time = isoTime(record['CreationTime']) ?? otherTime(record, row)
      const doc: JsonObject = { '@timestamp': time ?? NO_TIME, ecs: { version: ECS_VERSION }, event: happened }
      if (time === undefined) doc['tags'] = [NO_TIME_TAG]
      const audit = keep(record, kind.all)
      const draft: Draft = { doc, event: happened, user: readUser(record), audit, users: [], ips: [] }

      fillOrganization(record, draft, nameOf, event.meta)
      fillClient(record, draft, kind.address)
      fillServer(record, draft)
      if (typeof record['UserAgent'] === 'string') doc['user_agent'] = { original: record['UserAgent'] }
      kind.fill?.(record, draft)
      const size = record['FileSize'] === undefined ? undefined : wholeNumber(record['FileSize'])
      if (size !== undefined) under(doc, 'file')['size'] = size
      finish(draft)
      doc['o365'] = { audit }
      event.fields = doc
    },
  }
}

/** The audit record inside a row: of Search-UnifiedAuditLog or a portal export (text), of an audit search in Graph (object). */
function wrapped(row: JsonObject): unknown {
  return row['AuditData'] ?? row['auditData']
}

function unwrap(inner: unknown): JsonObject {
  if (isObject(inner)) return inner
  let record: unknown
  try {
    record = JSON.parse(String(inner))
  } catch (cause) {
    throw new PermanentError(
      'AuditData of this row is no JSON. A spreadsheet cuts texts at 32,767 characters: use the export as it came.',
      { cause },
    )
  }
  if (!isObject(record)) throw new PermanentError('AuditData of this row is JSON, but no object.')
  return record
}

/** The row's copy of the record's id, by the names that the sources have for it. */
function rowId(row: JsonObject): string | undefined {
  return idText(row['Identity']) ?? idText(row['RecordId']) ?? idText(row['id'])
}

/** For a record without CreationTime: the time of the row around it, or one that something before the filter gave it. */
function otherTime(record: JsonObject, row: JsonObject): string | undefined {
  return isoTime(record['@timestamp']) ?? isoTime(row['createdDateTime']) ?? isoTime(row['CreationDate'])
}

function outcome(status: unknown): string {
  return OUTCOMES.get(status) ?? OUTCOMES.get(String(status).toLowerCase()) ?? 'unknown'
}

function readUser(record: JsonObject): JsonObject {
  const id = text(record['UserId'])
  const owner = text(record['MailboxOwnerUPN'])
  if (id === undefined) return owner === undefined ? {} : { email: owner }
  const at = atSign(id)
  if (at > 0) return { domain: domainOf(id, at), email: owner ?? id, id, name: cut(id, 0, at) }
  return owner === undefined ? { id } : { email: owner, id }
}

/** The domain of the last user: most users have the domain of the one before. */
let lastDomain = ''

function domainOf(address: string, at: number): string {
  if (address.length - at - 1 !== lastDomain.length || !address.endsWith(lastDomain)) lastDomain = cut(address, at + 1)
  return lastDomain
}

/** Looks a tenant's name up by its id. Most records are of the tenant of the one before. */
function tenantNames(tenants: ReadonlyMap<string, string>): (id: string) => string | undefined {
  let lastId = ''
  let lastName: string | undefined
  return id => {
    if (id !== lastId) {
      lastName = tenants.get(id.toLowerCase())
      lastId = id
    }
    return lastName
  }
}

function fillOrganization(
  record: JsonObject,
  { doc, user }: Draft,
  nameOf: (id: string) => string | undefined,
  { tenant, tenant_name }: Readonly<JsonObject>,
): void {
  const id = text(record['OrganizationId'])
  // The input knows the name of the tenant that it reads.
  const known = tenant === id ? text(tenant_name) : undefined
  const name = (id !== undefined && nameOf(id)) || known || text(record['OrganizationName'])
  const host = name ?? user['domain']
  if (id !== undefined) {
    doc['organization'] = name === undefined ? { id } : { id, name }
    doc['host'] = host === undefined ? { id } : { id, name: host }
  } else {
    if (name !== undefined) doc['organization'] = { name }
    if (host !== undefined) doc['host'] = { name: host }
  }
}

function fillClient(record: JsonObject, { doc, audit, ips }: Draft, more: string | undefined): void {
  const { ClientIPAddress, ClientIP } = record
  let client: Address | undefined
  if (ClientIPAddress !== undefined) client = readAddress(ClientIPAddress)
  if (client) {
    if (ClientIP !== undefined) audit['ClientIP'] = ClientIP
  } else {
    client = readAddress(ClientIP) ?? readAddress(record['ActorIpAddress'])
    if (!client && more !== undefined) client = readAddress(record[more])
    if (!client) return
  }
  const { ip, port, address, domain, version } = client
  const fields: JsonObject = {}
  if (address !== undefined) fields['address'] = address
  if (domain !== undefined) fields['domain'] = domain
  if (ip !== undefined) {
    fields['ip'] = ip
    if (port !== undefined) fields['port'] = port
    doc['source'] = port === undefined ? { ip } : { ip, port }
    doc['network'] = { type: version }
    ips.push(ip)
  }
  doc['client'] = fields
}

function fillServer(record: JsonObject, { doc, ips }: Draft): void {
  if (record['OriginatingServer'] === undefined) return
  const server = readAddress(record['OriginatingServer'])
  if (!server) return
  const { ip, address, domain } = server
  const fields: JsonObject = {}
  if (address !== undefined) fields['address'] = address
  if (domain !== undefined) fields['domain'] = domain
  if (ip !== undefined) {
    fields['ip'] = ip
    under(doc, 'destination')['ip'] = ip
    addNew(ips, ip)
  }
  doc['server'] = fields
}

function finish({ doc, user, users, ips }: Draft): void {
  const { name } = user
  if (name !== undefined && !users.includes(name as string)) users.push(name as string)
  if (Object.keys(user).length > 0) doc['user'] = user
  if (users.length > 0) doc['related'] = ips.length > 0 ? { ip: ips, user: users } : { user: users }
  else if (ips.length > 0) doc['related'] = { ip: ips }
}
