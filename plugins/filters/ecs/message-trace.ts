// Message trace rows (Graph, PowerShell, Reporting Web Service, MessageTraceLogGatherer) to ECS, for each recipient and status one.
import { type JsonObject, setOwn } from '../../../core/plugin/json.ts'
import { cut, join } from '../../lib/flat-text.ts'
import { readAddress } from '../../lib/microsoft/address.ts'
import { type DataSet, ECS_VERSION, NO_TIME, NO_TIME_TAG, type Settings } from './data-set.ts'
import { fillDomain } from './domains.ts'
import { addNew, atSign, given, idText, text, wholeNumber } from './draft.ts'
import { isoTime } from './times.ts'

/** Graph's names that are not PowerShell's with a small first letter. */
const RENAMED = new Map([
  ['id', 'MessageTraceId'],
  ['receivedDateTime', 'Received'],
])
const OUTCOMES = new Map([
  ['delivered', 'success'],
  ['failed', 'failure'],
])

export function messageTrace({ domains }: Settings): DataSet {
  /** True for a domain of the organisation; `own` is the one that the row itself names. */
  const isOwn = (domain: string, own: string | undefined) => {
    const name = domain.toLowerCase()
    return domains.has(name) || name === own
  }

  const direction = (sender: Party, recipient: Party, own: string | undefined): string | undefined => {
    if (domains.size === 0 && own === undefined) return undefined
    const out = sender.domain !== undefined && isOwn(sender.domain, own)
    const into = recipient.domain !== undefined && isOwn(recipient.domain, own)
    if (out) return into ? 'internal' : 'outbound'
    return into ? 'inbound' : 'external'
  }

  return {
    recognises(record) {
      const named = (name: string, graph: string) => record[name] !== undefined || record[graph] !== undefined
      if (!named('SenderAddress', 'senderAddress') || !named('RecipientAddress', 'recipientAddress')) return false
      // Rows of the trace's details and of Safe Links reports have these addresses too, and an event or a click.
      return (
        named('Received', 'receivedDateTime') ||
        (named('MessageTraceId', 'id') && named('Status', 'status') && !named('Event', 'event'))
      )
    },

    map(event) {
      const row = keepRow(event.fields)
      const received = isoTime(row['Received'])
      const sender = readParty(row['SenderAddress'], row['FromIP'])
      const recipient = readParty(row['RecipientAddress'], row['ToIP'])
      const status = text(row['Status'])
      const own = text(row['Organization'])?.toLowerCase()
      const way = direction(sender, recipient, own)

      const doc: JsonObject = {
        '@timestamp': received ?? NO_TIME,
        ecs: { version: ECS_VERSION },
        event: given({
          action: status === undefined ? 'message-traced' : join('message-', kebab(status)),
          category: ['email'],
          dataset: 'microsoft_exchange_online_message_trace.log',
          end: isoTime(row['EndDate']),
          id: rowId(row, status) ?? event.id,
          kind: 'event',
          module: 'microsoft_exchange_online_message_trace',
          outcome: status === undefined ? undefined : (OUTCOMES.get(status.toLowerCase()) ?? 'unknown'),
          start: isoTime(row['StartDate']),
          type: ['info'],
        }),
      }
      if (received === undefined) doc['tags'] = [NO_TIME_TAG]
      const size = wholeNumber(row['Size'])
      const email = given({
        attachments: size === undefined ? undefined : { file: { size } },
        delivery_timestamp: deliveryTime(row['Received'], received),
        direction: way,
        from: sender.address === undefined ? undefined : { address: [sender.address] },
        local_id: text(row['MessageTraceId']),
        message_id: text(row['MessageId']),
        subject: text(row['Subject']),
        to: recipient.address === undefined ? undefined : { address: [recipient.address] },
      })
      if (email) doc['email'] = email
      if (sender.fields) doc['source'] = sender.fields
      if (recipient.fields) doc['destination'] = recipient.fields
      const users: string[] = []
      for (const one of [recipient.address, sender.address, recipient.name, sender.name]) addNew(users, one)
      if (users.length > 0) doc['related'] = { user: users }
      const insiders =
        way === 'internal' ? [recipient, sender] : way === 'outbound' ? [sender] : way === 'inbound' ? [recipient] : []
      const user = given({
        email: oneOrAll(insiders.map(party => party.address)),
        id: oneOrAll(insiders.map(party => party.address)),
        name: oneOrAll(insiders.map(party => party.name)),
      })
      if (user) doc['user'] = user
      doc['microsoft'] = { online_message_trace: row }
      event.fields = doc
    },
  }
}

/** The row under PowerShell's names, without nulls, empty texts and OData's own members. */
function keepRow(record: JsonObject): JsonObject {
  const row: JsonObject = {}
  for (const key of Object.keys(record)) {
    const value = record[key]
    if (value === null || value === undefined || value === '' || key.includes('@') || key === '__metadata') continue
    const name = RENAMED.get(key) ?? key.charAt(0).toUpperCase() + key.slice(1)
    setOwn(row, name, value)
  }
  // A CSV has them as text.
  for (const name of ['Size', 'Index']) if (typeof row[name] === 'string') row[name] = wholeNumber(row[name]) ?? row[name]
  const status = row['Status']
  if (typeof status === 'string') row['Status'] = join(status.charAt(0).toUpperCase(), status.slice(1))
  return row
}

interface Party {
  readonly address?: string
  readonly name?: string
  readonly domain?: string
  /** What `source` or `destination` gets. */
  readonly fields?: JsonObject
}

function readParty(value: unknown, ip: unknown): Party {
  const address = text(value)
  const host = readAddress(ip)?.ip
  const fields: JsonObject = host === undefined ? {} : { ip: host }
  if (address === undefined) return host === undefined ? {} : { fields }
  const at = atSign(address)
  if (at < 0) {
    // The sender of a bounce is `<>`.
    fields['user'] = { email: address, id: address }
    return { address, fields }
  }
  const name = cut(address, 0, at)
  const domain = cut(address, at + 1)
  fillDomain(fields, domain)
  fields['user'] = { domain, email: address, id: address, name }
  return { address, name, domain, fields }
}

function oneOrAll(values: readonly (string | undefined)[]): unknown {
  const found = values.filter(value => value !== undefined)
  return found.length > 1 ? found : found[0]
}

/** As it came where an index reads it as a time, else in ISO form. */
function deliveryTime(received: unknown, iso: string | undefined): unknown {
  return iso !== undefined && typeof received === 'string' && /^\d{4}-\d\d-\d\dT/.test(received) ? received : iso
}

/**
 * A row tells where a message stands for one recipient, and changes from pending to delivered: each status is a document of its
 * own. The same whichever way the row was fetched.
 */
function rowId(row: JsonObject, status: string | undefined): string | undefined {
  const trace = idText(row['MessageTraceId'])
  const recipient = text(row['RecipientAddress'])
  return trace && recipient ? `${trace}:${recipient}:${status ?? ''}`.toLowerCase() : undefined
}

/** FilteredAsSpam → filtered-as-spam. */
function kebab(name: string): string {
  return name.replace(/(?<=[a-z])(?=[A-Z])/g, '-').toLowerCase()
}
