// The samples of the quick start: written by their script, exactly as many as the README says, and holding what they promise.
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parse } from 'csv-parse/sync'
import { type CountryResponse, open } from 'maxmind'
import t from 'tap'
import { isObject, type JsonObject } from '../../core/plugin/json.ts'
import { composeSamples, readSample } from '../../pipelines/samples/compose.ts'
import { PLACES } from '../../plugins/lib/microsoft/tenant/networks.ts'

const FOLDER = join(import.meta.dirname, '../../pipelines/samples')
const paths = readdirSync(FOLDER, { recursive: true, withFileTypes: true })
  .filter(entry => entry.isFile() && /\.(ndjson|gz|json|csv)$/.test(entry.name))
  .map(entry =>
    join(entry.parentPath, entry.name)
      .slice(FOLDER.length + 1)
      .replaceAll('\\', '/'),
  )
  .sort()

const texts = new Map(paths.map(path => [path, readSample(path)]))
const torn: string[] = []
/** The records of each file, as a reader that knows nothing of Penstock finds them. */
const files = new Map([...texts].map(([path, text]) => [path, read(path, text)]))
const all = [...files.values()].flat()
const audit = all.filter(record => record['Received'] === undefined)

function read(path: string, text: string): JsonObject[] {
  if (path.endsWith('.csv')) return parse(text, { columns: true, bom: true })
  if (path.startsWith('trace/')) return JSON.parse(text).value
  if (path.endsWith('.json')) return JSON.parse(text)
  return text.split('\n').flatMap(line => {
    try {
      return line === '' ? [] : [JSON.parse(line)]
    } catch {
      torn.push(`${path}: ${line.slice(0, 40)}`)
      return []
    }
  })
}

/** What makes two records the same: the audit record's id; for message trace message, recipient and status. */
function keyOf(record: JsonObject): string {
  if (record['Received'] === undefined) return String(record['Id'] ?? record['RecordId'])
  return `${record['MessageTraceId']}:${record['RecipientAddress']}:${record['Status']}`
}

t.test('the files are what the script writes from its seed', async t => {
  const composed = composeSamples()
  t.same(composed.map(file => file.path).sort(), paths)
  for (const { path, text } of composed) t.ok(texts.get(path) === text, `${path} is stale: run node pipelines/samples/compose.ts`)
})

t.test('there are as many records as the quick start says', async t => {
  t.strictSame(Object.fromEntries([...files].map(([path, records]) => [path, records.length])), {
    'audit/dlp.ndjson': 44,
    'audit/entra.ndjson': 583,
    'audit/exchange.ndjson': 441,
    'audit/general.ndjson': 340,
    'audit/late.ndjson': 50,
    'audit/odd-forms.ndjson': 84,
    'audit/sharepoint.ndjson.gz': 582,
    'exports/audit-search.csv': 55,
    'exports/message-trace.csv': 137,
    'feed/audit-exchange.json': 66,
    'trace/message-trace.json': 274,
  })
  const distinct = new Set(all.map(keyOf)).size
  t.strictSame(
    { records: all.length, distinct, duplicates: all.length - distinct },
    { records: 2656, distinct: 2545, duplicates: 111 },
  )
  const size = paths.reduce((sum, path) => sum + statSync(join(FOLDER, path)).size, 0)
  t.ok(size < 4_000_000, `${size} bytes`)
})

t.test('one line is torn: the last one of one file', async t => {
  t.strictSame(torn, ['audit/late.ndjson: {"CreationTime":"2026-05-06T11:39:03","I'])
  const last = texts.get('audit/late.ndjson')?.split('\n').at(-1) ?? ''
  t.throws(() => JSON.parse(last))
  t.notMatch(last, 'DetectedValues', 'and it holds nothing that has to be removed')
})

t.test('some records come twice in one file, in another one, in other words, and in an export', async t => {
  const late = files.get('audit/late.ndjson') as JsonObject[]
  const others = (...paths: string[]) => paths.flatMap(path => files.get(path) as JsonObject[])
  const repeated = (records: JsonObject[]) => records.length - new Set(records.map(keyOf)).size
  t.equal(repeated(others('audit/sharepoint.ndjson.gz')), 12)
  t.equal(repeated(others('trace/message-trace.json')), 7)
  const stored = new Map(
    others('audit/entra.ndjson', 'audit/exchange.ndjson', 'audit/sharepoint.ndjson.gz').map(one => [
      one['Id'],
      JSON.stringify(one),
    ]),
  )
  t.equal(late.filter(record => stored.get(record['Id']) === JSON.stringify(record)).length, 40)
  t.equal(late.filter(record => stored.has(record['Id']) && record['Scope'] === 0).length, 10)
  const [feed = [], search = []] = ['feed/audit-exchange.json', 'exports/audit-search.csv'].map(path => files.get(path))
  t.equal(feed.filter(record => stored.has(record['Id'])).length, 6)
  t.equal(search.filter(record => stored.has(record['RecordId'])).length, 15)
})

t.test('every kind of log is there', async t => {
  const counts = new Map<number, number>()
  for (const { RecordType } of audit) counts.set(Number(RecordType), (counts.get(Number(RecordType)) ?? 0) + 1)
  for (const type of [1, 2, 3, 4, 6, 8, 11, 13, 14, 15, 18, 20, 22, 24, 25, 28, 36, 40, 41, 47, 50, 52, 65, 261, 294, 9001]) {
    t.ok((counts.get(type) ?? 0) >= 5, `record type ${type}: ${counts.get(type)}`)
  }
  const operations = new Set(audit.map(record => record['Operation']))
  // biome-ignore format: one line a service
  const promised = [
    'UserLoggedIn', 'UserLoginFailed', 'AadRiskDetection', 'Update user.', 'Add user.', 'Delete user.', 'Add member to role.', 'Consent to application.',
    'MailItemsAccessed', 'Send', 'SoftDelete', 'HardDelete', 'New-InboxRule', 'Add-MailboxPermission', 'Set-Mailbox',
    'FileAccessed', 'FileModified', 'FileDownloaded', 'FileUploaded', 'FileDeleted', 'SharingSet', 'AnonymousLinkCreated', 'PageViewed',
    'DLPRuleMatch', 'DlpRuleMatch', 'DlpRuleUndo', 'TIMailData', 'TIUrlClickData', 'AlertTriggered', 'AlertEntityGenerated',
    'TeamsSessionStarted', 'TeamCreated', 'MemberAdded', 'GroupCreation', 'CopilotInteraction', 'QuarantineRelease',
  ]
  t.strictSame(
    promised.filter(operation => !operations.has(operation)),
    [],
  )
  const statuses = new Set(all.map(record => record['Status']))
  for (const status of ['Delivered', 'Failed', 'Pending', 'Quarantined', 'FilteredAsSpam', 'Expanded', 'Resolved'])
    t.ok(statuses.has(status), status)
  t.equal(
    new Set(audit.map(record => record['OrganizationId'])).size -
      (audit.some(record => record['OrganizationId'] === undefined) ? 1 : 0),
    2,
  )
})

const text = (value: unknown): value is string => typeof value === 'string'
const record = (value: unknown, type: number) => isObject(value) && Number(value['RecordType']) === type
/** The ugly forms by name, and how to know one. */
const FORMS: Readonly<Record<string, (found: JsonObject) => boolean>> = {
  'an address': ({ ClientIP }) => ClientIP === '192.0.2.10',
  'an address with a port': ({ ClientIP }) => ClientIP === '192.0.2.11:49153',
  'an address in brackets': ({ ClientIP }) => ClientIP === '[192.0.2.12]',
  'an address in brackets with a port': ({ ClientIP }) => ClientIP === '[192.0.2.13]:49155',
  'an IPv6 address': ({ ClientIP }) => ClientIP === '2001:db8::e',
  'an IPv6 address in brackets': ({ ClientIP }) => ClientIP === '[2001:db8::f]',
  'an IPv6 address in brackets with a port': ({ ClientIP }) => ClientIP === '[2001:db8::10]:49158',
  'an IPv4 address written as IPv6': ({ ClientIP }) => text(ClientIP) && /^::ffff:192/.test(ClientIP),
  'an IPv4 address written as IPv6 with a port': ({ ClientIP }) => text(ClientIP) && /^\[::ffff:192.*\]:\d+$/.test(ClientIP),
  'the address of the machine itself': ({ ClientIP }) => ClientIP === '::1',
  'a host name': ({ ClientIP }) => ClientIP === 'localhost',
  'a host name with a port': ({ ClientIP }) => ClientIP === 'gateway.contoso.example:49163',
  'a host name in brackets with a port': ({ ClientIP }) => ClientIP === '[localhost]:49164',
  'a name and an address': ({ ClientIP }) => ClientIP === 'GATEWAY (192.0.2.23)',
  'a name and an address in brackets': ({ ClientIP }) => ClientIP === '[GATEWAY (192.0.2.24)]',
  'a name and what is no address': ({ ClientIPAddress }) => ClientIPAddress === 'GATEWAY (10.900.0.1)',
  'an address <null>': ({ ActorIpAddress }) => ActorIpAddress === '<null>',
  'an empty address': found => record(found, 6) && found['ClientIP'] === '',
  'an address that is null': ({ ClientIP }) => ClientIP === null,
  'no address': found => record(found, 6) && !('ClientIP' in found),
  'numbers as text': ({ RecordType, UserType, Version }) => text(RecordType) && text(UserType) && text(Version),
  'Parameters as text': found => record(found, 1) && text(found['Parameters']),
  'ExtendedProperties as text': found => record(found, 15) && text(found['ExtendedProperties']),
  'ModifiedProperties as text': ({ ModifiedProperties }) => text(ModifiedProperties),
  'ModifiedProperties as names': ({ ModifiedProperties }) => Array.isArray(ModifiedProperties) && text(ModifiedProperties[0]),
  'ModifiedProperties that are empty': ({ ModifiedProperties }) =>
    Array.isArray(ModifiedProperties) && ModifiedProperties.length === 0,
  'OperationProperties as JSON text': ({ OperationProperties }) =>
    text(OperationProperties) && OperationProperties.includes('MailAccessType'),
  'AdditionalInfo as JSON text': found => record(found, 20) && text(found['AdditionalInfo']),
  'a value that is empty': ({ Parameters }) => JSON.stringify(Parameters)?.includes('"Value":""') ?? false,
  'no RecordType': found => !('RecordType' in found) && 'Operation' in found && !('AuditData' in found),
  'no Workload': found => !('Workload' in found) && 'RecordType' in found && !('AuditData' in found),
  'no UserId': found => !('UserId' in found) && 'RecordType' in found,
  'no UserKey and no UserType': found =>
    !('UserKey' in found) && !('UserType' in found) && 'RecordType' in found && !('AuditData' in found),
  'no Version': found => !('Version' in found) && 'Operation' in found && !('AuditData' in found),
  'no ResultStatus': found => record(found, 6) && !('ResultStatus' in found),
  'a user that is a SID': ({ UserId }) => UserId === 'S-1-5-18',
  'a user that is an application': ({ UserId }) => UserId === 'app@sharepoint',
  'a user that is the service itself': ({ UserId }) => text(UserId) && UserId.startsWith('NT AUTHORITY\\SYSTEM'),
  'a server name with a newline': ({ OriginatingServer }) => text(OriginatingServer) && OriginatingServer.endsWith('\n'),
  'a server name with a build number': ({ OriginatingServer }) =>
    text(OriginatingServer) && OriginatingServer.endsWith('(15.20.4930.010)'),
  'keys in another case': found => 'URLClickAction' in found && 'URL' in found,
  IntraSystemsId: found => 'IntraSystemsId' in found,
  'a key twice in a JSON text': ({ Data }) => text(Data) && Data.split('QueryTime').length === 3,
  'a Data that is no JSON': ({ Data }) => Data === 'none',
  'keys with dots and blanks': found => 'New.Key With Blanks' in found,
  'a key that JavaScript knows': found => Object.hasOwn(found, 'constructor'),
  'a time with a zone': ({ CreationTime }) => text(CreationTime) && CreationTime.endsWith('.0000000Z'),
  'a time that means never': found => JSON.stringify(found).includes('0001-01-02T00:00:00'),
  'an override as text': ({ ExceptionInfo }) => text(ExceptionInfo),
  'an override as an object': ({ ExceptionInfo }) => isObject(ExceptionInfo),
  'what looks like XML and is none': ({ EventData }) => text(EventData) && EventData.includes('<Permissions granted>'),
  'a matched card number': found => JSON.stringify(found).includes('"DetectedValues":[{"Name":"4111 1111 1111 1111"'),
  'several scripts': found => /[\u3040-\u9fff]/.test(JSON.stringify(found)),
  'times of the United States': ({ Received }) => text(Received) && /^\d+\/\d+\/\d{4} \d+:\d\d:\d\d [AP]M$/.test(Received),
  'times of 100 nanoseconds': ({ Received }) => text(Received) && /\.\d{7}$/.test(Received),
}

t.test('every ugly form is there', async t => {
  t.strictSame(
    Object.keys(FORMS).filter(form => !all.some(FORMS[form] as (found: JsonObject) => boolean)),
    [],
  )
})

t.test('the break-in can be found', async t => {
  const failed = audit.filter(({ Operation, ClientIP }) => Operation === 'UserLoginFailed' && ClientIP === '192.0.2.240')
  t.equal(new Set(failed.map(({ UserId }) => UserId)).size, 24, 'one address tries many people')
  t.ok(
    audit.some(
      ({ Operation, ClientIP, UserId }) =>
        Operation === 'UserLoggedIn' && ClientIP === '192.0.2.240' && UserId === 'bo@contoso.example',
    ),
  )
  t.ok(
    audit.some(
      ({ Operation, UserId, Parameters }) =>
        Operation === 'New-InboxRule' && UserId === 'bo@contoso.example' && JSON.stringify(Parameters).includes('ForwardTo'),
    ),
  )
})

t.test('addresses are those of the list, of documentation, or private', async t => {
  const allowed = new Set([...PLACES.flatMap(place => place.v4), '10.900.0.1'])
  const found = [...new Set([...texts.values()].flatMap(text => text.match(/(?<![\d.])\d{1,3}(?:\.\d{1,3}){3}(?![\d.])/g) ?? []))]
  // Build numbers of servers and browsers look like addresses.
  const strange = found.filter(
    one => !allowed.has(one) && !/^(192\.0\.2\.|10\.|15\.20\.)/.test(one) && !/^(0\.0\.0\.0|1\.0\.0\.0|136\.0\.0\.0)$/.test(one),
  )
  t.strictSame(strange, [])
})

t.test('the database places every office where the list says', async t => {
  const file = fileURLToPath(import.meta.resolve('@ip-location-db/geo-whois-asn-country-mmdb/geo-whois-asn-country.mmdb'))
  const database = await open<CountryResponse>(file).catch(() => undefined)
  if (!database) return t.fail('the country database cannot be read')
  const placed = PLACES.flatMap(({ v4, v6, country }) => [...v4, v6].map(address => [address, country]))
  const country = (address: string) => (database.get(address) as unknown as { country_code?: string } | null)?.country_code
  t.strictSame(
    placed.map(([address = '']) => [address, country(address)]),
    placed,
  )
  t.equal(country('192.0.2.66'), undefined, 'homes lie nowhere')
})

t.test('names are invented: domains are examples, or those of the services', async t => {
  const hosts = new Set(
    [...texts.values()].flatMap(text =>
      [...text.matchAll(/(?:@|https:\/\/)([a-z0-9.-]+\.[a-z]\w+)/gi)].map(match => String(match[1]).toLowerCase()),
    ),
  )
  const services =
    /(^|\.)(example|sharepoint\.com|onmicrosoft\.com|microsoft\.com|office365\.com|live\.com|prod\.outlook\.com|thread\.tacv2|thread\.v2)$/
  t.strictSame(
    [...hosts].filter(host => !services.test(host)),
    [],
  )
})

t.test('what is written on disk is bytes: no line ending is ever changed', async t => {
  t.match(readFileSync(join(FOLDER, '.gitattributes'), 'utf8'), '* -text')
  t.match(texts.get('exports/message-trace.csv'), /^\ufeff"Organization".*"\r\n/)
})
