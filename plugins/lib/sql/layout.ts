// The tables of Microsoft's own exporter script (O365InvestigationDataAcquisition.ps1), and one for what it left out.
import { isObject, type JsonObject } from '../../../core/plugin/json.ts'
import { fieldPath } from '../field-path.ts'
import { recordType } from '../microsoft/record-types.ts'
import type { ColumnType, TableShape } from './dialect.ts'

export const LAYOUT_TABLES = ['auditaad', 'auditexchange', 'auditsharepoint', 'auditgeneral'] as const
export type LayoutTable = (typeof LAYOUT_TABLES)[number]

/** Holds the whole record as JSON; what Microsoft's exports call it. */
export const WHOLE_RECORD = 'AuditData'

const TEXT: ColumnType = { name: 'text' }
const TYPES: Readonly<Record<string, ColumnType>> = {
  CreationTime: { name: 'time' },
  Id: { name: 'string', length: 36, fixed: true },
  RecordType: { name: 'integer' },
  UserType: { name: 'integer' },
}

const words = (text: string) => text.split(' ')
/** O365InvestigationTooling, as the reference has it: the names and their order. */
const COLUMNS: Readonly<Record<LayoutTable, readonly string[]>> = {
  auditaad: words(
    'CreationTime Id Operation OrganizationId RecordType ResultStatus UserKey UserType Workload ClientIP ObjectId UserId ' +
      'AzureActiveDirectoryEventType Client LoginStatus UserDomain',
  ),
  auditexchange: words(
    'CreationTime Id Operation OrganizationId RecordType ResultStatus UserKey UserType Workload ObjectId UserId ExternalAccess ' +
      'OrganizationName OriginatingServer Parameters',
  ),
  auditsharepoint: words(
    'CreationTime Id Operation OrganizationId RecordType UserKey UserType Workload ClientIP ObjectId UserId EventSource ItemType ' +
      'Site UserAgent SourceFileExtension SiteUrl SourceFileName SourceRelativeUrl',
  ),
  auditgeneral: words(
    `CreationTime Id Operation OrganizationId RecordType ResultStatus UserKey UserType Workload ClientIP ObjectId UserId ${WHOLE_RECORD}`,
  ),
}

/** What an input reads by: rows arrive in about this order, and with the id it is unique. */
export const LAYOUT_CURSOR = ['CreationTime', 'Id'] as const

/** `recordColumn`: a column for the whole record in each of the three tables, too. */
export function layoutTables(recordColumn?: string): (TableShape & { readonly name: LayoutTable })[] {
  return LAYOUT_TABLES.map(name => {
    const columns = [...COLUMNS[name]]
    if (recordColumn !== undefined && !columns.includes(recordColumn)) columns.push(recordColumn)
    return {
      name,
      columns: columns.map(column => ({ name: column, type: TYPES[column] ?? TEXT })),
      key: ['Id'],
      indexes: [[...LAYOUT_CURSOR]],
    }
  })
}

const BY_TYPE: readonly (readonly [prefix: string, table: LayoutTable])[] = [
  ['AzureActiveDirectory', 'auditaad'],
  ['Exchange', 'auditexchange'],
  ['SharePoint', 'auditsharepoint'],
  ['OneDrive', 'auditsharepoint'],
]
const BY_WORKLOAD: ReadonlyMap<unknown, LayoutTable> = new Map([
  ['AzureActiveDirectory', 'auditaad'],
  ['Exchange', 'auditexchange'],
  ['SharePoint', 'auditsharepoint'],
  ['OneDrive', 'auditsharepoint'],
])

/**
 * The table of a record: by the name of its record type, which the record alone decides, so that it goes to the same one however it was
 * read; by its workload where the type has no name. DLP records of Exchange and SharePoint came in a feed of their own.
 */
export function tableOf(type: unknown, workload: unknown): LayoutTable {
  const { name } = recordType(type)
  if (name === undefined) return BY_WORKLOAD.get(workload) ?? 'auditgeneral'
  return BY_TYPE.find(([prefix]) => name.startsWith(prefix))?.[1] ?? 'auditgeneral'
}

/** Where the ecs filter has put what it takes out of the record. */
const MOVED: Readonly<Record<string, readonly string[]>> = {
  Id: ['event.id'],
  Operation: ['event.action'],
  OrganizationId: ['organization.id'],
  Workload: ['event.provider'],
  ClientIP: ['client.address', 'client.ip'],
  ObjectId: ['url.original'],
  UserAgent: ['user_agent.original'],
  OrganizationName: ['organization.name'],
  OriginatingServer: ['server.address'],
  SourceFileExtension: ['file.extension'],
  SourceFileName: ['file.name'],
  SourceRelativeUrl: ['file.directory'],
}
const MOVED_PATHS = Object.entries(MOVED).map(([name, paths]) => [name, paths.map(path => fieldPath(path))] as const)

/** The record that the ecs filter has mapped, as far as it can be put together again; undefined for an event that has none. */
export function recordOfEcs(fields: JsonObject): JsonObject | undefined {
  const { o365 } = fields
  const audit = isObject(o365) ? o365['audit'] : undefined
  if (!isObject(audit)) return undefined
  const moved: JsonObject = {}
  for (const [name, paths] of MOVED_PATHS) {
    for (const path of paths) {
      const value = path.get(fields)
      if (value === undefined) continue
      moved[name] = value
      break
    }
  }
  return { ...moved, ...audit }
}
