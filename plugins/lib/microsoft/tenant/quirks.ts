// The ugly forms that real audit records come in, one by one: what a mapping must survive, by name.
import type { JsonObject } from '../../../../core/plugin/json.ts'
import type { NameValue } from './records/common.ts'

/** The forms of an address in `ClientIP` and its relatives; `port` is added where the form has one. */
export const ADDRESS_FORMS: Readonly<Record<string, (v4: string, v6: string, port: number) => string | null>> = {
  'plain v4': v4 => v4,
  'v4 with port': (v4, _, port) => `${v4}:${port}`,
  'v4 in brackets': v4 => `[${v4}]`,
  'v4 in brackets with port': (v4, _, port) => `[${v4}]:${port}`,
  'plain v6': (_, v6) => v6,
  'v6 in brackets': (_, v6) => `[${v6}]`,
  'v6 in brackets with port': (_, v6, port) => `[${v6}]:${port}`,
  'v4 as v6': v4 => `::ffff:${v4}`,
  'v4 as v6 in brackets with port': (v4, _, port) => `[::ffff:${v4}]:${port}`,
  'loopback v6': () => '::1',
  'host name': () => 'localhost',
  'host name with port': (_v4, _v6, port) => `gateway.contoso.example:${port}`,
  'host name in brackets with port': (_v4, _v6, port) => `[localhost]:${port}`,
  'name and address': v4 => `GATEWAY (${v4})`,
  'name and address in brackets': v4 => `[GATEWAY (${v4})]`,
  'name and no address': () => 'GATEWAY (10.900.0.1)',
  'the text <null>': () => '<null>',
  empty: () => '',
  null: () => null,
}

export interface Quirk {
  readonly name: string
  /** Record type that it is seen in. */
  readonly type: number
  /** The same record with the quirk; the record given is not changed. */
  apply(record: JsonObject): JsonObject
}

const without = (record: JsonObject, ...keys: string[]): JsonObject =>
  Object.fromEntries(Object.entries(record).filter(([key]) => !keys.includes(key)))
const renamed = (record: JsonObject, from: string, to: string): JsonObject =>
  Object.fromEntries(Object.entries(record).map(([key, value]) => [key === from ? to : key, value]))
const asText = (list: unknown): string => (list as NameValue[]).map(({ Name, Value }) => `-${Name} "${Value}"`).join(' ')

export const QUIRKS: readonly Quirk[] = [
  { name: 'numbers as text', type: 6, apply: record => ({ ...record, RecordType: '6', UserType: '0', Version: '1' }) },
  { name: 'Parameters as one text', type: 1, apply: record => ({ ...record, Parameters: asText(record['Parameters']) }) },
  {
    name: 'Parameters with an empty value',
    type: 1,
    apply: record => ({ ...record, Parameters: [{ Name: 'ForwardingSmtpAddress', Value: '' }] }),
  },
  {
    name: 'ExtendedProperties as one text',
    type: 15,
    apply: record => ({ ...record, ExtendedProperties: asText(record['ExtendedProperties']) }),
  },
  {
    name: 'ExtendedProperties with an empty UserAgent',
    type: 15,
    apply: record => ({ ...record, ExtendedProperties: [{ Name: 'UserAgent', Value: '' }] }),
  },
  {
    name: 'ModifiedProperties as names',
    type: 2,
    apply: record => ({ ...record, Operation: 'Update', ModifiedProperties: ['HtmlBody', 'Item.Class', 'CreationTime'] }),
  },
  {
    name: 'ModifiedProperties as one text',
    type: 8,
    apply: record => ({ ...record, ModifiedProperties: 'Included Updated Properties: Department' }),
  },
  {
    name: 'OperationProperties as JSON text',
    type: 50,
    apply: record => ({ ...record, OperationProperties: JSON.stringify(record['OperationProperties']) }),
  },
  { name: 'OperationProperties as empty JSON text', type: 50, apply: record => ({ ...record, OperationProperties: '[]' }) },
  {
    name: 'AdditionalInfo as JSON text',
    type: 20,
    apply: record => ({ ...record, AdditionalInfo: '{"EnvironmentName":"default","Nested":{"a.b":1}}' }),
  },
  { name: 'without ClientIP', type: 6, apply: record => without(record, 'ClientIP') },
  { name: 'without UserKey and UserType', type: 25, apply: record => without(record, 'UserKey', 'UserType') },
  { name: 'without Version', type: 6, apply: record => without(record, 'Version') },
  { name: 'without Workload', type: 15, apply: record => without(record, 'Workload') },
  { name: 'without UserId', type: 15, apply: record => without(record, 'UserId') },
  { name: 'without RecordType', type: 15, apply: record => ({ ...without(record, 'RecordType'), Platform: 1 }) },
  {
    name: 'user of no directory',
    type: 8,
    apply: record => ({ ...record, UserId: 'S-1-5-18', UserKey: 'S-1-5-18', UserType: 4 }),
  },
  {
    name: 'user who is not available',
    type: 15,
    apply: record => ({ ...record, UserId: 'Not Available', UserKey: 'Not Available' }),
  },
  {
    name: 'user that is an application',
    type: 6,
    apply: record => ({
      ...record,
      UserId: 'app@sharepoint',
      UserKey: 'i:0i.t|00000003-0000-0ff1-ce00-000000000000|app@sharepoint',
      UserType: 5,
    }),
  },
  {
    name: 'server name that ends in a newline',
    type: 2,
    apply: record => ({ ...record, OriginatingServer: '[AM0PR01MB2000 (10.20.30.40)]\n' }),
  },
  {
    name: 'server name with a build number',
    type: 1,
    apply: record => ({ ...record, OriginatingServer: 'AM0PR01MB2000 (15.20.4930.010)' }),
  },
  {
    name: 'keys in another case',
    type: 41,
    apply: record => renamed(renamed(record, 'UrlClickAction', 'URLClickAction'), 'Url', 'URL'),
  },
  { name: 'IntraSystemsId', type: 15, apply: record => renamed(record, 'IntraSystemId', 'IntraSystemsId') },
  {
    name: 'a key twice in Data',
    type: 40,
    apply: record => ({
      ...record,
      Data: '{"QueryTime":"2026-05-06T08:00:00Z","f3u":"ana@contoso.example","QueryTime":"2026-05-06T09:00:00Z"}',
    }),
  },
  { name: 'Data that is no JSON', type: 40, apply: record => ({ ...record, Data: 'none' }) },
  {
    name: 'keys nobody documented',
    type: 6,
    apply: record => ({
      ...record,
      'New.Key With Blanks': { deep: [{ er: null }] },
      constructor: 'text',
      EmptyList: [],
      EmptyObject: {},
    }),
  },
  {
    name: 'time with a zone',
    type: 6,
    apply: record => ({ ...record, CreationTime: `${String(record['CreationTime'])}.0000000Z` }),
  },
]
